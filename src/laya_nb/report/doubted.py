"""Scores of doubt and strangeness as tables and comparisons: networks are questions of their own, seeds the units.

Differences of AUROC are in hundredths.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from laya_nb.analysis.calibration import of_confidence
from laya_nb.analysis.statistics import Comparison, Estimate, compare, estimate
from laya_nb.report.explanations import numbers
from laya_nb.runs.doubts import DETECTORS
from laya_nb.runs.store import Result

AMONG = {
    "among all inputs": "auroc",
    "among inputs of one predicted class": "auroc within class",
    "among inputs of like confidence": "auroc within confidence",
}
"""Who is compared with whom, and the column's name behind "SCORE/"."""
KINDS = {"fashion_mnist in colour": "garments in colour"}
"""What readers call kinds of strangers, where it is not the name that they have in `data.strangers`."""
READINGS = {
    "AUROC": "auroc",
    "known flagged, where 95 % of strangers are": "known_flagged",
    "strangers passed, where 95 % of known are": "strange_passed",
}
"""What `detection.judge` says of a score, as tables call it."""


def networks(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each network's rows of a table of measurements (`report.networks.measured`), with the columns that it has."""
    for network, group in table.groupby("network", sort=False):
        yield str(network), group.dropna(axis=1, how="all")


def above_chance(table: pd.DataFrame, score: str) -> dict[str, list[Estimate]]:
    """By who is compared with whom, for each network, the AUROC of mistakes less that of chance, 0.5.

    Args:
        table: of `runs.doubts.errors`, a row per run.
        score: one of `runs.doubts.DOUBTS`.
    """
    return {
        title: [estimate(group[f"{score}/{what}"].to_numpy(dtype=float) - 0.5) for _, group in networks(table)]
        for title, what in AMONG.items()
    }


def added(table: pd.DataFrame, score: str, margin: float) -> dict[str, Comparison]:
    """By network, what a score adds to the AUROC of mistakes that the largest probability has, in hundredths.

    Args:
        table: of `runs.doubts.errors`, a row per run.
        score: one of `runs.doubts.DOUBTS` but the first.
        margin: hundredths that are too few to matter.
    """
    found = {}
    for network, group in networks(table):
        gained = 100 * group[f"{score}/gain in auroc"].to_numpy(dtype=float)
        found[network] = compare(gained, np.zeros(len(gained)), margin)
    return found


def two_heads(
    laya: pd.DataFrame, other: pd.DataFrame, column: str, margin: float, scale: float = 1.0
) -> dict[str, Comparison]:
    """By network, a column of the runs with LAYA's head less the same of runs with another, paired by seed."""
    theirs = dict(networks(other))
    found = {}
    for network, group in networks(laya):
        a, b = (scale * of.sort_values("seed")[column].to_numpy(dtype=float) for of in (group, theirs[network]))
        found[network] = compare(a, b, margin)
    return found


def calibration_of(network: str, results: Sequence[Result]) -> pd.DataFrame:
    """How far confidence is from accuracy in runs of a network, a row for each, with "network" and "seed".

    Columns as `analysis.calibration.of_confidence` names them. Runs keep confidence in half precision.
    """
    return pd.DataFrame(
        [
            {"network": network, "seed": result.run["seed"]}
            | of_confidence(result.arrays["confidence"].astype(float).clip(0, 1), result.correct)
            for result in results
        ]
    )


def by_head(
    found: Mapping[str, pd.DataFrame], columns: dict[str, str], scale: float = 1.0, digits: int = 2
) -> pd.DataFrame:
    """`explanations.numbers` for several heads, ready to show: a row for each network and head."""
    shown = {head: numbers(table, columns, scale, digits) for head, table in found.items()}
    networks = dict.fromkeys(network for table in shown.values() for network in table.index)
    return pd.concat(shown).swaplevel().loc[list(networks)]


def kinds(group: pd.DataFrame) -> list[str]:
    """The kinds of strangers that a network met, from the columns "KIND/SCORE/auroc"."""
    return list(dict.fromkeys(column.split("/")[0] for column in map(str, group) if column.endswith("/auroc")))


def strangers(table: pd.DataFrame, what: str = "auroc") -> pd.DataFrame:
    """Means over seeds: a row for each network and kind of stranger, a column for each score.

    Args:
        table: of `runs.doubts.strangeness` or `left_out`, a row per run.
        what: as `analysis.detection.judge` names it.
    """
    rows = {
        (network, KINDS.get(kind, kind)): {
            score: group[column].mean() for score in DETECTORS if (column := f"{kind}/{score}/{what}") in group
        }
        for network, group in networks(table)
        for kind in kinds(group)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["network", "strangers"])


def with_left_out(strange: pd.DataFrame, left_out: pd.DataFrame) -> pd.DataFrame:
    """One table of both measurements, `runs.doubts.strangeness` and `left_out`: a row for each network and seed, in the
    order of the first. Either may have no row."""
    if not len(left_out):
        return strange
    order = list(dict.fromkeys([*strange["network"], *left_out["network"]]))
    both = strange.merge(left_out, how="outer", on=["network", "seed"])  # which sorts them
    return both.sort_values("network", key=lambda names: names.map(order.index), kind="stable", ignore_index=True)


def by_kind(table: pd.DataFrame, score: str, baseline: str) -> dict[tuple[str, str], Estimate]:
    """By network and kind of stranger, the AUROC of a score less that of another in hundredths, paired by seed."""
    return {
        (network, KINDS.get(kind, kind)): estimate(
            100 * (group[f"{kind}/{score}/auroc"] - group[f"{kind}/{baseline}/auroc"]).to_numpy()
        )
        for network, group in networks(table)
        for kind in kinds(group)
    }


def strangers_against(table: pd.DataFrame, score: str, baseline: str, margin: float) -> dict[str, Comparison]:
    """By network, the AUROC of a score less that of another in hundredths, a mean over kinds of strangers, paired by
    seed."""
    found = {}
    for network, group in networks(table):
        own, other = (100 * _over_kinds(group, name, "auroc") for name in (score, baseline))
        found[network] = compare(own, other, margin)
    return found


def readings(table: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """What `detection.judge` says of a few scores, ready to show: means over kinds of strangers, then over seeds, with
    their intervals; a row for each network and score."""
    rows = {
        (network, score): {
            title: f"{estimate(_over_kinds(group, score, what)):.2f}" for title, what in READINGS.items()
        }
        for network, group in networks(table)
        for score in scores
        if f"{kinds(group)[0]}/{score}/auroc" in group
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _over_kinds(group: pd.DataFrame, score: str, what: str) -> np.ndarray:
    """Of each run, the mean over the kinds of strangers that a network met, (S,)."""
    return group[[f"{kind}/{score}/{what}" for kind in kinds(group)]].to_numpy(dtype=float).mean(axis=1)
