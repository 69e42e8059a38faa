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
# # Faithfulness: does it use the layers it weighs?
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/faithfulness.ipynb)
#
# **Question.** The paper calls the weights of LAYA intrinsic explanations. Does a prediction rest on the layers that get the
# weight?
#
# **Why it matters.** A weight can be large and do nothing: what it multiplies may be small, or say what another layer says
# as well. Only taking the layer away shows whether it was used.
#
# **Answer.** Where weights are sharp, mostly yes. But that an input's own weights tell more of it than the mean weights of its
# class was shown on none of five networks:

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
margin: float = 0.01  # of probability: less than this is too small to matter

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Load the measurements", "code_prompt_hide": "Load the measurements"}
from laya_nb.report import parameters

parameters.check(globals())

import textwrap

import torch

from laya_nb import figures
from laya_nb.report import explanations
from laya_nb.report.networks import NETWORKS, measured, runs_of
from laya_nb.runs import ResultStore, Run
from laya_nb.runs.faithfulness import faithfulness, new_heads
from laya_nb.runs.probes import PROBES, benchmark

store = ResultStore()
runs = {NETWORKS[name].title: runs_of(name, seeds, max_epochs) for name in networks}
table = measured(runs, faithfulness, store)
fresh = measured(runs, new_heads, store)
probed = benchmark(["cifar10_jpeg@2000"], vision, "vit_s_saliency+bf16", seeds)
probes = {PROBES[name].label: [Run.from_description(one.run) for one in of] for (_, name), of in probed.items()}
seen = measured(probes, faithfulness, store)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Five networks, three intervals each. Less the class's mean weights: close to 0 on all networks, within 0.03 on the four that were trained whole. Less the mean weights of all inputs: about 0.1 on the two networks for Fashion-MNIST, wide intervals, close to 0 elsewhere. Less a random order: about 0.3 to 0.37 on Fashion-MNIST and CIFAR-10, about 0.05 on IMDB."}, "figure": {"caption": "How much more of a prediction goes when layers are taken away in the order of the input's own weights, than in the order of the class's mean weights, of the mean weights of all inputs, and at random. Means over five seeds with 95 % intervals; 0: the baseline tells as much.", "name": "fig-faithful"}}
gains = explanations.gains(table, "masked", ["class mean", "constant", "random"])
figures.estimates_by_row(gains, list(runs), "probability of the predicted class")

# %% [markdown]
# Red, at the top of each row: the weights of an input against the mean weights of all inputs that got the same class. No
# gain was shown. Against the mean weights of all inputs there is one, on Fashion-MNIST; against a random order on four of
# the five networks.
#
# ## A sum that can be taken apart
#
# The head's last layer is linear, so the logits are a sum over layers, exactly:
#
# $$\mathrm{logits} = W \sum_i \alpha_i z_i + b = \sum_i \alpha_i \, (W z_i) + b$$
#
# Layer $i$ adds $\alpha_i W z_i$. Its weight is one factor of that. The other one can be long or short, and point to the
# predicted class or away from it. Here is a small head, drawn at random:

# %%
from laya_nb.heads import LAYAHead

torch.manual_seed(0)
head = LAYAHead([8, 8, 8], num_classes=4, d_star=6)
h = [torch.randn(1, 8), torch.randn(1, 8), 0.05 * torch.randn(1, 8)]
mixture = head.mixture(h)
parts = mixture.weights[0, 0, :, None] * mixture.values[0, 0]  # layers, classes
print("logits are the sum:", torch.allclose(parts.sum(0) + mixture.bias, head(h).logits[0], atol=1e-5))

# %% [markdown]
# How much a layer counts for a prediction is what it adds to the *margin*: the logit of the predicted class less that of
# the second. Here the third layer has almost nothing to say, its values are a twentieth of the others:

# %%
from laya_nb.analysis import attribution

pair = attribution.pair_of_classes(mixture.logits())
print("weight:        ", mixture.weights[0, 0].detach().numpy().round(2))
print("adds to margin:", attribution.contributions(mixture, pair)[0].detach().numpy().round(2))

