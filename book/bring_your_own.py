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
# # Bring your own: any network, any data
#
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/bring_your_own.ipynb)
#
# **Question.** How do you put a LAYA head on a network of your own, look at its depth profile, and share the model?
#
# **Why it matters.** This book measures a few small networks. What your network does with its layers, only your network
# can tell.
#
# **Answer.** Name its layers, and put the head on top. From a plain PyTorch module to a depth profile it takes some thirty
# lines:

# %% tags=["hide-input"] extras=["chapters", "export"] mystnb={"code_prompt_show": "Set-up", "code_prompt_hide": "Set-up"}
# The package: the installed one, else the one in this checkout, else the repository's; and what this chapter needs.
import os, re, subprocess, sys, tempfile
from importlib import metadata, util
from pathlib import Path

extras, missing = ["chapters", "export"], []

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

# %% tags=["parameters", "hide-input"] tiny={"max_epochs": 1, "seeds": [0, 1]} mystnb={"code_prompt_show": "Parameters", "code_prompt_hide": "Parameters"}
seeds: list[int] = [0, 1, 2]  # one run of each network for each seed; at least two
temperature: float = 1.5  # of LAYA's attention
max_epochs: int = 10  # the longest run, in passes over the data

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Check the parameters", "code_prompt_hide": "Check the parameters"}
from laya_nb.report import parameters

parameters.check(globals())

# %% tags=["hide-input"] mystnb={"image": {"alt": "Diagram: four blocks of a network of yours are tapped by name. Their hidden states h1 to h4 go into a LAYA head, which gives the class and the weights of the layers. The whole can be saved with save_pretrained, torch.export or as an ONNX file."}, "figure": {"caption": "A LAYA head on any network: its layers are tapped by name, and nothing in the network changes.", "name": "fig-any-network"}}
from laya_nb import figures

figures.on_top_of_any_network()

# %% [markdown]
# ## Your data
#
# Inputs as one tensor, labels as another. Here: small images of handwritten digits that come with scikit-learn, so nothing
# is downloaded. The last 397 are the test set.

# %%
import torch
from sklearn.datasets import load_digits

from laya_nb.data import Dataset, Examples

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
labels = torch.tensor(digits.target)
classes = tuple(str(digit) for digit in digits.target_names)

# %%
train = Examples(images[:1400], labels[:1400])
test = Examples(images[1400:], labels[1400:])
dataset = Dataset("digits", "from scikit-learn", classes, train, test)
print(dataset)
images.shape

# %% [markdown]
# ## Your network
#
# Written as ever, classifier included; it knows nothing of LAYA.

# %%
from torch import nn

def block(before, after, stride=1):
    conv = nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1)
    return nn.Sequential(conv, nn.GroupNorm(1, after), nn.GELU())


