"""Questions about pictures, from near to far from what a network was trained on: a small catalog of tasks.

A task is a question about a set of pictures. Several may be asked of the same set: then `task(name).pictures` is the
same, and what a frozen network makes of the pictures need be computed only once.

    cifar10_jpeg        what is shown, of ten classes; the JPEG copy of CIFAR-10, 32 x 32
    cifar10_coarse      animal or vehicle; the same data set
    fashion_mnist       which garment; 28 x 28, grey
    letters             which of 26 handwritten letters; 28 x 28, grey
    rendering           in which of ten renderings a picture of cifar10_jpeg is shown
    rotation            by how many quarter turns a picture of cifar10_jpeg is turned
    pictures/...        class, rendering, turn: three questions about pictures of cifar10_jpeg, turned and then rendered
    world/...           six questions about drawn scenes, 64 x 64: see `world`

Pictures are (N, 3, H, W) float32, whole multiples of 1/255 from 0 to 1; grey ones have three equal channels. Classes
are balanced: of any first n pictures, two classes differ in number by at most one. For `pictures/...` and `world/...`
that holds for each question, and the answers to different questions are drawn independently. Training pictures come
from the data set's training part and test pictures from its test part, or from different streams of the seed; letters,
which are one file, are parted once for all seeds. The seed decides which pictures are drawn and how they are changed; a
larger number of examples begins with the same pictures.

What is not promised: a picture without colours looks the same as itself in grey or with swapped channels, and some
pictures have no upright. Letters of one writer may be in both parts.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from laya_nb.data import images, world
from laya_nb.data.dataset import Dataset, Examples, Part
from laya_nb.data.images import CIFAR10_CLASSES, FASHION_MNIST_CLASSES
from laya_nb.data.renderings import RENDERINGS, TURNS, rendered, turned
from laya_nb.data.world import balanced
from laya_nb.support import paths
from laya_nb.support.checks import check_choice, check_integer
from laya_nb.support.files import DataError, cached, check_sha256
from laya_nb.support.seeds import numpy_generator, stream_seed

KINDS = ("animal", "vehicle")
ANIMALS = tuple(i for i, name in enumerate(CIFAR10_CLASSES) if name in ("bird", "cat", "deer", "dog", "frog", "horse"))
VEHICLES = tuple(i for i in range(len(CIFAR10_CLASSES)) if i not in ANIMALS)
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
SAMPLE = "pictures_sample.npz"
SAMPLE_SHA256 = "2f86422ae9b8fa751a94a2a19d25fe1a7eee1fa5cf7ec5710e91d1a9fed32a17"
LETTERS_FILE = "test-00000-of-00001.parquet"
LETTERS_SHA256 = "6eda0f4828479bb8a3bb3d7e15d092ffa21807c27eadf77d99b222c0842d490e"


class Drawn(NamedTuple):
    """Pictures (N, 3, H, W) uint8, by question the answers (N,) int64, and where the pictures come from."""

    pictures: Tensor
    answers: Mapping[str, Tensor]
    source: str


@dataclass(frozen=True)
class PictureSet:
    """Pictures of which questions are asked: `draw(part, examples, seed)`, and each question's classes."""

    draw: Callable[[Part, int, int], Drawn]
    questions: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Task:
    """A question about pictures: which set of pictures (a key of `PICTURES`), which question, and its classes."""

    name: str
    pictures: str
    question: str
    classes: tuple[str, ...]


def task(name: str) -> Task:
    """The task of that name; the ValueError for an unknown one has the nearest known names."""
    if name not in TASKS:
        nearest = get_close_matches(str(name), TASKS, cutoff=0.4) or list(TASKS)
        raise ValueError(f"unknown task {name!r}; nearest: {', '.join(map(repr, nearest))}")
    return TASKS[name]


def load(name: str, examples: int = 2000, seed: int = 0) -> Dataset:
    """A task's training and test part, `examples` pictures each.

    Raises:
        ValueError: for an unknown task, a negative seed, fewer examples than classes or more than there are.
        DataError: if the pictures cannot be had; the message says what is needed.
    """
    question = task(name)
    train, test = (_drawn(question.pictures, part, examples, seed) for part in PARTS)
    return Dataset(
        name,
        train.source,
        question.classes,
        Examples(_pixels(train.pictures), train.answers[question.question]),
        Examples(_pixels(test.pictures), test.answers[question.question]),
    )


def pictures(name: str, part: Part, examples: int = 2000, seed: int = 0) -> Tensor:
    """The pictures of a set, a key of `PICTURES`, as `load` gives them: (N, 3, H, W) float32 in [0, 1]."""
    return _pixels(_drawn(name, part, examples, seed).pictures)