# %% [markdown]
# All three layers get about a third. What the third layer adds to the margin is a fraction of what the others add.
#
# The same for a trained network, the one of [the mechanism](mechanism.ipynb), and four test images:

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four images in columns. Upper row, bars of weights: T-shirt, pullover and bag have nearly all weight on layer 2, the sandal on layer 1. Lower row, what layers add to the margin: the same layers, but about 3 and 1 for T-shirt and pullover, about 20 and 16 for sandal and bag."}, "figure": {"caption": "Four test images of Fashion-MNIST: the weight of each layer, and what the layer adds to the margin between the predicted class and the second.", "name": "fig-contributions"}}
from laya_nb import data
from laya_nb.data.images import FASHION_MNIST_CLASSES as CLASSES
from laya_nb.runs import trained_model

model, test = trained_model(Run()), data.load("fashion_mnist_sample").test
chosen = [int((test.y == label).nonzero()[0]) for label in (0, 2, 5, 8)]
with torch.no_grad():
    mixture = model.head.mixture(model.backbone(test.x[chosen]))
    added = attribution.contributions(mixture, attribution.pair_of_classes(mixture.logits()))
titles = [CLASSES[label] for label in test.y[chosen]]
figures.one_prediction(mixture.weights[:, 0].numpy(), added.numpy(), titles)

# %% [markdown]
# Here weight and contribution name the same layer. How much that layer adds is another matter: the weights of T-shirt and
# bag look alike, and the bag's layer adds several times as much.
#
# ## Prediction
#
# Written before the runs on five seeds, but after a look at one network of three and one of eight layers:
#
# - On Fashion-MNIST, where a head sends different images to different layers, the weights of an image tell more than the
#   mean weights. On CIFAR-10 and IMDB, where nearly all inputs favour the same layer, they tell nothing more.
# - Beyond the mean weights of the predicted class they tell little anywhere.
# - The exact contribution tells more than the weight, since it knows how long $W z_i$ is.
# - A head that was trained to do without any layer loses little when one goes. Then the weights say which layer *this head*
#   reads, and not where the answer is.
# - A new head gains nothing from an input's own weights over those of another input of the same class.
# - On a frozen vision transformer, whose probes spread their weights over 24 tokens, the contribution tells more than the
#   weight, for fusion's probe as for LAYA's. (Written before any measurement there; two of the five seeds were then looked
#   at before the others were made.)
#
# ## Measurement
#
# For each input the layers are ranked, and taken away from the first on. Two numbers say how good a ranking is
# {cite}`eraser`, in probability of the predicted class, as means over 1,000 test inputs and over how many layers go:
#
# - *comprehensiveness*: how much is lost without the first layers; high if they were used;
# - *sufficiency*: how much is lost if only they stay; low if they are enough.
#
# To take a layer away here means: it gets no weight, and the others share it in their old proportion (*masked*). Eight
# rankings compete: by the weight; by the exact contribution; by Shapley values, the mean effect of a layer when it joins the
# others in random order; by two gradients, one of them integrated along the way from
# the mean {cite}`integrated_gradients`; by the mean weights of the predicted class and of all inputs; at random.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Five panels, one per network, eight rankings each. On the networks for Fashion-MNIST and CIFAR-10 all rankings that know the input or its class have 0.55 to 0.7, the mean weights a little less on Fashion-MNIST, random order about 0.3. On IMDB with a recurrent network all lie near 0.1. On the frozen transformer contribution, Shapley and gradients have about 0.4, weights, class mean and mean about 0.1."}, "figure": {"caption": "Comprehensiveness of eight rankings of the layers, with 95 % intervals over five seeds. Red: the weights of the input.", "name": "fig-rankings"}}
figures.rankings_of_layers(explanations.rankings(table, "masked"), "weight", "comprehensiveness, probability")

# %%
explanations.comparisons(table, "masked", "constant", margin)

# %%
explanations.comparisons(table, "masked", "class mean", margin)

