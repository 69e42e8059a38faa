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
# [![Open in Colab](_static/open_in_colab.svg)](https://colab.research.google.com/github/laya-nb/laya-nb/blob/main/book/12_bring_your_own.ipynb)
#
# - A network of your own, on data of your own: some thirty lines from the names of its layers to a depth profile.
# - The trained model in a folder or on the Hugging Face Hub, and back, equal to the bit.
# - The same model where this package is not: as a `torch.export` program and as an ONNX file.

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
        package = f"laya-nb[chapters,export] @ {source}"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", constraints, package]
        subprocess.run(pip, check=True)

# %% tags=["parameters"]
seeds: list[int] = [0, 1, 2]  # one training of each network for each seed; at least two
temperature: float = 1.5  # of LAYA's attention
max_epochs: int = 10  # the longest training, in passes over the data

# %%
from laya_nb.report import parameters

parameters.check(globals())

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
# head of this book takes: one tensor a layer, a row an input. Maps are averaged over positions, sequences over tokens;
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
from laya_nb.heads import LAYAHead
from laya_nb.heads import DepthClassifier
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
logits, attention = conv_nets[0](test.x)
logits.shape, attention.shape

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
# training; the means over each class's images are its class profile.

# %% tags=["nbval-ignore-output"]
import numpy as np

from laya_nb.analysis.attention import class_profiles
from laya_nb import figures

trained = {"convolutions": conv_nets, "transformer": transformers}
found = {}
for name, models in trained.items():
    found[name] = [predict(model, test.x) for model in models]
    accuracy = [100 * evaluate(p, test.y)["accuracy"] for p in found[name]]
    print(f"{name}: test accuracy", np.round(accuracy, 1))

# %% tags=["nbval-ignore-output"] mystnb={"image": {"alt": "Bar charts of the mean weight of four blocks, a dot for each of three trainings. Convolutions: all weight on the last block, in every training. Transformer: two trainings put most of the weight on the second block, the third on the last."}, "figure": {"caption": "Mean weight of each block over the test images, a panel a network. A dot is a training, a bar the mean over trainings, the dotted line uniform weights.", "name": "fig-own-profile"}}
panels = {}
for name, predictions in found.items():
    means = np.stack([p.attention.mean(dim=0).numpy() for p in predictions])
    panels[name] = ([f"$h_{i}$" for i in (1, 2, 3, 4)], means)

figures.mean_weights(panels)

# %% tags=["nbval-ignore-output"] mystnb={"image": {"alt": "Heat maps of ten digits by four blocks. Convolutions: 1.00 on the last block for every digit, without spread. Transformer: for most digits about 0.6 on the second and 0.3 on the last block, with standard deviations over trainings above 0.5."}, "figure": {"caption": "Mean weight of each block for each digit, with the standard deviation over trainings.", "name": "fig-own-classes"}}
def class_profiles(predictions):
    truth, weights = test.y.numpy(), [p.attention.numpy() for p in predictions]
    return np.stack([class_profiles(w, truth, 10) for w in weights])


panels = {name: class_profiles(predictions) for name, predictions in found.items()}
figures.class_heatmaps(panels, classes)

# %% [markdown]
# With convolutions every training puts all weight on the last block, for every digit. So LAYA has become the usual head
# with an adapter before it, and the profile says so. With the transformer the weight is elsewhere, and where depends on the
# seed: two trainings favour the second block, one the last. Standard deviations above 0.5, for weights between 0 and 1, say
# the same of the digits. A single training would have shown a clear picture, and the next seed another one
# ([chapter 3](03_depth_profiles.ipynb) finds the same elsewhere).
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
    print(f"{name}: equal within 1e-5: {torch.allclose(a, b, rtol=0, atol=1e-5)}")

# %% [markdown]
# An ONNX file needs no PyTorch either. `onnx` and `onnxscript` write it, `onnxruntime` runs it; all three come with this
# package's extra `export`.

# %%
file = folder / "digits.onnx"
names = {"input_names": ["x"], "output_names": ["logits", "attention"]}
options = {"dynamic_shapes": shapes, "external_data": False, "verbose": False}
torch.onnx.export(program, f=file, dynamo=True, **names, **options)
sorted(path.name for path in folder.iterdir())

# %%
import onnxruntime

session = onnxruntime.InferenceSession(file)
outputs = session.run(None, {"x": test.x.numpy()})
for name, a, b in zip(expected._fields, outputs, expected):
    same = np.allclose(a, b.detach().numpy(), rtol=0, atol=1e-5)
    print(f"{name}: equal within 1e-5: {same}")

# %% [markdown]
# So whoever runs the model gets the explanation with every answer, at no further cost.
#
# ## What we found
#
# - A network needs no change to get a LAYA head: the names of its layers are enough.
# - Saved and loaded it gives the same logits and attention to the bit; exported, within 1e-5, for a batch of any size.
# - In these trainings the convolutional network's head reads its last block alone. The transformer's reads the second or
#   the last one, as the seed has it.
#
# Three short trainings of two small networks on one small data set prove nothing about LAYA, nor about convolutions and
# transformers. Neither network was tuned, and neither was compared with another head. They show how to ask your own
# network, and that one seed is too few.
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
#    they scatter too much. The introduction shows how such a comparison is read.
# 2. One line before the network is tapped. A network without a parameter to train stays in evaluation mode, too, so
#    dropout and batch statistics stand still. This one was never trained, so expect little; for frozen networks that know
#    something, see [chapter 11](11_frozen_transformer.ipynb).
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
