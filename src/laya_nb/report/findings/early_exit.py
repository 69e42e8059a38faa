"""Early exit: does leaving when an exit is certain save more than leaving at random?"""

from collections.abc import Mapping, Sequence

import numpy as np

from laya_nb.analysis.statistics import Comparison, compare, holm_within
from laya_nb.report import leaving
from laya_nb.report.findings.base import Finding
from laya_nb.report.networks import NETWORKS

Found = Mapping[str, Sequence[leaving.Values]]
Costs = Mapping[str, leaving.Values]
CHANCE = "at random"
WAYS = ("confidence", "attention entropy", CHANCE)


def findings_of(frozen: Found, cost: Costs, margin: float, too_little: float) -> list[Finding]:
    """From heads on the prefixes of trained networks.

    Args:
        frozen: by network, `runs.exits.prefix_exits` of each seed.
        cost: by network, `runs.exits.exit_cost`.
        margin: points of accuracy that may be lost.
        too_little: percent of the work that is too little to matter.
    """
    saved = {(name, way): saved_by(frozen[name], cost[name], way, margin) for name in frozen for way in WAYS}
    return [
        Finding(
            f"{NETWORKS[name].title}: {way} - {CHANCE}",
            f"{NETWORKS[name].title}: does leaving early by {way} save more work than leaving {CHANCE}?",
            f"{saved[name, way].mean():.0f} % against {saved[name, CHANCE].mean():.0f} %, {len(frozen[name])} seeds",
            {
                "higher": "Yes",
                "lower": "No: less",
                "equivalent": f"No: as much, within {too_little:g} % of the work",
            }.get(comparison.verdict(), "Undecided"),
        )
        for (name, way), comparison in more_than_chance(frozen, cost, margin, too_little).items()
    ]


def saved_by(values: Sequence[leaving.Values], cost: leaving.Values, way: str, margin: float) -> np.ndarray:
    """What a way to leave saves, in percent of the work of the network as it is, of each seed."""
    return np.array([leaving.saved(one, cost, way, margin)["saved"] for one in values])


def more_than_chance(frozen: Found, cost: Costs, margin: float, too_little: float) -> dict[tuple[str, str], Comparison]:
    """By network and way to leave, what it saves less what leaving at random saves, in percent of the work: paired by
    seed, and corrected for the ways on that network (Holm)."""
    found: dict[tuple[str, str], Comparison] = {}
    for name, values in frozen.items():
        *own, chance = (saved_by(values, cost[name], way, margin) for way in WAYS)
        found |= {(name, way): compare(of, chance, too_little) for way, of in zip(WAYS[:-1], own, strict=True)}
    return holm_within(found)


def headline(frozen: Found, cost: Costs, margin: float) -> str:
    """The chapter's outcome in one line."""
    parts = []
    for name, values in frozen.items():
        own, chance = (saved_by(values, cost[name], way, margin).mean() for way in ("confidence", CHANCE))
        parts.append(f"{NETWORKS[name].title} {own:.0f} % ({CHANCE} {chance:.0f} %)")
    return (
        f"Early exits by confidence, for {margin:g} points of accuracy, save of the network's work: {', '.join(parts)}"
    )
