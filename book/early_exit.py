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
# # Early exit
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/early_exit.ipynb)
#
# **Question.** Easy inputs may not need all layers. Can a network that LAYA reads stop early, and do the weights say when?
#
# **Why it matters.** Early exit: if most inputs can leave after half of the network, half of their work is saved, and the hard
# ones lose nothing. The paper names this as a use of its weights.
#
# **Answer.** With heads on its first layers it can, and the weights do not say when. On a frozen transformer, leaving where an
# exit is confident saves two thirds of the work for half a point of accuracy, and leaving at random a quarter. Leaving where an
# exit's attention is sharp saves less than leaving at random there, and more was not shown on any of four networks. On
# Fashion-MNIST fewer layers from the start do about as well:

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

# %% tags=["parameters", "hide-input"] tiny={"networks": ["sample"], "joint": [], "seeds": [0, 1], "max_epochs": 1, "splits": 20} mystnb={"code_prompt_show": "Parameters", "code_prompt_hide": "Parameters"}
networks: list[str] = ["fashion_mnist", "eight_layers", "cifar10", "frozen_transformer"]  # or "sample"
joint: list[str] = ["eight_layers"]  # which of them are also trained together with their exits
seeds: list[int] = [0, 1, 2, 3, 4]  # one of each network for each
max_epochs: int = 50  # the longest training, in passes over the data
risk: float = 0.01  # that an exit may take: the share of inputs that it gets wrong and the end would get right
margin: float = 0.5  # points of accuracy that may be lost
too_little: float = 5.0  # percent of the work: to save less than this is too little to matter
splits: int = 1000  # draws, and random halves, on which the guarantee is tried

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Load the measurements", "code_prompt_hide": "Load the measurements"}
from laya_nb.report import parameters

parameters.check(globals())

import numpy as np
import pandas as pd
import torch

from laya_nb import figures
from laya_nb.report import leaving
from laya_nb.report.networks import NETWORKS, runs_of, shallower_runs
from laya_nb.runs import ResultStore, exits, measure

store = ResultStore()
titles = {name: NETWORKS[name].title for name in networks}
runs = {name: runs_of(name, seeds, max_epochs) for name in networks}
frozen = {name: measure(of, exits.prefix_exits, store) for name, of in runs.items()}
cost = {name: measure(of[:1], exits.exit_cost, store)[0] for name, of in runs.items()}

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four panels. Fashion-MNIST, three layers: leaving by confidence rises steeply from two thirds of the work and is level at three quarters; attention entropy begins at the whole work; triangles for fewer layers lie a little lower, and above the end of the whole network, for less work. Eight layers: confidence reaches the accuracy of the end at about half of the work, triangles lie further left and at least as high. CIFAR-10: all lines rise steadily from 38 to 68 percent, confidence a little above the others. Frozen MiniLM: confidence rises from under 82 percent at a sixth of the work to 85 at half of it, above the end; attention entropy lies below the broken line of leaving at random up to four fifths of the work."}, "figure": {"caption": "Accuracy against the work that is done, as the threshold of certainty falls, in percent of the multiply-adds of the network as it is: more than 100 where the heads of exits cost more than leaving saves. Squares: networks that end after one layer, with a LAYA head on all so far. Triangles: networks of fewer layers with the usual head, trained from scratch, or, where the network is frozen, cut off. Means over seeds.", "name": "fig-exits"}}
ways = ("confidence", "attention entropy", "gate")
inputs = {"mlp": torch.zeros(1, 1, 28, 28), "cnn": torch.zeros(1, 3, 32, 32)}  # by backbone, one of theirs
grid = np.linspace(0.02, 1.6, 120)

def mean_curve(values, cost, way, left=leaving.curve):
    """The mean over seeds of the best accuracy at each cost or less."""
    return 100 * grid, np.mean([leaving.on_a_grid(left(one, cost, way), grid) for one in values], axis=0)

