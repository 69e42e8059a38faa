"""The data sets that can be named, one entry each, and `load`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from torch import Tensor

from laya_nb.data import docstrings, images, imdb
from laya_nb.data.dataset import Dataset, Part


@dataclass(frozen=True)
class Entry:
    """What is to be known of a data set.

    `load` gives it as tensors. `kind` says what an input is: an image (C, H, W), or a row of token ids. `backbone` and
    `hidden_dims` are the usual network for it and its widths; `benchmark` is the paper's benchmark whose settings are
    its defaults. `raw` gives a part's inputs as a pretrained encoder wants them, with their labels, in the order of
    `load`: pixels in [0, 1] (N, 1 or 3, H, W), or N texts.
    """

    load: Callable[[], Dataset]
    kind: Literal["images", "texts"]
    backbone: str
    hidden_dims: tuple[int, ...]
    benchmark: str
    raw: Callable[[Part], tuple[Tensor | list[str], Tensor]]


CATALOG: dict[str, Entry] = {
    "fashion_mnist": Entry(
        images.fashion_mnist, "images", "mlp", (512, 256, 128), "fashion_mnist", images.raw_fashion_mnist
    ),
    "fashion_mnist_sample": Entry(
        images.fashion_mnist_sample, "images", "mlp", (512, 256, 128), "fashion_mnist", images.raw_fashion_mnist_sample
    ),
    "cifar10": Entry(images.cifar10, "images", "cnn", (16, 128, 256), "cifar10", images.raw_cifar10),
    "cifar10_jpeg": Entry(images.cifar10_jpeg, "images", "cnn", (16, 128, 256), "cifar10", images.raw_cifar10_jpeg),
    "imdb": Entry(imdb.imdb, "texts", "bilstm", (16, 16), "imdb", imdb.raw_imdb),
    "docstrings": Entry(docstrings.docstrings, "texts", "bilstm", (16, 16), "imdb", docstrings.raw_docstrings),
}


def entry(name: str) -> Entry:
    """The catalog's entry for a data set.

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
    """
    if name not in CATALOG:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(map(repr, CATALOG))}")
    return CATALOG[name]


@lru_cache(maxsize=2)
def load(name: str) -> Dataset:
    """Load a data set by name.

    Each looks in the folder LAYA_NB_DATA, then downloads (checked, kept in the cache). What they hold:

    - "fashion_mnist": pixels in [0, 1], (N, 1, 28, 28). Where it cannot be had: the sample, with a warning.
    - "fashion_mnist_sample": a tenth of it, embedded. No network, no other files.
    - "cifar10": normalised colours, (N, 3, 32, 32). "cifar10_jpeg": the same images after JPEG compression, only from
      the folder.
    - "imdb": token ids, (N, length). "docstrings": likewise, sentences from installed packages' documentation.

    Raises:
        ValueError: for an unknown name.
        DataError: for a file that is damaged or cannot be had.
    """
    return entry(name).load()