# %% [markdown]
# The weights of an input name the layers that this head reads. On Fashion-MNIST and CIFAR-10 taking these away costs 0.3 of
# probability more than taking away others at random, on the frozen transformer 0.05. On the recurrent network, whose two
# layers say nearly the same, it was not shown.
#
# Most of that the mean weights tell, too. On CIFAR-10 and the recurrent network nearly all inputs favour one layer, and
# there is nothing left to add. On Fashion-MNIST the input's own weights add a tenth of probability, and the mean weights of the *class* add about
# as much. On no network was it shown that an input's own weights tell more than those of its class; more than 0.05 is
# excluded on all of them.
#
# The frozen transformer is another matter. Its weights are spread over six layers, and say little: the exact contribution
# has more than three times their comprehensiveness.
#
# ## Weight and contribution

# %%
columns = {
    "same top: contribution": "same first layer as contribution",
    "same top: shapley": "as Shapley",
    "same top: constant": "as mean weights",
    "agreement: contribution": "tau with contribution",
}
explanations.numbers(table, columns)

# %% [markdown]
# With sharp weights the two agree on the first layer for nine inputs in ten. On the frozen transformer they agree for fewer
# than half: there the length and direction of $W z_i$ decide what a layer counts, and the weight does not show them. The
# contribution costs nothing more than the weight. Who reads this head's weights as an explanation should read
# $\alpha_i W z_i$ in their place.
#
# ## Probes of a network that sees
#
# The frozen transformer reads text. Does the same hold for one that sees, and for another attentive head? [Attentive layer
# fusion](fusion.ipynb) weighs 24 tokens of a vision transformer: the CLS token and the mean of the patches, from twelve
# layers. Here are its probe and LAYA's on CIFAR-10, each trained on 2,000 images. More tokens make more to measure, so there
# are 333 test images in place of 1,000.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two panels, eight rankings each. Fusion: Shapley 0.50 and contribution 0.48, gradient times input 0.42, weight, class mean and mean all near 0.37, integrated gradients 0.22, random 0.16, short intervals. LAYA: the rankings that know the input or its class from 0.47 to 0.57 with wide intervals, the mean 0.44, random 0.26."}, "figure": {"caption": "Comprehensiveness of eight rankings of 24 tokens, for two probes of a frozen vision transformer, with 95 % intervals over five seeds of the probe. Red: the weights of the input.", "name": "fig-rankings-vision"}}
by_probe = explanations.rankings(seen, "masked") if probes else {}
figures.rankings_of_layers(by_probe, "weight", "comprehensiveness, probability") if probes else None

# %%
explanations.comparisons(seen, "masked", "contribution", margin) if probes else None

# %%
explanations.numbers(seen, columns) if probes else None

# %% [markdown]
# For both, the contribution tells more than the weight. LAYA's probe gives most of its weight to one token, which is the
# first by contribution as well for nearly nine inputs in ten, and the gap is small. Fusion has 24 attention heads, each
# with weights of its own. Their mean, which is what is usually shown, names the first token by contribution for one input in
# four.

# %%
explanations.comparisons(seen, "masked", "class mean", margin) if probes else None

# %% [markdown]
# Here it can even be shown that an input's own weights tell *less* than the mean weights of its class, if only by a
# hundredth of probability.
#
# ## Six ways to take a layer away
#
# A masked layer leaves the mixture and stays in the scorer's sight. Others change what the whole head reads: the layer's mean
# over training inputs (*mean*), the constant that costs least (*optimal constant* {cite}`optimal_ablation`), another input's
# (*resampled*), that of another input of the same predicted class (*same class*), or zeros. The table shows what the
# weights have over a random order:

# %%
explanations.removals(table)

# %% [markdown]
# Five of the six agree, though they do different things to the head. *Zero* seems to do no harm in this table, but it is a
# trap: an adapter makes its bias of zeros, which is no "nothing", and the scorer sees what it never saw.
#
# *Same class* says something else. If the layers that the weights name show another input of the predicted class, the
# prediction hardly moves, less than 0.05 on any network, and so it is with a random order. What the head reads there is the
# class.
#
# ## Direct and total effect
#
# All of this changes what the *head* reads of a layer, and leaves the layers behind it as they were. That is the layer's
# **direct** effect. Its **total** effect includes what later layers make of it. In these networks each layer reads only the
# one before, so another input's output of layer $i$ means another input's hidden states from layer $i$ on.

