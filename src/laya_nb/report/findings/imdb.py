"""IMDB: is LAYA more accurate, and where does its attention go?"""

from collections.abc import Sequence

from laya_nb.report.findings import benchmark
from laya_nb.report.findings.base import Finding
from laya_nb.report.findings.benchmark import headline
from laya_nb.runs import Result

__all__ = ["findings_of", "headline"]


def findings_of(results: Sequence[Result]) -> list[Finding]:
    """From runs of all heads, with the same seeds each."""
    return benchmark.findings_of(results, "imdb")
