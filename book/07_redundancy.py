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
# # Redundancy: copies, noise, and two ways to collapse
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/07_redundancy.ipynb)
#
# - A layer shown twice: does attention split, and who decides how?
# - A layer replaced by noise: does attention ignore it?
# - Layers with shared weights; collapse to uniform weights, collapse to one layer, and what causes each.

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
seeds: list[int] = [0, 1, 2, 3, 4]  # one training of every condition for each seed
extreme_taus: list[float] = [0.1, 100.0]  # temperatures for the two ways to collapse
max_epochs: int = 50  # the longest training, in passes over the data

# %%
from laya_nb import parameters

parameters.check(globals())

# %% [markdown]
# ## What the mechanism predicts
#
# **Copies.** Show the head the last layer twice: $h_1, h_2, h_3, h_3$. Each copy has its own adapter. If the two adapters
# are equal, $z_3 = z_4$, and only the sum of their weights counts:
#
# $$\alpha_3 z_3 + \alpha_4 z_4 = (\alpha_3 + \alpha_4)\, z_3$$
#
# The loss cannot tell one split from another, so the start decides: we expect a different split for each seed. And since
# all weights start out about equal, a layer shown twice starts with twice the weight: we expect the two copies together
# to get more than the layer gets alone.
#
# **Noise.** Replace $h_1$ for the head by the hidden state of another image: every statistic of the layer is kept, and
# all it knew about this image is gone. Weight on it adds something random to the sum, which harms the prediction, so
# we expect its weight to fall towards 0. There is another way out: the noise's adapter can shrink, so that it adds
# nothing. Then weight on noise does no harm, and need not be small.
#
# **Shared weights.** If layers 2 to 4 are one layer applied three times, their hidden states are still three different
# functions of the input. We expect attention to be no different from that of four separate layers.
#
# Here is the view that makes all this, on a toy backbone of three layers:

# %%
import torch

from laya_nb.backbones import MLP, Exposed

backbone = Exposed(MLP(784, [5, 4, 3]), ["noise1", "h2", "h3", "h3"])
images = torch.rand(2, 784)
[tuple(h.shape) for h in backbone(images)]

# %%
shown, true = backbone(images), backbone.backbone(images)
print("first shown state of image 0 is that of image 1:", torch.equal(shown[0][0], true[0][1]))
print("the two copies are equal:", torch.equal(shown[2], shown[3]))

# %% [markdown]
# ## Measurement

# %%
from laya_nb.runs import grid, sweep
from laya_nb.store import ResultStore
from laya_nb.training import Protocol

common = {"dataset": [dataset], "seed": seeds, "protocol": [Protocol(max_epochs=max_epochs)]}
as_it_is = sweep(grid(**common), ResultStore())

# %%
COPIES = [["h1", "h2", "h3", "h3"], ["h1", "h1", "h2", "h3"], ["h3", "h3", "h3"]]
NOISE = [["noise1", "h2", "h3"], ["h1", "h2", "noise3"], ["noise1", "noise2", "h3"]]
runs = grid(view=COPIES + NOISE, **common)
shown = sweep(runs, ResultStore())

# %%
import numpy as np

from laya_nb import figures, tables
from laya_nb.statistics import estimate

def weights(view):
    """Mean weights of each hidden state, one row a training."""
    rows = as_it_is if view is None else [r for r in shown if r.run["view"] == view]
    return np.stack([r.attention.mean(axis=0) for r in rows])


def panels(views):
    usual = {"as it is": (["h1", "h2", "h3"], weights(None))}
    return usual | {", ".join(view): (view, weights(view)) for view in views}

# %% [markdown]
# ## Copies

# %% mystnb={"image": {"alt": "ALT-COPIES"}, "figure": {"caption": "Mean weight of each hidden state that the head sees. A dot is a training, in the order of the seeds; a bar is the mean over seeds; the dotted line marks uniform weights.", "name": "fig-copies"}}
figures.mean_weights(panels(COPIES))

# %%
usual, twice_3, twice_1 = weights(None), weights(COPIES[0]), weights(COPIES[1])
print(f"h3 alone {estimate(usual[:, 2]):.2f}, two copies together {estimate(twice_3[:, 2:].sum(axis=1)):.2f}")
print(f"h1 alone {estimate(usual[:, 0]):.2f}, two copies together {estimate(twice_1[:, :2].sum(axis=1)):.2f}")

