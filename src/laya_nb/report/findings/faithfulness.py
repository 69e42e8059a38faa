"""Faithfulness: do predictions rest on the layers that get the weight, and is it more than averages tell?"""

import numpy as np
import pandas as pd

from laya_nb.analysis.statistics import Comparison, compare
from laya_nb.report import explanations
from laya_nb.report.findings.base import Finding, number

YES, NO, SAME, OPEN = "Yes", "No: less", "No: as much", "Undecided"


def findings_of(table: pd.DataFrame, fresh: pd.DataFrame, margin: float) -> list[Finding]:
    """From the measurements of several networks.

    Args:
        table: of `runs.faithfulness.faithfulness`, a row per run.
        fresh: of `runs.faithfulness.new_heads`, the same runs.
        margin: of probability: less is too small to matter.
    """
    found = []
    for baseline, asked in {
        "constant": "do the weights of an input tell more of what was used than the mean weights?",
        "class mean": "do they tell more than the mean weights of the predicted class?",
    }.items():
        for network, comparison in explanations.against(table, "masked", baseline, margin).items():
            found.append(
                Finding(
                    f"{network}: weights - {baseline}",
                    f"{network}: {asked}",
                    f"comprehensiveness {comparison.difference:+.3f}, {comparison.difference.n} seeds",
                    answer(comparison),
                    number(comparison.difference),
                    "share",
                    0.0,
                )
            )
    for name, group in fresh.groupby("network", sort=False):
        network = str(name)
        gain = 100 * (group["given/own"] - group["given/shuffled within class"]).to_numpy(dtype=float)
        comparison = compare(gain, np.zeros(len(gain)), 0.5)
        found.append(
            Finding(
                f"{network}: own weights given to a new head",
                f"{network}: are an input's own weights worth more to a new head than another input's of its class?",
                f"{comparison.difference:+.2f} points, {comparison.difference.n} seeds",
                answer(comparison),
                number(comparison.difference),
                "points",
                0.0,
            )
        )
    return found


def answer(comparison: Comparison) -> str:
    """Whether the first is higher, in one or three words."""
    return {"higher": YES, "lower": NO, "equivalent": SAME, "undecided": OPEN}[comparison.verdict()]


def sentences(table: pd.DataFrame, margin: float) -> dict[str, str]:
    """By network, the verdict in one sentence: three questions, each asked of the same seeds.

    Args:
        table: of `runs.faithfulness.faithfulness`, a row per run.
        margin: of probability.
    """
    against = {
        baseline: explanations.against(table, "masked", baseline, margin)
        for baseline in ("random", "constant", "class mean")
    }
    said = {}
    for network in against["random"]:
        verdicts = {baseline: of[network].verdict() for baseline, of in against.items()}
        if verdicts["random"] != "higher":
            said[network] = (
                "It was not shown that the weights tell what the head reads better than a random order does."
            )
        elif verdicts["constant"] != "higher":
            said[network] = (
                "The weights tell what the head reads; those of an input were not shown to tell more than the mean."
            )
        elif verdicts["class mean"] != "higher":
            said[network] = (
                "The weights tell what the head reads, and more than the mean weights do; within a class, those of a "
                "single input were not shown to tell more than their mean."
            )
        else:
            said[network] = "The weights of a single input tell what the head reads for it, beyond its class."
    return said


def headline(table: pd.DataFrame, margin: float) -> str:
    """The chapter's outcome in one line: on how many networks the weights beat each baseline."""
    won = {
        baseline: sum(
            comparison.verdict() == "higher"
            for comparison in explanations.against(table, "masked", baseline, margin).values()
        )
        for baseline in ("random", "constant", "class mean")
    }
    return (
        f"{table['network'].nunique()} networks: LAYA's weights were shown to tell which layers the head reads better "
        f"than a random order does on {won['random']} of them, better than the mean weights of all inputs on "
        f"{won['constant']}, and better than those of the predicted class on {won['class mean']}"
    )
