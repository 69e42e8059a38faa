"""Runs as tables: one row per run to compute with, one row per setting to show."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from laya_nb.analysis import attention as analysis
from laya_nb.analysis.statistics import Comparison, estimate
from laya_nb.heads import HEAD_LABELS
from laya_nb.report import task_names
from laya_nb.runs.store import Result, frame

SHARES = ["accuracy", "macro_f1", "validation_accuracy"]  # metrics that a run keeps as shares, from 0 to 1
SMALLEST_P = 0.001  # smaller p values are shown as "< 0.001": a p value is never 0


def percent_table(results: Sequence[Result]) -> pd.DataFrame:
    """One row per run: settings and metrics, with accuracy, macro-F1 and validation accuracy in percent."""
    table = frame(results)
    table[SHARES] = 100 * table[SHARES]
    return table


def attention_table(results: Sequence[Result]) -> pd.DataFrame:
    """`percent_table` with what attention does on the test set; missing for runs of a head without attention.

    `entropy` is its mean over examples (0 is one layer, 1 is uniform), `entropy_std` its standard deviation over
    examples, `profile_entropy` that of the mean weights, `last_weight` the last layer's mean weight, `top_weight` the
    mean of each example's largest weight, `logit_range` the median range of s(x) / temperature.
    """
    table = percent_table(results)
    rows: list[dict[str, float]] = []
    for result in results:
        if "attention" not in result.arrays:
            rows.append({})
            continue
        attention = result.attention
        entropies, profile = analysis.entropy(attention), attention.mean(axis=0)
        rows.append(
            {
                "entropy": entropies.mean(),
                "entropy_std": entropies.std(),
                "profile_entropy": float(analysis.entropy(profile)),
                "last_weight": profile[-1],
                "top_weight": attention.max(axis=1).mean(),
            }
        )
    table = pd.concat([table, pd.DataFrame(rows)], axis=1)
    if "score_range" in table:
        table["logit_range"] = table["score_range"] / table["temperature"]
    return table


def class_profiles(
    results: Sequence[Result], num_classes: int, part: Literal["all", "correct", "incorrect"] = "all"
) -> np.ndarray:
    """The mean attention of each class in each run, (S, C, L); NaN for a class without examples.

    Args:
        results: S runs on the same test set, of a head with attention.
        num_classes: C.
        part: which test examples count.
    """
    masks = {
        "all": None,
        "correct": [result.correct for result in results],
        "incorrect": [~result.correct for result in results],
    }
    attention = [result.attention for result in results]
    return analysis.class_profiles(attention, results[0].arrays["label"], num_classes, masks[part])


def effective_layers(table: pd.DataFrame) -> pd.Series:
    """How many layers share the mean weights: the exponential of their entropy, from 1 to L, for each run.

    Args:
        table: as `attention_table` gives it, LAYA's rows alone.
    """
    layers = [len(hidden) for hidden in table["hidden_dims"]]
    return np.exp(table["profile_entropy"].astype(float) * np.log(layers))


def benchmark_table(table: pd.DataFrame, published: Mapping[str, tuple[float, float]]) -> pd.DataFrame:
    """One row per head, ready to show: mean ± std, 95 % t interval, the paper's accuracy, what the head costs.

    Args:
        table: as `percent_table` gives it.
        published: by head, the paper's mean and standard deviation in percent; may be empty.
    """
    rows = {}
    for head, runs in table.groupby("head", sort=False):
        accuracy, f1 = estimate(runs["accuracy"].to_numpy()), estimate(runs["macro_f1"].to_numpy())
        reported = published.get(str(head))
        rows[HEAD_LABELS.get(str(head), str(head))] = {
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


def comparison_table(comparisons: Mapping[Any, Comparison], unit: str = "points") -> pd.DataFrame:
    """One row per head or setting, ready to show: its difference from the reference, and what the two tests say.

    The p values are those that the verdict goes by: corrected where the column "Holm" says so (`statistics.holm`), and
    not where it has a dash.
    """
    rows = {
        HEAD_LABELS.get(setting, setting): {
            f"difference, {unit}": f"{c.difference.mean:+.2f}",
            "95 % interval": f"[{c.difference.low:+.2f}, {c.difference.high:+.2f}]",
            "p of a difference": p_text(c.p_difference if c.p_holm is None else c.p_holm),
            f"p of ±{c.margin:g} or more": p_text(
                c.p_equivalence if c.p_equivalence_holm is None else c.p_equivalence_holm
            ),
            "Holm": "–" if c.p_holm is None else "yes",
            "verdict": c.verdict(),
        }
        for setting, c in comparisons.items()
    }
    return pd.DataFrame(rows).T


def p_text(value: float) -> str:
    """A p value as tables show it; a dash where there is none (NaN)."""
    if math.isnan(value):
        return "–"
    return f"< {SMALLEST_P:g}" if value < SMALLEST_P else f"{value:.3f}"


def probe_table(found: Mapping[tuple[str, str], Sequence[Result]]) -> pd.DataFrame:
    """One row per run of `runs.probes.benchmark`: "task", "probe", "seed", accuracy in percent, parameters.

    Tasks go by their own names: "world/count" for "world/count@2000".
    """
    return pd.DataFrame(
        {
            "task": dataset.partition("@")[0],
            "probe": probe,
            "seed": result.run["seed"],
            "accuracy": 100 * result.metrics["accuracy"],
            "parameters": int(result.metrics["head_parameters"]),
        }
        for (dataset, probe), results in found.items()
        for result in results
    )


def by_task(table: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """Mean accuracy in percent, tasks by probes, ready to show.

    Args:
        table: as `probe_table` gives it.
        titles: what probes are called.
    """
    means = table.pivot_table(index="task", columns="probe", values="accuracy", sort=False)
    return means.rename(index=task_names.title, columns=titles).rename_axis(None).rename_axis(None, axis=1).round(1)


def wins_table(comparisons: Mapping[str, Sequence[Comparison]]) -> pd.DataFrame:
    """One row per rival, ready to show: on how many tasks something is better than it, worse, or neither.

    Args:
        comparisons: by rival, one comparison with it for each task.
    """
    names = {"higher": "better", "lower": "worse", "equivalent": "the same", "undecided": "undecided"}
    return pd.DataFrame(
        {
            name: {rival: sum(c.verdict() == verdict for c in found) for rival, found in comparisons.items()}
            for verdict, name in names.items()
        }
    )
