"""One thing to play with: a page element that shows a head's weights and classes at any temperature.

    from laya_nb import figures

    figures.explore(model, images)  # the last expression of a cell

Its logits are exact: a head that weighs layers is linear behind its scores (`analysis.decomposition`).
"""

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from laya_nb.analysis.decomposition import Decomposition, decompose
from laya_nb.heads import DepthClassifier
from laya_nb.report.figures.element import Element, element
from laya_nb.report.figures.style import WIDTH, layer_colors, new_figure, styled

COLUMNS = 20  # of the sheet of all images


def explore(
    networks: DepthClassifier | Mapping[str, Decomposition],
    images: Tensor,
    labels: Sequence[int] | Tensor | None = None,
    classes: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
) -> Element:
    """An element to explore what a network's head does with images, alone or beside the heads of other networks.

    Args:
        networks: a trained model, which is run on the images; or by name, what `decompose` made of models for them.
        images: (N, C, height, width) with one or three channels: what the model reads, on any scale.
        labels: their classes, so that mistakes can be found.
        classes: what they are called; numbers by default.
        layers: what these are called; as in `model.head.names`, or "layer 1" and so on.

    Raises:
        ValueError: for images, labels or names that do not fit, and from `decompose`.
    """
    if isinstance(networks, DepthClassifier):
        layers = networks.head.names if layers is None else layers
        networks = {"this network": decompose(networks, images)}
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ValueError(f"images must be (N, 1 or 3, height, width), at least one, got {tuple(images.shape)}")
    shapes = {one.values.shape for one in networks.values()}
    if len(shapes) != 1 or (shape := shapes.pop())[0] != len(images):
        raise ValueError(f"all networks must have been taken apart for the same {len(images)} images, got {shapes}")
    _, depth, count = shape
    layers = [f"layer {i}" for i in range(1, depth + 1)] if layers is None else list(layers)
    classes = [str(i) for i in range(count)] if classes is None else list(classes)
    truth = None if labels is None else [int(label) for label in labels]
    for name, found, wanted in (("layers", layers, depth), ("classes", classes, count), ("labels", truth, len(images))):
        if found is not None and len(found) != wanted:
            raise ValueError(f"{name} must be {wanted}, got {len(found)}")
    pictures = _pictures(images)
    weights = {name: one.weights() for name, one in networks.items()}
    picture = _still(pictures[0], {name: alpha[0] for name, alpha in weights.items()}, layers)
    data = {
        "layers": layers,
        "classes": classes,
        "labels": truth,
        "count": len(images),
        "columns": min(COLUMNS, len(images)),
        "colors": layer_colors(depth),
        "sprite": f"data:image/png;base64,{_png(_sheet(pictures))}",
        "networks": [{"name": name, "tau": one.temperature, "data": _packed(one)} for name, one in networks.items()],
    }
    named = "" if truth is None else f" of the class {classes[truth[0]]}"
    shares = "; ".join(f"{name} {', '.join(f'{share:.2f}' for share in alpha[0])}" for name, alpha in weights.items())
    alt = f"An image{named}, and the weights of {', '.join(layers)}: {shares}."
    return element("explorer.html", data, picture, alt)


@styled
def _still(picture: np.ndarray, weights: Mapping[str, np.ndarray], layers: Sequence[str]) -> Figure:
    """An image beside a bar for each network, divided by the weights (L,) that it gives to the layers for it."""
    fig = new_figure(WIDTH, max(1.6, 0.7 + 0.22 * len(weights)))
    left, right = fig.subplots(1, 2, width_ratios=(1, 2.4))
    left.imshow(picture, cmap="gray")
    left.axis("off")
    starts = np.zeros(len(weights))
    for i, (layer, color) in enumerate(zip(layers, layer_colors(len(layers)), strict=True)):
        shares = np.array([alpha[i] for alpha in weights.values()])
        right.barh(list(weights), shares, left=starts, color=color, label=layer)
        starts += shares
    right.invert_yaxis()
    right.set(xlim=(0, 1), xlabel="weight")
    right.tick_params(axis="y", length=0)
    fig.legend(loc="outside upper right", ncols=len(layers))
    return fig


def _packed(network: Decomposition) -> str:
    numbers = np.concatenate([part.ravel() for part in (network.scores, network.values, network.bias)])
    return base64.b64encode(numbers.astype("<f4").tobytes()).decode()


def _pictures(images: Tensor) -> np.ndarray:
    """Images as bytes, (N, height, width) or (N, height, width, 3), from the least value of all to the greatest."""
    x = images.float().numpy()
    low, high = float(x.min()), float(x.max())
    pixels = ((x - low) / max(high - low, 1e-12) * 255).round().astype(np.uint8).transpose(0, 2, 3, 1)
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def _sheet(pictures: np.ndarray) -> np.ndarray:
    """All of them on one sheet, row by row."""
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    height, width = pictures.shape[1:3]
    sheet = np.zeros((rows * height, columns * width, *pictures.shape[3:]), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * height, i % columns * width
        sheet[y : y + height, x : x + width] = picture
    return sheet


def _png(pixels: np.ndarray) -> str:
    file = BytesIO()
    Image.fromarray(pixels).save(file, format="png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