class ConvNet(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        first, second = block(1, width), block(width, width, stride=2)
        third, fourth = block(width, width), block(width, width)
        self.blocks = nn.Sequential(first, second, third, fourth)
        self.classifier = nn.Linear(width, 10)

    def forward(self, x):
        return self.classifier(self.blocks(x).mean(dim=(2, 3)))

# %% [markdown]
# ## Its hidden states
#
# `HiddenStates` taps a network by the names of its layers, those of `network.named_modules()`. `*` stands for any text
# without a dot, so `blocks.*` is every block. A batch of examples shows it how wide they are. What comes back is what every
# head of this book takes: one tensor per layer, one row per input. Maps are averaged over positions, sequences over tokens;
# `pool` says otherwise.

# %%
from laya_nb.backbones import HiddenStates

backbone = HiddenStates(ConvNet(), ["blocks.*"], example=images[:1])
print(backbone.layers)
[tuple(h.shape) for h in backbone(images[:5])]

# %% [markdown]
# ## LAYA on top
#
# The head takes the place of the network's own classifier, which is left unread. Backbone and head are trained together,
# here by the book's own loop; any other does, too.

# %%
from laya_nb.heads import DepthClassifier, LAYAHead
from laya_nb.training import TrainingConfig, evaluate, fit, predict

protocol = TrainingConfig(learning_rate=3e-3, max_epochs=max_epochs)

def train_on_top_of(network, seed):
    torch.manual_seed(seed)
    backbone = HiddenStates(network(), ["blocks.*"], example=images[:1])
    head = LAYAHead(backbone.out_dims, num_classes=10, temperature=temperature)
    model = DepthClassifier(backbone, head)
    fit(model, dataset.split(seed), seed=seed, protocol=protocol)
    return model.cpu()

# %%
conv_nets = [train_on_top_of(ConvNet, seed) for seed in seeds]
output = conv_nets[0](test.x)
output.logits.shape, output.attention.shape

# %% [markdown]
# ## Another network, the same call
#
# A small transformer that reads an image row by row. Its hidden states are sequences of eight tokens, and its blocks happen
# to have the same name:

# %%
class RowTransformer(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.place = nn.Parameter(0.1 * torch.randn(8, width))
        options = {"nhead": 4, "dim_feedforward": 64, "batch_first": True}
        blocks = [nn.TransformerEncoderLayer(width, **options) for _ in range(4)]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x):
        return self.blocks(self.embed(x.squeeze(1)) + self.place)


transformers = [train_on_top_of(RowTransformer, seed) for seed in seeds]

# %% [markdown]
# ## The depth profile
#
# `predict` gives logits and attention for a whole data set. The mean of attention over test images is the profile of a
# run; the means over each class's images are its class profile.

# %% tags=["nbval-ignore-output"]
import numpy as np

trained = {"convolutions": conv_nets, "transformer": transformers}
found = {}
for name, models in trained.items():
    found[name] = [predict(model, test.x) for model in models]
    accuracy = [100 * evaluate(p, test.y)["accuracy"] for p in found[name]]
    print(f"{name}: test accuracy", np.round(accuracy, 1))

# %% tags=["nbval-ignore-output"] mystnb={"image": {"alt": "Bar charts of the mean weight of four blocks, a dot for each of three runs. Convolutions: all weight on the last block, in every run. Transformer: two runs put most of the weight on the second block, the third on the last."}, "figure": {"caption": "Mean weight of each block over the test images, one panel per network. A dot is a run, a bar the mean over runs, the dotted line uniform weights.", "name": "fig-own-profile"}}
panels = {}
for name, predictions in found.items():
    means = np.stack([p.attention.mean(dim=0).numpy() for p in predictions])
    panels[name] = ([f"$h_{i}$" for i in (1, 2, 3, 4)], means)

figures.mean_weights(panels)

# %% tags=["nbval-ignore-output"] mystnb={"image": {"alt": "Six small heat maps of ten digits by four blocks, one for each network and seed. Convolutions: all weight on the last block, for every digit and seed. Transformer: most weight on the second block with two seeds, on the last with the third."}, "figure": {"caption": "Mean weight of each block for each digit, one map per network and seed.", "name": "fig-own-classes"}}
from laya_nb.analysis.attention import class_profiles

names, panels = [f"$h_{i}$" for i in (1, 2, 3, 4)], {}
for name, predictions in found.items():
    weights = [p.attention.numpy() for p in predictions]
    profiles = class_profiles(weights, test.y.numpy(), len(classes))
    panels |= {f"{name[:6]}., {seed}": (names, profile) for seed, profile in zip(seeds, profiles)}

figures.class_heatmaps(panels, classes)

# %% [markdown]
# With convolutions each of the three runs puts all weight on the last block, to two decimals, for every digit. So LAYA
# has become the usual head with an adapter before it, and the profile says so.
#
# With the transformer the weight is elsewhere, and where depends on the seed: two runs favour the second block, one the
# last. A single run would have shown a clear picture, and the next seed another one
# ([the chapter on depth profiles](depth_profiles.ipynb) finds the same elsewhere).
#
# ## Look at single images
#
# `figures.explore` makes the element of [the first chapter](mechanism.ipynb#turn-the-temperature-yourself) for a network
# of yours: the weights and the answer for each image, at any temperature. It is plain HTML that needs no server. To keep it
# as a page, write its attribute `html` to a file.

# %% tags=["nbval-ignore-output"]
figures.explore(transformers[0], test.x[:100], test.y[:100], classes)

# %% [markdown]
# What the weights are worth as an explanation, and which layers can go, two more calls say:
# [faithfulness](faithfulness.ipynb#ask-your-own-network), [pruning](pruning.ipynb#prune-a-network-of-yours).
#
# ## Save, share, load
#
# `PyTorchModelHubMixin` gives a class of yours `save_pretrained`, `from_pretrained` and `push_to_hub`. It needs a
# constructor whose arguments are plain numbers and texts. They go to `config.json`, the weights to a safetensors file.
# Nothing is pickled, so loading runs no code of the file's author.

# %%
from huggingface_hub import PyTorchModelHubMixin

class Digits(DepthClassifier, PyTorchModelHubMixin):
    def __init__(self, width: int = 32, temperature: float = 1.5):
        example = torch.zeros(1, 1, 8, 8)
        backbone = HiddenStates(ConvNet(width), ["blocks.*"], example=example)
        head = LAYAHead(backbone.out_dims, num_classes=10, temperature=temperature)
        super().__init__(backbone, head)

# %%
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
model = Digits(temperature=temperature).eval()
model.load_state_dict(conv_nets[0].state_dict())
model.save_pretrained(folder)
sorted(path.name for path in folder.iterdir())

# %%
loaded = Digits.from_pretrained(folder, strict=True)  # all weights must be there
expected = model(test.x)
for name, a, b in zip(expected._fields, loaded(test.x), expected):
    print(f"{name}: equal to the bit: {torch.equal(a, b)}")

# %% [markdown]
# `model.push_to_hub("you/digits")` puts the same files on the Hub, and `Digits.from_pretrained("you/digits")` gets them
# from there. Whoever loads them needs the class `Digits` and this package.
#
# ## Where this package is not
#
# `torch.export` records what the model does with its inputs, hooks included, as one program of tensor operations. It is
# told that the batch may have any size. The small wrapper turns the outputs into a plain tuple, because a program that is
# saved must not depend on a class of this package.

# %%
class Plain(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return tuple(self.model(x))


shapes = {"x": {0: torch.export.Dim("batch")}}
program = torch.export.export(Plain(model), (images[:2],), dynamic_shapes=shapes)
torch.export.save(program, folder / "digits.pt2")

# %% [markdown]
# The file needs PyTorch and nothing else. It was recorded with two images; here it gets all 397:

# %%
exported = torch.export.load(folder / "digits.pt2").module()
for name, a, b in zip(expected._fields, exported(test.x), expected):
    print(f"{name}: equal within 1e-5: {torch.allclose(a, b, rtol=1e-5, atol=1e-5)}")

# %% [markdown]
# An ONNX file needs no PyTorch either. `onnx` and `onnxscript` write it, `onnxruntime` runs it; all three come with this
# package's extra `export`.

# %%
file = folder / "digits.onnx"
names = {"input_names": ["x"], "output_names": list(expected._fields)}
options = {"dynamic_shapes": shapes, "external_data": False, "verbose": False}
torch.onnx.export(program, f=file, dynamo=True, **names, **options)
sorted(path.name for path in folder.iterdir())

# %%
import onnxruntime

session = onnxruntime.InferenceSession(file)
outputs = session.run(None, {"x": test.x.numpy()})
for name, a, b in zip(expected._fields, outputs, expected):
    same = np.allclose(a, b.detach().numpy(), rtol=1e-5, atol=1e-5)
    print(f"{name}: equal within 1e-5: {same}")

# %% [markdown]
# So whoever runs the model gets the weights with every answer; they cost the adapters and the scorer, which a plain
# classifier does without. What they are worth as an explanation is another
# question: [the chapter on stability](stability.ipynb) asks it.
#
# ## What we found
#
# - A network needs no change to get a LAYA head: the names of its layers are enough.
# - Saved and loaded it gives the same logits, attention and scores to the bit; exported, within 1e-5 (large scores within
#   1e-5 of their size), for a batch of any size.
# - In these runs the convolutional network's head reads its last block alone. The transformer's reads the second or
#   the last one, depending on the seed.
#
# ## What this does not show
#
# Anything about LAYA, convolutions or transformers: these are three short runs of two small networks on one small data
# set. Neither network was tuned, and neither was compared with another head. They show how to ask your own network, and
# that one seed is too few.
#
# ## Exercises
#
# 1. Is LAYA any better here? Train `LastLayerHead(backbone.out_dims, 10)` in place of `LAYAHead`, on the same seeds, and
#    compare (`statistics.compare`). How many seeds would it take?
# 2. Freeze the backbone, and train the head alone.
# 3. Averaging over positions throws away where the ink is. Keep some of it: four averages, one for each quarter of a map.
# 4. Tap something that others made: `torchvision.models.resnet18` with `["layer*"]`, for example.
#
# ```{dropdown} Solutions
# 1. `compare(laya, last_layer, margin=0.5)` takes two lists of accuracies, paired by seed, and says `undecided` where
#    they scatter too much. [The chapter on Fashion-MNIST](fashion_mnist.ipynb#how-to-read-these-tables)
#    says how such a comparison is read.
# 2. One line before the network is tapped. A network without a parameter to train stays in evaluation mode, too, so
#    dropout and batch statistics stand still. This one was never trained, so expect little; for frozen networks that know
#    something, see [the chapter on a frozen transformer](frozen_transformer.ipynb).
#
#        network = ConvNet().requires_grad_(False)
#        backbone = HiddenStates(network, ["blocks.*"], example=images[:1])
#
# 3. `pool` takes a function of a hidden state and the inputs. The widths are measured with it:
#
#        def quarters(h, x):
#            return nn.functional.adaptive_avg_pool2d(h, 2).flatten(1)
#
#        HiddenStates(ConvNet(), ["blocks.*"], example=images[:1], pool=quarters)
#
# 4. ResNet takes three colours, so give it `images.expand(-1, 3, -1, -1)`, enlarged: at eight pixels its last maps have
#    one position.
# ```
#
# **To go further**, replace `digits` and `ConvNet`. A network that takes several inputs, as those of Transformers do, is
# given a dictionary, in place of `images`; where it has an `attention_mask`, padding is left out of the average. `fit`
# and `predict` take single tensors only, so write the loop: `model(batch).logits` is all that a loss needs.
#
# **Run time:** half a minute; everything is trained as you read.
