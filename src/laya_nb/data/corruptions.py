"""Images and texts made worse, and letters drawn otherwise, in five strengths: the shifted examples on which probes and
layers are tested.

Strength 0 leaves all as it is. What is random depends on the example and the seed, so at a greater strength an example
has more of the same noise.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from laya_nb.data.renderings import through_jpeg
from laya_nb.data.views import check_images, image_digest, text_views
from laya_nb.support.checks import check_choice
from laya_nb.support.seeds import stream_seed

STRENGTHS: dict[str, tuple[float, ...]] = {
    "noise": (0.04, 0.08, 0.14, 0.22, 0.32),  # standard deviation of Gaussian noise, independent in each value
    "blur": (0.5, 0.8, 1.2, 1.7, 2.4),  # of a Gaussian, in thirty-seconds of the shorter side
    "contrast": (0.85, 0.7, 0.55, 0.4, 0.25),  # what is left of the distance from the mean of the grey image
    "brightness": (0.7, 0.5, 0.32, 0.2, 0.1),  # what is left of each value
    "rotation": (5, 10, 16, 24, 34),  # degrees, to the left or to the right; corners are filled with black
    "pixelation": (0.75, 0.55, 0.42, 0.32, 0.25),  # of the pixels of each side that are left
    "jpeg": (40, 20, 10, 5, 2),  # quality
}
"""What the strengths 1 to 5 of each corruption of images are."""
STROKES: dict[str, tuple[float, ...]] = {
    "thicker strokes": (0.25, 0.5, 0.75, 1.25, 1.75),  # by which each edge moves outward, in twenty-eighths of the side
    "thinner strokes": (0.25, 0.5, 0.75, 1.0, 1.25),  # inward
    "slant": (8, 16, 24, 32, 40),  # degrees, to the left or to the right
}
"""What the strengths 1 to 5 are of each other way to draw bright strokes on black."""
TEXT_STRENGTHS = (0.05, 0.1, 0.2, 0.35, 0.55)
"""The share of words that the strengths 1 to 5 change, as `views.text_views` does."""

_FINER = 4  # pixels in place of one, where edges move by less than one


def corrupt_images(x: Tensor, name: str, strength: int, seed: int = 0) -> Tensor:
    """Images (N, 1 or 3, H, W) with values in [0, 1], corrupted: of the same shape and range.

    Args:
        x: the images.
        name: a key of `STRENGTHS`.
        strength: 1 to 5, or 0: unchanged.
        seed: another one gives other noise and turns the other way.
    """
    from torchvision.transforms.v2 import functional as tv  # slow to import, so only here

    check_images(x)
    check_choice("corruption", name, list(STRENGTHS))
    check_choice("strength", strength, range(6))
    if strength == 0:
        return x.clone()
    how, (height, width) = STRENGTHS[name][strength - 1], x.shape[2:]
    if name == "noise":
        draws = [torch.randn(x.shape[1:], generator=_generator(image, name, seed)) for image in x]
        x = x + how * torch.stack(draws).to(x.dtype)
    elif name == "blur":
        sigma = how * min(height, width) / 32
        kernel = min(2 * round(3 * sigma) + 1, 2 * min(height, width) - 1)  # the padding allows no more
        x = tv.gaussian_blur(x, [max(kernel, 3)] * 2, [sigma] * 2)
    elif name == "contrast":
        x = tv.adjust_contrast(x, how)
    elif name == "brightness":
        x = tv.adjust_brightness(x, how)
    elif name == "rotation":
        bilinear = tv.InterpolationMode.BILINEAR
        x = torch.stack(
            [tv.rotate(image, side * how, bilinear) for image, side in zip(x, _sides(x, name, seed), strict=True)]
        )
    elif name == "pixelation":
        few = tv.resize(x, [max(1, round(how * height)), max(1, round(how * width))], antialias=True)
        x = tv.resize(few, [height, width], tv.InterpolationMode.NEAREST_EXACT)
    else:
        pictures = (x * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)
        x = torch.stack([through_jpeg(picture, int(how))[: x.shape[1]] for picture in pictures]).to(x.dtype) / 255
    return x.clamp(0, 1)


def redraw(x: Tensor, name: str, strength: int, seed: int = 0) -> Tensor:
    """Bright strokes on black (N, 1 or 3, H, W) with values in [0, 1], as another hand or pen would have drawn them: of
    the same shape and range. Arguments as in `corrupt_images`, `name` a key of `STROKES`."""
    from torchvision.transforms.v2 import functional as tv  # slow to import, so only here

    check_images(x)
    check_choice("way to draw", name, list(STROKES))
    check_choice("strength", strength, range(6))
    if strength == 0:
        return x.clone()
    how, (height, width) = STROKES[name][strength - 1], x.shape[2:]
    if name == "slant":
        bilinear = tv.InterpolationMode.BILINEAR
        slanted = [
            tv.affine(image, angle=0, translate=[0, 0], scale=1, shear=[side * how, 0], interpolation=bilinear)
            for image, side in zip(x, _sides(x, name, seed), strict=True)
        ]
        return torch.stack(slanted).clamp(0, 1)
    fine = tv.resize(x, [_FINER * height, _FINER * width], tv.InterpolationMode.BILINEAR)
    reach = max(round(_FINER * how * min(height, width) / 28), 1)
    sign = 1 if name == "thicker strokes" else -1  # thinner strokes: their dark surroundings get thicker
    fine = sign * F.max_pool2d(sign * fine, 2 * reach + 1, stride=1, padding=reach)
    return tv.resize(fine, [height, width], antialias=True).clamp(0, 1)


def corrupt_texts(texts: Sequence[str], strength: int, seed: int = 0) -> list[str]:
    """Texts with noise in a share of their words (`TEXT_STRENGTHS`); strength 0 to 5, 0: unchanged."""
    check_choice("strength", strength, range(6))
    if strength == 0:
        return list(texts)
    return text_views(texts, 0, TEXT_STRENGTHS[strength - 1], stream_seed(seed, "corruption"))


def _sides(x: Tensor, name: str, seed: int) -> list[int]:
    """To which side each image turns: 1 or -1."""
    return [1 if torch.rand((), generator=_generator(image, name, seed)) < 0.5 else -1 for image in x]


def _generator(image: Tensor, name: str, seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(stream_seed(seed, f"{name} of {image_digest(image)}"))
