"""Pruning: does attention say which layers can go, and what does it save?"""

import numpy as np

from laya_nb.report import pruned
from laya_nb.report.findings.base import Finding, as_number, more_accurate

Curves = dict[str, dict[str, np.ndarray]]


def findings_of(as_it_is: Curves, retrained: Curves, margin: float) -> list[Finding]:
    """From the curves of several networks.

    Args:
        as_it_is, retrained: `report.pruned.curves`.
        margin: points of accuracy that are too few to matter.
    """
    found = []
    for what, curves in (("as it is", as_it_is), ("new head", retrained)):
        for network, comparison in pruned.against(curves, "attention", "random", margin).items():
            found.append(
                Finding(
                    f"{network}, {what}: attention - random",
                    f"{network}, {what}: is the order of attention better than a random one?",
                    f"{comparison.difference:+.2f} points, {comparison.difference.n} seeds",
                    more_accurate(comparison),
                    **as_number(comparison),
                )
            )
    return found


def headline(as_it_is: Curves, retrained: Curves) -> str:
    """The chapter's outcome in one line."""
    gains = [
        [float((of["attention"] - of["random"])[:, 1:].mean()) for of in curves.values()]
        for curves in (as_it_is, retrained)
    ]
    return (
        f"Pruning by attention on {len(as_it_is)} networks: without retraining its order keeps {min(gains[0]):.0f} to "
        f"{max(gains[0]):.0f} points more than a random one; with a new head on the layers that are left, "
        f"{min(gains[1]):+.1f} to {max(gains[1]):+.1f}"
    )
