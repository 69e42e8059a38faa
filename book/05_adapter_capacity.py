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
# # Adapter capacity: how wide must the adapters be?
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/05_adapter_capacity.ipynb)
#
# - What the adapters' width $d^*$ costs, and where it is a real bottleneck.
# - Six widths from 8 to 1024, five seeds each: accuracy and what attention does.
# - The paper's choice among 36 settings, repeated: would other seeds have chosen the same?

# %% tags=["hide-input"]
# The package: the installed one, else the one in this checkout, else the repository's.
from importlib import metadata, util

if util.find_spec("laya_nb") is None:
    import os, subprocess, sys, tempfile
    from pathlib import Path

    checkout = next((p for p in Path.cwd().resolve().parents if (p / "src" / "laya_nb").is_dir()), None)
    if checkout is not None:
        sys.path.insert(0, str(checkout / "src"))
    else:  # pip must leave the host's own torch and numpy alone
        have = {dist.metadata["Name"]: dist.version for dist in metadata.distributions()}
        keep = [f"{name}=={have[name]}\n" for name in ("torch", "torchvision", "numpy") if name in have]
        constraints = Path(tempfile.mkdtemp(), "constraints.txt")
        constraints.write_text("".join(keep))
        source = os.environ.get("LAYA_NB_SOURCE", "git+https://github.com/laya-nb/laya-nb")
        package = f"laya-nb[chapters] @ {source}"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", constraints, package]
        subprocess.run(pip, check=True)

# %% tags=["parameters"]
dataset: str = "fashion_mnist"  # or "fashion_mnist_sample": 4,000 images, no download
widths: list[int] = [8, 32, 96, 256, 512, 1024]  # of the adapters, d*
scorer_width: int = 192  # the same at every d*, so that the adapters are all that changes
seeds: list[int] = [0, 1, 2, 3, 4]  # one training for each width and seed
reference: int = 96  # the width that the others are compared with, one of widths
grid_seeds: list[int] = [0, 1, 2]  # of the paper's grid: 36 settings, one training each for each seed
margin: float = 0.5  # points of accuracy: a difference below this is too small to matter
max_epochs: int = 50  # the longest training, in passes over the data

# %%
from laya_nb import parameters

parameters.check(globals())

# %% [markdown]
# ## What the width buys, and what it costs
#
# Adapter $i$ maps the $d_i$ values of a hidden state to $d^*$ values. The class is read from the weighted sum of these,
# by a linear layer. Counting weights and biases of a head with scorer width $w$ and $C$ classes:
#
# $$\underbrace{\textstyle\sum_i (d_i + 1)\, d^*}_{\text{adapters}} +
# \underbrace{(L d^* + 1)\, w + (w + 1)\, L}_{\text{scorer}} + \underbrace{(d^* + 1)\, C}_{\text{classifier}}$$

# %%
from laya_nb.heads import LAYAHead
from laya_nb.runs import count_parameters

def head_size(d_star, w=192, L=3, C=10, dims=(512, 256, 128)):
    return sum(d + 1 for d in dims) * d_star + (L * d_star + 1) * w + (w + 1) * L + (d_star + 1) * C


head = LAYAHead([512, 256, 128], num_classes=10, d_star=96, scorer_width=192)
print(head_size(96), count_parameters(head))

# %%
backbone = sum((before + 1) * after + 2 * after for before, after in ((784, 512), (512, 256), (256, 128)))
for d_star in widths:
    size = head_size(d_star, scorer_width)
    print(f"d* = {d_star:>4}: {size:>9,} parameters, {size / backbone:.2f} times the backbone")

# %% [markdown]
# Where is a narrow adapter a bottleneck? The logits of ten classes come from a sum of $d^*$ values, so below ten they
# cannot move independently. Above that, one layer alone could be classified as well as LastLayer classifies it, and
# the scorer has $L d^*$ values to look at.
#
# **Prediction.** [Chapter 2](02_fashion_mnist.ipynb) found no gain from reading all layers, so a wider way to read them
# should bring none either. We expect a loss at $d^* = 8$ at most, and from there on a flat line.
#
# ## Measurement

# %%
import numpy as np

from laya_nb import figures, tables
from laya_nb.runs import grid, sweep
from laya_nb.store import ResultStore
from laya_nb.training import Protocol

protocol = Protocol(max_epochs=max_epochs)
common = {"dataset": [dataset], "protocol": [protocol]}
runs = grid(d_star=widths, scorer_width=[scorer_width], seed=seeds, **common)
results = sweep(runs, ResultStore())

# %%
table = tables.attention_table(results)
columns = ["head_parameters", "accuracy", "entropy", "entropy_std", "last_weight", "epochs"]
table.groupby("d_star")[columns].mean().round(2)

