"""Output heads: what a classifier does with the hidden states of all its layers."""

from laya_nb.heads.base import Head, HeadOutput, Mixture, count_parameters
from laya_nb.heads.baselines import (
    ConcatHead,
    ConcatLinearHead,
    EqualMixHead,
    LastLayerHead,
    LastLayerMLPHead,
    ScalarMixHead,
)
from laya_nb.heads.catalog import BENCHMARK_HEADS, HEAD_LABELS, HEADS
from laya_nb.heads.classifier import DepthClassifier
from laya_nb.heads.fusion import AttentiveFusionHead
from laya_nb.heads.laya import LAYAHead
from laya_nb.heads.layer_dropout import LayerDropoutLAYAHead

__all__ = [
    "BENCHMARK_HEADS", "HEADS", "HEAD_LABELS", "AttentiveFusionHead", "ConcatHead",
    "ConcatLinearHead", "DepthClassifier", "EqualMixHead", "Head", "HeadOutput", "LAYAHead",
    "LastLayerHead", "LastLayerMLPHead", "LayerDropoutLAYAHead", "Mixture", "ScalarMixHead", "count_parameters",
]  # fmt: skip
