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
# # Depth profiles: which layers, and says who?
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/depth_profiles.ipynb)
#
# - The paper's two attention figures for Fashion-MNIST, from ten runs in place of one.
# - How much a profile changes when nothing but the seed does.
# - Whether attention is more diffuse when the prediction is wrong.

# %% tags=["hide-input"] extras=["chapters"]
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

# %% tags=["parameters"] tiny={"dataset": "fashion_mnist_sample", "max_epochs": 1, "seeds": [3, 4]}
dataset: str = "fashion_mnist"  # or "fashion_mnist_sample": 4,000 images, no download
seeds: list[int] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]  # one LAYA run per seed
max_epochs: int = 50  # the longest run, in passes over the data

# %%
from laya_nb.report import parameters

parameters.check(globals())

# %%
import numpy as np

from laya_nb.analysis.attention import auroc, entropy, entropy_effect
from laya_nb.analysis.stability import chance_agreement, pairwise_correlation, top_layer_agreement
from laya_nb import figures
from laya_nb.data.images import FASHION_MNIST_CLASSES as CLASSES
from laya_nb.report import tables
from laya_nb.runs import ResultStore, grid, paper, sweep
from laya_nb.training import TrainingConfig

# %%
protocol = TrainingConfig(max_epochs=max_epochs)
runs = grid(dataset=[dataset], head=["laya"], seed=seeds, protocol=[protocol])
results = sweep(runs, ResultStore())
attention = np.stack([result.attention for result in results])
attention.shape  # runs, test images, layers

# %% [markdown]
# The runs are those of [the chapter on Fashion-MNIST](fashion_mnist.ipynb): same data, same settings, about the same accuracy.
#
# ## The global profile
#
# The mean of $\alpha_i(x)$ over all test images says how much each layer is used. The paper reports about 0.76 for the
# last layer.

# %% mystnb={"image": {"alt": "Bar chart of the mean weight of three layers, with one dot for each of ten runs. The means are about 0.31, 0.31 and 0.38, and the dots scatter widely: for the last layer from 0.07 to 0.86. The paper's 0.76 is marked there."}, "figure": {"caption": "Mean weight of each layer over the test set. A dot is one run, a bar the mean over runs, the line the paper's value for the last layer.", "name": "fig-global-profile"}}
profiles = attention.mean(axis=1)
figures.global_profile(profiles, paper.LAST_LAYER_WEIGHT["fashion_mnist"])

# %%
from laya_nb.statistics import estimate

for i, weight in enumerate(profiles.T, start=1):
    e = estimate(weight)
    print(f"layer {i}: mean {e:.2f}, from {weight.min():.2f} to {weight.max():.2f}")

# %% [markdown]
# Two of our ten runs exceed the paper's 0.76. Over ten seeds the mean weight of a layer has a range of 0.4 to 0.8, while
# accuracy stays within a point. So a value from one run cannot stand for the method.
#
# ## Classes and layers
#
# The paper's second figure breaks the profile up by class, and by right and wrong predictions:
#
# $$\bar\alpha_{c,i} = \frac{1}{|X_c|} \sum_{x \in X_c} \alpha_i(x)$$
#
# Each cell below is the mean of $\bar\alpha_{c,i}$ over runs, with the standard deviation over runs.

# %%
panels = {
    part: tables.class_profiles(results, len(CLASSES), part)
    for part in ("all", "correct", "incorrect")
}

# %% mystnb={"image": {"alt": "Three heat maps of ten classes by three layers, for all, correct and incorrect test images. Nearly all means lie between 0.15 and 0.6, with standard deviations over runs of about 0.3 to 0.5."}, "figure": {"caption": "Mean weight of each layer for each class, with the standard deviation over runs: all test images, those predicted right, those predicted wrong.", "name": "fig-class-heatmaps"}}
figures.class_heatmaps(panels, CLASSES)

# %% [markdown]
# Look at the second number in each cell. A standard deviation of 0.4 for a weight between 0 and 1 is nearly what a coin
# would give (0.5): in one run the class sits on a layer, in the next it does not. The mean of such a column says
# little. One run alone gives a heat map with clear structure, and it is tempting to explain that structure.
#
# ## Do sandals rely on layer 1?
#
# The paper's heat map shows sandals (class 5) with 0.87 of their weight on layer 1, and trousers with 0.98 on layer 3.
# Here is each of our runs, with the paper's values as crosses:

# %% mystnb={"image": {"alt": "Three panels, one per layer. For almost every class the ten dots are spread from 0 to 1, many at one end or the other. The paper's crosses lie among them."}, "figure": {"caption": "Mean weight of each class on each layer. A dot is one of our runs, a cross the paper's heat map, which appears to be one run.", "name": "fig-profile-spread"}}
figures.profile_spread(panels["all"], CLASSES, paper.CLASS_PROFILES["fashion_mnist"])

# %%
sandals = panels["all"][:, CLASSES.index("Sandal"), 0]
print("sandals' weight on layer 1:", np.sort(sandals).round(2))
print(f"mean {estimate(sandals):.2f}")