def points(name):
    """Networks that always leave at one exit, and shallower ones, as costs and accuracies."""
    found = [leaving.fixed(one, cost[name]) for one in frozen[name]]
    always = {"fixed exit": (100 * found[0].cost, np.mean([one.accuracy for one in found], axis=0))}
    x = inputs.get(runs[name][0].backbone)
    fewer = leaving.shallower(shallower_runs(name, seeds, max_epochs), x, cost[name], store)
    return always | {"fewer layers": (100 * fewer.cost, fewer.accuracy)}

def lines(name):
    curves = {way: mean_curve(frozen[name], cost[name], way) for way in ways}
    return curves | {"at random": mean_curve(frozen[name], cost[name], "confidence", leaving.at_random)}

figures.exit_curves({titles[name]: (lines(name), points(name)) for name in networks})

# %% [markdown]
# Leaving by confidence (blue) reaches the accuracy of the whole network for less work on three of four networks. By
# attention's entropy (orange) nothing leaves at the first exit, which sees one layer. On Fashion-MNIST triangles lie further to
# the left: fewer layers, trained from scratch, need no exits. On CIFAR-10 the last layer knows what no other does, and whatever
# leaves early costs accuracy.
#
# ## Why LAYA cannot stop by itself
#
# The weights of a LAYA head come from all hidden states, the last one among them. So before the last layer has run there are
# no weights. Another last layer gives other weights to the first ones:

# %%
from laya_nb.heads import LAYAHead

torch.manual_seed(0)
head = LAYAHead((16, 16, 16), num_classes=3, d_star=8)
first, second, last, other = torch.randn(4, 1, 16)
for h3 in (last, other):
    print(head([first, second, h3]).attention.detach().numpy().round(2))

# %% [markdown]
# What can stop is a network with several heads. Here every prefix $h_1, \dots, h_k$ of the layers gets a LAYA head of its
# own, an **exit**. An input leaves at the first exit that is certain enough. Four ways to be certain:
#
# - **confidence**: the largest probability at the exit;
# - **attention entropy**: low entropy of the exit's own weights over the layers it has seen. The first exit sees one layer
#   and has none;
# - **gate**: a linear regression from $h_1, \dots, h_k$ predicts which weight the whole network would put on *later* layers.
#   If that is little, the input leaves;
# - **weight on later layers**: that weight itself. It is known at the end only, so it is no way to leave, but says what the
#   best gate could do.
#
# ## A threshold with a guarantee
#
# How certain is certain enough? An exit costs where it is wrong and the end would be right. Call the share of such inputs the
# **risk**. On calibration examples, thresholds are tested from the highest down: is so small a number of losses likely if the
# risk were above 1 %? The first that fails stops it, and the one before is taken. Then the risk is at most 1 % with
# probability 95 % over calibration examples {cite}`learn_then_test`. How many losses pass depends on their number:

# %%
from scipy import stats

from laya_nb.analysis import early_exit

def most_losses(examples, risk, delta=0.05):
    """The largest k for which at most k losses have probability delta or less if the risk is `risk`."""
    return sum(stats.binom.cdf(k, examples, risk) <= delta for k in range(examples)) - 1

for examples in (200, 1000, 5000):
    assert most_losses(examples, risk=0.01) == early_exit.most_losses(examples, risk=0.01)
    print(f"{examples:5,} examples: at most {most_losses(examples, risk=0.01)} losses")

