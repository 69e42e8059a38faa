"""Attentive layer fusion: what it gains over the last layer and over simpler readers, near and far."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from laya_nb.analysis import tasks
from laya_nb.analysis.statistics import Comparison, Estimate, compare
from laya_nb.report.findings.base import Finding, as_number, more_accurate, number

RIVALS = {
    "cls_linear": ("the last layer", "a linear probe of the last layer's class token"),
    "all_tokens": ("all tokens of the last layer", "the same probe over all tokens of the last layer"),
    "concat_linear": ("all layers, linear", "one linear layer on all layers side by side"),
    "scalar_mix": ("ScalarMix", "ScalarMix, one weight per token for all inputs"),
    "laya_low_rate": ("LAYA", "LAYA, on the same tokens, its search without the highest rate"),
}


def points_and_tasks(comparison: Comparison) -> str:
    """The mean difference over tasks: "+0.20 [+0.10, +0.30] points, 12 tasks"."""
    return f"{comparison.difference:+.2f} points, {comparison.difference.n} tasks"


def findings_of(
    table: pd.DataFrame, far: Estimate | None, stability: Comparison | None, margin: float
) -> list[Finding]:
    """From the benchmark of one network.

    Args:
        table: as `tables.probe_table` gives it.
        far: the rank correlation over tasks of fusion's gain with how well the last layer alone does.
        stability: the share of the weight that two runs put on the same tokens, fusion less LAYA, over tasks.
        margin: points of accuracy that are too few to matter.
    """
    there = set(table["probe"])
    if "fusion" not in there or table["task"].nunique() < 2:
        return []
    rivals = [rival for rival in RIVALS if rival in there]
    found = [
        Finding(
            f"Fusion - {RIVALS[rival][0]}",
            f"Frozen ViT: is fusion more accurate than {RIVALS[rival][1]}?",
            points_and_tasks(comparison),
            more_accurate(comparison),
            **as_number(comparison),
        )
        for rival, comparison in tasks.against(table, "fusion", rivals, margin).items()
    ]
    if far is not None:
        found.append(
            Finding(
                "gain and the last layer's accuracy",
                "Does fusion gain more where the last layer alone does worse?",
                f"rank correlation {far:.2f}, {far.n} tasks",
                _falls(far),
                number(far),
                "share",
                0.0,
            )
        )
    if stability is not None:
        verdict = stability.verdict()
        found.append(
            Finding(
                "weight that two seeds share, Fusion - LAYA",
                "Do seeds agree more about fusion's weights than about LAYA's?",
                f"{stability.difference:+.2f} of the weight, {stability.difference.n} tasks",
                {"higher": "Yes", "lower": "No: less", "equivalent": "No: as much", "undecided": "Undecided"}[verdict],
                number(stability.difference),
                "share",
                0.0,
            )
        )
    return found


def headline(table: pd.DataFrame, margin: float) -> str | None:
    """The chapter's outcome in one line, from the benchmark of one network."""
    if not {"fusion", "scalar_mix", "cls_linear"} <= set(table["probe"]) or table["task"].nunique() < 2:
        return None
    found = tasks.against(table, "fusion", ["cls_linear", "scalar_mix"], margin)
    last, mix = (found[rival].difference for rival in ("cls_linear", "scalar_mix"))
    return (
        f"A frozen vision transformer, {last.n} tasks: attentive layer fusion gains {last.mean:.1f} points over the "
        f"last layer (95 % interval {last.low:.1f} to {last.high:.1f}), and {mix.mean:+.1f} ({mix.low:+.1f} to "
        f"{mix.high:+.1f}) over ScalarMix, one weight per token for all images"
    )


def _falls(far: Estimate) -> str:
    if far.high < 0:
        return "Yes"
    return "No: the other way round" if far.low > 0 else "Undecided"


def shared_by_seeds(profiles: Mapping[str, Sequence[Estimate]], margin: float) -> Comparison:
    """The weight that two runs put on the same tokens: fusion's less LAYA's, over tasks; `margin` as a share."""
    fusion, laya = (np.array([one.mean for one in profiles[head]]) for head in ("fusion", "laya_low_rate"))
    return compare(fusion, laya, margin)
