"""Errors, strangers and confidence: what attention tells of them that the largest probability does not."""

from collections.abc import Mapping

import pandas as pd

from laya_nb.analysis.statistics import Comparison, holm
from laya_nb.report import doubted
from laya_nb.report.findings.base import Finding, number

ATTENTION = ("attention entropy", "attention distance")


def findings_of(
    errors: pd.DataFrame, strangers: pd.DataFrame, calibrated: Mapping[str, Comparison], margin: float
) -> list[Finding]:
    """From the measurements of several networks.

    Args:
        errors, strangers: of `runs.doubts.errors` and `strangeness`, a row per run; there may be no row of the second.
        calibrated: by network and whether it was scaled, LAYA's calibration error less LastLayer's, in points.
        margin: of AUROC: less is too small to matter.
    """
    found = []
    for score in ATTENTION:
        for network, comparison in gains(errors, score, margin).items():
            found.append(
                Finding(
                    f"{network}: {score} added to the largest probability",
                    f"{network}: does {score} tell mistakes that the largest probability does not?",
                    f"AUROC {comparison.difference:+.3f}, {comparison.difference.n} seeds",
                    {"higher": "Yes", "lower": "No", "equivalent": f"No, less than {margin:g}"}.get(
                        comparison.verdict(), "Undecided"
                    ),
                    number(comparison.difference),
                    "share",
                    0.0,
                )
            )
    for (network, kind), comparison in against(strangers, "all layers", margin).items():
        found.append(
            Finding(
                f"{network}, {kind}: attention distance - all layers",
                f"{network}: does attention's distance tell strangers ({kind}) better than all hidden states do?",
                f"AUROC {comparison.difference:+.3f}, {comparison.difference.n} seeds",
                {"higher": "Yes", "lower": "No: worse", "equivalent": "No: as well"}.get(
                    comparison.verdict(), "Undecided"
                ),
                number(comparison.difference),
                "share",
                0.0,
            )
        )
    for name, comparison in calibrated.items():
        found.append(
            Finding(
                f"{name}: calibration error, LAYA - LastLayer",
                f"{name}: is LAYA's confidence further from its accuracy than LastLayer's?",
                f"{comparison.difference:+.2f} points, {comparison.difference.n} seeds",
                {"higher": "Yes", "lower": "No: closer", "equivalent": "No: the same"}.get(
                    comparison.verdict(), "Undecided"
                ),
            )
        )
    return found


def gains(errors: pd.DataFrame, score: str, margin: float) -> dict[str, Comparison]:
    """By network, the AUROC of mistakes that a score adds to the largest probability, corrected together (Holm)."""
    return holm(doubted.compared(errors, f"{score}/gain in auroc", None, margin))


def against(strangers: pd.DataFrame, baseline: str, margin: float) -> dict[tuple[str, str], Comparison]:
    """By network and kind, the AUROC of attention's distance less that of a baseline, corrected together (Holm)."""
    return doubted.strangers_against(strangers, "attention distance", baseline, margin) if len(strangers) else {}


def headline(errors: pd.DataFrame, strangers: pd.DataFrame, margin: float) -> str:
    """The chapter's outcome in one line."""
    most = max(
        comparison.difference.mean for score in ATTENTION for comparison in gains(errors, score, margin).values()
    )
    said = (
        f"{errors['network'].nunique()} networks: added to the largest probability, attention's entropy and distance "
        f"raise the AUROC of mistakes by at most {most:.3f}"
    )
    if not len(strangers):
        return said
    found = {baseline: against(strangers, baseline, margin) for baseline in ("max softmax", "all layers")}
    better = {name: sum(of.verdict() == "higher" for of in group.values()) for name, group in found.items()}
    return (
        f"{said}; its distance was shown to tell strangers better than the largest probability in "
        f"{better['max softmax']} of {len(found['max softmax'])} cases, and better than the hidden states of all "
        f"layers in {better['all layers']}"
    )
