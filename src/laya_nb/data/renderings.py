"""Pictures changed in known ways: turned by quarter turns, and shown in one of ten renderings."""

from io import BytesIO

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from laya_nb.support.checks import check_choice

RENDERINGS = (
    "none", "blur", "noise", "posterise", "edges", "grey", "channels swapped", "checker mask", "contrast", "JPEG",
)  # fmt: skip
TURNS = ("none", "quarter turn left", "half turn", "quarter turn right")


def turned(x: Tensor, turn: Tensor, _rng: np.random.Generator | None = None) -> Tensor:
    """Square pictures (N, C, H, H), each turned to the left by its number of quarter turns (N,)."""
    x = x.clone()
    for quarters in range(1, len(TURNS)):
        x[turn == quarters] = torch.rot90(x[turn == quarters], quarters, dims=(2, 3))
    return x


def rendered(x: Tensor, rendering: Tensor, rng: np.random.Generator) -> Tensor:
    """Pictures (N, 3, H, W) uint8, each in its rendering (N,), a place in `RENDERINGS`; noise comes from `rng`."""
    x = x.clone()
    for place, name in enumerate(RENDERINGS):
        if (rendering == place).any():
            x[rendering == place] = render(x[rendering == place], name, rng)
    return x


def render(x: Tensor, name: str, rng: np.random.Generator) -> Tensor:
    """Pictures (N, 3, H, W) uint8 in one rendering.

    - "blur": Gaussian, 1.5 pixels. "noise": Gaussian, independent in each value, standard deviation 0.12.
    - "posterise": two bits a channel. "edges": size of the grey picture's gradient (Sobel).
    - "grey": luminance. "channels swapped": red, green, blue show what was blue, red, green.
    - "checker mask": every other square of 4 x 4 pixels is mid-grey. "contrast": lowered to 0.35.
    - "JPEG": compressed at quality 10. "none": as it was.
    """
    from torchvision.transforms.v2 import functional as tv  # slow to import, so only here

    check_choice("rendering", name, RENDERINGS)
    if name == "none":
        return x
    if name == "posterise":
        return tv.posterize(x, bits=2)
    if name == "grey":
        return tv.rgb_to_grayscale(x, num_output_channels=3)
    if name == "channels swapped":
        return x[:, [2, 0, 1]]
    if name == "contrast":
        return tv.adjust_contrast(x, 0.35)
    if name == "JPEG":
        return torch.stack([through_jpeg(picture, quality=10) for picture in x])
    if name == "checker mask":
        rows, columns = (torch.arange(side) // 4 for side in x.shape[2:])
        return torch.where((rows[:, None] + columns) % 2 == 0, x, 128)
    pixels = x.float().div_(255)
    if name == "blur":
        pixels = tv.gaussian_blur(pixels, kernel_size=[9, 9], sigma=[1.5, 1.5])
    elif name == "noise":
        pixels = pixels + 0.12 * torch.from_numpy(rng.standard_normal(tuple(x.shape), dtype=np.float32))
    else:
        sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]) / 4
        grey = F.pad(tv.rgb_to_grayscale(pixels), (1, 1, 1, 1), mode="replicate")
        slopes = F.conv2d(grey, torch.stack([sobel, sobel.T]).unsqueeze(1))
        pixels = slopes.square().sum(dim=1, keepdim=True).sqrt().expand_as(x)
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8)


def through_jpeg(picture: Tensor, quality: int) -> Tensor:
    """A picture (3, H, W) uint8, compressed and decompressed."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