# %% [markdown]
# With 200 examples not even none is enough (-1). `threshold_with_guarantee` says so, and how many are needed.
#
# ## Prediction
#
# Written after a look at one eight-layer network, and before the runs on several seeds:
#
# - On the eight-layer networks exits after every layer cost more than they save: a head is dear beside a layer of 128 units. On
#   CIFAR-10 nothing can be saved, since the last layer knows what no other does.
# - Confidence is the best way to leave. The entropy of an exit's attention is hardly better than leaving at random.
# - The gate predicts later weight well, and it does not help: later weight does not say whether the exit is right.
# - Exits that are trained together with the network are more accurate early, and its end is less accurate.
# - A network of fewer layers is as good as any exit.
#
# The frozen transformer, and leaving at random as the rival to beat, came later. Nothing was predicted of them.
#
# ## Measurement
#
# Heads on prefixes learn from the hidden states of trained networks, which stay as they are {cite}`deebert`. The frozen
# transformer is MiniLM of six layers, read by LAYA on IMDB; its seeds differ in the heads alone. All accuracies are of 5,000
# test examples. Work is counted in multiply-adds, by PyTorch's own counter, and includes all heads up to the exit that is
# taken.
#
# ## What leaving saves
#
# One half of the test examples chooses a threshold, and whether the network has all exits, a single one, or none: what saves
# most of what loses at most half a point. The other half is judged: how much of the network's work is saved, in percent, and
# how many points are lost. Two ways need no certainty. With a *fixed exit* all inputs leave there. *At random*, any share of them
# may leave, which can save work even where each exit alone loses too much:

# %%
from laya_nb.statistics import estimate

def savings(found):
    """A row for each network and way to leave, means over seeds with their intervals."""
    rows = {}
    for name, values in found.items():
        for way in leaving.WAYS if "gate" in values[0] else ("confidence", "attention entropy", "fixed exit", "at random"):
            each = pd.DataFrame([leaving.saved(one, cost[name], way, margin) for one in values])
            rows[titles[name], way] = {"saved, %": f"{estimate(each['saved']):.0f}", "lost, points": f"{estimate(each['lost']):.1f}"}
    return pd.DataFrame(rows).T

savings(frozen)

# %% [markdown]
# On the frozen transformer no exit is good enough for all inputs, and confidence saves 68 % all the same. With three layers it
# saves a third. With eight, even a fixed exit saves more than half, since the second or third layer is nearly as good as the
# last ([the chapter on depth](depth.ipynb)). On CIFAR-10 nothing is saved but 2 % by confidence. What is lost on the other half
# of the examples can be more than half a point.
#
# Is that more than leaving at random saves? Each network is a question of its own; p values are corrected for the two ways:

# %%
from laya_nb.report import tables
from laya_nb.report.findings.early_exit import findings_of, headline, more_than_chance

more = more_than_chance(frozen, cost, margin, too_little)
tables.comparison_table({(titles[name], way): of for (name, way), of in more.items()}, "% of the work")

# %% [markdown]
# Leaving by confidence saves more on the frozen transformer, by 45 % of the work, and a little more with eight layers. With three
# it is undecided, and on CIFAR-10 it is too little to matter. Attention's entropy was not shown to save more than leaving at
# random anywhere. On the frozen transformer it saves less, by 6 %: to let inputs go by lot is better there.
#
# The gate saves no more than leaving at random either, as a mean over seeds on each network. And neither does the best gate
# there could be: *weight on later layers* is what it tries to predict.
#
# Does the gate predict what it should? Its correlation with the weight on later layers, after each layer:

# %%
def gate_correlations(values):
    """Of each exit, over examples."""
    pairs = zip(values["gate"].T.astype(float), values["later"].T.astype(float))
    return [np.corrcoef(gate, later)[0, 1] for gate, later in pairs]

shown = {titles[name]: np.array([gate_correlations(one) for one in of]) for name, of in frozen.items()}
pd.DataFrame({name: {f"exit {k}": f"{estimate(r):.2f}" for k, r in enumerate(found.T, 1)} for name, found in shown.items()}).fillna("–")

# %% [markdown]
# On the three-layer network it does, nearly exactly; on the others in part. But whether a head would look further says little
# about whether it must.
#
# ## Does the guarantee hold?
#
# The 5,000 test examples are now the whole world, so the risk of a threshold is known. A thousand times 2,500 calibration
# examples are drawn from it, with replacement, and give a threshold; at most 5 % of these may have a risk above 1 %. By
# confidence, and by the exit's attention, for the first seed:

