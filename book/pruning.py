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
# # Pruning by attention
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/pruning.ipynb)
#
# **Question.** The paper names pruning as the first use of its weights. Do they say which layers a network can do without?
#
# **Why it matters.** Layers that nobody needs cost memory and time. A score that finds them without trying would save both.
#
# **Answer.** They say which layers *this head* cannot do without. A new head, trained in seconds, can do without most of them
# in any order, unless one layer alone knows the answer:

# %% tags=["hide-input"] extras=["chapters", "pretrained"] mystnb={"code_prompt_show": "Set-up", "code_prompt_hide": "Set-up"}
# The package: the installed one, else the one in this checkout, else the repository's; and what this chapter needs.
import os, re, subprocess, sys, tempfile
from importlib import metadata, util
from pathlib import Path

extras, missing = ["chapters", "pretrained"], []

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

# %% tags=["parameters", "hide-input"] tiny={"networks": ["sample"], "vision": [], "seeds": [0, 1], "max_epochs": 1} mystnb={"code_prompt_show": "Parameters", "code_prompt_hide": "Parameters"}
networks: list[str] = ["fashion_mnist", "eight_layers", "cifar10", "imdb", "frozen_transformer"]  # or "sample"
vision: list[str] = ["fusion", "laya_low_rate"]  # probes of a vision transformer, as in probes.PROBES; or []
seeds: list[int] = [0, 1, 2, 3, 4]  # one run of each network and probe per seed
max_epochs: int = 50  # the longest run, in passes over the data
margin: float = 0.5  # points of accuracy: less than this is too small to matter

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Load the measurements", "code_prompt_hide": "Load the measurements"}
from laya_nb.report import parameters

parameters.check(globals())

import pandas as pd
import torch

from laya_nb import figures
from laya_nb.report import pruned
from laya_nb.report.networks import NETWORKS, measured, runs_of, shallower_runs
from laya_nb.runs import ResultStore, Run, sweep
from laya_nb.runs.probes import PROBES, benchmark
from laya_nb.runs.pruning import prefix_cost, pruning, pruning_orders
from laya_nb.runs.scores import ScoreTable

store = ResultStore()
runs = {NETWORKS[name].title: runs_of(name, seeds, max_epochs) for name in networks}
table = measured(runs, pruning, store)
deep = [title for title in runs if "8 layers" in title or "frozen" in title] or list(runs)[:1]
as_it_is, retrained = (pruned.curves(table, which) for which in ("as_it_is", "retrained"))

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two rows, eight-layer networks and the frozen transformer, each with two panels on one scale. As it is: with eight layers, attention's order and the best subset keep about 88 percent down to four layers and fall to about 60 at one, a random order falls at once, to about 32. With a new head all three orders stay within two points of the whole."}, "figure": {"caption": "Accuracy of the two deepest networks without some of their layers: as they are, and with a head trained anew on the layers that are left. Layers go one after the other, in the order of attention, at random, or as the best subset has them. Means over five seeds.", "name": "fig-pruning"}}
orders = ["attention", "random", "best subset"]
panels = {}
for network in deep:
    for what, curves in (("as it is", as_it_is), ("new head", retrained)):
        panels[f"{network}\n{what}"] = {order: curves[network][order] for order in orders}

figures.pruning_curves(panels, "test accuracy, %", one_scale=True)

# %% [markdown]
# On the left, heads as they are: the order of attention keeps most of the accuracy of eight layers until few are left, where
# a random order loses it at once. On the right, with a new head on what is left, the orders come within two points of each
# other, down to a single layer.
#
# ## What can be taken away
#
# A layer in the middle cannot leave the backbone: the next one needs it. What can go is its tap, with the adapter and its
# part of the scorer. Only where the *last* layers go does the backbone itself get shorter. A small network, drawn at
# random, with four layers:

# %%
from laya_nb.analysis import pruning as cut
from laya_nb.backbones import MLP
from laya_nb.heads import DepthClassifier, LAYAHead

