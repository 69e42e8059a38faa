"""Choosing a layer: what each way of choosing loses, against reading the last layer."""

from collections.abc import Mapping

from laya_nb.analysis.statistics import Comparison
from laya_nb.report.figures.layers import TITLES
from laya_nb.report.findings.base import Finding, as_number


def findings_of(compared: Mapping[str, Mapping[str, Comparison]]) -> list[Finding]:
    """From choices of layers of frozen encoders.

    Args:
        compared: by kind of task and way of choosing, what the way loses less what the last layer loses, over tasks.
    """
    return [
        Finding(
            f"{kind}: {TITLES.get(way, way)} - last layer",
            f"{kind.capitalize()}: does the layer chosen by {TITLES.get(way, way)} lose less than the last?",
            f"{comparison.difference:+.1f} points lost, {comparison.difference.n} tasks",
            _better(comparison),
            **as_number(comparison),
        )
        for kind, ways in compared.items()
        for way, comparison in ways.items()
    ]


def headline(compared: Mapping[str, Mapping[str, Comparison]]) -> str | None:
    """The chapter's outcome in one line."""
    parts = []
    for kind, ways in compared.items():
        labels = [way for way in ways if way.endswith(" labels")]
        measures = [way for way in ways if way in TITLES]
        if not labels or not measures:
            continue
        best = min(measures, key=lambda way: ways[way].difference.mean)
        most = ways[labels[-1]].difference
        parts.append(
            f"{kind}: {labels[-1]} {most.mean:+.1f} ({most.low:+.1f} to {most.high:+.1f}), the best of "
            f"{len(measures)} measures, {TITLES[best]}, {ways[best].difference.mean:+.1f} "
            f"({ways[best].difference.low:+.1f} to {ways[best].difference.high:+.1f})"
        )
    return f"Points that a chosen layer loses, less those of the last layer: {'; '.join(parts)}" if parts else None


def _better(comparison: Comparison) -> str:
    match comparison.verdict():
        case "equivalent":
            return f"No: the same within ±{comparison.margin:g} points"
        case "lower":
            return "Yes"
        case "higher":
            return "No: more"
        case _:
            return "Undecided"