# %%
def kept_promises(found):
    """A row for each network and way: how often the risk was too high, with the 95 % interval over draws."""
    rows = {}
    for name, values in found.items():
        for way in leaving.WAYS[:2]:
            of = leaving.guarantee(values[0], way, risk, splits=splits)
            rows[titles[name], way] = {
                title: f"{100 * of[which]:.1f} [{100 * of[f'{which}/low']:.1f}, {100 * of[f'{which}/high']:.1f}]"
                for title, which in {"above the risk, %": "violated", "on the other half, %": "violated on halves"}.items()
            } | {"mean risk, %": f"{100 * of['risk']:.2f}", "leave early, %": f"{100 * of['left']:.0f}"}
    return pd.DataFrame(rows).T

kept_promises(frozen)

# %% [markdown]
# It holds: on every network, by either way, in fewer than 5 % of the draws. If the risk is instead observed on the other half of the
# examples, it is above 1 % somewhat more often. That does not break the promise. What is observed on 2,500 examples scatters
# around the true risk, and where that is close to 1 % it may well come out above.
#
# ## Exits that are trained with the network
#
# The same shapes, trained anew with all exits at once, the loss being the sum of theirs {cite}`branchynet`. Accuracy of each
# exit in percent, and what leaving saves:

# %%
together = {name: measure(runs[name], exits.joint_exits, store) for name in joint}

def accuracies(values):
    """Of each exit, over seeds."""
    return np.array([100 * (one["answers"] == one["label"][:, None]).mean(axis=0) for one in values])

rows = {}
for name, values in together.items():
    both = accuracies(frozen[name]).T, accuracies(values).T
    for k, (after, jointly) in enumerate(zip(*both), 1):
        rows[titles[name], f"exit {k}" if k < len(both[0]) else "end"] = {
            "heads trained after, %": f"{estimate(after):.1f}",
            "all trained together, %": f"{estimate(jointly):.1f}",
        }
    alone = np.array([100 * (one["alone"] == one["label"]).mean() for one in values])
    rows[titles[name], "end"] |= {"no exits, same training, %": f"{estimate(alone):.1f}", "end - no exits": f"{estimate(both[1][-1] - alone):+.1f}"}
pd.DataFrame(rows).T.fillna("") if joint else None

# %%
savings(together) if joint else None

# %% [markdown]
# The end is as accurate as that of a network without exits that was trained alike, to within half a point: exits take nothing
# from it. All exits are more accurate than the heads that were trained after. But so is the network without exits: this
# training is another one, twelve epochs with a falling learning rate, so the table does not tell what training together does for
# early exits. Confidence saves 67 % of the work here, 65 to 69, and leaving at random 58, 50 to 65.
#
# ## What the clock says
#
# Multiply-adds are not time. What leaving at exit $k$ takes, in percent of the network as it is, on one thread: one input at a
# time, and a batch of 256 that all leave there, or of 32 for the transformer:

# %%
def clock(cost):
    """A row for each exit: all heads so far, and the test of certainty, against the network as it is."""
    columns = {"work": "multiply_adds", "one input": "ms_1", "a batch": "ms_many"}
    shown = {title: (100 * cost[of] / cost[f"fixed/{of}"][-1]).round().astype(int) for title, of in columns.items()}
    exits = range(1, len(cost["ms_1"]) + 1)
    return pd.DataFrame(shown, index=[f"exit {k}" if k < len(exits) else "end" for k in exits])

pd.concat({titles[name]: clock(of) for name, of in cost.items()})

# %% [markdown]
# On the frozen transformer a head is next to nothing beside a layer, and the clock agrees with the count. With eight layers it
# does so too, and all eight exits together cost three times the network. On the others it is less kind: leaving the
# convolutional network after its second layer takes nine tenths of the time of the whole, for half of the work.
#
# And with real inputs, some of which leave and some of which go on? On the networks for Fashion-MNIST with one exit, which has the
# guarantee of 1 %: one half of the test part sets the threshold, the other is timed. Inputs that leave are taken out of the
# batch, so that the rest is a smaller one.

