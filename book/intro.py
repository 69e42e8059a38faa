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
# # Layer-wise attention: an executable book
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/intro.ipynb)
#
# A network computes a hidden state at every layer, and its output usually reads only the last.
# LAYA {cite}`laya` reads them all: for each input it computes a weight for every layer, and classifies their weighted sum.
# The weights come for free with each prediction and look like an explanation of it: *this image was decided at layer 2*.
#
# This book asks what the paper did not. Is the gain in accuracy real? Do the weights mean anything?
# Every number here comes from networks that this project trained, and every chapter can be run and changed.

# %% tags=["remove-input"] extras=["chapters"]
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

# %% tags=["parameters", "remove-input"] tiny={"dataset": "fashion_mnist_sample", "max_epochs": 1, "seeds": [0, 1]}
dataset: str = "fashion_mnist"  # or "fashion_mnist_sample": 4,000 images, no download
seeds: list[int] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]  # one run of every head per seed
max_epochs: int = 50  # the longest run, in passes over the data

# %% tags=["remove-input"]
from laya_nb.report import parameters

parameters.check(globals())

# %% [markdown]
# ## LAYA in one picture

# %% tags=["hide-input"] mystnb={"image": {"alt": "Diagram: an input passes through three layers. Each layer's hidden state goes through its own adapter. A scorer turns the three adapted states into three weights that sum to one, here 0.1, 0.2 and 0.7. The weighted sum of the adapted states gives the class."}, "figure": {"caption": "The LAYA head. All hidden states are mapped to one width. A scorer sees them together and gives each layer a weight; the class is read from the weighted sum. The weights differ from input to input.", "name": "fig-head"}}
from laya_nb import figures

figures.head_diagram()

# %% [markdown]
# [The chapter on the mechanism](mechanism.ipynb) builds this head step by step.
#
# ## What the book finds
#
# The paper's first benchmark is Fashion-MNIST {cite}`fashion_mnist`, with a network of three hidden layers.
# We trained it under the paper's protocol, with five heads and ten seeds each.
# Two heads with the same seed start from the same backbone and see the same data in the same order, so they are compared seed by seed.

# %% tags=["remove-input"]
from laya_nb.runs import BENCHMARK_HEADS, ResultStore, grid, sweep
from laya_nb.training import TrainingConfig

protocol = TrainingConfig(max_epochs=max_epochs)
runs = grid(dataset=[dataset], head=BENCHMARK_HEADS, seed=seeds, protocol=[protocol])
results = sweep(runs, ResultStore())

# %% tags=["hide-input", "main-figure"] mystnb={"image": {"alt": "Two panels. Left, test accuracy of five heads with ten seeds each: all means lie between 89.1 and 89.4 percent; the four means that the paper reports lie between 87.9 and 88.3. Right, each head's difference from LastLayer with its 95 percent interval: all four intervals contain zero, and only ScalarMix's reaches past plus or minus half a point, to 0.53."}, "figure": {"caption": "Left: test accuracy on Fashion-MNIST. Right: difference from LastLayer, seeds paired, with 95 % intervals; the grey band marks differences that we call too small to matter.", "name": "fig-main"}}
from laya_nb.report import findings, tables
from laya_nb.runs import paper
from laya_nb.statistics import compare_all

table = tables.percent_table(results)
comparisons = compare_all(table, "accuracy", "last_layer", findings.MARGIN, primary="laya")
figures.accuracy_and_differences(table, comparisons, paper.ACCURACY["fashion_mnist"])

# %% [markdown]
# The chapters ask more than this. Some take the head apart, one setting at a time. Others take it beyond the first
# benchmark: to small colour pictures, read by a convolutional network, to reviews of films, read by a recurrent one, and
# to a pretrained network that stays as it is. There a head has most to do, because the network cannot put into its last
# layer what the head needs. All findings, each with a link to the chapter that shows it:

# %% tags=["hide-input"]
findings.table(findings.load_all())

# %% [markdown]
# ## How to read on
#
# <!-- chapters -->
#
# **The head and its benchmark**
#
# - [The mechanism, step by step](mechanism.ipynb)
# - [Fashion-MNIST: is the gain real?](fashion_mnist.ipynb)
# - [Depth profiles: which layers, and says who?](depth_profiles.ipynb)
#
# **Ablations**
#
# - [Temperature: sharper attention, same accuracy?](temperature.ipynb)
# - [Adapter capacity: how wide must the adapters be?](adapter_capacity.ipynb)
# - [Depth: does the gain grow with the network?](depth.ipynb)
# - [Redundancy: copies, noise, and two ways to collapse](redundancy.ipynb)
# - [Stability: can one run be trusted as an explanation?](stability.ipynb)
#
# **Beyond the MLP**
#
# - [CIFAR-10: the paper's second benchmark](cifar10.ipynb)
# - [IMDB: the paper's third benchmark](imdb.ipynb)
# - [A frozen transformer: does LAYA find the best layer?](frozen_transformer.ipynb)
# - [Bring your own: any network, any data](bring_your_own.ipynb)
#
# **Using this book**
#
# - [Run it yourself](run_it_yourself.md)
# - [References](references.md)
#
# <!-- /chapters -->
