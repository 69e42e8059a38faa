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
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/redundancy.ipynb)
#
# **Question.** What does attention do when two layers are copies of each other, or when a layer is noise?
#
# **Why it matters.** Copies and noise have a known answer. If a profile is to say which layers matter, it must be blurred
# where there is only one layer, and ignore a layer that knows nothing.
#
# **Answer.** It ignores noise. But shown three copies of *one* layer, it is as sharp as ever:

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

# %% tags=["parameters", "hide-input"] tiny={"dataset": "fashion_mnist_sample", "max_epochs": 1, "seeds": [0, 1], "extreme_taus": [0.1]} mystnb={"code_prompt_show": "Parameters", "code_prompt_hide": "Parameters"}
dataset: str = "fashion_mnist"  # or "fashion_mnist_sample": 4,000 images, no download
seeds: list[int] = [0, 1, 2, 3, 4]  # one run of every condition for each seed
extreme_taus: list[float] = [0.1, 100.0]  # temperatures for the two ways to collapse
margin: float = 0.5  # points of accuracy: less than this is too small to matter
max_epochs: int = 50  # the longest run, in passes over the data

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Load the runs", "code_prompt_hide": "Load the runs"}
from laya_nb.report import parameters

parameters.check(globals())

import numpy as np
import torch

from laya_nb import figures
from laya_nb.analysis.attention import entropy
from laya_nb.data.images import FASHION_MNIST_CLASSES as CLASSES
from laya_nb.report import tables
from laya_nb.runs import ResultStore, grid, sweep
from laya_nb.statistics import compare, estimate, holm
from laya_nb.training import TrainingConfig

COPIES = [["h1", "h2", "h3", "h3"], ["h1", "h1", "h2", "h3"], ["h3", "h3", "h3"]]
NOISE = [["noise1", "h2", "h3"], ["h1", "h2", "noise3"], ["noise1", "noise2", "h3"]]
common = {"dataset": [dataset], "seed": seeds, "protocol": [TrainingConfig(max_epochs=max_epochs)]}
as_it_is = sweep(grid(**common), ResultStore())
shown = sweep(grid(view=COPIES + NOISE, **common), ResultStore())


def with_view(view):
    return [result for result in shown if result.run["view"] == view]


three_copies = with_view(COPIES[2])

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two heat maps of ten classes by three columns, each from one run. First, the three layers. Second, three copies of the last layer, just as sharp: sandals, sneakers and boots have 0.98 to 1.00 in the first copy, T-shirts and dresses about 0.9 in the second, trousers, pullovers, coats and bags about 0.95 in the third."}, "figure": {"caption": "Mean weight for the images of each class, one run each. First: the three layers of a network. Second: its last layer three times. Both look like a finding; in the second there is nothing to find.", "name": "fig-copies-profile"}}
one, other = (tables.class_profiles(rows[:1], len(CLASSES))[0] for rows in (as_it_is, three_copies))
names = ["$h_1$", "$h_2$", "$h_3$"]
copies = ["$h_3$", "$h_3$ ", " $h_3$"]
panels = {"three layers": (names, one), "one layer, three times": (copies, other)}
figures.class_heatmaps(panels, CLASSES, numbers=list(panels))

# %% [markdown]
# ## Prediction
#
# **Copies.** Show the head the last layer twice: $h_1, h_2, h_3, h_3$. Each copy has its own adapter. If the two adapters
# are equal, $z_3 = z_4$, and only the sum of their weights counts:
#
# $$\alpha_3 z_3 + \alpha_4 z_4 = (\alpha_3 + \alpha_4)\, z_3$$
#
# The loss cannot tell one split from another, so we expect each seed to have its own. And since all weights start out about
# equal, a layer shown twice starts with twice the weight: we expect its two copies together to get more than the layer
# gets alone. Three copies and nothing else, $h_3, h_3, h_3$, leave no choice to make: we expect nearly equal weights, or
# all weight on one copy.
#
# **Noise.** Replace $h_1$ by the hidden state of another image: its statistics stay, and all it knew about this image is
# gone. Weight on it adds something random to the sum, so we expect its weight to fall towards 0. (There is another way
# out: its adapter can shrink, so that weight on it does no harm.)
#
# **Shared weights.** If layers 2 to 4 are one layer applied three times, their hidden states are still three different
# functions of the input. We expect attention to treat them like four separate layers.
#
# Here is the view that makes all this, on a toy network of three layers:

# %%
from laya_nb.backbones import MLP, LayerSelection

backbone = LayerSelection(MLP(784, [5, 4, 3]), ["noise1", "h2", "h3", "h3"])
images = torch.rand(2, 784)
[tuple(h.shape) for h in backbone(images)]

# %%
seen, true = backbone(images), backbone.backbone(images)
print("first state of image 0 is that of image 1:", torch.equal(seen[0][0], true[0][1]))
print("the two copies are equal:", torch.equal(seen[2], seen[3]))

# %% [markdown]
# The network as it is, in the default setting with seeds 0 to 4, is the reference of this chapter. The same five runs are
# the reference of [the chapter on temperature](temperature.ipynb) and of
# [the chapter on adapter capacity](adapter_capacity.ipynb). So the three chapters are not independent: if these five
# happened to be unusually good or bad, every comparison in all three would be off in the same direction.
#
# ## Copies

# %% mystnb={"image": {"alt": "Four bar charts with a dot for each of five runs. As it is: three layers with widely spread weights. With h3 shown twice, the second copy gets about 0.25 and the first 0.06. With h1 shown twice, both get about 0.16. With h3 three times, the copies get 0.27, 0.41 and 0.31, spread from 0.1 to 0.5."}, "figure": {"caption": "Mean weight of each hidden state that the head sees. A dot is a run, in the order of the seeds; a bar is the mean over seeds; the dotted line marks equal weights.", "name": "fig-copies"}}
def weights(results):
    """Mean weights of each hidden state, one row per run."""
    return np.stack([result.attention.mean(axis=0) for result in results])


def mean_weights(views):
    usual = {"as it is": (["h1", "h2", "h3"], weights(as_it_is))}
    return usual | {", ".join(view): (view, weights(with_view(view))) for view in views}


figures.mean_weights(mean_weights(COPIES))

# %%
usual = weights(as_it_is)
twice_3, twice_1 = weights(with_view(COPIES[0])), weights(with_view(COPIES[1]))
both_3, both_1 = twice_3[:, 2:].sum(axis=1), twice_1[:, :2].sum(axis=1)
print(f"h3 alone {estimate(usual[:, 2]):.2f}, two copies {estimate(both_3):.2f}")
print(f"h1 alone {estimate(usual[:, 0]):.2f}, two copies {estimate(both_1):.2f}")

# %%
for name, pair in {"h3": twice_3[:, 2:], "h1": twice_1[:, :2]}.items():
    shares = np.sort(pair[:, 0] / pair.sum(axis=1))
    print(f"first copy's share of what {name} gets:", shares.round(2))

# %% [markdown]
# The seed decides how copies share the weight, as predicted: one copy can have almost nothing, or nine tenths. For the
# second prediction we found no evidence: the intervals for two copies overlap those for the layer alone.
#
# The last panel holds the surprise. Its bars look like equal weights, but they are means over images. Image by image,
# attention on three copies is as sharp as on three layers:

# %%
for name, rows in (("h1, h2, h3", as_it_is), ("h3, h3, h3", three_copies)):
    entropies = [entropy(r.attention).mean() for r in rows]
    top = [r.attention.max(axis=1).mean() for r in rows]
    print(f"{name}: entropy {estimate(entropies):.2f}, largest weight {estimate(top):.2f}")

# %% [markdown]
# Look again at the second map at the top of this page. It looks like a finding: *shoes are decided at layer 1, T-shirts
# at layer 2*. There is no layer 1 and no layer 2. All three columns are the same hidden state.
#
# What does attention sort the classes into, if not layers? The copies differ in one thing, their adapters. A scorer that
# sends shoes to one adapter and shirts to another lets each adapter specialise. That is a mixture of experts
# {cite}`experts`: several small linear maps, and a gate that picks one for each image. It works whether or not the layers
# behind the adapters differ. So a sharp profile is no evidence that a class *needs* a layer.
#
# ## Noise

# %% mystnb={"image": {"alt": "Four bar charts with a dot for each of five runs. Where a layer is replaced by noise, its weight is zero or close to it in all runs."}, "figure": {"caption": "Mean weight of each hidden state where some are noise (grey): the same layer's state for another image.", "name": "fig-noise"}}
figures.mean_weights(mean_weights(NOISE))

