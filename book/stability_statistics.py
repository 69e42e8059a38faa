# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Appendix: the statistics of stability
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/stability_statistics.ipynb)
#
# **Question.** How sure are the findings of [the chapter on stability](stability.ipynb)? Here are its further controls:
# two halves of the test set, shuffled classes and images, means of several runs, and ten fresh runs.
#
# **Why it matters.** A correlation near 0 may be a noisy measurement, and one above 0 may be luck.
#
# **Answer.** A profile is measured sharply within a run; only which classes are alike comes out of means over runs. Averaging,
# in one picture:

# %% tags=["hide-input"] extras=["chapters"] mystnb={"code_prompt_show": "Set-up", "code_prompt_hide": "Set-up"}
# The package: the installed one, else the one in this checkout, else the repository's; and what this chapter needs.
import os, re, subprocess, sys, tempfile
from importlib import metadata, util
from pathlib import Path

extras, missing = ["chapters"], []

def version(requirement):
    try:
        return metadata.version(re.match(r"[\w.-]+", requirement)[0])
    except metadata.PackageNotFoundError:
        return None

checkout = next((p for p in Path.cwd().resolve().parents if (p / "src" / "laya_nb").is_dir()), None)
if version("laya-nb"):
    needed = [r for r in metadata.requires("laya-nb") if re.search(f"extra == .({'|'.join(extras)})\\b", r)]
    missing = [r.partition(";")[0] for r in needed if not version(r)]
elif checkout is not None:
    sys.path.insert(0, str(checkout / "src"))
elif util.find_spec("laya_nb") is None:
    source = os.environ.get("LAYA_NB_SOURCE", "git+https://github.com/laya-nb/laya-nb@main")
    missing = [f"laya-nb[{','.join(extras)}] @ {source}"]
if missing:  # pip must leave the host's own torch and numpy alone
    keep = [f"{p}=={version(p)}\n" for p in ("torch", "torchvision", "numpy") if version(p)]
    constraints = Path(tempfile.mkdtemp(), "constraints.txt")
    constraints.write_text("".join(keep))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", constraints, *missing]
    subprocess.run(pip, check=True)

# %% tags=["parameters", "hide-input"] tiny={"dataset": "fashion_mnist_sample", "max_epochs": 1, "seeds": [0, 1, 2, 3], "groups": [1, 2], "shuffles": 20} mystnb={"code_prompt_show": "Parameters", "code_prompt_hide": "Parameters"}
dataset: str = "fashion_mnist"  # or "fashion_mnist_sample": 4,000 images, no download
seeds: list[int] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]  # one LAYA run for each
max_epochs: int = 50  # the longest run, in passes over the data
groups: list[int] = [1, 2, 5, 10]  # runs averaged together; two such groups must fit into the seeds
shuffles: int = 200  # random draws in a control

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Load the runs", "code_prompt_hide": "Load the runs"}
from laya_nb.report import parameters

parameters.check(globals())

import numpy as np
import pandas as pd

from laya_nb import figures
from laya_nb.analysis.attention import class_profiles
from laya_nb.analysis.stability import averaging, class_distances
from laya_nb.analysis.stability import p_value, pair_estimate, pairwise_correlation
from laya_nb.analysis.stability import permute_layers, permute_rows
from laya_nb.data.images import FASHION_MNIST_CLASSES as CLASSES
from laya_nb.runs import ResultStore, grid, sweep
from laya_nb.training import TrainingConfig

protocol = TrainingConfig(max_epochs=max_epochs)
laya = sweep(grid(head=["laya"], dataset=[dataset], seed=seeds, protocol=[protocol]), ResultStore())
attention = np.stack([result.attention for result in laya])  # runs, test images, layers
labels = laya[0].arrays["label"]
profiles = class_profiles(attention, labels, len(CLASSES))  # runs, classes, layers
apart, alike = attention - profiles[:, labels], class_distances(profiles)


