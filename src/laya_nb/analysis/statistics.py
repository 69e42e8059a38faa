"""How sure a number is: means with intervals, paired differences, equivalence.

A value is a metric of one run, so n counts seeds, and an interval speaks of other seeds on the same data set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["higher", "lower", "equivalent", "undecided"]
_Name = TypeVar("_Name")

CONFIDENCE = 0.95  # of an interval
LEVEL = 0.05  # a p value below it counts as shown: the convention of the field


@dataclass(frozen=True)
class Estimate:
    """A mean over n values, their standard deviation (n - 1), and a 95 % interval for the mean from low to high.

    All but `n` are in the values' unit.
    """

    mean: float
    std: float
    low: float
    high: float
    n: int

    def __format__(self, spec: str) -> str:
        """f"{estimate:.2f}" gives "mean [low, high]"."""
        return f"{self.mean:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def estimate(values: Sequence[float] | np.ndarray) -> Estimate:
    """The mean of values (n,), their standard deviation, and the two-sided 95 % t interval of the mean.

    Raises:
        ValueError: for fewer than two values, or values that are not finite.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"an interval needs at least 2 values, got {values.size}")
    if not np.isfinite(values).all():
        raise ValueError(f"values must be finite, got {values}")
    mean, std = float(values.mean()), float(values.std(ddof=1))
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * std / len(values) ** 0.5
    return Estimate(mean, std, mean - reach, mean + reach, len(values))


@dataclass(frozen=True)
class Comparison:
    """Two methods on the same seeds: the mean difference a - b, and what two tests say of it.

    `p_difference`: paired t test of no difference. `p_equivalence`: two one-sided paired t tests (TOST) of a
    difference of at least `margin`, either way. `p_holm` and `p_equivalence_holm`: the same after Holm's correction for
    the comparisons made together (`holm`), or None before it.
    """

    difference: Estimate
    p_difference: float
    p_equivalence: float
    margin: float
    p_holm: float | None = None
    p_equivalence_holm: float | None = None

    def verdict(self) -> Verdict:
        """What the data say, never against the 95 % interval of the difference that stands beside it.

        "equivalent" needs an interval within the margin, "higher" and "lower" one without 0. Each of the two one-sided
        tests of equivalence has therefore half of `LEVEL`: at 5 % each they would agree with the 90 % interval. A
        difference can be real and too small to matter: then it is equivalent.
        """
        p_equivalence = self.p_equivalence if self.p_equivalence_holm is None else self.p_equivalence_holm
        p_difference = self.p_difference if self.p_holm is None else self.p_holm
        if p_equivalence < LEVEL / 2:
            return "equivalent"
        if p_difference < LEVEL:
            return "higher" if self.difference.mean > 0 else "lower"
        return "undecided"


def compare(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, margin: float) -> Comparison:
    """Compare two methods: the difference a - b of values (n,) each, paired by seed, and two tests of it.

    `margin` > 0, in the values' unit, is the largest difference that is too small to matter.

    Raises:
        ValueError: for unequal lengths, fewer than two pairs, or a margin that is not above 0.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"values are paired by seed, got {a.shape} and {b.shape}")
    if not margin > 0:
        raise ValueError(f"margin must be above 0, got {margin!r}")
    difference = estimate(a - b)
    if difference.std == 0:  # identical pairs (or a constant shift): no t statistic, and nothing to doubt
        same = difference.mean == 0
        return Comparison(difference, 1.0 if same else 0.0, 0.0 if abs(difference.mean) < margin else 1.0, margin)
    return Comparison(
        difference, float(stats.ttest_rel(a, b).pvalue), float(ttost_paired(a, b, -margin, margin)[0]), margin
    )


def compare_all(
    table: "pd.DataFrame", metric: str, reference: Any, margin: float, by: str = "head", primary: Any = None
) -> dict[Any, Comparison]:
    """Compare every head, or other setting, of a table of runs with the reference, paired by seed.

    Returns the comparison `setting - reference` by setting, in the order of the table. Their p values are corrected
    together (`holm`), but for the primary one's: a question that was fixed before the runs need not pay for the others.

    Args:
        table: one row per run, with the columns `by`, "seed" and the metric.
        metric: the column to compare.
        reference: the value of `by` that the others are compared with.
        margin: in the metric's unit.
        by: the column that holds the setting.
        primary: the setting whose comparison was the question from the start, if it is among them.

    Raises:
        ValueError: if a setting lacks a seed that another has, or no run has the reference.
    """
    values = table.pivot_table(index="seed", columns=by, values=metric, sort=False, dropna=False)
    if values.isna().to_numpy().any():
        raise ValueError(f"every {by} needs every seed, missing:\n{values.isna().sum()}")
    if reference not in values:
        raise ValueError(f"no run has {by} {reference!r}, the reference; there are: {list(values.columns)}")
    others = [setting for setting in values.columns if setting != reference]
    found = {setting: compare(values[setting].to_numpy(), values[reference].to_numpy(), margin) for setting in others}
    corrected = holm({setting: comparison for setting, comparison in found.items() if setting != primary})
    return {setting: corrected.get(setting, comparison) for setting, comparison in found.items()}


def holm(comparisons: Mapping[_Name, Comparison]) -> dict[_Name, Comparison]:
    """The same comparisons with corrected p values: what each is worth where all of them are looked at together."""
    if not comparisons:
        return {}
    differences, equivalences = (
        multipletests([getattr(c, p) for c in comparisons.values()], method="holm")[1]
        for p in ("p_difference", "p_equivalence")
    )
    return {
        name: replace(comparison, p_holm=float(p), p_equivalence_holm=float(q))
        for (name, comparison), p, q in zip(comparisons.items(), differences, equivalences, strict=True)
    }


def holm_within(comparisons: Mapping[tuple[str, str], Comparison]) -> dict[tuple[str, str], Comparison]:
    """`holm` among those whose names begin alike: several comparisons on each of some networks, each network being a
    question of its own."""
    found: dict[tuple[str, str], Comparison] = {}
    for network in dict.fromkeys(first for first, _ in comparisons):
        found |= holm({name: comparison for name, comparison in comparisons.items() if name[0] == network})
    return found


def slopes(table: "pd.DataFrame", y: str, x: str, log_y: bool = False, log_x: bool = False) -> np.ndarray:
    """The slope of y against x over each seed's runs, (S,), in y's unit per unit of x, in the order of the seeds.

    Their `estimate` is a trend with its uncertainty.

    Args:
        table: one row per run, with the columns "seed", x and y.
        y: what may change.
        x: the setting; each seed needs at least two values of it.
        log_y: take the decimal logarithm of y.
        log_x: take that of x.

    Raises:
        ValueError: if a seed has fewer than two settings.
    """
    found = []
    for seed, runs in table.groupby("seed"):
        a, b = (np.log10(runs[name]) if log else runs[name] for name, log in ((x, log_x), (y, log_y)))
        if a.nunique() < 2:
            raise ValueError(f"a slope needs at least 2 values of {x}, seed {seed} has {a.nunique()}")
        found.append(stats.linregress(a.astype(float), b.astype(float)).slope)
    return np.array(found)


def welch_t(mean_a: float, std_a: float, mean_b: float, std_b: float, n: int) -> tuple[float, float]:
    """Welch's t for a - b and its two-sided p, from two published means ± std of n values each.

    The values are taken as unpaired: a published table allows no more.
    """
    test = stats.ttest_ind_from_stats(mean_a, std_a, n, mean_b, std_b, n, equal_var=False)
    return float(test.statistic), float(test.pvalue)
