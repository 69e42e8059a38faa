"""Many probes on many tasks: gains, how they go with distance, and where in depth something lies."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from laya_nb.analysis.statistics import Comparison, Estimate, compare, estimate, holm

RESAMPLES = 9999


def gains(table: pd.DataFrame, probe: str, reference: str) -> pd.DataFrame:
    """Accuracy of a probe less that of the reference, tasks by seeds, in the table's unit and order of tasks.

    Args:
        table: one row per run: "task", "probe", "seed", "accuracy".
        probe: which gains.
        reference: over which.
    """
    wide: Any = table.pivot_table(index="task", columns=["probe", "seed"], values="accuracy", sort=False)
    return wide[probe] - wide[reference]


def against(table: pd.DataFrame, probe: str, rivals: Sequence[str], margin: float) -> dict[str, Comparison]:
    """A probe against others over all tasks: the unit is the task, by its mean over seeds. Corrected together (Holm).

    So the interval is of the mean over tasks like these, and holds the chance of which tasks were taken.
    """
    means = table.pivot_table(index="task", columns="probe", values="accuracy", sort=False)
    return holm({rival: compare(means[probe].to_numpy(), means[rival].to_numpy(), margin) for rival in rivals})


def on_each_task(table: pd.DataFrame, probe: str, rival: str, margin: float) -> list[Comparison]:
    """A probe against another, task by task, paired by seed. Corrected together (Holm)."""
    wide = table.pivot_table(index="task", columns=["probe", "seed"], values="accuracy", sort=False)
    found = {
        task: compare(wide.loc[task, probe].to_numpy(), wide.loc[task, rival].to_numpy(), margin) for task in wide.index
    }
    return list(holm(found).values())


def rank_correlation(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> Estimate:
    """Spearman's correlation of x and y (n,), with a 95 % percentile bootstrap interval over the n pairs."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 8:  # in fewer, one pair may be all that a resample holds
        raise ValueError(f"a rank correlation needs 8 pairs or more, got {x.shape} and {y.shape}")

    def correlation(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        ranks = (stats.rankdata(values, axis=axis) for values in (a, b))
        return stats.pearsonr(*ranks, axis=axis).statistic

    drawn = stats.bootstrap(
        (x, y), correlation, paired=True, method="percentile", n_resamples=RESAMPLES, rng=np.random.default_rng(0)
    )
    low, high = drawn.confidence_interval
    return Estimate(
        float(stats.spearmanr(x, y).statistic), float(drawn.standard_error), float(low), float(high), len(x)
    )


def centre_of_depth(values: np.ndarray) -> np.ndarray:
    """Where along its last axis what values (..., L) hold lies on average, from 1 to L. Values are at least 0."""
    values = np.asarray(values, dtype=float)
    if (values < 0).any():
        raise ValueError("values must be at least 0")
    places = np.arange(1, values.shape[-1] + 1)
    return (values * places).sum(axis=-1) / values.sum(axis=-1)


def above_chance(accuracy: np.ndarray, chance: float) -> np.ndarray:
    """How far accuracies lie between guessing and all right, from 0 to 1; below guessing counts as guessing."""
    return np.clip((np.asarray(accuracy) - chance) / (100 - chance), 0, 1)


def mean_gain(table: pd.DataFrame, probes: Sequence[str], reference: str) -> Mapping[str, Estimate]:
    """The mean over tasks of each probe's gain over the reference, with its 95 % interval over tasks."""
    return {probe: estimate(gains(table, probe, reference).mean(axis=1).to_numpy()) for probe in probes}
