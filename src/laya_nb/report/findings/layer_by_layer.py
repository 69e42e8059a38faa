"""Layer by layer: whether the last layer is the best, and which measure goes with accuracy."""

from collections.abc import Mapping

import numpy as np

from laya_nb.analysis.layer_choice import OverLayers
from laya_nb.analysis.statistics import LEVEL, Comparison
from laya_nb.report.figures.layers import TITLES
from laya_nb.report.findings.base import Finding, as_number, more_accurate


def findings_of(
    ahead: Mapping[str, Comparison], ranked: Mapping[str, OverLayers], corrected: Mapping[str, float]
) -> list[Finding]:
    """From probes and measures of the layers of several encoders.

    Args:
        ahead: by encoder, the best layer's accuracy less the last one's, over tasks, corrected together.
        ranked: by measure, its rank correlation with accuracy over layers.
        corrected: by measure, the p value of that against random walks, corrected for all of them.
    """
    found = [
        Finding(
            f"{encoder}: best layer - last",
            f"{encoder}: is the best layer better than the last?",
            f"{comparison.difference:+.1f} points, {comparison.difference.n} tasks",
            more_accurate(comparison),
            **as_number(comparison),
        )
        for encoder, comparison in ahead.items()
    ]
    for name, of in ranked.items():
        title = TITLES[name]
        found.append(
            Finding(
                f"{title} and accuracy",
                f"Does {title} go with accuracy over layers, more than a random walk does?",
                f"mean rank correlation {of.mean:+.2f}, walks reach {of.null_high:+.2f} in 5 %, {len(of.values)} tasks "
                "on encoders",
                "Yes" if corrected[name] < LEVEL else "Not shown",
            )
        )
    return found


def headline(ahead: Mapping[str, Comparison]) -> str | None:
    """The chapter's outcome in one line."""
    if not ahead or any(comparison.difference.n < 3 for comparison in ahead.values()):
        return None
    gains = ", ".join(f"{encoder} {of.difference.mean:+.1f}" for encoder, of in ahead.items())
    mean = np.mean([of.difference.mean for of in ahead.values()])
    return f"The best layer of a frozen encoder is {mean:.1f} points ahead of its last, on average over tasks ({gains})"