# %%
timed = [name for name in networks if runs[name][0].backbone == "mlp"]
rows = {}
for name in timed:
    found = measure(runs[name], exits.leaving_time, store)
    of = {key: np.array([100 * one[key] for one in found]).T for key in ("left", "lost")}
    of |= {key: np.array([100 * one[key] / one[f"whole/{key}"] for one in found]).T for key in ("ms_1", "ms_many")}
    names = {"left": "leave, %", "lost": "lost, %", "ms_1": "time, one input, %", "ms_many": "time, batch of 256, %"}
    for k in range(len(of["left"])):
        digits = {"lost": 2}
        rows[titles[name], f"exit {k + 1}"] = {title: f"{estimate(of[key][k]):.{digits.get(key, 0)}f}" for key, title in names.items()}
pd.DataFrame(rows).T

# %% [markdown]
# With three layers one exit saves no time that shows, though nine in ten inputs leave: its head and its test take as long as
# what is left out. With eight, an exit after the first or second layer saves about a quarter of the time for single inputs and
# a seventh in a batch, for losses of about 1 %, as was asked for.
#
# ## Exits for a network of yours
#
# ```python
# from laya_nb.analysis import early_exit
# from laya_nb.runs.exits import prefix_exits
#
# found = prefix_exits(model, dataset)                # a head for each prefix of a trained DepthClassifier's layers
# sure, answers = found["confidence"][:, :-1], found["answers"]
# threshold = early_exit.threshold_with_guarantee(sure, answers, found["label"], risk=0.01)
# taken = early_exit.exits(sure, threshold)           # where each input leaves
# ```
#
# `early_exit` takes plain arrays of any network with exits. The examples that set the threshold must not be those that are
# then judged.
#
# ## What we found

# %%
from laya_nb.report import findings

findings.show(findings_of(frozen, cost, margin, too_little), headline(frozen, cost, margin))

# %% [markdown]
# - LAYA cannot stop by itself; heads on prefixes can. Leaving by confidence was shown to save more than leaving at random on two
#   of four networks: two thirds of the work on the frozen transformer, where layers are dear, and 64 % against 59 with
#   eight layers.
# - The entropy of an exit's attention is no way to leave: on the frozen transformer it saves less than leaving at random,
#   and nowhere was it shown to save more.
# - A gate predicts where later weight would go, in part or nearly exactly, and that is no help either.
# - The guarantee holds. And where a head costs as much as a layer, an exit that nine in ten inputs take need not save time.
# - On Fashion-MNIST networks of fewer layers, trained from scratch, are about as accurate as what exits keep, for less work.
#
# So, "can it exit early?" With confidence, most where the network is frozen. Not with attention.
#
# **Against our prediction:** all exits together do cost more than the whole of eight layers, but one alone pays; and exits that
# are trained together take nothing from the end. That attention's entropy could be worse than chance we did not expect.
#
# ## What this does not show
#
# - Large networks. The frozen one has six layers, and its seeds share one network and one data set.
# - A better gate. Ours is linear and predicts later weight; one that is trained to predict whether the exit is right would be
#   a better confidence, not a use of attention.
# - Time on a GPU, where inputs that leave one by one save little.
# - A guarantee for inputs of another kind than the calibration examples.
#
# ## Exercises
#
# 1. Of 1,000 calibration examples, how many may be lost if the risk is to be at most 2 %? And how many of 10,000?
# 2. Why is the risk not the loss of accuracy?
# 3. An exit that leaves at random has the accuracy of a straight line between two fixed exits. Why?
#
# ```{dropdown} Solutions
# 1. 12 and 176, says `early_exit.most_losses`.
# 2. It counts inputs that the exit gets wrong and the end right, and not those where it is the other way round. So the loss
#    of accuracy is never more than the risk.
# 3. Whoever leaves is drawn at random, so of each exit's share the exit's own accuracy is right; and cost and accuracy are
#    both weighted means with the same weights.
# ```
#
# **To go further**, set `risk` to half a percent, or put a network of your own in the place of one.
#
# **Run time:** seconds with the published measurements. To train the networks takes about two hours on two cores, the hidden
# states of the transformer one more, to measure a network one to ten minutes.
