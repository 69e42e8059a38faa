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
# # Depth: does the gain grow with the network?
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/depth.ipynb)
#
# **Question.** LAYA gives every layer a short way to the loss. Does that pay more in a deeper network?
#
# **Why it matters.** Three layers may be too few to show a gain. If there is one, it should grow with depth.
#
# **Answer.** From one to eight hidden layers, we found no evidence that it grows:

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

# %% tags=["parameters", "hide-input"] tiny={"dataset": "fashion_mnist_sample", "max_epochs": 1, "seeds": [0, 1], "depths": [1, 2, 5], "width": 16} mystnb={"code_prompt_show": "Parameters", "code_prompt_hide": "Parameters"}
dataset: str = "fashion_mnist"  # or "fashion_mnist_sample": 4,000 images, no download
depths: list[int] = [1, 2, 3, 4, 6, 8]  # numbers of hidden layers
width: int = 128  # of every hidden layer; the paper's last one has 128
seeds: list[int] = [0, 1, 2, 3, 4]  # one run of both heads for each depth and seed
margin: float = 0.5  # points of accuracy: less than this is too small to matter
max_epochs: int = 50  # the longest run, in passes over the data

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Load the runs", "code_prompt_hide": "Load the runs"}
from laya_nb.report import parameters

parameters.check(globals())

import numpy as np
import torch

from laya_nb import figures
from laya_nb.report import tables
from laya_nb.runs import ResultStore, grid, sweep
from laya_nb.statistics import compare_all, estimate, holm, slopes
from laya_nb.training import TrainingConfig

protocol = TrainingConfig(max_epochs=max_epochs)
shapes = [[width] * depth for depth in depths]
common = {"dataset": [dataset], "seed": seeds, "protocol": [protocol]}
results = sweep(grid(hidden_dims=shapes, head=["last_layer", "laya"], **common), ResultStore())
table = tables.attention_table(results)
table["depth"] = table["hidden_dims"].map(len)
comparisons = holm({
    depth: compare_all(rows, "accuracy", "last_layer", margin)["laya"]
    for depth, rows in table.groupby("depth")
})

# %% tags=["hide-input"] mystnb={"image": {"alt": "First panel, accuracy of LAYA and LastLayer for one to eight hidden layers: both lie between 88.0 and 88.8 percent, the deepest lowest. Second panel, their difference: six intervals around zero, about 0.7 points wide to either side, without a trend."}, "figure": {"caption": "Test accuracy against the number of hidden layers, and LAYA minus LastLayer, one dot per seed, with the 95 % interval of the mean. The grey band marks differences too small to matter.", "name": "fig-depth-gain"}}
figures.gain_against_setting(table, "depth", comparisons, label="hidden layers")

# %% [markdown]
# ## One layer: nothing to attend to
#
# With $L = 1$ the softmax has one entry, which is 1 whatever the score. What is left of LAYA are an adapter and a
# classifier, two linear maps in a row:
#
# $$\alpha_1 = \frac{e^{s_1 / \tau}}{e^{s_1 / \tau}} = 1, \qquad
# \mathrm{logits} = W (A h_1 + a) + b = (WA)\, h_1 + (Wa + b)$$
#
# That is a linear head, as LastLayer is:

# %%
from laya_nb.heads import LAYAHead

h = torch.randn(5, 128)
head = LAYAHead([128], num_classes=10)
output = head([h])
output.attention.flatten().tolist()

# %%
adapter, classifier = head.adapters[0], head.classifier
plain = torch.nn.Linear(128, 10)
plain.weight.data = classifier.weight @ adapter.weight
plain.bias.data = classifier.weight @ adapter.bias + classifier.bias
print("adapter, then classifier, to the bit:", torch.equal(output.logits, classifier(adapter(h))))
print("one linear layer, up to rounding:", torch.allclose(output.logits, plain(h), atol=1e-5))

# %% [markdown]
# So depth 1 is a control that comes for free: LAYA and LastLayer can express the same there, and a difference between
# them is due to training two linear maps in place of one, or to luck.
#
# ## Prediction
#
# If the short way to the loss matters, it should matter more in a deeper network, where the last layer is farther from the
# input. The gain, LAYA minus LastLayer, would then rise with depth, from nothing at depth 1. Against it speaks that these
# are small networks with layer normalisation, which train well at any of these depths.
#
# ## Measurement
#
# All hidden layers have the same width, so that depth is all that changes.

# %%
shown = table.pivot_table(index="depth", columns="head", values=["accuracy", "parameters"])
shown.round(2).astype({column: int for column in shown if column[0] == "parameters"})

# %% [markdown]
# One number answers the question: the slope of the gain against depth, fitted for each seed. A positive slope is a gain
# that grows.

# %%
gains = table.pivot_table(index=["seed", "depth"], columns="head", values="accuracy")
gains = (gains["laya"] - gains["last_layer"]).rename("gain").reset_index()
if len(depths) > 1:
    trend = estimate(slopes(gains, "gain", "depth"))
    print(f"gain for each further layer: {trend:+.2f} points")

# %%
tables.comparison_table(comparisons)

