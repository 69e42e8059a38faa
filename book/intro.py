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
# A network computes a hidden state at every layer, and its output usually reads only the last one.
# LAYA {cite}`laya` is an output head that reads them all: for each input it gives every layer a weight and classifies
# the weighted sum. Its paper reports gains in accuracy and calls the weights an explanation: *this image was decided at
# layer 2*. This book puts both claims to the test.
#
# **What we found:** on the paper's three benchmarks, no gain in accuracy over reading the last layer alone; and weights
# that describe one trained network, not the data: on two of the three, the next seed gives the same input to another
# layer.

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
seeds: list[int] = [0, 1, 2, 3, 4, 5]  # one LAYA network for each
max_epochs: int = 50  # the longest run, in passes over the data

# %% tags=["remove-input"]
from laya_nb.report import parameters

parameters.check(globals())

import numpy as np

from laya_nb import data, figures
from laya_nb.data.images import sample_test_rows
from laya_nb.report import findings
from laya_nb.runs import ResultStore, grid, sweep
from laya_nb.training import TrainingConfig

protocol = TrainingConfig(max_epochs=max_epochs)
runs = grid(dataset=[dataset], head=["laya"], seed=seeds, protocol=[protocol])
results = sweep(runs, ResultStore())

# %% tags=["remove-input", "main-figure"] mystnb={"image": {"alt": "Eight images of clothes in a row. Below each of them six bars, one for each seed, divided by the weights that the network gave to its three layers. Nearly every bar has a single colour, and below each image the colour changes from seed to seed: with one seed the shirt is decided at layer 2, with another at layer 3, with a third at layer 1."}, "figure": {"caption": "Eight test images of Fashion-MNIST and six networks that differ in nothing but the random seed. A bar shows how one network shares its attention among its three layers for the image above.", "name": "fig-seeds"}}
rows = sample_test_rows() if dataset == "fashion_mnist" else np.arange(1000)
images, labels = data.load("fashion_mnist_sample").test
first = [int((labels == label).nonzero()[0]) for label in (0, 1, 2, 3, 5, 7, 8, 9)]
attention = np.stack([result.attention[rows[first]] for result in results])
figures.same_images(images[first, 0].numpy(), {f"seed {s}": a for s, a in zip(seeds, attention)})

# %% [markdown]
# All six networks are about equally accurate. Each of them looks as if it knew at which layer a shirt is decided. They
# do not agree on which ([the chapter on stability](stability.ipynb)).
#
# ## Fifteen findings

# %% tags=["remove-input"]
findings.in_plain_words({
    "Is LAYA more accurate than a head that reads the last layer?": ("fashion_mnist", "LAYA - LastLayer"),
    "On a frozen network, whose last layer is not its best: is it better than an equal mix of all layers?":
        ("frozen_transformer", "LAYA - equal weights"),
    "Do two runs of one network look at the same layer, image by image?":
        ("depth_profiles", "same top layer in two runs, beyond chance"),
    "Sharp weights, different for each class: do they show that the layers differ?": ("redundancy", "entropy on three copies of a layer"),
    "Is the best of the paper's settings better than the rest?": ("adapter_capacity", "the best setting"),
    "A frozen vision transformer, twelve tasks: is attention over all layers better than one fixed weight for each?":
        ("fusion", "Fusion - ScalarMix"),
    "Do LAYA's weights lie where a question can be answered?": ("questions", "LAYA: weight and knowledge"),
    "A frozen text transformer, 13 tasks: is a layer before the last better than it?":
        ("layer_by_layer", "MiniLM: best layer - last"),
    "Without labels: does a measure choose a better layer than the last?": ("choosing_a_layer", "InfoNCE - last layer"),
    "Is it an explanation: do an image's weights tell more of what its prediction rests on than its class's mean weights?":
        ("faithfulness", "Fashion-MNIST, 8 layers: weights - class mean"),
    "Can it prune: without training, does a network lose less if layers go in attention's order than at random?":
        ("pruning", "Fashion-MNIST, 8 layers, as it is: attention - random"),
    "And if the layers that are left get a new head?":
        ("pruning", "Fashion-MNIST, 8 layers, new head: attention - random"),
    "Early exit: does it save more work to leave when an exit is certain than to leave at random?":
        ("early_exit", "IMDB, frozen MiniLM: confidence - at random"),
    "Mistakes: does the entropy of attention tell any that the network's confidence does not?":
        ("errors_and_strangers", "Fashion-MNIST, MLP: attention entropy"),
    "Inputs of a strange kind: does unusual attention tell them better than the hidden states themselves?":
        ("errors_and_strangers", "strangers: attention distance - all layers"),
})