# %% tags=["hide-input"] mystnb={"image": {"alt": "Five panels with layers from left to right. Weight and direct effect rise and fall together, and differ from run to run. The total effect is highest for the first layer, 0.4 to 0.8, and falls to the direct effect at the last layer."}, "figure": {"caption": "Mean weight of each layer, and what the predicted class's probability loses when the layer's output is another input's: for the head alone (direct), and for all that is computed from it (total). Thin lines are runs, thick ones their means.", "name": "fig-direct-total"}}
shown = {"weight": "weight", "direct": "direct effect", "total": "total effect"}
figures.direct_and_total(explanations.by_layer(table, shown))

# %% [markdown]
# The direct effect follows the weight, as it should: what gets no weight adds nothing. The total effect does not. The first
# layer of an eight-layer network gets hardly any weight, and without its output the prediction is gone, since seven layers
# are computed from it. A small weight does not say that a layer is unimportant to the network, only that its head does not
# read it there.
#
# ## Would other weights have done?
#
# Two tests that were made for attention over words {cite}`not_explanation`. *Permuted*: the weights of an input change places;
# how far do the probabilities move (total variation distance, median over permutations)? *Adversary*: weights as different
# as can be that move the probabilities by 0.01 at most; how different are they (Jensen-Shannon divergence, at most
# $\log 2 = 0.69$)? And how accurate is the model, if an average stands in for the weights of each input?

# %%
columns = {"permuted": "permuted", "adversary": "adversary"}
explanations.numbers(table, columns)

# %%
columns = {
    "accuracy: own": "own weights, %",
    "accuracy: class mean": "of the class",
    "accuracy: constant": "mean",
    "accuracy: equal": "equal",
}
explanations.numbers(table, columns, scale=100, digits=1)

# %% [markdown]
# Where weights are sharp, permuting them moves about half of the probability or more; on IMDB it moves less than a tenth.
# An adversary finds other weights for the same output on every network, least on CIFAR-10.
#
# With the mean weights of its class in place of its own, the accuracy of no network falls by more than about a point. Equal
# weights, which no head was trained for, cost much more on Fashion-MNIST and CIFAR-10.
#
# ## What the weights are worth to a new head
#
# The next question is not about this head: do the weights say something of the *input* that another head can use? New
# adapters and a new classifier are trained on the same hidden states, under weights that are given to them
# {cite}`not_not_explanation`: the model's own; own ones exchanged among inputs of one predicted class, which give the class away just as
# well; the class's mean; the mean of all; an adversary's. A head with equal weights stands beside.

# %%
columns = {
    "given/own": "own, %",
    "given/shuffled within class": "another's of the class",
    "given/class mean": "of the class",
    "given/constant": "mean",
    "equal": "equal",
    "given/adversary": "adversary's",
}
explanations.numbers(fresh, columns, scale=100, digits=1)

# %% [markdown]
# An input's own weights are worth at most half a point more than those of another input of its class, and no more than the
# class's or the overall mean. On the frozen transformer they do harm: there a new head is better off with the mean weights, or equal ones,
# as [its chapter](frozen_transformer.ipynb) found for LAYA as a whole. Even an adversary's weights, chosen to be far from
# the model's own, do as well as these.
#
# ## A head that can do without
#
# When a layer is taken from a usual head, the head is lost: it never saw that. So a loss shows use, not need. A LAYA head
# that is trained with *layer dropout*, on random subsets of the layers, knows every subset. What is lost there is what the
# other layers cannot say.

# %%
columns = {"dropout": "layer dropout, %", "equal": "equal weights, %"}
explanations.numbers(fresh, columns, scale=100, digits=1)

# %%
columns = {
    "dropout/weight/dropped/comprehensiveness": "its weights",
    "dropout/shapley/dropped/comprehensiveness": "Shapley",
    "dropout/constant/dropped/comprehensiveness": "mean weights",
    "dropout/random/dropped/comprehensiveness": "random",
}
explanations.numbers(fresh, columns)

# %% [markdown]
# A head that knows how to do without a layer is about as accurate as one with equal weights, or less on the frozen
# transformer. On Fashion-MNIST it loses a tenth of what the usual head loses when its first layers go: what that head read in
# one layer, others hold as well. CIFAR-10 is the exception: there the last layer knows what no other does.
#
# Here the weights play the game they were trained for, and the picture is the same: better than chance, no better than
# Shapley values, and little or no better than mean weights.
#
# ## One sentence for each network

