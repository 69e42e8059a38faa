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
# # Fashion-MNIST: is the gain real?
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/fashion_mnist.ipynb)
#
# - The paper's first benchmark again: its network, its protocol, its settings, with ten seeds in place of five.
# - A control that the paper lacks: a head with LAYA's parameters that sees only the last layer.
# - Differences between heads, seed by seed, with intervals and two kinds of test.

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

# %% tags=["parameters"] tiny={"dataset": "fashion_mnist_sample", "max_epochs": 1, "seeds": [0, 1, 2], "margin": 1.0}
dataset: str = "fashion_mnist"  # or "fashion_mnist_sample": 4,000 images
heads: list[str] = ["last_layer", "last_layer_mlp", "concat", "scalar_mix", "laya"]  # reference first
seeds: list[int] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]  # one run of every head for each
max_epochs: int = 50  # the longest run, in passes over the data
margin: float = 0.5  # points of accuracy: a smaller difference is too small to matter

# %%
from laya_nb.report import parameters

parameters.check(globals())

# %% [markdown]
# ## What the paper's table can carry
#
# The paper reports means and standard deviations over five seeds, and concludes that LAYA matches or improves on the
# rest. Its table allows one test, Welch's t test of two independent groups:

# %%
from laya_nb.runs import paper
from laya_nb.statistics import welch_t

published = paper.ACCURACY["fashion_mnist"]
t, p = welch_t(*published["laya"], *published["last_layer"], n=paper.SEEDS)
print(f"LAYA against LastLayer: Welch's t = {t:.2f}, p = {p:.2f}")

# %% [markdown]
# A difference this small, or larger, would appear in most repetitions even if both heads were equally good.
# That is no proof that they are: it says that five unpaired seeds cannot tell.
#
# ## The experiment
#
# Five heads on one backbone, an MLP 784-512-256-128 with layer normalisation {cite}`layer_norm` and GELU {cite}`gelu`:
#
# | head | what it reads | how |
# |---|---|---|
# | LastLayer | $h_3$ | linear |
# | LastLayer + MLP | $h_3$ | one hidden layer, with as many parameters as LAYA's head: **our control** |
# | Concat | $h_1, h_2, h_3$ | adapters, side by side, one hidden layer of $d^*$ units |
# | ScalarMix | $h_1, h_2, h_3$ | adapters, one learned weight per layer, the same for every image |
# | LAYA | $h_1, h_2, h_3$ | adapters, weights computed for every image |
#
# LAYA has the settings that the paper chose: $d^* = 96$, $\tau = 1.5$, $\psi$ the identity, scorer width 192. The
# paper does not say which $d^*$ Concat and ScalarMix got, nor the size of Concat's MLP: we take $d^* = 96$ for both.
#
# The protocol is the paper's: Adam {cite}`adam`, batches of 128, a tenth of the training set for validation, at most
# 50 epochs, stop after 5 epochs without a better validation accuracy and go back to the best. The learning rate,
# 3e-4, and the initialisation are those of the released notebook.
#
# A seed decides the validation split, the initial weights and the order of batches. All heads share them, so what a
# lucky split gives to one head it gives to all. Comparing seed by seed takes that luck out.

# %%
from laya_nb.runs import ResultStore, grid, sweep
from laya_nb.training import TrainingConfig

protocol = TrainingConfig(max_epochs=max_epochs)
runs = grid(dataset=[dataset], head=heads, seed=seeds, protocol=[protocol])
results = sweep(runs, ResultStore())

# %% [markdown]
# The published runs are read from the store; a run that is not there is trained now. Accuracy on the test set:

# %%
from laya_nb.report import tables

table = tables.percent_table(results)
tables.benchmark_table(table, published)

# %% [markdown]
# ± is the standard deviation over seeds; the interval is for the mean. Parameters are the head's alone. Seconds are for
# one run on one core of a busy machine, an order of magnitude: `make bench` compares speeds.
#
# ## Differences, seed by seed
#
# For each head and seed, the accuracy minus that of the first head, LastLayer, with the same seed.
#
# ### How to read these tables
#
# The 95 % interval covers the mean differences that the seeds leave plausible. Two tests ask two questions of it:
#
# - *Is there a difference?* A paired t test. A small $p$ says yes: *higher* or *lower*. The interval then leaves out 0.
# - *Is it too small to matter?* Two one-sided tests {cite}`tost` against ±`margin`. A small $p$ says that a difference
#   of half a point or more is implausible: *equivalent*. The interval then lies between -`margin` and +`margin`. For
#   this the larger of the two $p$ must be below 0.025, half of the usual 0.05, so that no verdict contradicts the
#   interval beside it.
# - If neither $p$ is small, the data decide nothing: *undecided*. That is not *equivalent*.
#
# Whoever looks at many comparisons finds some small $p$ by luck. Where the column *Holm* says *yes*, both $p$ are
# corrected for that {cite}`holm`. A dash stands beside a comparison that was the question from the start, as LAYA
# against LastLayer is here.