# %%
for view in NOISE:
    noise = [i for i, name in enumerate(view) if name.startswith("noise")]
    on_noise = weights(with_view(view))[:, noise].sum(axis=1)
    mean, most = on_noise.mean(), on_noise.max()
    print(f"{', '.join(view)}: weight on noise {mean:.4f}, at most {most:.4f}")

# %% [markdown]
# Noise gets next to nothing, in all fifteen runs. This prediction holds in its simplest form.
#
# Does it cost accuracy to lose a layer? Each condition against the network as it is, seeds paired
# ([how to read these tables](fashion_mnist.ipynb#how-to-read-these-tables)):

# %%
def accuracies(results):
    return tables.percent_table(results)["accuracy"]


tables.comparison_table(holm({
    ", ".join(view): compare(accuracies(with_view(view)), accuracies(as_it_is), margin)
    for view in COPIES + NOISE
}))

# %% [markdown]
# We found no evidence that any condition is better or worse. The row `h1, h2, noise3` deserves a second look. There the
# head cannot use layer 3, and since nothing else does, layer 3 is never trained: this is a network of two layers, and we
# found no loss. If no single layer is needed, attention is free to go anywhere.
#
# ## Shared weights
#
# Networks of four and eight hidden layers of width 128: once with separate layers (those of
# [the chapter on depth](depth.ipynb)), once with layers 2 and up sharing one set of weights.

# %% mystnb={"image": {"alt": "Four bar charts with a dot for each of five runs: four and eight layers, with separate and with shared weights. Weights scatter in the same way in both."}, "figure": {"caption": "Mean weight of each hidden layer, with separate weights and with one set of weights for layers 2 and up.", "name": "fig-tied"}}
shapes = [[128] * 4, [128] * 8]
separate = sweep(grid(hidden_dims=shapes, **common), ResultStore())
shared = sweep(grid(hidden_dims=shapes, tied=[True], **common), ResultStore())


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
columns = ["accuracy", "entropy", "profile_entropy", "last_weight"]
table.groupby(["depth", "weights"])[columns].mean().round(2)

# %% [markdown]
# Layers that share their weights are used like layers that do not: a few get nearly all the weight, others nothing, and
# the seed decides which. Attention does not treat them as one layer, as predicted: applied again, a layer gives another
# function of the image.
#
# ## Two ways to collapse
#
# Learned weights over layers can fail in two ways. *Uniform*: all layers get the same, and attention says nothing. *One
# layer*: all images get the same layer, and LAYA is a plain head on it. Two entropies tell them apart: that of the mean
# weights over all images, and that of a single image's weights.

# %% mystnb={"image": {"alt": "A scatter plot of runs. Most lie at the bottom, with entropies of single images below 0.35, and entropies of mean weights from 0.25 to 1. The runs at temperature 0.1 lie on the bottom line, three of them at the lower left corner, as do those with two layers of noise. The five at temperature 100 lie near the diagonal, one of them at the upper right corner."}, "figure": {"caption": "Every run by two entropies. Lower left: one layer for all images. Lower right: one layer for each image, but not the same one. Upper right: uniform weights.", "name": "fig-collapse"}}
extremes = sweep(grid(temperature=extreme_taus, **common), ResultStore())
groups = {"as it is (τ = 1.5)": as_it_is}
for tau in extreme_taus:
    groups[f"τ = {tau:g}"] = [r for r in extremes if r.run["temperature"] == tau]
noisy = [result for view in NOISE for result in with_view(view)]
groups |= {"three copies": three_copies, "noise": noisy, "shared weights": shared}
figures.collapse_map({name: tables.attention_table(rows) for name, rows in groups.items()})

# %%
for name, rows in groups.items():
    summary = tables.attention_table(rows)[["accuracy", "profile_entropy", "entropy"]].mean()
    print(f"{name:<18}", "  ".join(f"{key} {value:.2f}" for key, value in summary.items()))

# %% [markdown]
# **One layer** has two causes, one good and one bad. Where all other layers are noise, one layer is right. At low
# temperature the collapse is inherited from initialisation. The mean weights of the networks at the lowest temperature,
# untrained (on the embedded sample) and trained:

# %%
from laya_nb import data
from laya_nb.runs import Run, build_model
from laya_nb.training import predict

