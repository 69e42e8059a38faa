"""A report on the layers of any network, without labels or with them.

from laya_nb.report.layer_report import layer_report, recommendation

table = layer_report("minilm", texts, labels)
figures.layers(table)
print(recommendation(table))
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from laya_nb.analysis.layer_choice import SIGNS, picked
from laya_nb.analysis.layers import OF_ROWS, OF_TOKENS, OF_VIEWS, probed
from laya_nb.analysis.statistics import Estimate, estimate
from laya_nb.data.views import can_be_viewed
from laya_nb.features import Encoder, encoders
from laya_nb.features.layer_states import LayerStates, layer_states, measures
from laya_nb.report.figures.layers import TITLES
from laya_nb.runs import ResultStore
from laya_nb.runs.layer_results import ALL, BOOK, regret_table
from laya_nb.support import paths
from laya_nb.support.progress import bar
from laya_nb.support.threads import side_by_side


def layer_report(
    encoder: str | Encoder | nn.Module,
    inputs: Sequence[str] | Tensor,
    labels: Sequence[int] | Tensor | None = None,
    views: int = 16,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure every layer of a network: a row for each hidden state, first to last.

    Columns: "layer", "width", those of `analysis.layers.of_rows`, `of_views` and `of_tokens`; where there are labels,
    "accuracy" of a probe with "accuracy_low" and "accuracy_high"; and "undefined": in words, what is NaN in the row,
    and why. A few hundred inputs do; a thousand are what the book measures. What the network computes is kept in the
    cache.

    Args:
        encoder: a name that `features.encoders.load` knows ("minilm", "vit_s_saliency", any of timm's), an `Encoder`,
            or a module that gives a list of hidden states and has their `out_dims`: `HiddenStates` over a network of
            your own, or the backbone of a trained `DepthClassifier`.
        inputs: texts or images for an encoder, a tensor with N examples for a module.
        labels: (N,), integers, of at least two classes with five examples or more each.
        views: how many views of each input LiDAR gets, at least 2; InfoNCE and DiME take the first two. Each costs as
            much as the inputs themselves. 0: none of the three.
        seed: of views and folds.

    Raises:
        ValueError: for no inputs, labels that do not fit, one view, or an unknown encoder.
        DataError: for weights that cannot be had, and inputs of which the network makes NaN.
    """
    if isinstance(inputs, str) or not len(inputs):
        raise ValueError(f"inputs must be texts or a tensor with at least one example, got {inputs!r}")
    if views < 0 or views == 1:
        raise ValueError(f"views must be 0, or at least 2, got {views}")
    network = encoders.load(encoder) if isinstance(encoder, str) else encoder
    name = encoder if isinstance(encoder, str) else getattr(network, "name", type(network).__name__)
    kept = paths.cache() / "features" / "layer_report" / str(name)
    viewed = not isinstance(inputs, Tensor) or can_be_viewed(inputs)
    states = layer_states(network, inputs, kept, views if viewed else 0, seed)
    known = None if labels is None else torch.as_tensor(labels).tolist()
    with bar(total=len(states.names), desc="layers", unit="layer") as progress:

        def measured(i: int) -> dict[str, object]:
            found = dict.fromkeys(OF_ROWS + OF_VIEWS + OF_TOKENS, math.nan) | measures(states, i)
            row = {"layer": states.names[i], "width": states.rows[i].shape[1], **found}
            if known is not None:
                accuracy = probed(states.rows[i], known, seed=seed)
                row |= {"accuracy": accuracy.mean, "accuracy_low": accuracy.low, "accuracy_high": accuracy.high}
            progress.update()
            return row | {"undefined": _why(found, states, i)}

        table = pd.DataFrame(side_by_side(measured, range(len(states.names))))
    kind = "texts" if not isinstance(inputs, Tensor) else "images" if viewed else None
    table.attrs = {"kind": kind, "labels": known}
    return table


