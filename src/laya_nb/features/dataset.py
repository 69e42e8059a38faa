"""Frozen features as a data set: what a pretrained encoder makes of another data set.

Running the network takes minutes to hours. A head trains on its features in seconds, and so does a linear probe of one
layer: `LastLayerHead` on `LayerSelection(FrozenFeatures(...), view=("h3",))`.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from laya_nb import data
from laya_nb.data import DataError, Dataset, Examples, catalog
from laya_nb.data.dataset import Part
from laya_nb.features import encoders
from laya_nb.features.encoders import Encoder
from laya_nb.features.extract import extract
from laya_nb.support import paths

SAME = 1e-6  # features that vary less than this share of their mean vary by rounding alone
L2 = "l2"


@lru_cache(maxsize=2)
def load(dataset: str, encoder: str) -> Dataset:
    """The features that a frozen encoder has of a data set, as a data set called "dataset/encoder".

    Each feature is scaled to mean 0 and standard deviation 1 over the training part, because layers differ in scale,
    and a probe of a layer with small values would learn slowly. One that never varies becomes 0. With the option "l2"
    ("vit_s_saliency+l2"), each example's vector of each layer gets length 1 in place of that, as attentive layer
    fusion does (arXiv 2601.09322).

    Args:
        dataset: a name that `data.load` knows: texts or images, whichever the encoder reads.
        encoder: a name that `encoders.load` knows, or that with "l2" among its options. `FrozenFeatures(widths(...))`
            takes its features apart.

    Raises:
        ValueError: for an unknown name, or an encoder that cannot read the data set.
        DataError: for data or weights that are damaged or cannot be had.
    """
    whole = data.load(dataset)
    parts = load_part(dataset, encoder, "train"), load_part(dataset, encoder, "test")
    if _is_l2(encoder):
        train, test = (_normalised(part, widths(encoder)) for part in parts)
    else:
        train, test = _standardised(*parts)
    examples = Examples(train, whole.train.y), Examples(test, whole.test.y)
    return Dataset(f"{whole.name}/{encoder}", f"{whole.source}, through {encoder}", whole.classes, *examples)


def load_part(dataset: str, encoder: str, part: Part) -> Tensor:
    """The features (N, d_1 + ... + d_L) of the training or the test part, as the network gives them.

    Two processes can make one part each.
    """
    return features_of(encoders.load(_network(encoder)), dataset, part)


def features_of(network: Encoder, dataset: str, part: Part) -> Tensor:
    """`load_part` for an encoder that was made by hand. Its name should tell it from others."""
    whole = data.load(dataset)
    entry = catalog.entry(whole.name)
    if entry.kind != network.reads:
        raise ValueError(f"{network.name!r} reads {network.reads}, and {dataset!r} holds none")
    raw, labels = entry.raw(part)
    if not torch.equal(labels, getattr(whole, part).y):
        raise DataError(f"{whole.name}, {part} part: the raw inputs are not in the order of the labels")
    folder = paths.cache() / "features" / (entry.inputs or whole.name) / f"{network.name}-{part}"
    return extract(network.backbone, network.prepare(raw), folder)


def widths(encoder: str) -> tuple[int, ...]:
    """The widths of what an encoder shows, as `encoders.widths`, for a name with or without "l2"."""
    return encoders.widths(_network(encoder))


def names(encoder: str) -> tuple[str, ...]:
    """What each of the things is that an encoder shows, as `encoders.names`, for a name with or without "l2"."""
    return encoders.names(_network(encoder))


def _network(encoder: str) -> str:
    """The encoder's name without what is done to its features."""
    return "+".join(part for part in encoder.split("+") if part != L2)


def _is_l2(encoder: str) -> bool:
    return L2 in encoder.split("+")[1:]


def _standardised(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    std, mean = torch.std_mean(train.float(), dim=0, correction=0)
    std[std <= SAME * mean.abs()] = torch.inf
    return (train - mean).div_(std), (test - mean).div_(std)


def _normalised(features: Tensor, widths: tuple[int, ...]) -> Tensor:
    """Vectors of length 1, in the type in which they are kept."""
    vectors = features.split(widths, dim=1)
    return torch.cat([F.normalize(vector.float(), dim=1).to(features.dtype) for vector in vectors], dim=1)