test_images = data.load("fashion_mnist_sample").test.x
for r in (r for r in extremes if r.run["temperature"] == min(extreme_taus)):
    untrained = build_model(Run.from_description(r.run), test_images[0].numel(), len(CLASSES))
    before = predict(untrained, test_images).attention.numpy().mean(axis=0)
    print("untrained", before.round(2), " trained", r.attention.mean(axis=0).round(2))

# %% [markdown]
# Before the first step the layers are unequal already, and each of the five networks ends with the most weight on the
# layer that it started with most; three use it for every image. A likely reason: an adapter with weight 0 gets a
# gradient of 0, so a layer that is behind does not catch up. We have not tested that.
#
# **Uniform** needs a high temperature *and* a short run. At $\tau = 100$ the scorer stretches its scores, as it does at
# 10 ([the chapter on temperature](temperature.ipynb)), and escapes, given time:

# %%
hottest = [r for r in extremes if r.run["temperature"] == max(extreme_taus)]
for r in sorted(hottest, key=lambda r: r.metrics["epochs"]):
    scores, diffuse = r.metrics["score_range"], entropy(r.attention).mean()
    print(f"{r.metrics['epochs']} epochs: range of scores {scores:.0f}, entropy {diffuse:.2f}")

# %% [markdown]
# We found no evidence that either collapse costs accuracy here. So accuracy does not reveal them: look at the two
# entropies.
#
# ## See it move
#
# A network on the embedded sample whose first two layers are noise for the head, after one epoch and after six:

# %% tags=["nbval-ignore-output"]
from laya_nb.runs import train

for epochs in (1, 6):
    short = TrainingConfig(max_epochs=epochs)
    (run,) = grid(dataset=["fashion_mnist_sample"], view=[NOISE[2]], protocol=[short])
    model, result = train(run)
    print(f"after {epochs}:", result.attention.mean(axis=0).round(3))

# %% [markdown]
# Noise is recognised within the first passes over the data.
#
# ## What we found

# %%
from laya_nb.report import findings
from laya_nb.report.findings.redundancy import findings_of

findings.show(findings_of(as_it_is, three_copies, with_view(NOISE[0])))

# %% [markdown]
# - On three copies of *one* layer attention is as sharp as on three layers, and its class profile as clear: it sorts
#   classes among adapters. A clear profile is no evidence that layers differ.
# - The seed decides how copies share the weight. We found no evidence that two copies together get more than one alone.
# - Noise is ignored: its weight is at most about 0.01 in each of fifteen runs.
# - Layers with shared weights are treated like any others.
# - Collapse to one layer comes with low temperature, collapse to uniform weights with a high one and a short run.
#
# ## What this does not show
#
# - That no layer is needed. Without the first, the last, or the first two layers we found no loss of accuracy, but five
#   seeds do not suffice to call all these networks equivalent.
# - What attention does with layers that are nearly, but not quite, copies. Those of a deep network often are.
#
# ## Exercises
#
# 1. Is attention on three copies more diffuse on wrong predictions (`entropy_effect` of `laya_nb.analysis.attention`),
#    as it is on layers?
# 2. Two runs on three copies may agree on which classes go together, though not on which copy they go to. Measure
#    it with `class_distances` and `pairwise_correlation` of `laya_nb.analysis.stability`.
# 3. Replace the middle layer: add `["h1", "noise2", "h3"]` to `NOISE`. Five networks are trained.
#
# ```{dropdown} Solutions
# 1. Not reliably: the AUROC is 0.61 on average, with an interval from 0.45 to 0.78 for five seeds. On three layers it is
#    0.63, from 0.55 to 0.71. The effect does not need layers, either.
# 2. They do: the correlation of two runs' class distances is 0.37 on average (0.20 to 0.58), while their profiles
#    correlate by 0.23. Shoes go together, to whichever adapter. [The chapter on stability](stability.ipynb) finds the
#    same for layers.
# 3. The noise gets at most 0.01 of the weight in all five runs, and layers 1 and 3 share the rest. Accuracy is undecided:
#    -0.10 points, 95 % interval -0.80 to +0.59.
# ```
#
# **To go further**, copy a layer into a network that needs depth, or make noise of one layer for some images only.
#
# **Run time:** half a minute with the published runs. To train all 65 anew takes about 40 minutes on two cores.