def labels(name: str, part: Part, examples: int = 2000, seed: int = 0) -> Tensor:
    """The answers to a task, (N,) int64, in the order of its pictures."""
    question = task(name)
    return _drawn(question.pictures, part, examples, seed).answers[question.question]


def sample() -> Tensor:
    """The first eight test pictures of the set "pictures", (8, 3, 32, 32) in [0, 1], which come with the book.

    With these, what was measured on the whole set can be shown beside pictures without the data being there.
    """
    path = paths.published(SAMPLE)
    check_sha256(path, SAMPLE_SHA256, "restore it")
    with np.load(path, allow_pickle=False) as file:
        return _pixels(torch.from_numpy(file["pictures"]))


def _drawn(name: str, part: Part, examples: int, seed: int) -> Drawn:
    check_choice("pictures", name, list(PICTURES))
    check_choice("part", part, PARTS)
    check_integer("seed", seed, minimum=0)
    check_integer(f"examples of {name!r}", examples, minimum=max(map(len, PICTURES[name].questions.values())))
    return _kept(name, part, examples, seed, os.environ.get("LAYA_NB_DATA"))


@lru_cache(maxsize=4)  # both parts of one set, whose questions are asked one after the other, and of its originals
def _kept(name: str, part: Part, examples: int, seed: int, _folder: str | None) -> Drawn:
    return PICTURES[name].draw(part, examples, seed)


def _pixels(pictures: Tensor) -> Tensor:
    return pictures.float().div_(255)


# --- pictures of data sets


def _select(name: str, part: Part, raw: tuple[Tensor, Tensor], wanted: np.ndarray, seed: int) -> tuple[Tensor, Tensor]:
    """Of a part's pictures, shuffled by the seed, one for each label wanted: (N, 3, H, W) uint8, and labels (N,).

    Args:
        raw: all pictures of the part, (M, C, H, W) in [0, 1], and their labels (M,).
        wanted: the labels to have, (N,).
    """
    x, y = raw
    order = torch.from_numpy(numpy_generator(seed, f"{name}, {part}, order").permutation(len(y)))
    rows = torch.empty(len(wanted), dtype=torch.int64)
    labels, needed = np.unique(wanted, return_counts=True)
    there = [order[y[order] == label] for label in labels.tolist()]
    if any(len(found) < count for found, count in zip(there, needed, strict=True)):
        # Every k-th picture is to be of this class: there is enough of it for k times its number.
        most = min(len(found) * round(len(wanted) / count) for found, count in zip(there, needed, strict=True))
        raise ValueError(
            f"examples must be at most {most} in the {part} part of {name!r}, for balanced classes, got {len(wanted)}"
        )
    for label, found, count in zip(labels, there, needed, strict=True):
        rows[torch.from_numpy(wanted == label)] = found[:count]
    return (x[rows] * 255).round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous(), y[rows]


def _folder(holds: str) -> Path:
    """A folder under LAYA_NB_DATA."""
    root = os.environ.get("LAYA_NB_DATA")
    if root and (Path(root) / holds).is_dir():
        return Path(root) / holds
    raise DataError(
        f"this task reads the folder {holds!r} of parquet files, which is not downloaded: point LAYA_NB_DATA at a "
        "folder that holds it; " + (f"{root} does not" if root else "LAYA_NB_DATA is not set")
    )


def _cifar10(part: Part, examples: int, seed: int) -> Drawn:
    wanted = balanced(examples, len(CIFAR10_CLASSES), numpy_generator(seed, f"cifar10_jpeg, {part}, class"))
    return _cifar10_of(part, wanted, seed)


def _cifar10_of(part: Part, wanted: np.ndarray, seed: int) -> Drawn:
    _folder("cifar10")  # else the error would say to use another data set
    x, y = _select("cifar10_jpeg", part, images.raw_cifar10_jpeg(part), wanted, seed)
    return Drawn(x, {"class": y}, "JPEG copy of CIFAR-10 from the folder LAYA_NB_DATA")


def _cifar10_coarse(part: Part, examples: int, seed: int) -> Drawn:
    """As many animals as vehicles, and each as evenly of its own classes as the number allows."""
    kind = balanced(examples, len(KINDS), numpy_generator(seed, f"cifar10_coarse, {part}, kind"))
    wanted = np.empty(examples, np.int64)
    for k, classes in enumerate((ANIMALS, VEHICLES)):
        fine = balanced(
            int((kind == k).sum()), len(classes), numpy_generator(seed, f"cifar10_coarse, {part}, {KINDS[k]}")
        )
        wanted[kind == k] = np.array(classes)[fine]
    return _cifar10_of(part, wanted, seed)._replace(answers={"kind": torch.from_numpy(kind)})