# %% mystnb={"image": {"alt": "ALT-WIDTH"}, "figure": {"caption": "Accuracy, mean entropy of attention over test images, and its standard deviation over images, against the width of the adapters. A dot is a training, a bar the 95 % interval of the mean. Orange: widths that the paper tried.", "name": "fig-capacity"}}
panels = {
    "accuracy": "Accuracy, %",
    "entropy": "Entropy of attention",
    "entropy_std": "Its spread over images",
}
figures.against_setting(table, "d_star", panels, label="adapter width $d^*$", paper=[64, 96, 128])

# %%
from laya_nb.statistics import compare_all

comparisons = compare_all(table, "accuracy", reference, margin, by="d_star")
tables.comparison_table(comparisons)

# %% [markdown]
# TEXT-WIDTH
#
# ## The paper's grid, again
#
# The paper chose its settings among 36: three widths, three temperatures, $\psi$ the identity or a small MLP, a scorer
# of width $d^*$ or $2 d^*$. Each was trained with three seeds, and the best mean validation accuracy won: $d^* = 96$,
# $\tau = 1.5$, $\psi$ the identity, width 192. Here is the same grid, trained again.

# %%
from laya_nb import paper
from laya_nb.runs import Run

settings = paper.grid_settings("fashion_mnist")
tried = [Run(**setting, seed=seed, dataset=dataset, protocol=protocol) for setting in settings for seed in grid_seeds]
tried_table = tables.percent_table(sweep(tried, ResultStore()))

# %%
factors = ["d_star", "temperature", "psi", "scorer_width"]
tried_table["validation"] = 100 * tried_table["validation_accuracy"]
scores = tried_table.pivot(index=factors, columns="seed", values="validation")
scores.index = [f"{d}, {tau:g}, {psi}, {w}" for d, tau, psi, w in scores.index]
PAPERS = "96, 1.5, identity, 192"

# %% mystnb={"image": {"alt": "ALT-GRID"}, "figure": {"caption": "The 36 settings (d*, temperature, psi, scorer width) by validation accuracy: a dot a seed, a bar the mean of three seeds.", "name": "fig-grid"}}
from laya_nb import selection

ours = selection.choice(scores)
figures.grid_choice(scores, {"our choice": ours, "the paper's": PAPERS})

# %%
means = scores.mean(axis=1).sort_values(ascending=False)
print(f"our grid chooses {ours}: {means[ours]:.2f} %")
print(f"the paper's choice: {means[PAPERS]:.2f} %, place {list(means.index).index(PAPERS) + 1} of {len(means)}")
print(f"best minus mean of all settings: {means.max() - means.mean():.2f} points")

# %% [markdown]
# ### Is the winner better, or lucky?
#
# The best of 36 equal settings stands above their mean, too. How far, by luck alone? The noise is what is left when each
# setting's and each seed's mean is taken out; 10,000 draws of 36 equal settings with that noise:

# %%
luck = selection.luck_of_the_best(scores)
print(f"by luck alone: {luck.mean():.2f} points, 95 % of draws below {np.quantile(luck, 0.95):.2f}")

# %% [markdown]
# ### Would other seeds choose the same?
#
# Two checks. Choose with one seed, or with two of the three. And draw three seeds with replacement, in all 27 ways:

# %%
for count in range(1, len(grid_seeds)):
    print(f"by {count} of {len(grid_seeds)} seeds:", dict(selection.choices_by_fewer_seeds(scores, count)))

# %%
drawn = selection.bootstrap_choices(scores)
print(f"{len(drawn)} settings are chosen; the most frequent in {max(drawn.values()) / sum(drawn.values()):.0%} of the draws")

# %% [markdown]
# ### What $\psi$ and the scorer's width do
#
# The grid is complete, so each factor can be judged over all settings of the others. The share of the variance of
# validation accuracy that each explains, with the seed as a block:

# %%
tried_table["scorer"] = tried_table["scorer_width"] // tried_table["d_star"]
selection.effects(tried_table, "validation", ["d_star", "temperature", "psi", "scorer"]).round(3)

# %%
for factor in ("psi", "scorer"):
    print(tried_table.groupby(factor)[["validation", "accuracy"]].mean().round(2), end="\n\n")

# %% [markdown]
# TEXT-GRID
#
# ## See it move
#
# The same network on the embedded sample with adapters of width 2, where ten classes cannot be told apart well, and of
# width 64:

# %% tags=["nbval-ignore-output"]
from laya_nb.runs import train_result

short = Protocol(max_epochs=5)
for run in grid(dataset=["fashion_mnist_sample"], d_star=[2, 64], protocol=[short]):
    print(f"d* = {run.d_star:>2}: accuracy {train_result(run).metrics['accuracy']:.1%}")

# %% [markdown]
# TEXT-LIVE
#
# ## What we found
#
# TEXT-FOUND
#
# ## Exercises
#
# TEXT-EXERCISES
