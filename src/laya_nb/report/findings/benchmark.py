"""What the chapters on benchmarks have in common: LAYA against the last layer alone, and where its attention goes."""

from collections.abc import Sequence

import numpy as np

from laya_nb.analysis.statistics import Comparison, compare_all, estimate
from laya_nb.report.findings.base import MARGIN, Finding, as_number, more_accurate, number, points_and_seeds
from laya_nb.report.tables import percent_table
from laya_nb.runs import Result, paper

TITLES = {
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "cifar10_jpeg": "CIFAR-10 (JPEG copy)",
    "imdb": "IMDB",
}  # what readers call the data sets; others go by the name that a run gives them

UP_TO_THE_SEED = 0.2  # a mean weight that differs by more from run to run says nothing of the data


def title_of(results: Sequence[Result]) -> str:
    """What readers call the data set of the results, which is the same for all of them."""
    name = results[0].run["dataset"].partition("/")[0]
    return TITLES.get(name, name)


def gain_of_laya(results: Sequence[Result]) -> Comparison | None:
    """LAYA's accuracy minus LastLayer's in points, seeds paired: the paper's claim, so no correction for other heads.

    None if one of the two is not among them.
    """
    if not {"laya", "last_layer"} <= {result.run["head"] for result in results}:
        return None
    return compare_all(percent_table(results), "accuracy", "last_layer", MARGIN, primary="laya")["laya"]


def laya_attention(results: Sequence[Result]) -> np.ndarray:
    """The attention of every LAYA run, (S, N, L)."""
    return np.stack([result.attention for result in results if result.run["head"] == "laya"])


def accuracy(results: Sequence[Result], question: str) -> list[Finding]:
    """Whether LAYA is more accurate than the last layer alone, from runs of all heads; none without both of them."""
    gain = gain_of_laya(results)
    if gain is None:
        return []
    return [Finding("LAYA - LastLayer", question, points_and_seeds(gain), more_accurate(gain), **as_number(gain))]


def last_layer_weight(results: Sequence[Result], question: str, benchmark: str) -> Finding:
    """How much of LAYA's attention the last layer gets.

    Args:
        results: LAYA's are taken.
        question: to which this is the answer.
        benchmark: the paper's data set, as `paper.LAST_LAYER_WEIGHT` calls it.
    """
    weights = laya_attention(results).mean(axis=1)[:, -1]
    mean = estimate(weights)
    spread = f"From {weights.min():.2f} to {weights.max():.2f}"
    return Finding(
        "weight of the last layer",
        question,
        f"{mean:.2f}, {len(weights)} runs; paper: about {paper.LAST_LAYER_WEIGHT[benchmark]}",
        f"{spread}: the seed decides" if np.ptp(weights) > UP_TO_THE_SEED else f"{spread}, much the same in every run",
        number(mean),
        "share",
    )


def findings_of(results: Sequence[Result], benchmark: str) -> list[Finding]:
    """From runs of all heads on one data set, with the same seeds each.

    Args:
        results: all heads.
        benchmark: the paper's data set, as `paper.LAST_LAYER_WEIGHT` calls it.
    """
    title = title_of(results)
    return [
        *accuracy(results, f"{title}: is LAYA more accurate than the last layer alone?"),
        last_layer_weight(results, f"{title}: how much weight does the last layer get?", benchmark),
    ]


def headline(results: Sequence[Result], title: str | None = None) -> str | None:
    """A benchmark's outcome in one line with its uncertainty: LAYA's accuracy against LastLayer's, if both are there.

    Args:
        results: all heads on one data set.
        title: what the line calls it; by default the data set's name.
    """
    gain = gain_of_laya(results)
    if gain is None:
        return None
    outcome = {
        "equivalent": f"too small to matter (less than {MARGIN:g} points, p = {gain.p_equivalence:.1g})",
        "higher": f"a real gain (p = {gain.p_difference:.2g})",
        "lower": f"a real loss (p = {gain.p_difference:.2g})",
        "undecided": "undecided",
    }[gain.verdict()]
    d = gain.difference
    interval = f"95 % interval {d.low:+.2f} to {d.high:+.2f}, {d.n} paired seeds"
    return f"{title or title_of(results)}: {d.mean:+.2f} points ({interval}), {outcome}"
