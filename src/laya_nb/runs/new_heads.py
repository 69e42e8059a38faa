"""New heads on a trained network: its hidden states are computed once, and every head learns from them in seconds."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from laya_nb.backbones import FrozenFeatures
from laya_nb.data import Dataset, Examples
from laya_nb.heads import DepthClassifier, Head
from laya_nb.support import keras_defaults, seeds
from laya_nb.training import TrainingConfig, fit
from laya_nb.training.predict import EVALUATION_BATCH

NEW_HEAD = TrainingConfig(
    learning_rate=3e-3, batch_size=256, max_epochs=6, patience=None, final_learning_rate=1e-5
)  # fmt: skip
"""How a new head is trained: all get the same number of steps, so that none profits from a lucky stop."""


@torch.no_grad()
def hidden_dataset(model: DepthClassifier, dataset: Dataset, train: int) -> Dataset:
    """The hidden states of a trained model as a data set, side by side: `FrozenFeatures(out_dims)` takes them apart.

    Args:
        model: whose backbone is run, once.
        dataset: its inputs.
        train: how many training examples, at most (`some`).
    """
    model.eval()

    def states(x: Tensor) -> Tensor:
        return torch.cat([torch.cat(model.backbone(batch), dim=1) for batch in x.split(EVALUATION_BATCH)])

    parts = (Examples(states(part.x), part.y) for part in (some(dataset.train, train), dataset.test))
    return Dataset(f"{dataset.name}, hidden states", dataset.source, dataset.classes, *parts)


def train_head(head: Head, states: Dataset, seed: int, protocol: TrainingConfig = NEW_HEAD) -> DepthClassifier:
    """A new head, drawn and trained on hidden states; `FrozenFeatures` under it.

    Args:
        head: built for the hidden states' widths; its weights are drawn anew from the seed.
        states: as `hidden_dataset` gives them.
        seed: of the weights, of the examples set aside, and of the order of batches.
        protocol: how long and how fast it learns.
    """
    model = DepthClassifier(FrozenFeatures(head.in_dims), head)
    keras_defaults.glorot_(model, seeds.generator(seed, "initialisation"))
    fit(model, states.split(seed, protocol.validation), seed=seed, protocol=protocol, device="cpu")
    return model


def head_seed(model: DepthClassifier) -> int:
    """The seed of the new heads on a trained model.

    Runs of a trained backbone have hidden states of their own, and the same seed. Over a frozen backbone all runs have
    the same hidden states: with one seed they would all have the same new heads, so it is made from the run's own head.
    """
    trained = any(name.startswith("backbone.") for name, _ in model.named_parameters())
    return 0 if trained else own_seed(model)


def own_seed(model: DepthClassifier) -> int:
    """A seed made from the weights of a model's head."""
    values = torch.cat([parameter.detach().flatten() for parameter in model.head.parameters()])
    return int.from_bytes(hashlib.sha256(values.numpy().tobytes()).digest()[:4], "big")


def select(states: Dataset, widths: Sequence[int], layers: Sequence[int]) -> Dataset:
    """The same examples with some of the layers, which count from 0."""

    def part(examples: Examples) -> Examples:
        parts = examples.x.split(list(widths), dim=1)
        return Examples(torch.cat([parts[i] for i in layers], dim=1), examples.y)

    return Dataset(states.name, states.source, states.classes, part(states.train), part(states.test))


def some_rows(examples: int, count: int) -> Tensor:
    """At most `count` of N row numbers, in rising order: always the same ones, drawn at random, since data sets may be
    ordered by class, or go through the classes in turn."""
    return (
        torch.randperm(examples, generator=torch.Generator().manual_seed(seeds.stream_seed(0, "some rows")))[:count]
        .sort()
        .values
    )


def some(examples: Examples, count: int) -> Examples:
    """At most `count` examples (`some_rows`)."""
    rows = some_rows(len(examples.y), count)
    return Examples(examples.x[rows], examples.y[rows])


def accuracy(logits: Tensor, y: Tensor) -> float:
    """The share of examples that logits (N, C) put into their class."""
    return float((logits.argmax(dim=1) == y).float().mean())
