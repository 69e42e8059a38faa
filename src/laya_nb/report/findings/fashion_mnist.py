"""Fashion-MNIST: is LAYA more accurate?"""

from collections.abc import Sequence

from laya_nb.analysis.statistics import compare
from laya_nb.report.findings import benchmark
from laya_nb.report.findings.base import MARGIN, Finding, as_number, more_accurate, points_and_seeds
from laya_nb.report.findings.benchmark import headline
from laya_nb.report.tables import percent_table
from laya_nb.runs import Result

__all__ = ["findings_of", "headline"]


def findings_of(results: Sequence[Result]) -> list[Finding]:
    """From runs of all heads, with the same seeds each; a comparison needs both its heads."""
    found = benchmark.accuracy(results, "Is LAYA more accurate than the last layer alone?")
    by_head = {head: rows.sort_values("seed")["accuracy"] for head, rows in percent_table(results).groupby("head")}
    if {"laya", "last_layer_mlp"} <= set(by_head):
        control = compare(by_head["laya"].to_numpy(), by_head["last_layer_mlp"].to_numpy(), MARGIN)
        question = "Than an MLP on the last layer with as many parameters?"
        label, answer = "LAYA - LastLayer + MLP", more_accurate(control)
        found.append(Finding(label, question, points_and_seeds(control), answer, **as_number(control)))
    return found
