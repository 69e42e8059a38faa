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

# %% tags=["remove-input"]
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

# %% tags=["parameters", "remove-input"]
dataset: str = "fashion_mnist"  # or "fashion_mnist_sample": 4,000 images, no download
colours: str = "cifar10_jpeg"  # the copy that chapter 9 measures on; "cifar10": the original, downloaded
texts: str = "imdb"  # or "docstrings": sentences from installed packages, no download
seeds: list[int] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]  # one training of every head for each seed
ablation_seeds: list[int] = [0, 1, 2, 3, 4]  # the same for each setting of an ablation
grid_seeds: list[int] = [0, 1, 2]  # trainings of each of the paper's 36 settings
stability_seeds: list[int] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]  # trainings whose attention is compared
max_epochs: int = 50  # the longest training, in passes over the data

# %% tags=["remove-input"]
from laya_nb.report import parameters

parameters.check(globals())

# %% [markdown]
# ## LAYA in one picture

# %% tags=["hide-input"] mystnb={"image": {"alt": "Diagram: an input passes through three layers. Each layer's hidden state goes through its own adapter. A scorer turns the three adapted states into three weights that sum to one, here 0.1, 0.2 and 0.7. The weighted sum of the adapted states gives the class."}, "figure": {"caption": "The LAYA head. All hidden states are mapped to one width. A scorer sees them together and gives each layer a weight; the class is read from the weighted sum. The weights differ from input to input.", "name": "fig-head"}}
from laya_nb import figures

figures.head_diagram()

# %% [markdown]
# [Chapter 1](01_mechanism.ipynb) builds this head step by step.
#
# ## What the book finds
#
# The paper's first benchmark is Fashion-MNIST {cite}`fashion_mnist`, with a network of three hidden layers.
# We trained it under the paper's protocol, with five heads and ten seeds each.
# Two heads with the same seed start from the same backbone and see the same data in the same order, so they are compared seed by seed.

# %% tags=["remove-input"]
from laya_nb.runs import HEADS, grid, sweep
from laya_nb.runs import ResultStore
from laya_nb.training import TrainingConfig

protocol = TrainingConfig(max_epochs=max_epochs)
runs = grid(dataset=[dataset], head=HEADS, seed=seeds, protocol=[protocol])
results = sweep(runs, ResultStore())

# %% tags=["hide-input"]
from IPython.display import Markdown

from laya_nb.report import findings

Markdown(findings.markdown_table(findings.fashion_mnist(results)))

# %% tags=["hide-input", "main-figure"] mystnb={"image": {"alt": "Two panels. Left, test accuracy of five heads with ten seeds each: all means lie between 89.1 and 89.4 percent; the four means that the paper reports lie between 87.9 and 88.3. Right, each head's difference from LastLayer with its 95 percent interval: all four intervals contain zero, and only ScalarMix's reaches past plus or minus half a point, to 0.53."}, "figure": {"caption": "Left: test accuracy on Fashion-MNIST. Right: difference from LastLayer, seeds paired, with 95 % intervals; the grey band marks differences that we call too small to matter.", "name": "fig-main"}}
from laya_nb.runs import paper
from laya_nb.report import tables
from laya_nb.statistics import compare_all

table = tables.percent_table(results)
comparisons = compare_all(table, "accuracy", "last_layer", findings.MARGIN)
figures.accuracy_and_differences(table, comparisons, paper.ACCURACY["fashion_mnist"])

# %% [markdown]
# Chapters 4 to 8 take the head apart: one setting at a time, five seeds each, and twenty seeds for the last question.

# %% tags=["remove-input"]
few = {"dataset": [dataset], "protocol": [protocol], "seed": ablation_seeds}
taus = [0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 4.0, 10.0]
temperature = sweep(grid(temperature=taus, **few), ResultStore())
shapes = [[128] * layers for layers in (1, 2, 3, 4, 6, 8)]
depth = sweep(grid(hidden_dims=shapes, head=["last_layer", "laya"], **few), ResultStore())