# %% [markdown]
# In some networks they do, in others not at all. One run gives layer 1 nearly all of the weight on sandals, three give it
# none, and the paper's 0.87 lies within that range. Trousers and layer 3 are no different, nor are most classes and
# layers in the figure: where a class goes depends on the seed.
#
# ## How much two runs agree
#
# Three measures, each over all pairs of runs. Class profiles: the correlation between two heat maps, after each
# layer's mean over classes is taken out. Images: the same for the weights of single images. Top layer: the share of
# images whose largest weight is on the same layer, against what two shuffled runs would share.

# %%
by_class = pairwise_correlation(panels["all"])
by_image = pairwise_correlation(attention)
same = top_layer_agreement(attention)
chance = chance_agreement(attention)
for what, r in (("class profiles", by_class), ("single images", by_image)):
    print(f"{what}: correlation {r.mean():+.2f}, from {r.min():+.2f} to {r.max():+.2f}")
print(f"same top layer: {same.mean():.0%} of images, {chance.mean():.0%} by chance")

# %% [markdown]
# We found no evidence that two runs agree more than by chance. Single pairs agree or disagree strongly, in both
# directions, as if each run picked layers for its classes at random. With ten runs a little agreement could escape us;
# [the chapter on stability](stability.ipynb) repeats the comparison with twenty, and with intervals.
#
# So a profile describes *one trained network*: it says which layers that network weighs. Another network, about as
# accurate, weighs others, so one profile is no safe guide to the data. Nor does it say whether removing a heavy layer
# would hurt more; this book has not tested that yet. [The chapter on redundancy](redundancy.ipynb) shows what a sharp
# profile is worth.
#
# ## Right and wrong predictions
#
# The paper says that attention is more diffuse, or shifted, when the prediction is wrong. Entropy measures how diffuse
# it is: $H(\alpha) = -\sum_i \alpha_i \log \alpha_i / \log L$, from 0 for one layer to 1 for uniform weights.
# The effect size is the chance that a wrong prediction has the higher entropy of the two (AUROC; 0.5 is no effect).

# %%
entropies = [entropy(r.attention) for r in results]
pairs = [(h[r.correct], h[~r.correct]) for h, r in zip(entropies, results)]
effects = [entropy_effect(r.attention, r.correct) for r in results]

# %% mystnb={"image": {"alt": "Left, cumulative curves: wrong predictions tend to have higher entropy than right ones, in every one of ten runs. Right, the AUROC of ten runs, from 0.57 to 0.74, mean 0.65 with a 95 percent interval from 0.61 to 0.69."}, "figure": {"caption": "Left: share of predictions whose entropy is below a value; thin lines are single runs. Right: the chance that a wrong prediction has the higher entropy, one dot per run, with the mean and its 95 % interval.", "name": "fig-entropy"}}
figures.entropy_of_right_and_wrong(pairs, effects)

# %%
print(f"AUROC {estimate([e.auroc for e in effects]):.2f}")
print(f"Cohen's d {estimate([e.cohen_d for e in effects]):.2f}")

# %% [markdown]
# For comparison, the network's own confidence (its largest probability), the plainest way to spot mistakes:

# %%
doubt = [auroc(1 - r.arrays["confidence"], ~r.correct) for r in results]
print(f"AUROC of low confidence {estimate(doubt):.2f}")

# %% [markdown]
# The paper's claim holds: in each run wrong predictions have the more diffuse attention. It is the one thing here
# that all ten seeds agree on ([the chapter on stability](stability.ipynb) tries ten more, and three of them do not). The effect is weak, though. Knowing the entropy helps to spot a mistake far less than knowing
# the network's own confidence.
#
# ## What we found

# %%
from laya_nb.report import findings
from laya_nb.report.findings.depth_profiles import findings_of

findings.show(findings_of(results))

# %% [markdown]
# - The global profile depends on the seed. Ten runs of one setting put from 0.07 to 0.86 of the weight on the
#   last layer.
# - Class profiles do, too. Sandals' weight on layer 1 is 0.00 in one run and 0.98 in another.
# - We found no evidence that two runs agree more than by chance, on classes or on single images.
# - Attention is more diffuse on wrong predictions, in all ten runs; as a sign of mistakes it is weaker than
#   confidence.
#
# These hold for the paper's settings on Fashion-MNIST, with test images and ten seeds.
#
# ## Exercises
#
# 1. Take the two runs that agree most and the two that agree least (`by_class`). Do they differ in accuracy?
# 2. ScalarMix has one weight per layer for all images. Load its runs (`head=["scalar_mix"]`) and compare the spread of
#    its weights over seeds with LAYA's global profile.
# 3. Measure entropy's effect within one class, shirts for instance. Does it hold there?
#
# ```{dropdown} Solutions
# 1. `by_class` runs over the pairs (0, 1), (0, 2), ... The most alike are seeds 6 and 7 (0.79), the least alike seeds 2
#    and 8 (-0.65). Accuracy (`result.metrics["accuracy"]`) does not tell: both pairs lie 0.65 points apart.
# 2. ScalarMix's weights are much the same for every seed: about 0.25, 0.31 and 0.44, with standard deviations below
#    0.03. LAYA's are 0.14 to 0.26.
# 3. For shirts the AUROC is about 0.63 on average. For sandals and sneakers it is about 0.5: no effect.
# ```
#
# **To go further**, add a seed to `seeds`, or train at another temperature with `grid(temperature=[0.5, 1.5], ...)`.
