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
# **Question.** On the paper's first benchmark, is LAYA more accurate than a head that reads the last layer alone?
#
# **Why it matters.** The paper concludes that LAYA matches or improves on the other heads. Its means differ by less than
# its standard deviations, so its table alone cannot tell.
#
# **Answer.** LAYA is as accurate as the last layer alone, to within half a point:

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

# %% tags=["parameters", "hide-input"] tiny={"dataset": "fashion_mnist_sample", "max_epochs": 1, "seeds": [0, 1, 2], "margin": 1.0} mystnb={"code_prompt_show": "Parameters", "code_prompt_hide": "Parameters"}
dataset: str = "fashion_mnist"  # or "fashion_mnist_sample": 4,000 images
heads: list[str] = ["last_layer", "last_layer_mlp", "concat", "scalar_mix", "laya"]  # reference first
seeds: list[int] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]  # one run of every head for each
max_epochs: int = 50  # the longest run, in passes over the data
margin: float = 0.5  # points of accuracy: a smaller difference is too small to matter

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Load the runs", "code_prompt_hide": "Load the runs"}
from laya_nb.report import parameters

parameters.check(globals())

from laya_nb import figures
from laya_nb.report import tables
from laya_nb.runs import ResultStore, grid, paper, sweep
from laya_nb.statistics import compare, compare_all, welch_t
from laya_nb.training import TrainingConfig

protocol = TrainingConfig(max_epochs=max_epochs)
runs = grid(dataset=[dataset], head=heads, seed=seeds, protocol=[protocol])
results = sweep(runs, ResultStore())
table = tables.percent_table(results)
comparisons = compare_all(table, "accuracy", heads[0], margin, primary="laya")

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two panels. First, test accuracy of five heads with ten seeds each: all means lie between 89.1 and 89.4 percent; the four means that the paper reports lie between 87.9 and 88.3. Second, each head's difference from LastLayer with its 95 percent interval: all four intervals contain zero, and only ScalarMix's reaches past plus or minus half a point, to 0.53."}, "figure": {"caption": "Test accuracy on Fashion-MNIST, and the difference from LastLayer with the same seed, both with 95 % intervals. The grey band marks differences that we call too small to matter.", "name": "fig-benchmark"}}
published = paper.ACCURACY["fashion_mnist"]
figures.accuracy_and_differences(table, comparisons, published)

# %% [markdown]
# ## What the paper's table can carry
#
# The paper gives means and standard deviations over five seeds. With these, one test is possible: Welch's t test of two
# independent groups.

# %%
t, p = welch_t(*published["laya"], *published["last_layer"], n=paper.SEEDS)
print(f"LAYA against LastLayer: Welch's t = {t:.2f}, p = {p:.2f}")

# %% [markdown]
# A difference this small, or larger, would appear in most repetitions even if both heads were equally good. That does
# not prove that they are: five unpaired seeds cannot tell.
#
# ## The experiment
#
# Five heads on one network, an MLP 784-512-256-128 with layer normalisation {cite}`layer_norm` and GELU {cite}`gelu`:

# %% tags=["hide-input"] mystnb={"image": {"alt": "Five small diagrams. LastLayer: h3 goes through a linear layer to the class. LastLayer + MLP: h3 goes through an MLP. Concat: all three layers go side by side into an MLP. ScalarMix: the three layers are summed with weights that are the same for every input. LAYA: the three layers are summed with weights that a scorer computes for each input."}, "figure": {"caption": "The five heads. A coloured layer is read, a grey one is not; a thicker arrow is a larger weight.", "name": "fig-five-heads"}}
figures.five_heads()

# %% [markdown]
# | head | reads | how |
# |---|---|---|
# | LastLayer | $h_3$ | linear |
# | LastLayer + MLP | $h_3$ | one hidden layer, with as many parameters as LAYA's head: **our control** |
# | Concat | $h_1, h_2, h_3$ | adapters, side by side, one hidden layer of $d^*$ units |
# | ScalarMix | $h_1, h_2, h_3$ | adapters, one learned weight per layer, the same for every image |
# | LAYA | $h_1, h_2, h_3$ | adapters, weights computed for every image |
#
# LAYA has the settings that the paper chose: $d^* = 96$, $\tau = 1.5$, no $\psi$, scorer width 192. The paper does not
# say which $d^*$ Concat and ScalarMix had, nor the size of Concat's MLP: we take $d^* = 96$ for both.
#
# The protocol is the paper's: Adam {cite}`adam`, batches of 128, a tenth of the training set for validation, at most 50
# epochs, early stopping after 5 epochs without a better validation accuracy, and the weights of the best epoch. The
# learning rate, 3e-4, and the initialisation are those of the released notebook.
#
# A seed decides the validation split, the initial weights and the order of batches. Two heads with the same seed share
# them, so what a lucky split gives to one head it gives to all. Comparing seed by seed takes that luck out.
#
# **Prediction.** The paper's table shows no gain beyond its noise. We expect none.
#
# ## Measurement

