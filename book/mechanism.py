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
# # The mechanism, step by step
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/mechanism.ipynb)
#
# **Question.** How does LAYA give every layer a weight, for each input?
#
# **Why it matters.** The weights are what the paper offers as an explanation, and what this book tests. Whoever wants to
# judge them should have seen how they come about.
#
# **Answer.** Five small steps, about ten lines of code. Here is what they give for eight real images:

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

# %% tags=["parameters", "hide-input"] tiny={"dataset": "fashion_mnist_sample", "max_epochs": 1, "images_shown": 4, "played": [0, 1], "live_epochs": 1} mystnb={"code_prompt_show": "Parameters", "code_prompt_hide": "Parameters"}
dataset: str = "fashion_mnist"  # the trained head's, or "fashion_mnist_sample"
seed: int = 0  # of that run; 0 is published, others are trained here
max_epochs: int = 50  # its longest run, in passes over the data
images_shown: int = 8  # how many test images to look at, a quarter of them mistakes
played: list[int] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]  # the seeds of the networks to play with
live_epochs: int = 12  # how long the network trains that you can watch

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Load the trained network", "code_prompt_hide": "Load the trained network"}
from laya_nb.report import parameters

parameters.check(globals())

import numpy as np
import torch
from torch import nn

from laya_nb import data, figures
from laya_nb.runs import Run, trained_model
from laya_nb.training import TrainingConfig, predict