torch.manual_seed(0)
backbone = MLP(20, (64, 64, 64, 64))
model = DepthClassifier(backbone, LAYAHead(backbone.out_dims, num_classes=5, d_star=16))
x = torch.randn(100, 20)

# %%
for layers in [[1, 2, 3, 4], [1, 4], [1, 2]]:
    smaller = cut.prune(model, layers, x)
    cost = cut.multiply_adds(smaller, x[:1])
    print(f"layers {layers}: {cost:,} multiply-adds")

# %% [markdown]
# Without layers 2 and 3 the head gets smaller, without layers 3 and 4 the backbone does, too. The scorer reads all layers at
# once; it goes on to see those that are gone at their mean over training inputs, which is a constant and moves into its bias.
#
# ## Prediction
#
# Written before the runs on five seeds, after a look at one network of three layers:
#
# - Without retraining, the order of attention is as good as the best there is, and better than a random one: a head cannot
#   do without the layer that it reads.
# - With a new head the orders come within half a point of each other. Which layer the old head read says little about which
#   layers a new head needs.
# - Mean contributions and Shapley values give no better order than attention.
# - What can be saved is a suffix. On the eight-layer networks half of the backbone goes for less than half a point; on
#   CIFAR-10 nothing can go.
# - A shallower network, trained from scratch, is as accurate as what pruning leaves.
# - Of the 24 tokens that probes of a vision transformer read, half can go in attention's order, as they are, for a point or
#   two. Trained anew on what is left, attention's order is no better than a random one. (Written before any of these runs.)
#
# ## Measurement
#
# Layers are removed one by one, the least important first, in six orders: by mean attention; by the mean size of their
# contribution to the margin; by mean Shapley values ([the chapter on faithfulness](faithfulness.ipynb) explains both); by
# *block influence*, one less the cosine between a layer's output and input {cite}`shortgpt`, where widths allow it; the
# deepest first; and at random. With so few layers every subset can be tried: *best subset* is the best of each size, chosen
# on other examples than it is judged on.
#
# ## As it is
#
# First without any training. The table shows points of accuracy lost, in the order of attention:

# %%
pruned.losses(as_it_is, "attention")

# %% [markdown]
# Against a random order, and against the best subset, as means over all numbers of layers left:

# %%
pruned.comparisons(as_it_is, "attention", "random", margin)

# %%
pruned.comparisons(as_it_is, "attention", "best subset", margin)

# %% [markdown]
# On Fashion-MNIST and CIFAR-10 attention's order is far better than a random one, and close to the best subset. That is
# faithfulness once more: taps without weight can go, since nobody reads them. An eight-layer network loses about a point
# with half of its taps gone.
#
# On the two layers of the recurrent network no difference was shown. On the frozen transformer, whose weights are nearly
# equal, attention's order is better than chance by about two points, and loses five with two taps left.
#
# ## With a new head
#
# Who prunes can train a new head in seconds: the backbone stays, and its hidden states are computed once.

# %%
pruned.losses(retrained, "attention")

# %%
pruned.comparisons(retrained, "attention", "random", margin)

# %% [markdown]
# The difference is gone, or nearly. On CIFAR-10 the order matters: the last layer must stay, and attention keeps it. On the
# networks that read Fashion-MNIST, and on the recurrent one, a random order is as good, within half a point; on the frozen
# transformer that is undecided. In attention's order, a head on one layer is on average within about a point of one on all.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Five panels, one per network, six orders of removal each, with new heads. On CIFAR-10 taking the deepest layers first falls far below the others, and random order lies between. Elsewhere most orders lie within about a point and a half of each other; taking the deepest first, and on the frozen transformer block influence, ends up to three points below the best."}, "figure": {"caption": "Six orders of removal, and the best subset, with a new head on the layers that are left. The scales differ. Means over five seeds.", "name": "fig-pruning-orders"}}
figures.pruning_curves(retrained, "test accuracy, %")