# %%
from laya_nb.report import findings
from laya_nb.report.findings.faithfulness import findings_of, headline, sentences

for network, sentence in sentences(table, margin).items():
    print(textwrap.fill(f"{network}: {sentence}", width=78), end="\n\n")

# %% [markdown]
# ## Ask your own network
#
# `examine` makes all of these measurements on any trained `DepthClassifier` whose head gives weights, the one of [bring your
# own](bring_your_own.ipynb) included. Here is a network trained for one epoch on the embedded sample:

# %% tags=["nbval-ignore-output"]
from laya_nb.analysis import faithfulness as tests
from laya_nb.runs import train
from laya_nb.training import TrainingConfig

model, _ = train(Run(dataset="fashion_mnist_sample", protocol=TrainingConfig(max_epochs=1)))
sample = data.load("fashion_mnist_sample")
found = tests.examine(model, sample.test, sample.train)
found.layers.round(2)

# %% [markdown]
# `found.rankings` holds comprehensiveness and sufficiency of every ranking under every removal, `found.numbers` the other
# tests.
#
# ## What we found

# %%
findings.show(findings_of(table, fresh, margin), headline(table, margin))

# %% [markdown]
# - Where weights are sharp they are faithful to the head: what gets the weight is what the head reads.
# - On the networks for Fashion-MNIST the weights of a single input tell more than the mean weights. We found no evidence that
#   they tell more than the mean weights of its class.
# - Where weights are spread, on the frozen transformer, they say little. The exact contribution $\alpha_i W z_i$ says three
#   times as much, and is as cheap. On a frozen vision transformer, too, it says more than the weight, most of all for
#   fusion's probe.
# - A weight is the head's direct reliance. It says nothing of what later layers make of a layer, and little of where the
#   answer could be read: a head trained with layer dropout can do without most layers.
#
# Of the predictions, the one about layer dropout failed on CIFAR-10, and the one about new heads, by a quarter of a point, on
# the networks of eight layers. The others were borne out, or not contradicted.
#
# So the answer to "is it an explanation?" is: of the head, yes, where it is sharp; of the input beyond its class, not shown.
#
# ## What this does not show
#
# - What other heads of the same accuracy would read. Faithful weights differ from seed to seed all the same
#   ([stability](stability.ipynb)).
# - Every removal but layer dropout shows a head something it was not trained for. That six of them agree is some comfort.
# - On the frozen transformers all five runs read the same hidden states. Their intervals are over heads, not over networks.
# - An adversary that searches all weights, not straight lines alone, would find more.
# - Two layers, or three, have few rankings. Differences between good rankings are small there by necessity.
# - Masks over a learned softmax over depth were tried before on Block Attention Residuals (arXiv 2606.13168), with the same
#   lesson: the largest average weight need not be the largest effect.
#
# ## Exercises
#
# 1. In the small head of the first section, make the third hidden state 20 times as large in place of a twentieth. What
#    happens to its weight, what to its contribution?
# 2. What must the comprehensiveness of ScalarMix's weights less that of the mean weights be? Check with
#    `runs_of("fashion_mnist", seeds, max_epochs, head="scalar_mix")`.
# 3. Shapley values have the highest comprehensiveness of all rankings when layers are masked. Compare
#    `explanations.ranking_table(table, "resampled")`. Why is the lead gone?
#
# ```{dropdown} Solutions
# 1. The weight hardly changes, from 0.33 to 0.31. The contribution goes from -0.04 to 0.37: the size of what a layer says is
#    no part of the weight.
# 2. Exactly 0: it has one set of weights for all inputs, which is its own mean.
# 3. They are the mean effects of masking, so they were made for the game that they are judged by. When layers show another
#    input's values in place of being masked, the weight and the contribution do as well.
# ```
#
# **To go further**, put a head of yours on one of these networks: a `mixture` method makes it known to all of these
# measurements. Or set `seeds = [0, 1, 2, 3, 4, 5]`: only the sixth network of each kind is trained and measured.
#
# **Run time:** seconds with the published measurements. To train all 25 networks takes about three hours on two cores, to
# measure one of them a quarter of a minute to half a minute.
