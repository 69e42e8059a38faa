"""Views of texts and of images: an example changed at random, as representation metrics compare several of.

A view depends on the example itself, on its number and on the seed. So view 3 of an example is the same whatever other
examples and views are asked for.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from laya_nb.support.checks import check_integer
from laya_nb.support.seeds import numpy_generator, stream_seed

STRENGTH = 0.2
"""The share of words that a view of a text changes, where nothing else is asked for."""
EDITS = ("substitute", "delete", "swap", "typo", "drop", "split")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {
    key: "".join(
        other
        for near in _KEYBOARD[max(row - 1, 0) : row + 2]
        for other in near[max(place - 1, 0) : place + 2]
        if other != key
    )
    for row, keys in enumerate(_KEYBOARD)
    for place, key in enumerate(keys)
}


def text_views(texts: Sequence[str], view: int, strength: float = STRENGTH, seed: int = 0) -> list[str]:
    """A view of each text, in which a share of the words is changed, each in one of six ways, which are equally likely.

    A letter is replaced by any other, or by one beside it on the keyboard; deleted; or swapped with the next one. Or
    the whole word is left out, or split in two. A word of one letter stays, unless it is left out. What a greater
    strength changes includes what a smaller one does. Single spaces divide the words, of which one always remains.

    Args:
        texts: what to change.
        view: which view, from 0 on.
        strength: the probability with which a word is changed, from 0 to 1.
        seed: another one gives other views.
    """
    check_integer("view", view, minimum=0)
    if isinstance(texts, str):
        raise ValueError(f"texts must be a list of texts, got the text {texts!r}")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must lie between 0 and 1, got {strength!r}")
    return [
        _noisy(text, strength, numpy_generator(seed, f"text view {view} of {_digest(text.encode())}")) for text in texts
    ]


def _noisy(text: str, strength: float, rng: np.random.Generator) -> str:
    words, kept = text.split(), []
    for word in words:
        chance, kind, place, other = rng.random(4)  # as many for every word: a change moves no later one
        edit = EDITS[int(kind * len(EDITS))] if chance < strength else None
        kept.append(_edited(word, edit, place, other) if edit else word)
    return " ".join(word for word in kept if word) or " ".join(words[:1])


def _edited(word: str, edit: str, place: float, other: float) -> str:
    if edit == "drop" or len(word) == 1:
        return "" if edit == "drop" else word
    if edit in ("swap", "split"):
        i = 1 + int(place * (len(word) - 1))
        return f"{word[:i]} {word[i:]}" if edit == "split" else word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :]
    i = int(place * len(word))
    known = _BESIDE.get(word[i].lower(), LETTERS) if edit == "typo" else LETTERS.replace(word[i].lower(), "")
    return word[:i] + ("" if edit == "delete" else known[int(other * len(known))]) + word[i + 1 :]


def image_views(x: Tensor, view: int, seed: int = 0) -> Tensor:
    """A view of each image by SimCLR's transforms, in the image's own size.

    A random part of 0.08 to 1 of its area, resized; mirrored with probability 0.5; brightness, contrast, saturation and
    hue changed by up to 0.8, 0.8, 0.8 and 0.2 with probability 0.8; grey with 0.2; blurred with 0.5, by a kernel of a
    tenth of its side and 0.1 to 2 pixels.

    Args:
        x: images (N, 1 or 3, H, W) with values in [0, 1]; so are the views.
        view: which view, from 0 on.
        seed: another one gives other views.
    """
    from torchvision.transforms import v2  # slow to import, so only here

    check_integer("view", view, minimum=0)
    check_images(x)
    kernel = max(3, min(x.shape[2:]) // 10 | 1)
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(tuple(x.shape[2:]), scale=(0.08, 1), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(kernel, (0.1, 2))], p=0.5),
        ]
    )
    views = []
    with torch.random.fork_rng(devices=[]):  # the transforms draw from the global generator
        for image in x:
            torch.manual_seed(stream_seed(seed, f"image view {view} of {image_digest(image)}"))
            views.append(transform(image))
    return torch.stack(views).clamp(0, 1)


def check_images(x: Tensor) -> None:
    """Raise a ValueError unless these are images (N, 1 or 3, H, W), float, with values in [0, 1]."""
    if x.ndim != 4 or x.shape[1] not in (1, 3) or 0 in x.shape or not x.is_floating_point():
        raise ValueError(f"images must be float (N, 1 or 3, H, W), got {x.dtype} {tuple(x.shape)}")
    if not (x.min() >= 0 and x.max() <= 1):  # not a number is neither
        raise ValueError(f"images must have values in [0, 1], got {x.min():.3g} to {x.max():.3g}")


def can_be_viewed(x: Tensor) -> bool:
    """Whether `image_views` takes them."""
    try:
        check_images(x)
    except ValueError:
        return False
    return True


def image_digest(image: Tensor) -> str:
    """What tells an image from others: a hash of its values."""
    return _digest(image.contiguous().numpy().tobytes())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