# %%
tables.benchmark_table(table, published)

# %% [markdown]
# ± is the standard deviation over seeds; the interval is that of the mean. Parameters are the head's alone. Seconds are
# those of one run on one core of a busy machine, so they are an order of magnitude (`make bench` compares speeds).
#
# ## Differences, seed by seed
#
# For each head and seed: its accuracy minus that of LastLayer with the same seed.

# %%
tables.comparison_table(comparisons)

# %% [markdown]
# ### How to read these tables
#
# The 95 % interval covers the mean differences that the seeds leave plausible. Two tests ask two questions:
#
# - *Is there a difference?* A paired t test. A small $p$ says yes: *higher* or *lower*. The interval then leaves out 0.
# - *Is it too small to matter?* An equivalence test against ±`margin` (TOST: two one-sided tests {cite}`tost`). A small
#   $p$ says that a difference of half a point or more is implausible: *equivalent*. The interval then lies between
#   -`margin` and +`margin`. For this the larger of the two $p$ must be below 0.025, half of the usual 0.05, so that no
#   verdict contradicts the interval beside it.
# - If neither $p$ is small, the data decide nothing: *undecided*. That is not *equivalent*.
#
# Whoever looks at many comparisons finds some small $p$ by luck. Where the column *Holm* says *yes*, both $p$ are
# corrected for that {cite}`holm`. A dash marks the comparison that was the question from the start, here LAYA against
# LastLayer.
#
# ## Verdict
#
# Every interval contains zero: we found no evidence that a head is better or worse than the plain one. For LAYA the
# second test says more: it is as accurate as LastLayer to within half a point ($p = 0.015$). The other three heads stay
# undecided; asked together, ten seeds do not suffice to call them equivalent.
#
# Two things to keep in mind. Half a point is our choice, and ten seeds leave room for differences of 0.3 points either
# way. And our networks are 0.8 to 1.4 points more accurate than the paper's, with every head. We do not know why; the
# paper leaves some settings open.
#
# ## Is it the layers, or the parameters?
#
# LAYA's head has 143,341 parameters, LastLayer's 1,290. The control has LAYA's count and sees the last layer alone:

# %%
by_head = dict(list(table.groupby("head")["accuracy"]))
if {"laya", "last_layer_mlp"} <= set(by_head):
    c = compare(by_head["laya"], by_head["last_layer_mlp"], margin)
    print(f"LAYA - control: {c.difference:+.2f} points, p = {c.p_difference:.3f}, {c.verdict()}")

# %% [markdown]
# The control would have been needed had LAYA won. As it is, neither layers nor parameters bring a gain.
#
# ## Is LAYA steadier?
#
# The paper also reads a lower variance into its table. With ten seeds, the standard deviation of each head:

# %%
from scipy import stats

print(table.groupby("head", sort=False)["accuracy"].std().round(2).to_string())
spread = stats.levene(*by_head.values(), center="median")
print(f"Brown-Forsythe test that all heads have one variance: p = {spread.pvalue:.2f}")

# %% [markdown]
# LAYA's is smaller than LastLayer's, as the paper says, but so are the control's and ScalarMix's, and the test does not
# tell the five apart. A claim about variance needs more runs than a claim about a mean.
#
# ## What we found

# %%
from laya_nb.report import findings
from laya_nb.report.findings.fashion_mnist import findings_of, headline

findings.show(findings_of(results), headline(results))

# %% [markdown]
# - On Fashion-MNIST, LAYA is as accurate as the last layer alone, to within half a point.
# - For Concat, ScalarMix and the control we found no difference either, but ten seeds do not suffice to call all three
#   equivalent.
# - We found no evidence that one head is steadier than another.
# - LAYA pays for its weights: its head has 143 thousand parameters in place of 1,290, and it trains for more epochs.
#
# ## What this does not show
#
# - That LAYA never helps. This is one easy data set and one small network; the other benchmarks follow
#   ([CIFAR-10](cifar10.ipynb), [IMDB](imdb.ipynb), [a frozen transformer](frozen_transformer.ipynb)).
# - Anything about the weights. They may be worth having as an explanation, at no gain in accuracy:
#   [the next chapter](depth_profiles.ipynb) looks at them.
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
#    is -0.13), so here the pairing took out no luck. One knows that only afterwards.
# ```
#
# **To go further**, add a seed to `seeds`: the chapter trains what is missing and keeps it.
#
# **Run time:** seconds with the published runs. To train all 50 anew takes about 50 minutes on two cores.
