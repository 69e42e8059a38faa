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
# - The head in five small steps, each a formula, a line of code and a number to look at.
# - What the temperature does to the weights.
# - A trained head at work: which layers it looks at for eight real images.

# %% tags=["hide-input"] extras=["chapters"]
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

# %% tags=["parameters"] tiny={"dataset": "fashion_mnist_sample", "max_epochs": 1, "images_shown": 4}
dataset: str = "fashion_mnist"  # the trained head's, or "fashion_mnist_sample"
seed: int = 0  # of that run; 0 is published, others are trained here
max_epochs: int = 50  # its longest run, in passes over the data
images_shown: int = 8  # how many test images to look at, a quarter of them mistakes

# %%
from laya_nb.report import parameters

parameters.check(globals())

# %%
import torch
from torch import nn

torch.manual_seed(0)
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown]
# ## 1. Hidden states
#
# Take a network with three hidden layers of widths 8, 6 and 4, and two inputs. It gives hidden states
# $h_1, h_2, h_3$ with $h_i \in \mathbb{R}^{d_i}$. Here they are random: the head does not care where they come from.

# %%
in_dims = (8, 6, 4)
hidden_states = [torch.randn(2, d) for d in in_dims]
[tuple(h.shape) for h in hidden_states]

# %% [markdown]
# The usual head would look at `hidden_states[-1]` and forget the rest.
#
# ## 2. Adapters: one width for all
#
# States of different widths cannot be added. A linear map for each layer, its *adapter*, brings all to width $d^*$:
#
# $$z_i = A_i h_i + b_i \in \mathbb{R}^{d^*}$$

# %%
d_star = 5
adapters = [nn.Linear(d, d_star) for d in in_dims]
z = torch.stack([adapter(h) for adapter, h in zip(adapters, hidden_states)], dim=1)
tuple(z.shape)  # inputs, layers, d*

# %% [markdown]
# ## 3. Scores: one number per layer, from all layers
#
# A small network, the *scorer*, sees all adapted states side by side and gives each layer a score:
#
# $$s(x) = W_2\,\mathrm{GELU}\big(W_1\,[z_1;\, z_2;\, z_3] + c_1\big) + c_2 \in \mathbb{R}^{3}$$
#
# So a layer's score depends on what the other layers say. That is what sets LAYA apart from one fixed weight per layer
# (ScalarMix, the mixture that ELMo made popular {cite}`elmo`).

# %%
width = 2 * d_star
scorer = nn.Sequential(nn.Linear(3 * d_star, width), nn.GELU(), nn.Linear(width, 3))
s = scorer(z.flatten(1))
s.detach()

# %% [markdown]
# ## 4. Attention: scores to weights
#
# A softmax with temperature $\tau > 0$ turns scores into weights that sum to 1 for every input:
#
# $$\alpha_i(x) = \frac{\exp(s_i(x)/\tau)}{\sum_j \exp(s_j(x)/\tau)}$$

# %%
tau = 1.5
alpha = torch.softmax(s / tau, dim=1)
alpha.detach()

# %% [markdown]
# The two rows differ: the weights belong to the input. An untrained scorer has small scores, so they start near 1/3.
#
# A low temperature lets the best layer take all; a high one treats all layers alike.
# Watch it on three fixed scores:

# %% mystnb={"image": {"alt": "Line chart of three weights against temperature on a log scale. At temperature 0.1 the layer with the highest score has all the weight. As the temperature rises the three lines approach one third."}, "figure": {"caption": "Weights of three layers with scores 0, 1 and 2, as the temperature grows. The dotted line is one third.", "name": "fig-temperature-toy"}}
from laya_nb import figures

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
# `LAYAHead` adds checks of what it is given, and an optional shared transform $\psi$ that the scorer sees in place of
# $z_i$: `psi="mlp"`. A test of the project loads weights of the published Keras head into it and finds the same
# probabilities and weights to $10^{-5}$.
#
# ## A trained head at work
#
# Now a real one: the network of [the chapter on Fashion-MNIST](fashion_mnist.ipynb), trained on the 60,000 images of Fashion-MNIST.
# Its layers have 512, 256 and 128 units. The images below are from the test set, the first ones that it gets right and
# the first ones that it gets wrong.

# %%
from laya_nb import data
from laya_nb.runs import Run, trained_model
from laya_nb.training import TrainingConfig, predict

run = Run(dataset=dataset, seed=seed, protocol=TrainingConfig(max_epochs=max_epochs))
model = trained_model(run)
sample = data.load("fashion_mnist_sample")
images, labels = sample.test
predictions = predict(model, images)

# %%
wrong = (predictions.labels != labels).nonzero().flatten()[: images_shown // 4]
right = (predictions.labels == labels).nonzero().flatten()[: images_shown - len(wrong)]
shown = torch.cat([right, wrong])

# %% mystnb={"image": {"alt": "Eight small photos of clothes, each above three bars. Six are right, two are mistakes. Seven have nearly all their weight on layer 2; a sneaker has half on layer 1 and half on layer 3."}, "figure": {"caption": "Test images, each above the weights that the head gives to its three layers. A red caption marks a mistake: the true class, and below it the predicted one.", "name": "fig-images"}}
figures.attention_on_images(
    images[shown, 0].numpy(),
    predictions.attention[shown].numpy(),
    [sample.classes[i] for i in labels[shown]],
    [sample.classes[i] for i in predictions.labels[shown]],
)

# %% [markdown]
# For most images one layer takes nearly all the weight, and it is not the last one. The shoe is treated otherwise.
# This looks like an explanation. Before you believe it, see what another seed says in
# [the chapter on depth profiles](depth_profiles.ipynb).
#
# ## What we saw
#
# - The head is a softmax over layers, scored from all layers at once: five steps, about ten lines.
# - Temperature moves the weights between one layer and all layers, if the scores stay as they are.
# - The weights are a by-product of every prediction. Whether they *mean* something is the question of
#   [the chapter on depth profiles](depth_profiles.ipynb).
#
# ## Exercises
#
# 1. Set `tau` to 0.1 in step 4 and run the cells below it. What happens to the two rows?
# 2. Multiply the last layer of `scorer` by 10 instead. Can you tell the two changes apart from `alpha` alone?
# 3. Change `seed` to another number in the parameters cell and run the chapter. A run takes about a minute on two
#    cores. Does the head look at the same layers for the same images?
#
# ```{dropdown} Solutions
# 1. The larger score takes nearly all the weight.
# 2. No: only the ratio $s/\tau$ enters. A scorer that is free to grow can undo a temperature.
# 3. The chapter on depth profiles does this for ten seeds.
# ```
#
# **To go further**, pass your own hidden states to `LAYAHead`: any list of tensors of shape (batch, width).
