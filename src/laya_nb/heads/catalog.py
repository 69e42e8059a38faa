"""The heads that a run can name, one line each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from laya_nb.heads.base import Head
from laya_nb.heads.baselines import (
    ConcatHead,
    ConcatLinearHead,
    EqualMixHead,
    LastLayerHead,
    LastLayerMLPHead,
    ScalarMixHead,
)
from laya_nb.heads.fusion import AttentiveFusionHead
from laya_nb.heads.laya import LAYAHead


@dataclass(frozen=True)
class Entry:
    """What is to be known of a head.

    `label` is what tables and figures call it, `settings` are the names and defaults of what it can be told.
    `stackable`: its `forward` serves stacked hidden states (M, B, d_i) as well as (B, d_i), so many can be trained as
    one program (`training.stacked`). `per_input`: its attention differs from input to input.
    """

    head: type[Head]
    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    stackable: bool = False
    per_input: bool = False


_FUSION = {"num_heads": None, "attention_dropout": 0.0, "free_query": False}
_LAYA = {"d_star": 96, "temperature": 1.0, "psi": "identity", "scorer_width": None}

CATALOG: dict[str, Entry] = {
    "last_layer": Entry(LastLayerHead, "LastLayer", stackable=True),
    "last_layer_mlp": Entry(LastLayerMLPHead, "LastLayer + MLP", _LAYA, stackable=True),
    "concat": Entry(ConcatHead, "Concat", {"d_star": 96}, stackable=True),
    "scalar_mix": Entry(ScalarMixHead, "ScalarMix", {"d_star": 96}, stackable=True),
    "laya": Entry(LAYAHead, "LAYA", _LAYA, stackable=True, per_input=True),
    "equal_mix": Entry(EqualMixHead, "Equal weights", {"d_star": 96}, stackable=True),
    "concat_linear": Entry(ConcatLinearHead, "All layers, linear", stackable=True),
    "fusion": Entry(AttentiveFusionHead, "Fusion", _FUSION, per_input=True),
}

HEADS: tuple[str, ...] = tuple(CATALOG)

HEAD_LABELS: dict[str, str] = {name: entry.label for name, entry in CATALOG.items()}
"""What tables and figures call the heads, in their order."""

BENCHMARK_HEADS = ("last_layer", "last_layer_mlp", "concat", "scalar_mix", "laya")
"""The heads of the published benchmarks, written out: a head that comes later enlarges none of them."""


def entry(head: str) -> Entry:
    """The catalog's line for a head.

    Raises:
        ValueError: for an unknown head; the message lists the known ones.
    """
    if head not in CATALOG:
        raise ValueError(f"unknown head {head!r}; known: {', '.join(HEADS)}")
    return CATALOG[head]
