"""Errors, strangers and confidence: what attention tells of them that the largest probability does not."""

from collections.abc import Mapping

import pandas as pd

from laya_nb.analysis.statistics import Comparison, Estimate, holm_within
from laya_nb.report import doubted
from laya_nb.report.findings.base import Finding, Number
from laya_nb.runs.doubts import OF_ATTENTION

RIVALS = {"max softmax": "the largest probability", "all layers": "the hidden states of all layers"}
"""What attention's distance is compared with where strangers are met, and what readers call it."""


def findings_of(
    errors: pd.DataFrame, strangers: pd.DataFrame, calibrated: Mapping[str, Comparison], margin: float
) -> list[Finding]:
    """From the measurements of several networks.

    Args:
        errors, strangers: of `runs.doubts.errors` and `strangeness`, a row per run; there may be no row of the second.
        calibrated: by network and whether it was scaled, LAYA's calibration error less LastLayer's, in points.
        margin: hundredths of AUROC that are too few to matter.
    """
    found = []
    for (network, score), comparison in gains(errors, margin).items():
        found.append(
            Finding(
                f"{network}: {score}",
                f"{network}: does {score} tell mistakes that the largest probability does not?",
                f"AUROC {comparison.difference.mean / 100:+.3f}, {comparison.difference.n} seeds",
                {"higher": "Yes", "lower": "No", "equivalent": f"No, less than {margin / 100:g}"}.get(
                    comparison.verdict(), "Undecided"
                ),
                _share(comparison.difference),
                "share",
                0.0,
            )
        )
    for rival, name in RIVALS.items() if len(strangers) else ():
        verdicts = [of.verdict() for (_, other), of in against(strangers, margin).items() if other == rival]
        better, worse = (verdicts.count(verdict) for verdict in ("higher", "lower"))
        found.append(
            Finding(
                f"strangers: attention distance - {rival}",
                f"Does attention's distance tell strangers better than {name}?",
                f"shown to be better on {better} and worse on {worse} of {len(verdicts)} networks",
                f"On {better} of {len(verdicts)} networks" if better else "Not shown: worse" if worse else "Not shown",
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


def gains(errors: pd.DataFrame, margin: float) -> dict[tuple[str, str], Comparison]:
    """By network and score of attention, what it adds to the largest probability, corrected for the two (Holm)."""
    found = {score: doubted.added(errors, score, margin) for score in OF_ATTENTION}
    networks = next(iter(found.values()))
    return holm_within({(network, score): found[score][network] for network in networks for score in OF_ATTENTION})


def against(strangers: pd.DataFrame, margin: float) -> dict[tuple[str, str], Comparison]:
    """By network and rival, the AUROC of attention's distance less that of the rival, corrected for the two (Holm)."""
    found: dict[tuple[str, str], Comparison] = {}
    if not len(strangers):
        return found
    compared = {rival: doubted.strangers_against(strangers, "attention distance", rival, margin) for rival in RIVALS}
    networks = next(iter(compared.values()))
    return holm_within({(network, rival): compared[rival][network] for network in networks for rival in RIVALS})


def headline(errors: pd.DataFrame, strangers: pd.DataFrame, margin: float) -> str:
    """The chapter's outcome in one line."""
    most = max(comparison.difference.mean for comparison in gains(errors, margin).values()) / 100
    said = (
        f"{errors['network'].nunique()} networks: added to the largest probability, attention's entropy and distance "
        f"raise the AUROC of mistakes by at most {most:.3f}"
    )
    if not len(strangers):
        return said
    better = {
        rival: [of.verdict() for (_, other), of in against(strangers, margin).items() if other == rival].count("higher")
        for rival in RIVALS
    }
    return (
        f"{said}; its distance was shown to tell strangers better than the largest probability on "
        f"{better['max softmax']} of {strangers['network'].nunique()}, and better than the hidden states of all layers "
        f"on {better['all layers']}"
    )


def _share(hundredths: Estimate) -> Number:
    return Number(hundredths.mean / 100, hundredths.low / 100, hundredths.high / 100)
