"""Runs as tables: one row a run to compute with, one row a setting to show."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from laya_nb.analysis.attention import entropy
from laya_nb.analysis.statistics import Comparison, estimate
from laya_nb.heads import HEAD_LABELS
from laya_nb.runs.store import Result, frame


def percent_table(results: Sequence[Result]) -> pd.DataFrame:
    """One row a run: settings, metrics, and accuracy and macro-F1 in percent."""
    table = frame(results)
    return table.assign(accuracy=100 * table["accuracy"], macro_f1=100 * table["macro_f1"])


def attention_table(results: Sequence[Result]) -> pd.DataFrame:
    """`percent_table` with what attention does on the test set; missing for runs of a head without attention.

    `entropy` is its mean over images (0 is one layer, 1 is uniform), `entropy_std` its standard deviation over images,
    `profile_entropy` that of the mean weights, `last_weight` the last layer's mean weight, `top_weight` the mean of
    each image's largest weight, `logit_range` the median range of s(x) / temperature.
    """
    table = percent_table(results)
    rows: list[dict[str, float]] = []
    for result in results:
        if "attention" not in result.arrays:
            rows.append({})
            continue
        attention = result.attention
        values = entropy(attention)
        profile = attention.mean(axis=0)
        rows.append(
            {
                "entropy": values.mean(),
                "entropy_std": values.std(),
                "profile_entropy": float(entropy(profile[None])[0]),
                "last_weight": profile[-1],
                "top_weight": attention.max(axis=1).mean(),
            }
        )
    table = pd.concat([table, pd.DataFrame(rows)], axis=1)
    if "score_range" in table:
        table["logit_range"] = table["score_range"] / table["temperature"]
    return table


def effective_layers(table: pd.DataFrame) -> pd.Series:
    """How many layers share the mean weights: the exponential of their entropy, from 1 to L, for each run.

    Args:
        table: as `attention_table` gives it, LAYA's rows alone.
    """
    layers = [len(hidden) for hidden in table["hidden_dims"]]
    return np.exp(table["profile_entropy"].astype(float) * np.log(layers))


def benchmark_table(table: pd.DataFrame, published: Mapping[str, tuple[float, float]]) -> pd.DataFrame:
    """One row a head, ready to show: mean ± std, 95 % t interval, the paper's accuracy, what the head costs.

    Args:
        table: as `percent_table` gives it.
        published: per head, the paper's mean and standard deviation in percent; may be empty.
    """
    rows = {}
    for head, runs in table.groupby("head", sort=False):
        accuracy, f1 = estimate(runs["accuracy"].to_numpy()), estimate(runs["macro_f1"].to_numpy())
        reported = published.get(str(head))
        rows[HEAD_LABELS[str(head)]] = {
            "accuracy, %": f"{accuracy.mean:.2f} ± {accuracy.std:.2f}",
            "95 % interval": f"[{accuracy.low:.2f}, {accuracy.high:.2f}]",
            "macro-F1, %": f"{f1.mean:.2f} ± {f1.std:.2f}",
            "paper, %": f"{reported[0]:.2f} ± {reported[1]:.2f}" if reported else "–",
            "parameters": f"{runs['head_parameters'].iloc[0]:,}",
            "epochs": f"{runs['epochs'].mean():.0f}",
            "seconds": f"{runs['seconds'].mean():.0f}",
        }
    shown = pd.DataFrame(rows).T
    return shown if published else shown.drop(columns="paper, %")


def comparison_table(comparisons: Mapping[Any, Comparison]) -> pd.DataFrame:
    """One row a head or setting, ready to show: its difference from the reference, and what the two tests say."""
    rows = {
        HEAD_LABELS.get(setting, setting): {
            "difference, points": f"{c.difference.mean:+.2f}",
            "95 % interval": f"[{c.difference.low:+.2f}, {c.difference.high:+.2f}]",
            "p of a difference (Holm)": "< 0.001" if c.p_holm is not None and c.p_holm < 0.001 else f"{c.p_holm:.3f}",
            f"p within ±{c.margin:g}": f"{c.p_equivalence:.4f}",
            "verdict": c.verdict(),
        }
        for setting, c in comparisons.items()
    }
    return pd.DataFrame(rows).T
