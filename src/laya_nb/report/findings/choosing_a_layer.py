"""Choosing a layer: what each way of choosing loses, against reading the last layer."""

from collections.abc import Mapping

from laya_nb.analysis.statistics import Comparison
from laya_nb.report.figures.layers import TITLES
from laya_nb.report.findings.base import Finding


def findings_of(compared: Mapping[str, Mapping[str, Comparison]]) -> list[Finding]:
    """From choices of layers of frozen encoders.

    Args:
        compared: by kind of task and way of choosing, what the way loses less what the last layer loses, over tasks.
    """
    ways = list(dict.fromkeys(way for of in compared.values() for way in of))
    found = []
    for way in ways:
        of_kind = {kind: of[way] for kind, of in compared.items() if way in of}
        title = TITLES.get(way, way)
        found.append(
            Finding(
                f"{title} - last layer",
                f"Does the layer chosen by {title} lose less than the last one?",
                "; ".join(f"{kind} {of.difference:+.1f}" for kind, of in of_kind.items()) + " points",
                "; ".join(f"{kind}: {_better(of)}" for kind, of in of_kind.items()),
            )
        )
    return found


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
            return f"no, the same within ±{comparison.margin:g} points"
        case "lower":
            return "yes"
        case "higher":
            return "no, more"
        case _:
            return "undecided"
