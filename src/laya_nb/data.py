"""Data sets as tensors in memory: load one by name, then split off validation examples by seed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from laya_nb import seeds
from laya_nb.files import DataError

__all__ = ["DataError", "Dataset", "Examples", "Splits", "check_examples", "load"]


class Examples(NamedTuple):
    """Inputs (N, ...), float32 or token ids, and labels (N,) int64."""

    x: Tensor
    y: Tensor


class Splits(NamedTuple):
    """What one training sees."""

    train: Examples
    validation: Examples
    test: Examples


@dataclass(frozen=True)
class Dataset:
    """A whole data set in memory.

    `name` is the set that it really is: "fashion_mnist_sample" where the full set was asked for and could not be had.
    `source` says where it came from.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    train: Examples
    test: Examples

    def __post_init__(self) -> None:
        for part, examples in (("training", self.train), ("test", self.test)):
            check_examples(f"{self.name}, {part} part", examples, len(self.classes))

    def __str__(self) -> str:
        return f"{self.name}: {len(self.train.y):,} training and {len(self.test.y):,} test examples, {self.source}"

    def split(self, seed: int, validation: float = 0.1) -> Splits:
        """Set aside a random share of the training part for validation, drawn from the seed's "split" stream."""
        x, y = self.train
        kept, held_out = self.split_indices(seed, validation)
        return Splits(Examples(x[kept], y[kept]), Examples(x[held_out], y[held_out]), self.test)

    def split_indices(self, seed: int, validation: float = 0.1) -> tuple[Tensor, Tensor]:
        """Where the examples of that split stand in the training part: those to train on, those for validation."""
        count = round(len(self.train.y) * validation)
        if not 0 < count < len(self.train.y):
            raise ValueError(f"validation must leave both parts non-empty, got a share of {validation!r}")
        order = torch.randperm(len(self.train.y), generator=seeds.generator(seed, "split"))
        return order[count:], order[:count]


def check_examples(what: str, examples: Examples, num_classes: int) -> None:
    """Raise a DataError unless there are examples of at least two classes, labelled 0 to num_classes - 1."""
    x, y = examples
    if len(x) != len(y):
        raise DataError(f"{what}: {len(x)} inputs but {len(y)} labels")
    if len(y) == 0:
        raise DataError(f"{what}: there are no examples")
    if y.dtype != torch.int64:
        raise DataError(f"{what}: labels must be int64, got {y.dtype}")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= num_classes:
        raise DataError(f"{what}: labels must lie in 0..{num_classes - 1}, found {low}..{high}")
    if low == high:
        raise DataError(f"{what}: all labels are {low}; at least two classes are needed")


@lru_cache(maxsize=2)
def load(name: str) -> Dataset:
    """Load a data set by name.

    Each looks in the folder LAYA_NB_DATA, then downloads (checked, kept in the cache). What they hold:

    - "fashion_mnist": pixels in [0, 1], (N, 1, 28, 28). Where it cannot be had: the sample, with a warning.
    - "fashion_mnist_sample": a tenth of it, embedded. No network, no other files.
    - "cifar10": normalised colours, (N, 3, 32, 32). "cifar10_jpeg": the same images after JPEG compression, only from
      the folder.
    - "imdb": token ids, (N, length). "docstrings": likewise, sentences from installed packages' documentation.
    - "imdb/minilm" and the like: features that a frozen encoder has of a data set (`features.load`).

    Raises:
        ValueError: for an unknown name.
        DataError: for a file that is damaged or cannot be had.
    """
    from laya_nb import features, images, text  # they import this module's types

    name, _, encoder = name.partition("/")
    if encoder:
        return features.load(name, encoder)
    loaders: dict[str, Callable[[], Dataset]] = {
        "fashion_mnist": images.fashion_mnist,
        "fashion_mnist_sample": images.fashion_mnist_sample,
        "cifar10": images.cifar10,
        "cifar10_jpeg": images.cifar10_jpeg,
        "imdb": text.imdb,
        "docstrings": text.docstrings,
    }
    if name not in loaders:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(map(repr, loaders))}")
    return loaders[name]()