# %%
pairs = {"h3": twice_3[:, 2:], "h1": twice_1[:, :2]}
for name, pair in pairs.items():
    shares = np.sort(pair[:, 0] / pair.sum(axis=1))
    print(f"first copy's share of what {name} gets:", shares.round(2))

# %% [markdown]
# TEXT-COPIES
#
# ## Noise

# %% mystnb={"image": {"alt": "ALT-NOISE"}, "figure": {"caption": "Mean weight of each hidden state where some are noise (grey): the same layer's state for another image.", "name": "fig-noise"}}
figures.mean_weights(panels(NOISE))

# %%
for view in NOISE:
    noise = [i for i, name in enumerate(view) if name.startswith("noise")]
    accuracy = [100 * r.metrics["accuracy"] for r in shown if r.run["view"] == view]
    on_noise = estimate(weights(view)[:, noise].sum(axis=1))
    print(f"{', '.join(view)}: on noise {on_noise:.3f}, accuracy {estimate(accuracy):.2f} %")

# %%
print(f"as it is: accuracy {estimate([100 * r.metrics['accuracy'] for r in as_it_is]):.2f} %")

# %% [markdown]
# TEXT-NOISE
#
# ## Shared weights
#
# Networks of four and eight hidden layers of width 128: once with separate layers (those of
# [chapter 6](06_depth.ipynb)), once with layers 2 and up sharing one set of weights.

# %%
shapes = [[128] * 4, [128] * 8]
separate = sweep(grid(hidden_dims=shapes, **common), ResultStore())
shared = sweep(grid(hidden_dims=shapes, tied=[True], **common), ResultStore())

# %% mystnb={"image": {"alt": "ALT-TIED"}, "figure": {"caption": "Mean weight of each hidden layer, with separate weights and with one set of weights for layers 2 and up.", "name": "fig-tied"}}
def by_depth(results, depth):
    rows = [r.attention.mean(axis=0) for r in results if len(r.run["hidden_dims"]) == depth]
    return [str(i + 1) for i in range(depth)], np.stack(rows)


figures.mean_weights({
    f"{depth} layers, {name}": by_depth(results, depth)
    for depth in (4, 8)
    for name, results in (("separate", separate), ("shared", shared))
})

# %%
table = tables.attention_table(separate + shared)
table["weights"] = ["separate"] * len(separate) + ["shared"] * len(shared)
table["depth"] = table["hidden_dims"].map(len)
table.groupby(["depth", "weights"])[["accuracy", "entropy", "profile_entropy", "last_weight"]].mean().round(2)

# %% [markdown]
# TEXT-TIED
#
# ## Two ways to collapse
#
# People warn of two failures of learned weights over layers. *Uniform*: all layers get the same, and attention says
# nothing. *One layer*: all images get the same layer, and LAYA is a plain head on it. Two entropies tell them apart:
# that of the mean weights over all images, and that of a single image's weights.

# %%
extremes = sweep(grid(temperature=extreme_taus, **common), ResultStore())
groups = {"as it is (τ = 1.5)": as_it_is}
groups |= {f"τ = {tau:g}": [r for r in extremes if r.run["temperature"] == tau] for tau in extreme_taus}
groups |= {"copies": shown[: len(COPIES) * len(seeds)], "noise": shown[len(COPIES) * len(seeds) :]}
groups |= {"shared weights": shared}

# %% mystnb={"image": {"alt": "ALT-COLLAPSE"}, "figure": {"caption": "Every training by two entropies. Lower left: one layer for all images. Lower right: one layer for each image, but not the same one. Upper right: uniform weights.", "name": "fig-collapse"}}
figures.collapse_map({name: tables.attention_table(rows) for name, rows in groups.items()})

# %%
for name, rows in groups.items():
    summary = tables.attention_table(rows)[["accuracy", "profile_entropy", "entropy"]].mean()
    print(f"{name:<18}", "  ".join(f"{key} {value:.2f}" for key, value in summary.items()))

# %% [markdown]
# TEXT-COLLAPSE
#
# ## See it move
#
# A network on the embedded sample whose first two layers are noise for the head, after one epoch and after six:

# %% tags=["nbval-ignore-output"]
from laya_nb.runs import train_result

for epochs in (1, 6):
    short = Protocol(max_epochs=epochs)
    live = grid(dataset=["fashion_mnist_sample"], view=[["noise1", "noise2", "h3"]], protocol=[short])[0]
    print(f"after {epochs}:", train_result(live).attention.mean(axis=0).round(3))

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