# %% [markdown]
# Small print: what was measured, with its 95 % interval. [All findings](findings.ipynb) stand on a page of their own,
# and [the last chapter](conclusion.ipynb) says what to use when, and what is still open. Every number in this book
# comes from a training that this project ran, or stands with its source. Every chapter can be run and changed
# ([run it yourself](run_it_yourself.md)).
#
# ## LAYA in one picture

# %% tags=["remove-input"] mystnb={"image": {"alt": "Diagram: an input passes through three layers. Each layer's hidden state goes through its own adapter. A scorer turns the three adapted states into three weights that sum to one, here 0.1, 0.2 and 0.7. The weighted sum of the adapted states gives the class."}, "figure": {"caption": "The LAYA head. Adapters bring all hidden states to one width. A scorer sees them together and gives each layer a weight; the class is read from the weighted sum. The weights differ from input to input.", "name": "fig-head"}}
figures.head_diagram()

# %% [markdown]
# [The first chapter](mechanism.ipynb) builds this head step by step, and has ten trained ones
# [to play with](mechanism.ipynb#turn-the-temperature-yourself).
#
# ## How to read on
#
# In a hurry? Read [the benchmark](fashion_mnist.ipynb), [the chapter on stability](stability.ipynb) and
# [the conclusion](conclusion.ipynb). Each chapter opens with its question and a picture of the answer.
#
# <!-- chapters -->
#
# **The head and its benchmark**
#
# - [The mechanism, step by step](mechanism.ipynb)
# - [Fashion-MNIST: is the gain real?](fashion_mnist.ipynb)
#
# **What the weights say**
#
# - [Depth profiles: the data or the seed?](depth_profiles.ipynb)
# - [Stability: can one run be trusted as an explanation?](stability.ipynb)
# - [Redundancy: copies, noise, and two ways to collapse](redundancy.ipynb)
#
# **Settings**
#
# - [Temperature: sharper attention, same accuracy?](temperature.ipynb)
# - [Adapter capacity: how wide must the adapters be?](adapter_capacity.ipynb)
# - [Depth: does the gain grow with the network?](depth.ipynb)
#
# **Other networks**
#
# - [CIFAR-10: the paper's second benchmark](cifar10.ipynb)
# - [IMDB: the paper's third benchmark](imdb.ipynb)
# - [A frozen transformer: does LAYA find the best layer?](frozen_transformer.ipynb)
# - [Attentive layer fusion: who gains from all layers?](fusion.ipynb)
# - [Depth follows the question: does attention?](questions.ipynb)
#
# **Single layers**
#
# - [Layer by layer: what each layer knows, and what can be seen without labels](layer_by_layer.ipynb)
# - [Choosing a layer without labels: who chooses well?](choosing_a_layer.ipynb)
#
# **What the weights are good for**
#
# - [Faithfulness: does it use the layers it weighs?](faithfulness.ipynb)
# - [Pruning by attention](pruning.ipynb)
# - [Early exit](early_exit.ipynb)
# - [Errors, strangers and confidence](errors_and_strangers.ipynb)
#
# **Use it**
#
# - [Bring your own: any network, any data](bring_your_own.ipynb)
# - [What to use when](conclusion.ipynb)
#
# **Reference**
#
# - [All findings](findings.ipynb)
# - [Appendix: the statistics of stability](stability_statistics.ipynb)
# - [Glossary](glossary.md)
# - [For teachers](teaching.md)
# - [Run it yourself](run_it_yourself.md)
# - [References](references.md)
#
# <!-- /chapters -->