# %% tags=["remove-input"]
widths = [8, 32, 96, 256, 512, 1024]
capacity = sweep(grid(d_star=widths, scorer_width=[192], **few), ResultStore())
as_it_is = sweep(grid(**few), ResultStore())
copies = sweep(grid(view=[["h3", "h3", "h3"]], **few), ResultStore())
noisy = sweep(grid(view=[["noise1", "h2", "h3"]], **few), ResultStore())

# %% tags=["remove-input"]
from laya_nb.runs import Run

settings = paper.grid_settings("fashion_mnist")
tried = [
    Run(seed=seed, dataset=dataset, protocol=protocol, **setting) for setting in settings for seed in grid_seeds
]
tried = sweep(tried, ResultStore())

# %% tags=["remove-input"]
twenty = sweep(grid(dataset=[dataset], seed=stability_seeds, protocol=[protocol]), ResultStore())
ablations = [
    *findings.temperature(temperature),
    *findings.capacity(capacity, widest=1024, reference=96),
    *findings.choice(tried),
    *findings.depth(depth),
    *findings.redundancy(as_it_is, copies, noisy),
    *findings.stability(twenty),
]

# %% tags=["hide-input"]
Markdown(findings.markdown_table(ablations))

# %% [markdown]
# The paper has two other benchmarks: small colour pictures, read by a convolutional network, and reviews of films, read by
# a recurrent one. And a pretrained network, which stays as it is, asks most of a head: it cannot put into its last layer
# what the head needs.

# %% tags=["remove-input"]
faster = TrainingConfig(learning_rate=1e-3, max_epochs=max_epochs)
others = {"head": HEADS, "seed": ablation_seeds, "protocol": [faster]}
pictures = sweep(grid(dataset=[colours], backbone=["cnn"], **others), ResultStore())
reviews = sweep(grid(dataset=[texts], **others), ResultStore())

# %% tags=["remove-input"]
frozen = sweep(grid(dataset=[f"{texts}/minilm"], **others), ResultStore())
layers = [[f"h{i}"] for i in range(1, 7)]
probes = grid(dataset=[f"{texts}/minilm"], view=layers, **others | {"head": ["last_layer"]})
probes = sweep(probes, ResultStore())

# %% tags=["hide-input"]
beyond = [
    *findings.benchmark(pictures, "cifar10", "CIFAR-10 (JPEG copy)", "09_cifar10"),
    *findings.benchmark(reviews, "imdb", "IMDB", "10_imdb"),
    *findings.frozen(frozen, probes, "Frozen transformer"),
]
Markdown(findings.markdown_table(beyond))

# %% [markdown]
# ## How to read on
#
# - [Chapter 1](01_mechanism.ipynb): how the head works, in small cells, and what it says about a handful of images.
# - [Chapter 2](02_fashion_mnist.ipynb): the paper's benchmark, with ten seeds, a control of equal size, and tests.
# - [Chapter 3](03_depth_profiles.ipynb): which layers the head looks at, and whether another seed would say the same.
# - [Chapter 4](04_temperature.ipynb): eight temperatures, a factor of 100 apart, and what the scorer makes of them.
# - [Chapter 5](05_adapter_capacity.ipynb): how wide the adapters must be, and how much of a choice among 36 settings
#   is luck.
# - [Chapter 6](06_depth.ipynb): one to eight hidden layers.
# - [Chapter 7](07_redundancy.ipynb): copied layers, layers of noise, shared weights, and two ways to collapse.
# - [Chapter 8](08_stability.ipynb): twenty trainings, and whether one of them can be trusted as an explanation.
# - [Chapter 9](09_cifar10.ipynb): the paper's convolutional benchmark, with five heads and tests.
# - [Chapter 10](10_imdb.ipynb): the paper's recurrent benchmark, the same way.
# - [Chapter 11](11_frozen_transformer.ipynb): a pretrained transformer, a probe of each of its layers, and the heads.
# - [Chapter 12](12_bring_your_own.ipynb): a LAYA head on a network and data of your own; saved, shared, exported.
# - [Run it yourself](run_it_yourself.md): read, open in Colab, or change a parameter and run a chapter at home.
