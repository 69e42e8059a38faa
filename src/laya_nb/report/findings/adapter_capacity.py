"""Adapter capacity: do wider adapters help, and is the best of many settings better than the rest?"""

from collections.abc import Sequence

import numpy as np

from laya_nb.analysis import selection
from laya_nb.analysis.statistics import compare_all
from laya_nb.report.findings.base import MARGIN, Finding, as_number, more_accurate, points_and_seeds
from laya_nb.report.tables import percent_table
from laya_nb.runs import Result

SETTINGS = ["d_star", "temperature", "psi", "scorer_width"]  # what the paper's grid varies
LUCK = 0.95  # a winner beyond this share of lucky draws is better than luck makes the best of equal settings


def findings_of(by_width: Sequence[Result], tried: Sequence[Result], reference: int) -> list[Finding]:
    """From two sets of LAYA runs, with the same seeds for each setting.

    Args:
        by_width: at several adapter widths.
        tried: of every setting of a grid.
        reference: the width that the others are compared with.
    """
    return [*_widths(by_width, reference), _choice(tried)]


def _widths(by_width: Sequence[Result], reference: int) -> list[Finding]:
    """The widest and the narrowest adapters against the reference, where there are wider and narrower ones."""
    comparisons = compare_all(percent_table(by_width), "accuracy", reference, MARGIN, by="d_star")
    found = []
    widest, narrowest = max([reference, *comparisons]), min([reference, *comparisons])
    if widest > reference:
        wide = comparisons[widest]
        label, question = f"d* = {widest} - {reference}", f"Do wider adapters help: {widest} in place of {reference}?"
        found.append(Finding(label, question, points_and_seeds(wide), more_accurate(wide), **as_number(wide)))
    if narrowest < reference:
        narrow = comparisons[narrowest]
        answers = {"equivalent": f"No: the same within ±{MARGIN:g} points", "lower": "Yes", "higher": "No: they help"}
        label = f"d* = {narrowest} - {reference}"
        question = f"Do narrow ones harm: {narrowest} in place of {reference}?"
        answer = answers.get(narrow.verdict(), "Undecided")
        found.append(Finding(label, question, points_and_seeds(narrow), answer, **as_number(narrow)))
    return found


def _choice(tried: Sequence[Result]) -> Finding:
    scores = percent_table(tried).pivot_table(index=SETTINGS, columns="seed", values="validation_accuracy")
    means = scores.mean(axis=1)
    ahead, luck = means.max() - means.mean(), selection.winners_curse(scores)
    return Finding(
        "the best setting",
        f"Is the best of the paper's {len(scores)} settings better than the rest?",
        f"{ahead:.2f} points above their mean in validation; the best of equal ones: {luck.mean():.2f}",
        "No evidence: luck explains it" if ahead < np.quantile(luck, LUCK) else "Yes, more than luck explains",
    )
