"""Data sets as tensors in memory: load one by name, then split off validation images by seed."""

import hashlib
import logging
import os
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from laya_nb import paths, seeds

log = logging.getLogger(__name__)

FASHION_MNIST_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
NAMES = ("fashion_mnist", "fashion_mnist_sample")
SAMPLE = "fashion_mnist_sample.npz"
SAMPLE_SHA256 = "48e1dbe23d996ca1636df7b3f1ed19184f2edc31c2eeef894a37e1e89d52a01d"

# SHA-256 of the four files as torchvision unpacks them.
FASHION_MNIST_FILES = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


class DataError(RuntimeError):
    """A data set that is missing, damaged or not what its name says."""


class Examples(NamedTuple):
    """Inputs (N, ...) float32 and labels (N,) int64."""

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

    `name` is the set that it really is ("fashion_mnist" or "fashion_mnist_sample"), whatever was asked for; `source`
    says where it came from.
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
    """Load a data set by name; pixels in [0, 1], shape (N, 1, 28, 28).

    "fashion_mnist" looks in the folder LAYA_NB_DATA, then takes torchvision's download (checked, kept in the cache),
    then, with a warning, the embedded sample. "fashion_mnist_sample" is that sample: no network, no other files.

    Raises:
        ValueError: for an unknown name.
        DataError: for a file that is damaged.
    """
    if name == "fashion_mnist_sample":
        return _sample()
    if name == "fashion_mnist":
        folder = os.environ.get("LAYA_NB_DATA")
        if folder and (Path(folder) / "FashionMNIST" / "raw").is_dir():
            return _full(Path(folder), "from the folder LAYA_NB_DATA")
        try:
            return _full(_downloaded(), "from torchvision's download")
        except OSError as error:
            warnings.warn(
                f"The full Fashion-MNIST could not be had ({error}); using the embedded sample instead. "
                "For the full set, connect to the network or point LAYA_NB_DATA at a folder that holds FashionMNIST/raw"
                + (f"; {folder} does not." if folder else "."),
                stacklevel=2,
            )
            return _sample()
    raise ValueError(f"unknown data set {name!r}; known: {', '.join(map(repr, NAMES))}")


def _full(root: Path, source: str) -> Dataset:
    """Read torchvision's layout under `root`, after comparing every file's checksum."""
    for file, expected in FASHION_MNIST_FILES.items():
        _check_sha256(root / "FashionMNIST" / "raw" / file, expected, "delete it and load again")
    from torchvision.datasets import FashionMNIST  # slow to import, so only here

    train, test = (FashionMNIST(str(root), train=part, download=False) for part in (True, False))
    log.info("Fashion-MNIST read %s", source)
    return Dataset(
        "fashion_mnist",
        source,
        FASHION_MNIST_CLASSES,
        Examples(_pixels(train.data), train.targets),
        Examples(_pixels(test.data), test.targets),
    )


def _sample() -> Dataset:
    path = paths.published(SAMPLE)
    _check_sha256(path, SAMPLE_SHA256, "restore it from the repository")
    with np.load(path, allow_pickle=False) as file:
        train, test = (
            Examples(_pixels(torch.from_numpy(file[f"{part}_images"])), torch.from_numpy(file[f"{part}_labels"]).long())
            for part in ("train", "test")
        )
    return Dataset("fashion_mnist_sample", "embedded in the project", FASHION_MNIST_CLASSES, train, test)


def _pixels(images: Tensor) -> Tensor:
    return images.unsqueeze(1).float().div_(255)


def _check_sha256(path: Path, expected: str, advice: str) -> None:
    if not path.is_file():
        raise DataError(f"{path} is missing; restore it")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise DataError(
            f"{path} is damaged: {path.stat().st_size} bytes with SHA-256 {found[:12]}…, expected {expected[:12]}…; "
            f"{advice}"
        )


def _downloaded() -> Path:
    """The cache's copy; files that it lacks are downloaded, and each appears there whole or not at all."""
    root = paths.cache() / "data"
    raw = root / "FashionMNIST" / "raw"
    if not all((raw / file).is_file() for file in FASHION_MNIST_FILES):
        from torchvision.datasets import FashionMNIST

        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as unfinished, _socket_timeout(20):
            try:
                FashionMNIST(unfinished, download=True)
            except RuntimeError as error:  # torchvision's word for 'no mirror answered'
                raise OSError(str(error)) from error
            raw.mkdir(parents=True, exist_ok=True)
            for file in FASHION_MNIST_FILES:
                (Path(unfinished) / "FashionMNIST" / "raw" / file).replace(raw / file)
    return root


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """torchvision sets no time limit, and a network that swallows packets would hang it for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