# %% [markdown]
# The slope is close to 0, and at no depth did we find a difference
# ([how to read these tables](fashion_mnist.ipynb#how-to-read-these-tables)): five seeds of these small networks scatter by
# a point.
#
# At depth 6 all five seeds favour LAYA, by 0.34 points on average. Alone, that would pass for a finding ($p < 0.05$). As
# one of six depths it does not: the table's $p$ takes account of all six, and the neighbour, depth 8, points the other way.
#
# The slope's interval reaches from -0.24 to +0.21 points per layer, so a change of a point or more over these seven layers
# cannot be excluded. At depth 8 LAYA's head has as many parameters as the backbone under it, and we found no evidence that
# they buy accuracy.
#
# ## Where attention goes

# %% mystnb={"image": {"alt": "Five bar charts for 2, 3, 4, 6 and 8 layers, with a dot for each of five runs. Up to six layers the last one has the highest mean weight, 0.58 to 0.80, and most others are near zero in most runs. With eight layers the weight is on layers 4, 6, 7 and 8 in turns."}, "figure": {"caption": "Mean weight of each hidden layer over the test set, one panel per depth. A dot is a run, a bar the mean over five seeds, the dotted line equal weights.", "name": "fig-depth-weights"}}
def profiles(depth):
    laya = [r for r in results if r.run["head"] == "laya"]
    weights = [r.attention.mean(axis=0) for r in laya if len(r.run["hidden_dims"]) == depth]
    return [str(i + 1) for i in range(depth)], np.stack(weights)


figures.mean_weights({f"{depth} layers": profiles(depth) for depth in depths if depth > 1})

# %%
deep = table[(table["head"] == "laya") & (table["depth"] > 1)]
deep = deep.assign(layers_used=tables.effective_layers(deep))
deep.groupby("depth")[["layers_used", "last_weight", "entropy", "top_weight"]].mean().round(2)

# %% [markdown]
# `layers_used` is the exponential of the entropy of the mean weights: 1 if one layer gets everything, $L$ if all get the
# same. For eight layers the mean of five runs is 3.5, but the runs differ widely: from 2.0 to 6.9, 95 % interval of the
# mean 0.9 to 6.0. So whether attention uses fewer than half of eight layers we cannot say. With six, no run uses more
# than 3.4. Image by image there is hardly a blend: the largest weight is above 0.9 on average.
#
# Up to six layers the last one gets the most weight in most runs. With three layers that is more on average than in the
# paper's narrowing network ([the chapter on depth profiles](depth_profiles.ipynb)), but seeds scatter too much to call it
# a difference. With eight layers the last is one of several. Which layers make up the rest differs from seed to seed.
#
# ## See it move
#
# Two networks on the embedded sample, with two and with six hidden layers, five epochs:

# %% tags=["nbval-ignore-output"]
from laya_nb.runs import train

small = {"dataset": ["fashion_mnist_sample"], "protocol": [TrainingConfig(max_epochs=5)]}
for run in grid(hidden_dims=[[64] * 2, [64] * 6], **small):
    model, result = train(run)
    print(f"{len(run.hidden_dims)} layers:", result.attention.mean(axis=0).round(2))

# %% [markdown]
# In these two runs a few passes over a small data set are enough: layers are not all used alike.
#
# ## What we found

# %%
from laya_nb.report import findings
from laya_nb.report.findings.depth import findings_of

findings.show(findings_of(results))

# %% [markdown]
# - With one hidden layer LAYA is a plain linear head, exactly.
# - From one to eight hidden layers we found no evidence that LAYA's gain over LastLayer grows: -0.01 points for each
#   further layer, 95 % interval -0.24 to +0.21.
# - LAYA's head grows with depth, from a third of the backbone's parameters to more than all of them.
# - Attention uses 3.5 of eight layers on average over seeds, with a 95 % interval from 0.9 to 6.0. For a single image it is
#   mostly one.
#
# ## What this does not show
#
# What happens in networks whose layers do different things. These are fully connected networks of equal width on one data
# set; [a frozen transformer](frozen_transformer.ipynb) is another matter.
#
# ## Exercises
#
# 1. At depth 6 all seeds favour LAYA. How likely is it that all five seeds agree in sign at one of six depths, if
#    there is no difference at all?
# 2. Do two runs agree on an image's layer when there are more layers? Use `top_layer_agreement` and
#    `chance_agreement`.
# 3. Set `width = 32`. Do narrow networks profit from LAYA? (60 short runs; try `dataset = "fashion_mnist_sample"`
#    first.)
#
# ```{dropdown} Solutions
# 1. Five equal signs have probability $2 / 2^5 = 0.06$ at one depth, and $1 - (1 - 0.0625)^6 = 0.32$ at one of six or
#    more. About one such experiment in three shows it.
# 2. Agreement falls, from 63 % at depth 2 to 19 % at depth 8. So does chance, from 67 % to 14 %: we found no
#    evidence of more agreement than by chance. Five runs do not exclude it.
# 3. With the sample we found no evidence of it: -0.11 points for each further layer, 95 % interval -0.53 to +0.31, and no
#    difference at any depth. The full set is open.
# ```
#
# **To go further**, change `depths` or `width`; only new networks are trained.
#
# **Run time:** seconds with the published runs. To train all 60 anew takes about 25 minutes on two cores.