def _fashion_mnist(part: Part, examples: int, seed: int) -> Drawn:
    dataset = images.fashion_mnist()
    if dataset.name != "fashion_mnist":
        raise DataError("this task needs the full Fashion-MNIST, of which only the embedded sample could be had")
    wanted = balanced(examples, len(FASHION_MNIST_CLASSES), numpy_generator(seed, f"fashion_mnist, {part}, class"))
    x, y = _select("fashion_mnist", part, getattr(dataset, part), wanted, seed)
    return Drawn(x, {"class": y}, dataset.source)


def _letters(part: Part, examples: int, seed: int) -> Drawn:
    wanted = balanced(examples, len(LETTERS), numpy_generator(seed, f"letters, {part}, class"))
    x, y = _select("letters", part, raw_letters(part), wanted, seed)
    return Drawn(x, {"class": y}, "test part of EMNIST Letters, halved, from the folder LAYA_NB_DATA")


def raw_letters(part: Part) -> tuple[Tensor, Tensor]:
    """Handwritten letters, white on black: pixels in [0, 1], (5200, 1, 28, 28), and labels (5200,), 0 to 25.

    Capitals and small letters are one class. The file is EMNIST's test part, 400 of each letter: a shuffle that no seed
    changes gives half of each letter to either part here.
    """
    path = _folder("emnist_letters") / LETTERS_FILE
    arrays = cached(paths.cache() / "data" / f"emnist_letters-{LETTERS_SHA256[:8]}", partial(_read_letters, path))
    x, y = arrays["images"], arrays["labels"]
    order = numpy_generator(0, "letters, parts").permutation(len(y))
    of_each = (order[y[order] == letter] for letter in range(len(LETTERS)))
    rows = np.sort(np.concatenate([rows[PARTS.index(part) :: len(PARTS)] for rows in of_each]))
    return torch.from_numpy(x[rows]).unsqueeze(1).float().div_(255), torch.from_numpy(y[rows])


def _read_letters(path: Path) -> dict[str, np.ndarray]:
    import pyarrow.parquet  # slow to import, so only here
    from PIL import Image

    check_sha256(path, LETTERS_SHA256, "restore it")
    table = pyarrow.parquet.read_table(path)
    letters = [np.asarray(Image.open(BytesIO(image["bytes"])).convert("L")) for image in table["image"].to_pylist()]
    return {"images": np.stack(letters), "labels": table["label"].to_numpy().astype(np.int64) - 1}


# --- pictures changed, and pictures drawn


def _changed(part: Part, examples: int, seed: int, *, name: str) -> Drawn:
    """Pictures of `cifar10_jpeg`, in its order: turned if there is a question about it, then rendered likewise.

    In this order, what a rendering leaves in a picture (a mask, a noise) tells nothing of how the picture was turned.
    """
    x, classes, source = _kept("cifar10_jpeg", part, examples, seed, os.environ.get("LAYA_NB_DATA"))
    asked, answers = PICTURES[name].questions, dict(classes)
    for question, change in (("turn", turned), ("rendering", rendered)):
        if question in asked:
            rng = numpy_generator(seed, f"{name}, {part}, {question}")
            answer = torch.from_numpy(balanced(examples, len(asked[question]), rng))
            x = change(x, answer, numpy_generator(seed, f"{name}, {part}, {question}, noise"))
            answers[question] = answer
    return Drawn(x, {question: answers[question] for question in asked}, source)


def _world(part: Part, examples: int, seed: int) -> Drawn:
    own_seed = stream_seed(seed, f"world, {part}")  # scenes of either part from a stream of its own
    drawn = world.scenes(examples, own_seed)
    answers = {question: torch.from_numpy(answer) for question, answer in drawn.answers.items()}
    return Drawn(torch.from_numpy(drawn.pictures), answers, "drawn by laya_nb.data.world")


PARTS: tuple[Part, ...] = ("train", "test")

PICTURES: dict[str, PictureSet] = {
    "cifar10_jpeg": PictureSet(_cifar10, {"class": CIFAR10_CLASSES}),
    "cifar10_coarse": PictureSet(_cifar10_coarse, {"kind": KINDS}),
    "fashion_mnist": PictureSet(_fashion_mnist, {"class": FASHION_MNIST_CLASSES}),
    "letters": PictureSet(_letters, {"class": LETTERS}),
    "rendering": PictureSet(partial(_changed, name="rendering"), {"rendering": RENDERINGS}),
    "rotation": PictureSet(partial(_changed, name="rotation"), {"turn": TURNS}),
    "pictures": PictureSet(
        partial(_changed, name="pictures"), {"class": CIFAR10_CLASSES, "rendering": RENDERINGS, "turn": TURNS}
    ),
    "world": PictureSet(_world, world.QUESTIONS),
}

TASKS: dict[str, Task] = {
    made.name: made
    for key, of in PICTURES.items()
    for question, classes in of.questions.items()
    for made in [Task(f"{key}/{question}" if len(of.questions) > 1 else key, key, question, classes)]
}
