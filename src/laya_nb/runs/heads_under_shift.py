"""Heads that read all layers of a frozen encoder, on test images that were made worse: `layer_probes.under_shift`'s."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from laya_nb.data import Dataset, catalog
from laya_nb.features import encoders
from laya_nb.heads import DepthClassifier
from laya_nb.runs.layer_probes import SHIFTED_EXAMPLES, corrupted, corruptions, shifted_features
from laya_nb.runs.measurements import measurement


@measurement(version=1)
def heads_under_shift(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """Whether a head that was trained on features as they are is right about changed inputs.

    Arrays: "clean" (N,), and for each corruption under its name (5, N), uint8.

    Args:
        model: on features whose vectors have length 1, as `probes.benchmark` trains them.
        dataset: the features, "cifar10_jpeg@2000/vit_s_saliency+bf16+l2".

    Raises:
        ValueError: for features that are standardised: these need the training part's means.
    """
    name, _, encoder = dataset.name.rpartition("/")
    network, *options = encoder.split("+")
    if "l2" not in options:
        raise ValueError(f"heads under shift read features of length 1, got {dataset.name!r}; add '+l2'")
    read = encoders.load("+".join([network, *(option for option in options if option != "l2")]))
    inputs, y = catalog.entry(name).raw("test")
    x, truth = inputs[:SHIFTED_EXAMPLES], y[:SHIFTED_EXAMPLES]

    @torch.no_grad()
    def right(shown: Tensor | list[str], what: str) -> np.ndarray:
        found = shifted_features(read, name, shown, what)
        vectors = found.split(list(read.backbone.out_dims), dim=1)
        guesses = model(torch.cat([F.normalize(vector.float(), dim=1) for vector in vectors], dim=1)).logits.argmax(1)
        return (guesses == truth).numpy().astype(np.uint8)

    found = {"clean": right(x, "clean")}
    for corruption in corruptions(read, name):
        by_strength = [right(corrupted(x, corruption, s), f"{corruption}-{s}") for s in range(1, 6)]
        found[corruption] = np.array(by_strength)
    return found