# %% [markdown]
# Taking the deepest layers first is the only order that shortens the backbone step by step. On the eight-layer networks it
# is a little worse than the others with few layers left; on CIFAR-10 it is ruinous, since the last layer knows what no
# other does.
#
# That mean contributions, Shapley values or the best of all subsets, found by trying, have a better order than attention was
# not shown on any network. Block influence is no better than taking the deepest first.
#
# ## What it saves
#
# A network that ends with layer $k$ and reads that layer alone, in percent of the whole, on one thread of the machine that
# built this book:

# %%
first = {title: runs[title][:1] for title in deep}
cost = measured(first, prefix_cost, store).set_index("network")
pd.concat({network: pruned.cost_table(cost.loc[network].to_dict()) for network in deep})

# %% [markdown]
# On the eight-layer networks the head is half of the whole: a single tap in place of eight saves nearly half of the
# multiply-adds, and the last four layers of the backbone only another seventh.
# Multiply-adds tell the time of a large batch well; a single input takes longer than they say, since each layer has a cost
# of its own. On the frozen transformer the head is nothing, and every block that goes saves a sixth of the time.
#
# ## Tokens of a vision transformer
#
# The probes of [attentive layer fusion](fusion.ipynb) read 24 tokens of a vision transformer, two from each of twelve layers.
# These are too many to try all subsets. Here are fusion's probe and LAYA's on CIFAR-10, as they are:

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two panels, tokens left from 24 to 1. In the orders of attention, contribution and Shapley values, fusion keeps 74 of 75 percent with twelve tokens and 53 with one, LAYA 66 of 68 and 40. At random they fall earlier, most of all LAYA, and taking the deepest first they fall at once."}, "figure": {"caption": "Accuracy of two probes of a vision transformer without some of their 24 tokens, as they are, for five orders of removal. Means over five seeds.", "name": "fig-pruning-tokens"}}
probed = benchmark(["cifar10_jpeg@2000"], vision, "vit_s_saliency+bf16", seeds)
probes = {PROBES[name].label: [Run.from_description(one.run) for one in of] for (_, name), of in probed.items()}
by_order = measured(probes, pruning_orders, store)
tokens = pruned.curves_of_orders(by_order)
figures.pruning_curves(tokens, "test accuracy, %", parts="tokens") if probes else None

# %%
pruned.comparisons(tokens, "attention", "random", margin) if probes else None

# %% [markdown]
# Half of the tokens can go in attention's order for one point with fusion's probe and two with LAYA's; at random, for six
# and twenty-five. That contributions or Shapley values give a better order was not shown. What must not go is the deepest
# layers, so the transformer itself gets no shorter this way.
#
# The same probes trained from scratch on the tokens that are left, in points of accuracy less than with all of them:

# %%
left = [12, 4, 1]
lost = pruned.with_fewer_tokens(probes, by_order, left, ScoreTable("pruned_probes"))
pruned.tokens_table(lost, left)

# %%
pruned.comparisons(lost, "attention", "random", margin) if probes else None

# %% [markdown]
# In attention's order, probes of twelve tokens are nearly as accurate as those of all, and probes of four lose about two
# points. A random order is worse for fusion's probe. For LAYA's that is undecided: some random tokens are good ones, some
# are not, and the interval is wide.
#
# One token tells how different the two heads are. That to which LAYA gives most weight does nearly as well alone as LAYA on
# all 24; what it loses was not shown to differ from zero. Fusion's loses five points: its probe gains from many tokens.
#
# ## A shallower network instead
#
# If the last layers can go, were they needed in the first place? Beside the networks that were cut and got a new head stand
# networks of as many layers, trained from scratch with the usual head. For the frozen transformer, which is not trained, it
# is a probe of its layer.