def generator_for(name):
    return np.random.default_rng(list(name.encode()))  # each control has a seed of its own

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two panels: correlation of two means against the number of runs in each. First, layer of a class: the measured values stay within the grey band of renamed layers, near 0.02 for one run and 0.2 for means of ten. Second, which classes are alike: they start at about 0.12 and rise steadily to 0.66, far above the grey band."}, "figure": {"caption": "Correlation between the mean profiles of two groups of runs, by the size of the groups. Grey: 95 % of the controls, with layers renamed or classes shuffled. Blue: what the intraclass correlation predicts.", "name": "fig-averaging"}}
names_rng, classes_rng = generator_for("averages, layers renamed"), generator_for("averages, classes shuffled")
other_names = [permute_layers(profiles, names_rng) for _ in range(shuffles)]
other_classes = [permute_rows(profiles, classes_rng) for _ in range(shuffles)]
averaged = {
    "Layer of a class": averaging(profiles, other_names, groups),
    "Which classes are alike": averaging(alike, [class_distances(c) for c in other_classes], groups),
}
figures.averaging_helps(averaged)

# %% [markdown]
# Two groups of $k$ runs are drawn at random, sharing none; each group's profiles are averaged, and the means
# correlated; 200 times. If a share $\rho$ of the variance is common to all runs, the correlation should be
# $r_k = k\rho / (1 + (k - 1)\rho)$ {cite}`spearman,brown`: the blue curve. The control renames layers in the first panel.
# In the second that would change nothing, so it shuffles classes.

# %%
for name, found in averaged.items():
    print(f"{name}: intraclass correlation {found.share:.1%}")
    for k, measured, chance in zip(found.groups, found.measured, found.control):
        low, high = np.quantile(chance, [0.025, 0.975])
        print(f"  means of {k:2}: {measured:+.2f}, control [{low:+.2f}, {high:+.2f}]")

# %% [markdown]
# The points lie near the curve. For the layer of a class, averaging does not lift them out of what renamed layers reach.
#
# ## Within a run
#
# Cut the test set in two halves at random. In each run, correlate the class profiles of one half with those of the other
# (each layer's mean over classes taken out, as always).

# %%
rng = generator_for("halves")
halves = np.array_split(rng.permutation(len(labels)), 2)
by_half = [class_profiles(attention[:, half], labels[half], len(CLASSES)) for half in halves]
reliability = np.array([pairwise_correlation(np.stack(pair)).item() for pair in zip(*by_half)])
low, high = reliability.min(), reliability.max()
print(f"two halves of the test set: correlation from {low:.3f} to {high:.3f}")

# %% [markdown]
# The profile of a trained network is measured sharply. What differs between runs is the networks, not the images that we
# happened to look at.
#
# ## Between runs: two controls
#
# - *Layers renamed*: in each run, give the layers new names at random. All structure stays, except which layer is which.
# - *Rows shuffled*: in each run, put the classes (or the images) in a random order. Nothing common stays.

# %%
def control(name, change, weights):
    """Correlations of all pairs, for many random changes of the weights: (shuffles, pairs)."""
    rng = generator_for(name)
    return np.array([pairwise_correlation(change(weights, rng)) for _ in range(shuffles)])


pairs = {"classes": pairwise_correlation(profiles), "images": pairwise_correlation(attention)}
renamed = {
    "classes": control("layers of classes renamed", permute_layers, profiles),
    "images": control("layers of images renamed", permute_layers, attention),
}
classes_shuffled = control("classes shuffled", permute_rows, profiles)
images_shuffled = pairwise_correlation(permute_rows(attention, generator_for("images shuffled")))

# %% mystnb={"image": {"alt": "Two panels of dots, a dot for each pair of runs. First, class profiles: two halves of the test set within a run lie at 1; two runs are spread from about -0.7 to 0.8 with a mean near 0; with layers renamed the picture is much the same, with classes shuffled somewhat narrower. Second, single images: two runs are spread from about -0.6 to 0.7 with a mean near 0; with layers renamed the same; with images shuffled all dots lie at 0."}, "figure": {"caption": "Correlation of two runs. A dot is a pair, a bar the mean. Grey: controls; one draw of each is shown. In the first row a dot is one run, its two halves of the test set compared.", "name": "fig-pairs"}}
figures.pair_spread(
    {
        "Class profiles": {
            "halves of a run": reliability,
            "two runs": pairs["classes"],
            "layers renamed": renamed["classes"][0],
            "classes shuffled": classes_shuffled[0],
        },
        "Weights of single images": {
            "two runs": pairs["images"],
            "layers renamed": renamed["images"][0],
            "images shuffled": images_shuffled,
        },
    },
    controls=["layers renamed", "classes shuffled", "images shuffled"],
)

