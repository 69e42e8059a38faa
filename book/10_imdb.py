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
# # IMDB: the paper's third benchmark
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/10_imdb.ipynb)
#
# - Reviews of films, a recurrent network of two layers, and the five heads.
# - The benchmark and its tests, as in chapter 2, beside the paper's numbers.
# - Two layers share attention about equally in the paper. Here: whether each training shares it so.

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
dataset: str = "imdb"  # or "docstrings": sentences from installed packages, no download
heads: list[str] = ["last_layer", "last_layer_mlp", "concat", "scalar_mix", "laya"]  # reference first
seeds: list[int] = [0, 1, 2, 3, 4]  # one training of every head for each
learning_rate: float = 1e-3  # Adam's
max_epochs: int = 50  # the longest training, in passes over the data
margin: float = 0.5  # points of accuracy: a smaller difference is too small to matter

# %%
from laya_nb import parameters

parameters.check(globals())

# %% [markdown]
# ## What the paper reports
#
# Twice 25,000 reviews, half of them positive {cite}`imdb`. The paper's means and standard deviations over five seeds
# allow Welch's test, as in [chapter 2](02_fashion_mnist.ipynb):

# %%
from laya_nb import paper
from laya_nb.statistics import welch_t

published = paper.ACCURACY["imdb"]
t, p = welch_t(*published["laya"], *published["last_layer"], n=paper.SEEDS)
print(f"LAYA against LastLayer: Welch's t = {t:.2f}, p = {p:.2f}")

# %% [markdown]
# ## The network
#
# The words of a review become vectors, two layers of LSTM {cite}`lstm` read them in both directions, and what each
# layer remembers at the end is its hidden state:
#
# $$h_i = \left[\overrightarrow{h}_i(x),\ \overleftarrow{h}_i(x)\right],\qquad i = 1, 2$$
#
# The paper says: 20,000 words, a trainable embedding, two bidirectional layers. It leaves open how wide they are and how
# long a review may be. TEXT-CHOICES

# %%
from laya_nb.recurrent import BiLSTM
from laya_nb.runs import count_parameters

backbone = BiLSTM(20_000, [64, 64])
print(f"{count_parameters(backbone):,} parameters, of them the embedding's {backbone.embedding.weight.numel():,}")

# %% [markdown]
# Padding must not be read: a short review in a batch of long ones gets the state at its own end. A tiny check, with a
# review of three words, alone and padded to five:

# %%
import torch

review = torch.tensor([[7, 11, 13]])
padded = torch.nn.functional.pad(review, (0, 2))
for alone, filled in zip(backbone(review), backbone(padded)):
    print(f"largest difference {(alone - filled).abs().max():.0e}")

# %% [markdown]
# **Prediction.** The paper finds attention shared: 0.48 on layer 1, 0.52 on layer 2. With Fashion-MNIST
# ([chapter 3](03_depth_profiles.ipynb)) such a mean hid trainings that each chose another layer. We expect no gain in
# accuracy, and shares that differ from seed to seed.
#
# ## The benchmark

# %%
from laya_nb import figures, tables
from laya_nb.runs import grid, sweep
from laya_nb.statistics import compare_all
from laya_nb.store import ResultStore
from laya_nb.training import Protocol

protocol = Protocol(learning_rate=learning_rate, max_epochs=max_epochs)
runs = grid(dataset=[dataset], head=heads, seed=seeds, protocol=[protocol])
results = sweep(runs, ResultStore())

# %%
table = tables.percent_table(results)
tables.benchmark_table(table, published)

# %%
comparisons = compare_all(table, "accuracy", heads[0], margin)
tables.comparison_table(comparisons)

# %% mystnb={"image": {"alt": "ALT-BENCHMARK"}, "figure": {"caption": "Left: test accuracy on IMDB. Right: difference from LastLayer, seeds paired, with 95 % intervals; the grey band marks differences that we call too small to matter.", "name": "fig-imdb"}}
figures.accuracy_and_differences(table, comparisons, published)

# %% [markdown]
# TEXT-BENCHMARK
#
# ## Where attention goes

# %%
import numpy as np

laya = [result for result in results if result.run["head"] == "laya"]
attention = np.stack([result.attention for result in laya])
profiles = attention.mean(axis=1)
print("weight of layer 2 in each training:", profiles[:, -1].round(2))

# %% mystnb={"image": {"alt": "ALT-PROFILE"}, "figure": {"caption": "Mean weight of each layer over the test reviews. A dot is one training, a bar the mean over trainings, the line the paper's value for the last layer.", "name": "fig-imdb-profile"}}
figures.global_profile(profiles, paper.LAST_LAYER_WEIGHT["imdb"])

# %%
from laya_nb import attribution

labels = laya[0].arrays["label"]
by_class = [attribution.class_profiles(r.attention, labels, 2) for r in laya]
panels = {"all": np.stack(by_class)}
spread = np.ptp(attention[..., -1], axis=1)
print("over reviews, layer 2's weight ranges over:", spread.round(2))

# %% mystnb={"image": {"alt": "ALT-CLASSES"}, "figure": {"caption": "Mean weight of each class of reviews on each layer. A dot is one training.", "name": "fig-imdb-classes"}}
figures.profile_spread(panels["all"], ["negative", "positive"], None)

# %%
same = attribution.top_layer_agreement(attention)
chance = attribution.chance_agreement(attention)
print(f"same top layer: {same.mean():.0%} of reviews, {chance.mean():.0%} by chance")

# %% [markdown]
# TEXT-ATTENTION
#
# ## Right and wrong predictions
#
# Is attention more diffuse when the prediction is wrong? The chance that a wrong prediction has the higher entropy,
# and the same for low confidence:

# %%
from laya_nb.statistics import estimate

effects = [attribution.entropy_effect(r.attention, r.correct).auroc for r in laya]
doubt = [attribution.auroc(1 - r.arrays["confidence"], ~r.correct) for r in laya]
print(f"entropy of attention: AUROC {estimate(effects):.2f}")
print(f"low confidence:       AUROC {estimate(doubt):.2f}")

# %% [markdown]
# TEXT-ENTROPY
#
# ## See it move
#
# The same network on sentences from the documentation of NumPy and PyTorch, which this machine has: which of the two
# does a sentence come from?

# %% tags=["nbval-ignore-output"]
from laya_nb.runs import train_result

short = Protocol(learning_rate=learning_rate, max_epochs=3)
for run in grid(dataset=["docstrings"], hidden_dims=[[16, 16]], d_star=[16], protocol=[short]):
    live = train_result(run)
    print(f"accuracy {live.metrics['accuracy']:.0%}, mean weights {live.attention.mean(axis=0).round(2)}")

# %% [markdown]
# ## What we found
#
# TEXT-FOUND
#
# ## Exercises
#
# TEXT-EXERCISES
