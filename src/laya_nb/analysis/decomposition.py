"""A head taken apart for each input: with these numbers its logits can be computed anew at any temperature."""

from typing import NamedTuple

import numpy as np
import torch
from scipy import special
from torch import Tensor

from laya_nb.heads import DepthClassifier


class Decomposition(NamedTuple):
    """logits = sum_i alpha_i values_i + bias, with alpha = softmax(scores / temperature).

    `scores` (N, L), `values` (N, L, C): the logits that layer i would give with all of the weight, before the bias;
    `bias` (C,); `temperature`: the one that the head was trained at.
    """

    scores: np.ndarray
    values: np.ndarray
    bias: np.ndarray
    temperature: float

    def weights(self, temperature: float | None = None) -> np.ndarray:
        """alpha (N, L), at the head's own temperature or at another."""
        tau = self.temperature if temperature is None else temperature
        return special.softmax(self.scores.astype(float) / tau, axis=1)

    def logits(self, temperature: float | None = None) -> np.ndarray:
        """(N, C), at the head's own temperature or at another."""
        return np.einsum("nl,nlc->nc", self.weights(temperature), self.values) + self.bias


@torch.no_grad()
def decompose(model: DepthClassifier, x: Tensor) -> Decomposition:
    """Take a model's head apart for inputs x (N, ...).

    Raises:
        ValueError: for a head that has no scores for layers, or more than one set of weights.
    """
    model.eval()
    states = model.backbone(x)
    scores = model.head(states).scores
    if scores is None or scores.ndim != 2:
        raise ValueError(f"{type(model.head).__name__} has no single score for each layer; a LAYAHead has")
    mixture = model.head.mixture(states)
    temperature = float(getattr(model.head, "temperature", 1.0))
    return Decomposition(scores.numpy(), mixture.values[:, 0].numpy(), mixture.bias.numpy(), temperature)