# %%
scratch = {
    NETWORKS[name].title: {
        depth: sweep(group, store) for depth, group in shallower_runs(name, seeds, max_epochs).items()
    }
    for name in networks
}
pruned.shallower_table(retrained, scratch)

# %% [markdown]
# Nothing is won by training deep and cutting. A network that has as few layers from the start is as accurate where little is
# cut, and more accurate where much is: by one to two points, on CIFAR-10 by nine. A network that is trained with more layers
# comes to use them, and its early layers are worse to read.
#
# On CIFAR-10 the last layer is needed all the same: without it from the start, eleven points are missing. On the other
# networks the last layers were not needed. On the frozen transformer LAYA on the first layers is compared with a plain
# probe of one: the probe is as accurate, or better.
#
# ## Prune a network of yours
#
# `layer_scores` and `prune` take any trained `DepthClassifier` whose head gives weights, that of [bring your
# own](bring_your_own.ipynb) included, and inputs, without labels:

# %%
scores = cut.layer_scores(model, x)
best_two = scores["weight"].nlargest(2).index
smaller = cut.prune(model, best_two, x)
print("left:", smaller.head.names)

# %% [markdown]
# A backbone made with `HiddenStates` is run only up to the last layer that is left.
#
# ## What we found

# %%
from laya_nb.report import findings
from laya_nb.report.findings.pruning import findings_of, headline

findings.show(findings_of(as_it_is, retrained, margin), headline(as_it_is, retrained))

# %% [markdown]
# - As it is, a network whose weights are sharp keeps most of its accuracy when taps go in attention's order. The order is
#   close to the best there is.
# - With a new head it hardly matters what goes, but on CIFAR-10, where the last layer must stay. On the frozen transformer
#   it is undecided by how little.
# - Of 24 tokens of a vision transformer, half can go in attention's order for a point or two, as they are, and for less with a
#   probe that is trained anew.
# - Taps cost little. What saves time is a shorter backbone, and attention does not say where it can end.
# - A network of fewer layers, trained from scratch, is as accurate as what pruning leaves, or more.
#
# Three predictions failed: that orders would not matter to a new head on any network, nor to a probe of 24 tokens that is
# trained anew, and that training from scratch would do no better.
#
# So, "can it prune?" The head, yes. The network, no better than trying: fit a head to each layer, which takes seconds, and
# cut behind the first one that is good enough.
#
# ## What this does not show
#
# - Large networks. These have two to eight layers; in large language models there is more to cut, and more between the layers.
# - Other frozen transformers. The five runs read the same hidden states, so intervals there are over heads, not over networks.
# - Fine-tuning. The backbone stays as it was; trained on after the cut, it may win back what the tables show as lost.
# - Sets of layers that an order does not reach. Orders are nested: what has gone stays away. The best subset is not, and is
#   hardly better.
#
# ## Exercises
#
# 1. Why does block influence, made for large transformers, do so badly on the eight-layer networks as they are?
# 2. Prune the published network of the first chapter to its two heaviest layers: `cut.prune(trained_model(Run()), ...)`. How
#    many parameters has the head lost?
# 3. The table of losses is for the mean over five seeds. Does attention take the same layer first in all of them?
#
# ```{dropdown} Solutions
# 1. It measures how much a layer changes what passes through it, not who reads it. The head reads one or two layers, and
#    they may be among those that change little.
# 2. It has 112,332 of 143,341 left, says `count_parameters` of `laya_nb.heads`: one of three adapters is gone, and the
#    scorer reads less.
# 3. No, says `table["score/weight"]`: layers 3, 2, 2, 1 and 2 in the five runs of the network for Fashion-MNIST with three
#    layers. On CIFAR-10 it is the first layer in four of five.
# ```
#
# **To go further**, write a score of layers of your own, and compare its order: `pruned.SCORES` lists those that are measured.
#
# **Run time:** seconds with the published measurements. To train the networks takes about three hours on two cores, to
# measure one of them half a minute to three minutes.