# %%
from laya_nb.statistics import compare_all

comparisons = compare_all(table, "accuracy", heads[0], margin, primary="laya")
tables.comparison_table(comparisons)

# %% mystnb={"image": {"alt": "Two panels. Left, test accuracy of five heads with ten seeds each: all means lie between 89.1 and 89.4 percent; the four means that the paper reports lie between 87.9 and 88.3. Right, each head's difference from LastLayer with its 95 percent interval: all four intervals contain zero, and only ScalarMix's reaches past plus or minus half a point, to 0.53."}, "figure": {"caption": "Left: test accuracy on Fashion-MNIST. Right: difference from LastLayer, seeds paired, with 95 % intervals; the grey band marks differences that we call too small to matter.", "name": "fig-benchmark"}}
from laya_nb import figures

figures.accuracy_and_differences(table, comparisons, published)

# %% [markdown]
# Every interval on the right contains zero: we found no evidence that a head is better or worse than the plain one. For
# LAYA the second test says more: it is as accurate as LastLayer to within half a point ($p = 0.015$). The other three
# heads stay undecided: asked together, ten seeds do not suffice to call them equivalent.
#
# Two things to keep in mind. Half a point is our choice; with ten seeds the data cannot exclude differences of 0.3 points
# either way. And our networks are 0.8 to 1.4 points more accurate than the paper's, with every head. We do not know
# why; the paper leaves some settings open.
#
# ## Is it the layers, or the parameters?
#
# LAYA's head has 143,341 parameters, LastLayer's 1,290. The control has LAYA's count and sees the last layer alone:

# %%
from laya_nb.statistics import compare

by_head = dict(list(table.groupby("head")["accuracy"]))
if {"laya", "last_layer_mlp"} <= set(by_head):
    c = compare(by_head["laya"], by_head["last_layer_mlp"], margin)
    print(f"LAYA - control: {c.difference:+.2f} points, p = {c.p_difference:.3f}, {c.verdict()}")

# %% [markdown]
# Parameters need not explain a gain, since we found none. The control would have been needed had LAYA won.
#
# ## Is LAYA steadier?
#
# The paper also reads a lower variance into its table. With ten seeds, the spread of each head:

# %%
from scipy import stats

print(table.groupby("head", sort=False)["accuracy"].std().round(2).to_string())
spread = stats.levene(*by_head.values(), center="median")
print(f"Brown-Forsythe test that all heads have one variance: p = {spread.pvalue:.2f}")

# %% [markdown]
# LAYA's spread is smaller than LastLayer's, as the paper says, but so are the control's and ScalarMix's, and the test
# does not tell the five apart. A claim about variance needs more runs than a claim about a mean.
#
# ## What we found

# %%
from laya_nb.report import findings
from laya_nb.report.findings.fashion_mnist import findings_of, headline

findings.show(findings_of(results), headline(results))

# %% [markdown]
# - On Fashion-MNIST, LAYA is as accurate as the last layer alone, to within half a point. For Concat, ScalarMix and
#   the control we found no difference either, but ten seeds do not suffice to call all three equivalent.
# - The paper's own table is compatible with that: Welch's $t$ is 0.14.
# - We found no evidence that one head is steadier than another.
# - LAYA pays for its weights with a head of 143 thousand parameters in place of 1,290, and with more
#   epochs until it stops.
#
# A null result on one easy data set is no verdict on the idea. Weights over layers may earn their keep as an
# explanation: [the next chapter](depth_profiles.ipynb) looks at them.
#
# ## Exercises
#
# 1. How many seeds would it take to see a true difference of 0.1 points? Use the standard deviation of the paired
#    differences and `statsmodels.stats.power.TTestPower`.
# 2. Set `margin` to 0.2. Which verdicts hold?
# 3. Leave the pairing out: compare LAYA and LastLayer with `scipy.stats.ttest_ind`. Is the interval wider?
#
# ```{dropdown} Solutions
# 1. About 250: the standard deviation of the paired differences is 0.56 points, so the effect is 0.18 of it
#    (power 0.8, level 0.05).
# 2. None. No head is shown to be within 0.2 points of LastLayer, and none to differ from it: *undecided* all over.
# 3. It is not wider. The accuracies of the two heads do not rise and fall together over seeds (their correlation
#    is -0.13), so here the pairing took out no luck. That is known only afterwards.
# ```
#
# **To go further**, add a seed to `seeds`: the chapter trains what is missing, about a minute per run, and keeps it.
