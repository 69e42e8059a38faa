"""Pruning by attention: take layers away from a trained classifier, in the order that some score of them gives.

    from laya_nb.analysis import pruning

    scores = pruning.layer_scores(model, x)
    smaller = pruning.prune(model, scores["weight"].nlargest(2).index, x)

What a layer that is taken away from the middle saves is its adapter and its part of the scorer. The backbone itself
gets shorter only where the last layers go: a suffix that nobody reads need not be run.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from laya_nb.analysis import attribution, removal
from laya_nb.backbones import LayerSelection
from laya_nb.heads import DepthClassifier


def prune(model: DepthClassifier, layers: Sequence[int | str], x: Tensor) -> DepthClassifier:
    """The model with some of its layers alone, trained no further.

    The head loses the others; a LAYA scorer goes on to see them at their mean. The backbone ends with the last layer
    that is read, where it has a method `first`, as all of this package do; another is run to its end as before. Its
    weights are shared with the model, not copied.

    Args:
        model: with a head that weighs layers.
        layers: which stay: numbers from 1, or names as in `model.head.names`.
        x: inputs, to take the means from: some hundred training examples.

    Raises:
        ValueError: for a head without weights, layers that do not exist, or none.
    """
    names = model.head.names
    wanted = sorted({_position(layer, names) for layer in layers})
    if not wanted:
        raise ValueError(f"no layer would be left; name at least one of {', '.join(names)}")
    with torch.no_grad():
        head = model.head.pruned(wanted, [h.mean(dim=0) for h in model.backbone(x)])
    backbone = model.backbone
    if callable(first := getattr(backbone, "first", None)):
        backbone = first(wanted[-1] + 1)
    smaller = DepthClassifier(LayerSelection(backbone, [f"h{i + 1}" for i in wanted]), head)
    head.names = tuple(names[i] for i in wanted)
    return smaller.eval()


@torch.no_grad()
def layer_scores(model: DepthClassifier, x: Tensor) -> pd.DataFrame:
    """What may say how much a layer is needed, a row per layer; higher is more.

    "weight": the mean attention. "contribution": the mean size of what the layer adds to the margin. "shapley": the
    mean Shapley value for the probability of the predicted class, of the masked mixture. "block influence": see there.

    Args:
        model: with a head that weighs layers.
        x: inputs: some hundred, which need no labels.
    """
    states = model.eval().backbone(x)
    mixture = model.head.mixture(states)
    pair = attribution.pair_of_classes(mixture.logits())
    way = removal.masked(model.head, states)
    value: Callable[[Tensor], Tensor] = lambda kept: way(kept).gather(1, pair[:, :1]).squeeze(1)  # noqa: E731
    columns = {
        "weight": mixture.weights.mean(dim=(0, 1)),
        "contribution": attribution.contributions(mixture, pair).abs().mean(dim=0),
        "shapley": attribution.shapley_values(value, len(pair), len(states)).mean(dim=0),
        "block influence": block_influence(states),
    }
    return pd.DataFrame({name: column.numpy() for name, column in columns.items()}, index=list(model.head.names))


def block_influence(states: Sequence[Tensor]) -> Tensor:
    """1 - the mean cosine between a layer's hidden state and that of the layer before (arXiv 2403.03853), (L,).

    NaN for the first layer, whose input is no hidden state, and where widths differ, for which no cosine is defined.
    """
    found = [torch.nan]
    for before, after in pairwise(states):
        same = before.shape[1] == after.shape[1]
        found.append(1 - F.cosine_similarity(before, after, dim=1).mean().item() if same else torch.nan)
    return torch.tensor(found)


def removal_order(scores: Sequence[float] | np.ndarray) -> list[int]:
    """Which layer goes first, second, ...: the one with the lowest score first; those without one (NaN) last."""
    return np.argsort(np.asarray(scores, dtype=float), kind="stable").tolist()  # which puts NaN last


def multiply_adds(model: nn.Module, x: Any) -> int:
    """Multiply-adds for a batch, as PyTorch's counter finds them in matrix products and convolutions.

    Recurrent layers run in kernels that it does not see: a `BiLSTM` counts for its other parts alone.
    """
    with FlopCounterMode(display=False) as counter:  # its hooks want a graph where a parameter has a gradient
        model(x)
    return counter.get_total_flops() // 2


def _position(layer: int | str, names: Sequence[str]) -> int:
    """Where a layer stands, from 0."""
    if isinstance(layer, str) and layer in names:
        return list(names).index(layer)
    if isinstance(layer, int) and not isinstance(layer, bool) and 1 <= layer <= len(names):
        return layer - 1
    raise ValueError(f"there is no layer {layer!r}; layers are 1 to {len(names)}, or {', '.join(names)}")