@dataclass(frozen=True)
class Recommendation:
    """Which layer to read: its name, what chose it, and both in words, with what such a choice lost in this book."""

    layer: str
    by: str
    said: str

    def __str__(self) -> str:
        return self.said


def recommendation(table: pd.DataFrame) -> Recommendation:
    """Which layer of a report to read.

    With labels: the one whose probe is best. Without: the one that the measure chooses which lost least in the book's
    chapter on choosing a layer, for the same kind of inputs, if it lost less than the last layer there; else the last.

    Args:
        table: as `layer_report` gives it.
    """
    kind, labels = table.attrs.get("kind"), table.attrs.get("labels")
    lost = regrets_of(kind) if kind else {}
    if "accuracy" in table:
        best = int(table["accuracy"].to_numpy().argmax())
        layer, accuracy = str(table["layer"].iloc[best]), table["accuracy"]
        said = f"Read {layer}: its probe is right for {accuracy.iloc[best]:.1%}, that of the last layer for "
        said += f"{accuracy.iloc[-1]:.1%} of {len(labels or [])} examples."
        near = {
            way: of for way, of in lost.items() if way.endswith(" labels") and int(way.split()[0]) <= len(labels or [])
        }
        if near:
            way, of = list(near.items())[-1]
            said += f" In this book a layer chosen with {way} was {of:.1f} points below the best, on {of.n} tasks."
        return Recommendation(layer, "labels", said)
    defined = [name for name in SIGNS if name in lost and np.isfinite(table[name].to_numpy()).all()]
    by = min(defined, key=lambda name: lost[name].mean, default="last")
    if not defined or lost[by].mean >= lost["last"].mean:
        known = f", which was {lost['last']:.1f} points below the best here" if "last" in lost else ""
        said = f"Read the last layer{known}: no measure that is defined for yours is known to choose a better one."
        return Recommendation(str(table["layer"].iloc[-1]), "last", said)
    layer = str(table["layer"].iloc[picked(table[by].to_numpy(), SIGNS[by])])
    most = "most" if SIGNS[by] > 0 else "least"
    said = (
        f"Read {layer}, which has the {most} {TITLES[by]}. In this book such a layer was {lost[by]:.1f} points below "
        f"the best, the last layer {lost['last']:.1f}, on {lost[by].n} tasks with {kind}."
    )
    if ALL in lost:
        said += f" One probe of all layers needs no choice: {lost[ALL]:.1f} points below the best (less than 0: ahead)."
    return Recommendation(layer, by, said)


@lru_cache
def regrets_of(kind: str) -> dict[str, Estimate]:
    """By way of choosing, the mean over the book's tasks of the points that it lost, each averaged over encoders.

    Args:
        kind: "texts" or "images".
    """
    table = regret_table(BOOK[kind], ResultStore())
    by_task = {way: table[way].groupby("task").mean().dropna() for way in table}
    return {str(way): estimate(of.to_numpy()) for way, of in by_task.items() if len(of) > 1}


def _why(found: dict[str, float], states: LayerStates, i: int) -> str:
    """What is NaN, and the reason."""
    missing = {name for name, value in found.items() if math.isnan(value)}
    reasons = []
    if states.tokens[i] is None:
        reasons.append("prompt entropy and curvature: the layer gives no sequence of tokens")
    elif "curvature" in missing:
        reasons.append("curvature: the tokens have no order, or no input has three that differ")
    if states.views is None:
        reasons.append("InfoNCE, DiME, LiDAR: there are no views of the inputs")
    undefined = sorted(missing.intersection(OF_ROWS if states.views is None else OF_ROWS + OF_VIEWS))
    if undefined:
        few = len(states.rows[i]) < 4
        why = "there are too few inputs" if few else "to this layer an input is the mean of all, or all are the same"
        reasons.append(f"{', '.join(undefined)}: {why}")
    return "; ".join(reasons)
