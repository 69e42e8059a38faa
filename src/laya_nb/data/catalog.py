"""The data sets that can be named, one entry each, and `load`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from laya_nb.data import docstrings, images, imdb, tasks, text_tasks
from laya_nb.data.dataset import Dataset, Examples, Part


@dataclass(frozen=True)
class Entry:
    """What is to be known of a data set.

    `load` gives it as tensors. `kind` says what an input is: an image (C, H, W), or a row of token ids. `backbone` and
    `hidden_dims` are the usual network for it and its widths; `benchmark` is the paper's benchmark whose settings are
    its defaults. `raw` gives a part's inputs as a pretrained encoder wants them, with their labels, in the order of
    `load`: pixels in [0, 1] (N, 1 or 3, H, W), or N texts. `inputs` names these: data sets that ask different questions
    about the same pictures have one name for them, None means the data set's own.
    """

    load: Callable[[], Dataset]
    kind: Literal["images", "texts"]
    backbone: str
    hidden_dims: tuple[int, ...]
    benchmark: str
    raw: Callable[[Part], tuple[Tensor | list[str], Tensor]]
    inputs: str | None = None


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

    "letters@2000" is a task of `data.tasks` with 2,000 pictures in either part, "tense@2000" one of `data.text_tasks`
    with as many texts. "imdb@2000" are 2,000 balanced examples of either part of a data set that is no task.

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
    """
    own, at, examples = name.partition("@")
    if at and examples.isdecimal() and int(examples) > 0:
        if own in text_tasks.TASKS:
            return _text_task(name, own, int(examples))
        return _task(name, own, int(examples)) if own in tasks.TASKS else _subset(name, entry(own), int(examples))
    if name not in CATALOG:
        known = ", ".join(map(repr, CATALOG))
        all_tasks = ", ".join([*tasks.TASKS, *text_tasks.TASKS])
        raise ValueError(f"unknown data set {name!r}; known: {known}, and tasks as {all_tasks}@2000")
    return CATALOG[name]


def _task(name: str, task: str, examples: int) -> Entry:
    pictures = tasks.task(task).pictures

    def raw(part: Part) -> tuple[Tensor, Tensor]:
        return tasks.pictures(pictures, part, examples), tasks.labels(task, part, examples)

    def load() -> Dataset:
        return replace(tasks.load(task, examples), name=name)

    return Entry(load, "images", "mlp", (512, 256, 128), "fashion_mnist", raw, f"{pictures}@{examples}")


def _text_task(name: str, task: str, examples: int) -> Entry:
    def raw(part: Part) -> tuple[list[str], Tensor]:
        return text_tasks.texts(task, part, examples)

    def load() -> Dataset:
        return replace(text_tasks.load(task, examples), name=name)

    return Entry(load, "texts", "bilstm", (16, 16), "imdb", raw)


def _subset(name: str, whole: Entry, examples: int) -> Entry:
    """As many examples of every class as of any other, or one more; the first that stand in each part."""

    def rows(y: Tensor) -> Tensor:
        classes = y.unique()
        if len(y) < examples:
            raise ValueError(f"{name!r}: there are {len(y)} examples in a part")
        shares = [len(part) for part in torch.arange(examples).tensor_split(len(classes))]
        found = [(y == label).nonzero().flatten()[:share] for label, share in zip(classes, shares, strict=True)]
        if sum(map(len, found)) < examples:
            raise ValueError(f"{name!r}: a class has too few examples for balanced classes")
        return torch.cat(found).sort().values

    def raw(part: Part) -> tuple[Tensor | list[str], Tensor]:
        x, y = whole.raw(part)
        kept = rows(y)
        return (x[kept] if isinstance(x, Tensor) else [x[row] for row in kept]), y[kept]

    def load() -> Dataset:
        full = whole.load()
        train, test = (Examples(x[rows(y)], y[rows(y)]) for x, y in (full.train, full.test))
        return replace(full, name=name, train=train, test=test)

    return replace(whole, load=load, raw=raw)


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