run = Run(dataset=dataset, seed=seed, protocol=TrainingConfig(max_epochs=max_epochs))
model = trained_model(run)
sample = data.load("fashion_mnist_sample")
images, labels = sample.test
predictions = predict(model, images)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Eight small photos of clothes, each above three bars. Six are right, two are mistakes. Seven have nearly all their weight on layer 2; a sneaker has half on layer 1 and half on layer 3."}, "figure": {"caption": "Test images, each above the weights that a trained LAYA head gives to the three layers of its network. The first ones that it gets right, and with red captions the first ones that it gets wrong.", "name": "fig-images"}}
wrong = (predictions.labels != labels).nonzero().flatten()[: images_shown // 4]
right = (predictions.labels == labels).nonzero().flatten()[: images_shown - len(wrong)]
shown = torch.cat([right, wrong])
figures.attention_on_images(
    images[shown, 0].numpy(),
    predictions.attention[shown].numpy(),
    [sample.classes[i] for i in labels[shown]],
    [sample.classes[i] for i in predictions.labels[shown]],
)

# %% [markdown]
# For most images one layer takes nearly all the weight, and it is not the last one. The sneaker is treated otherwise.
# This looks like an explanation. Before you believe it, see what other seeds say, in
# [the chapter on depth profiles](depth_profiles.ipynb).
#
# Now the five steps, with numbers small enough to follow.
#
# ## 1. Hidden states
#
# Take a network with three hidden layers, 8, 6 and 4 units wide, and two inputs. For each input it gives hidden states
# $h_1, h_2, h_3$ with $h_i \in \mathbb{R}^{d_i}$. Here they are random: the head does not care where they come from.

# %%
torch.manual_seed(0)
in_dims = (8, 6, 4)
hidden_states = [torch.randn(2, d) for d in in_dims]
[tuple(h.shape) for h in hidden_states]

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three rows of cells with numbers: h1 has eight cells, h2 six, h3 four."}, "figure": {"caption": "The hidden states of the first input: three vectors of different widths.", "name": "fig-step-1"}}
from laya_nb.report.figures.style import LAYER_COLORS

figures.strips({f"$h_{i}$": h[0].numpy() for i, h in enumerate(hidden_states, start=1)}, LAYER_COLORS)

# %% [markdown]
# The usual head would look at `hidden_states[-1]`, the last row, and forget the rest.
#
# ## 2. Adapters: one width for all
#
# Vectors of different widths cannot be added. A linear map for each layer, its *adapter*, brings all of them to one
# width, $d^*$:
#
# $$z_i = A_i h_i + b_i \in \mathbb{R}^{d^*}$$

# %%
d_star = 5
adapters = [nn.Linear(d, d_star) for d in in_dims]
z = torch.stack([adapter(h) for adapter, h in zip(adapters, hidden_states)], dim=1)
tuple(z.shape)  # inputs, layers, d*

# %% tags=["hide-input"] mystnb={"image": {"alt": "Three rows of five cells each, with numbers: z1, z2 and z3."}, "figure": {"caption": "The adapted states of the first input: one width, so they can be added.", "name": "fig-step-2"}}
figures.strips({f"$z_{i}$": row for i, row in enumerate(z[0].detach().numpy(), start=1)}, LAYER_COLORS)

# %% [markdown]
# ## 3. Scores: one number per layer, from all layers
#
# A small network, the *scorer*, sees all adapted states side by side and gives each layer a score:
#
# $$s(x) = W_2\,\mathrm{GELU}\big(W_1\,[z_1;\, z_2;\, z_3] + c_1\big) + c_2 \in \mathbb{R}^{3}$$
#
# So a layer's score depends on what the other layers say. That sets LAYA apart from a head with one fixed weight per
# layer (ScalarMix, the mixture that ELMo made popular {cite}`elmo`).

# %%
width = 2 * d_star
scorer = nn.Sequential(nn.Linear(3 * d_star, width), nn.GELU(), nn.Linear(width, 3))
s = scorer(z.flatten(1)).detach()

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two bar charts of three scores, one for each input. All scores lie between -0.5 and 0.5, and the two inputs have different ones."}, "figure": {"caption": "Scores of the three layers, for both inputs.", "name": "fig-step-3"}}
panels = {f"input {n}": row for n, row in enumerate(s.numpy(), start=1)}
figures.layer_bars(panels, "score $s_i$")

# %% [markdown]
# ## 4. Attention: scores to weights
#
# A softmax with temperature $\tau > 0$ turns scores into weights that sum to 1 for every input:
#
# $$\alpha_i(x) = \frac{\exp(s_i(x)/\tau)}{\sum_j \exp(s_j(x)/\tau)}$$

# %%
tau = 1.5
alpha = torch.softmax(s / tau, dim=1)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two bar charts of three weights, one for each input. All weights lie near one third."}, "figure": {"caption": "Weights of the three layers, for both inputs.", "name": "fig-step-4"}}
panels = {f"input {n}": row for n, row in enumerate(alpha.numpy(), start=1)}
figures.layer_bars(panels, r"weight $\alpha_i$", limits=(0, 1))

# %% [markdown]
# The two inputs have different weights: that is what LAYA is about. An untrained scorer has small scores, so the weights
# start near 1/3.
#
# The temperature decides how sharp the weights are. A low one lets the best layer take all, a high one treats all layers
# alike. Watch it on three fixed scores:

# %% mystnb={"image": {"alt": "Line chart of three weights against temperature on a log scale. At temperature 0.1 the layer with the highest score has all the weight. As the temperature rises the three lines approach one third."}, "figure": {"caption": "Weights of three layers with scores 0, 1 and 2, as the temperature grows. The dotted line is one third.", "name": "fig-temperature-toy"}}
scores = torch.tensor([0.0, 1.0, 2.0])
temperatures = torch.logspace(-1, 1, 60)
weights = torch.softmax(scores / temperatures[:, None], dim=1)
figures.temperature_curve(scores.numpy(), temperatures.numpy(), weights.numpy())

# %% [markdown]
# ## 5. Weighted sum and class
#
# $$h_\mathrm{agg} = \sum_i \alpha_i z_i, \qquad \mathrm{logits} = W h_\mathrm{agg} + b$$

# %%
h_agg = (alpha.unsqueeze(2) * z).sum(dim=1)
classifier = nn.Linear(d_star, 10)
logits = classifier(h_agg)
tuple(logits.shape)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four rows of five cells with numbers: the three adapted states times their weights, and below them their sum."}, "figure": {"caption": "The weighted states of the first input and their sum, from which the class is read.", "name": "fig-step-5"}}
weighted = (alpha[0, :, None] * z[0]).detach().numpy()
steps = {rf"$\alpha_{i} z_{i}$": row for i, row in enumerate(weighted, start=1)}
figures.strips(steps | {"sum": weighted.sum(axis=0)}, [*LAYER_COLORS, "black"])

# %% [markdown]
# ## The whole head
#
# That is all. As one function:

# %%
def laya(hidden_states, adapters, scorer, classifier, tau):
    z = torch.stack([g(h) for g, h in zip(adapters, hidden_states)], dim=1)
    alpha = torch.softmax(scorer(z.flatten(1)) / tau, dim=1)
    h_agg = (alpha.unsqueeze(2) * z).sum(dim=1)
    return classifier(h_agg), alpha


# %% [markdown]
# The package's `LAYAHead` does the same. Give it our weights, and compare:

# %%
from laya_nb.heads import LAYAHead

head = LAYAHead(in_dims, num_classes=10, d_star=d_star, temperature=tau)
head.adapters, head.scorer = nn.ModuleList(adapters), scorer
head.classifier = classifier
ours = laya(hidden_states, adapters, scorer, classifier, tau)
packaged = head(hidden_states)
[torch.allclose(a, b, atol=1e-6) for a, b in zip(ours, packaged)]

# %% [markdown]
# `LAYAHead` adds checks of its inputs, and an optional transform $\psi$, shared by all layers, which the scorer sees in
# place of $z_i$: `psi="mlp"`. A test of the project loads weights of the published Keras head into it and finds the
# same probabilities and weights to $10^{-5}$.
#
# ## Turn the temperature yourself
#
# Ten networks like the one above, trained from ten seeds, and 200 test images. Behind its scores a LAYA head is linear, so a
# few numbers for each image give its exact answer at any temperature, and this page computes it as you move the slider.
# Only one temperature is the one that the networks were trained at. At any other you see what these scores would give,
# not what a network that was trained so would do; [the chapter on temperature](temperature.ipynb) trains them.

# %% mystnb={"code_prompt_show": "Show the code", "code_prompt_hide": "Hide the code"} tags=["hide-input"]
from laya_nb.analysis.decomposition import Decomposition
from laya_nb.runs import ResultStore, measure
from laya_nb.runs.decomposed import IMAGES, decomposed

heads = measure([run.replace(seed=seed) for seed in played], decomposed, ResultStore())
networks = {f"seed {seed}": Decomposition(**found) for seed, found in zip(played, heads)}
figures.explore(networks, images[:IMAGES], labels[:IMAGES], sample.classes, ["layer 1", "layer 2", "layer 3"])

# %% [markdown]
# Three things to try:
#
# - Go through some images and compare the ten bars. Networks that differ in nothing but the seed look at different layers,
#   and mostly give the same answer.
# - Move the temperature to the right end, where all layers weigh the same. How often does the answer change?
# - Press *Next mistake*. Are the weights of a mistake unlike those of its class?
#
# ## Watch it learn
#
# A new network on the embedded sample of 4,000 images. After every epoch we look at its weights for the test images:

# %% tags=["nbval-ignore-output"]
from laya_nb.runs import build_model
from laya_nb.training import fit

small = Run(dataset="fashion_mnist_sample", seed=seed)
network = build_model(small, images[0].numel(), len(sample.classes))
mean_weights = [predict(network, images).attention.mean(dim=0).numpy()]

# %% tags=["nbval-ignore-output"] mystnb={"image": {"alt": "Three panels over twelve epochs. The training loss falls from about 0.9 to 0.1. Validation accuracy rises from 83 to 89 percent, with setbacks. The mean weights of the three layers start at 0.25, 0.45 and 0.30; after the first epoch layer 2 has about 0.7 and layer 3 nearly nothing, and it stays so."}, "figure": {"caption": "One run, epoch by epoch: training loss, validation accuracy, and the mean weight of each layer over the test images. The dotted line is one third.", "name": "fig-training"}}
def look():
    mean_weights.append(predict(network, images).attention.mean(dim=0).numpy())


short = TrainingConfig(max_epochs=live_epochs, patience=live_epochs)
history = fit(network, sample.split(seed), seed=seed, protocol=short, after_epoch=look)
accuracy = 100 * np.array(history.validation_accuracy)
figures.training_curves(history.train_loss, accuracy, np.array(mean_weights))

# %% [markdown]
# No layer starts far from a third. After the first epoch their order is settled, long before the accuracy is.
#
# ## What we found
#
# - LAYA is a softmax over layers, scored from all layers at once: five steps, about ten lines.
# - The temperature moves the weights between one layer and all layers, if the scores stay as they are.
# - The weights are a by-product of every prediction.
#
# ## What this does not show
#
# That the weights mean anything. One trained network was shown here, and one that you could watch. Whether a second one
# would look at the same layers is the question of [the chapter on depth profiles](depth_profiles.ipynb).
#
# ## Exercises
#
# 1. Set `tau` to 0.1 in step 4 and run the cells below it. What happens to the two inputs' weights?
# 2. Multiply the last layer of `scorer` by 10 instead. Can you tell the two changes apart from `alpha` alone?
# 3. Change `seed` in the parameters cell and run the chapter. Does the head look at the same layers for the same images?
#
# ```{dropdown} Solutions
# 1. The layer with the larger score takes nearly all the weight.
# 2. No: only the ratio $s/\tau$ enters. A scorer that is free to grow can undo a temperature.
# 3. Mostly not. [The chapter on depth profiles](depth_profiles.ipynb) does this for ten seeds.
# ```
#
# **To go further**, pass your own hidden states to `LAYAHead`: any list of tensors of shape (batch, width).
#
# **Run time:** seconds. A network with another seed trains in about a minute on two cores.
