"""What a network was not trained for: strange inputs of a data set's own shape, left-out classes, and wrong labels.

    from laya_nb.data.strangers import KINDS, strangers

    KINDS["fashion_mnist"]                          # ("letters", "noise", "reversed")
    strangers("fashion_mnist", "letters", 1000)     # (1000, 1, 28, 28) in [0, 1]

For pictures there are:

- "letters": handwritten ones, of the data set's size and white on black as its garments are (EMNIST, arXiv 1702.05373).
- "noise": every value drawn uniformly from [0, 1].
- "reversed": the data set's own test pictures with light and dark exchanged, 1 - x.
- "grey": its own test pictures without their colours (luminance).
- "fashion_mnist in colour": test pictures of garments, enlarged, each in a bright colour of its own, on black.

For reviews there are "docstrings": single sentences from the documentation of NumPy and PyTorch, with IMDB's
vocabulary. They are not only of another kind, they are also far shorter than a review.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from laya_nb.data import docstrings, images, imdb, tasks, tokens
from laya_nb.data.catalog import entry, load
from laya_nb.data.dataset import Dataset, Examples
from laya_nb.support.checks import check_choice, check_integer
from laya_nb.support.files import DataError
from laya_nb.support.keras_defaults import PADDING
from laya_nb.support.seeds import numpy_generator

LUMINANCE = (0.299, 0.587, 0.114)  # the shares of red, green and blue in how bright a colour is (ITU-R BT.601)
_GREY = ("letters", "noise", "reversed")
_COLOURED = ("grey", "noise", "reversed", "fashion_mnist in colour")

KINDS: dict[str, tuple[str, ...]] = {
    "fashion_mnist": _GREY,
    "fashion_mnist_sample": _GREY,
    "cifar10": _COLOURED,
    "cifar10_jpeg": _COLOURED,
    "imdb": ("docstrings",),
}
"""By data set: the kinds of strangers that `strangers` has for it."""


def strangers(dataset: str, kind: str, count: int) -> Tensor:
    """Inputs of some kind that a network for a data set was not trained for: always the same ones.

    They have the shape, the type and the scale of `data.load(dataset).test.x`; a greater count begins with the same
    ones. "docstrings" change with the installed versions of NumPy and PyTorch, as the data set of that name does.

    Args:
        dataset: a key of `KINDS`.
        kind: one of the kinds that stand there.
        count: how many, at most: there are fewer where the files have no more.

    Raises:
        ValueError: for a data set without strangers, or a kind that it does not have; the message lists what there is.
        DataError: if the files of the data set, or of the strangers, cannot be had.
    """
    check_choice("dataset", dataset, list(KINDS))
    check_choice(f"kind of strangers to {dataset!r}", kind, KINDS[dataset])
    check_integer("count", count)
    if kind == "docstrings":
        return _docstrings(count)
    own = entry(dataset).raw("test")[0]
    assert isinstance(own, Tensor)
    if kind == "letters":
        pixels = _some(tasks.raw_letters("test")[0], kind, count)
    elif kind == "noise":
        drawn = numpy_generator(0, "strangers, noise").random((count, *own.shape[1:]), dtype=np.float32)
        pixels = torch.from_numpy(drawn)
    elif kind == "reversed":
        pixels = 1 - _some(own, kind, count)
    elif kind == "grey":
        luminance = (_some(own, kind, count) * torch.tensor(LUMINANCE)[:, None, None]).sum(dim=1, keepdim=True)
        pixels = luminance.expand(-1, 3, -1, -1)
    else:
        pixels = _coloured_garments(count, (own.shape[2], own.shape[3]))
    return _scaled(pixels, own, load(dataset).test.x)


def held_out(dataset: Dataset, classes: Sequence[int]) -> tuple[Dataset, Tensor]:
    """The data set without some of its classes, and the test inputs (M, ...) of those: strangers of the nearest kind.

    The other classes are numbered anew, in their old order.

    Args:
        dataset: of C classes.
        classes: which to leave out, from 0 to C - 1, at least one; at least two must stay.

    Raises:
        ValueError: for classes that do not exist, too many of them, or none that has a test example.
    """
    known, gone = range(len(dataset.classes)), sorted(set(classes))
    if not gone or any(isinstance(c, bool) or c not in known for c in gone) or len(known) - len(gone) < 2:
        raise ValueError(
            f"classes must be at least one and at most {len(known) - 2} of 0..{len(known) - 1}, got {list(classes)}"
        )
    left = [c for c in known if c not in gone]
    number = torch.full((len(known),), -1)
    number[left] = torch.arange(len(left))

    def part(examples: Examples) -> Examples:
        kept = number[examples.y] >= 0
        return Examples(examples.x[kept], number[examples.y[kept]])

    strange = dataset.test.x[number[dataset.test.y] < 0]
    if not len(strange):
        raise ValueError(f"there is no test example of the classes {gone}")
    name = f"{dataset.name} without {', '.join(map(str, gone))}"
    names = tuple(dataset.classes[c] for c in left)
    return Dataset(name, dataset.source, names, part(dataset.train), part(dataset.test)), strange


def flipped_labels(dataset: Dataset, share: float, seed: int) -> tuple[Dataset, Tensor]:
    """The data set with a share of its training labels replaced, and which these are, (N,) bool.

    The examples are drawn at random, whatever their class, and each gets one of the other classes, all equally likely
    (symmetric noise). The test part is as it was. `Dataset.split` takes validation examples from the training part: of
    their labels about the same share is wrong.

    Args:
        dataset: of C classes and N training examples.
        share: of the training examples, above 0 and below 1.
        seed: of the examples and of their new labels.

    Raises:
        ValueError: for a share that is none, or so small that no label changes; for a negative seed.
    """
    x, y = dataset.train
    count = round(share * len(y)) if 0 < share < 1 else 0
    if not count:
        raise ValueError(f"share must be above 0, below 1, and meet an example of {len(y)}, got {share!r}")
    rng = numpy_generator(seed, "flipped labels")
    rows = torch.from_numpy(rng.permutation(len(y))[:count])
    steps = torch.from_numpy(rng.integers(1, len(dataset.classes), count))  # by 1 to C - 1 classes: never by none
    labels, flipped = y.clone(), torch.zeros(len(y), dtype=torch.bool)
    labels[rows] = (y[rows] + steps) % len(dataset.classes)
    flipped[rows] = True
    name = f"{dataset.name}, {100 * share:g} % of labels flipped, seed {seed}"
    return Dataset(name, dataset.source, dataset.classes, Examples(x, labels), dataset.test), flipped


def _some(examples: Tensor, kind: str, count: int) -> Tensor:
    """At most `count` of them, drawn at random: files may be ordered by class."""
    order = numpy_generator(0, f"strangers, {kind}").permutation(len(examples))
    return examples[torch.from_numpy(order[:count])]


def _coloured_garments(count: int, size: tuple[int, int]) -> Tensor:
    """(N, 3, height, width) in [0, 1]. In equal channels they would be strange for want of colours alone."""
    garments = images.fashion_mnist()
    if garments.name != "fashion_mnist":
        raise DataError("these strangers need the full Fashion-MNIST, of which only the embedded sample could be had")
    grey = F.interpolate(_some(garments.test.x, "fashion_mnist in colour", count), size, mode="bilinear")
    colours = numpy_generator(0, "strangers, colours").random((len(grey), 3, 1, 1), dtype=np.float32)
    return grey * torch.from_numpy(colours / colours.max(axis=1, keepdims=True))  # one channel of each as bright as was


def _scaled(pixels: Tensor, raw: Tensor, own: Tensor) -> Tensor:
    """Pixels in [0, 1] on the scale of a data set, whose own pixels `raw` (N, C, H, W) are `own` there.

    That scale is one rising straight line per channel, which the least and the greatest value show.
    """
    each = (0, 2, 3)
    low, high, least, greatest = (t[:, None, None] for x in (raw, own) for t in (x.amin(each), x.amax(each)))
    slope = (greatest - least) / (high - low)
    return (pixels - low) * slope + least


def _docstrings(count: int) -> Tensor:
    """Sentences as rows of ids (N, `tokens.LENGTH`) int32; words that IMDB's vocabulary lacks are unknown there.

    Of the training part: every one of its words is in its own vocabulary, so none is lost on the way.
    """
    ids = {word: i for i, word in enumerate(imdb.vocabulary()) if i > tokens.UNKNOWN}
    own = docstrings.vocabulary()[tokens.UNKNOWN + 1 :]
    there = torch.tensor([PADDING, tokens.UNKNOWN, *(ids.get(word, tokens.UNKNOWN) for word in own)], dtype=torch.int32)
    return there[_some(docstrings.docstrings().train.x, "docstrings", count)]
