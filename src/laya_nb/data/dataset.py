"""Data sets as tensors in memory, and how validation examples are split off by seed."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from laya_nb.support import seeds
from laya_nb.support.files import DataError

Part = Literal["train", "test"]


class Examples(NamedTuple):
    """Inputs (N, ...), float32 or token ids, and labels (N,) int64."""

    x: Tensor
    y: Tensor


class Splits(NamedTuple):
    """What one run trains on: the test part is not in it."""

    train: Examples
    validation: Examples


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
        """Set aside a random share of the training part for validation (0: none), drawn from the seed's stream."""
        x, y = self.train
        kept, held_out = self.split_indices(seed, validation)
        return Splits(Examples(x[kept], y[kept]), Examples(x[held_out], y[held_out]))

    def split_indices(self, seed: int, validation: float = 0.1) -> tuple[Tensor, Tensor]:
        """Where the examples of that split stand in the training part: those to train on, those for validation."""
        count = round(len(self.train.y) * validation)
        if not (count > 0 or validation == 0) or count >= len(self.train.y):
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