# %%
for name, chance in renamed.items():
    low, high = np.quantile(chance.mean(axis=1), [0.025, 0.975])
    p = p_value(pairs[name].mean(), chance.mean(axis=1))
    print(f"{name}: {pair_estimate(pairs[name]):+.3f}, renamed [{low:+.3f}, {high:+.3f}], p = {p:.3f}")

# %%
def spread(values):
    return np.std(values, axis=-1, ddof=1)


width, shuffled_width = spread(pairs["classes"]), spread(classes_shuffled)
print(f"standard deviation over pairs of class profiles: {width:.2f}")
print(f"with layers renamed: {spread(renamed['classes']).mean():.2f}")
print(f"with classes shuffled: {shuffled_width.mean():.2f}, p = {p_value(width, shuffled_width):.3f}")

# %% [markdown]
# The mean lies within what renamed layers reach. One thing is odd: pairs scatter more than shuffled classes would have
# it. That is where the idea came from to look at which classes are alike. If shoes always move together, two runs that
# agree by luck on one shoe agree on all of them, and luck weighs more.
#
# ## On fresh runs
#
# The first ten runs are those of [the chapter on depth profiles](depth_profiles.ipynb). They gave us the ideas to look at
# which classes are alike and at images within their class, so they cannot test these ideas. The other ten had no say. The
# means over pairs within each half, with the $p$ of the control:

# %%
first, fresh = slice(0, len(seeds) // 2), slice(len(seeds) // 2, None)


def agreement(name, values, change, measure=np.asarray):
    """The mean over pairs of runs, and p from randomly changed values."""
    rng = generator_for(name)
    found = pair_estimate(pairwise_correlation(measure(values)))
    chance = [pairwise_correlation(measure(change(values, rng))).mean() for _ in range(shuffles)]
    return f"{found:+.2f}, p = {p_value(found.mean, np.array(chance)):.3f}"


# %%
rows = {
    name: {
        "layer of a class": agreement(f"{name}, class", profiles[half], permute_layers),
        "layer, within a class": agreement(f"{name}, within", apart[half], permute_layers),
        "which classes are alike": agreement(f"{name}, alike", profiles[half], permute_rows, class_distances),
    }
    for name, half in (("first half", first), ("fresh half", fresh))
}
pd.DataFrame(rows)

# %% [markdown]
# We found no agreement on *which layer* in either half. That classes are grouped alike holds in the fresh half as in the
# first. The little agreement within classes does not: it showed in the first half, and the fresh one does not confirm
# it. With ten runs we would have believed it.
#
# ## What we found
#
# - Two halves of the test set give nearly the same profile of one run.
# - Neither single pairs nor means of up to ten runs agree on the layer of a class beyond what renamed layers reach.
# - Which classes are alike is common to runs: in means, and in ten fresh runs.
# - An agreement within classes, found in ten runs, was not there in ten fresh ones.
#
# ## What this does not show
#
# That there is no common profile at all: the interval of the intraclass correlation reaches above 0, and more runs would
# narrow it.
#
# ## Exercises
#
# 1. Why must each control have a random generator of its own?
# 2. Set `groups` to `[1, 3, 6]`. Does the prediction still hold?
#
# ```{dropdown} Solutions
# 1. Else a control's draws would depend on which controls were computed before it, and a cell that is added or left out
#    would change the numbers of all others.
# 2. It does: the points move along the curve, since nothing in it was fitted to them but $\rho$.
# ```
#
# **To go further**, double the fresh runs: add 20 to 29 to `seeds`.
#
# **Run time:** a minute with the published runs; see [the chapter on stability](stability.ipynb) for training them.
