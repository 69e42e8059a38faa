"""Stability: what the attention of two runs has in common."""

from collections.abc import Sequence

from laya_nb.analysis.stability import class_distances, intraclass_correlation, pair_estimate, pairwise_correlation
from laya_nb.report.findings.base import Finding, number
from laya_nb.report.tables import class_profiles
from laya_nb.runs import Result

OWN = 0.3  # if less than this share of a profile is common to all runs, it tells of one network, not of the data


def findings_of(results: Sequence[Result], num_classes: int) -> list[Finding]:
    """From LAYA runs that differ in the seed alone."""
    profiles = class_profiles(results, num_classes)
    share = intraclass_correlation(profiles)
    alike = pair_estimate(pairwise_correlation(class_distances(profiles)))
    return [
        Finding(
            "class profile common to all runs",
            "How much of a class profile is common to all runs?",
            f"{share.mean:.0%} of its variance [{share.low:.0%}, {share.high:.0%}], {len(results)} runs",
            "Next to nothing: it explains one network" if share.high < OWN else "Some of it",
            number(share),
            "share",
            0.0,
        ),
        Finding(
            "which classes are alike, in two runs",
            "Do runs give the same classes like weights?",
            f"correlation of two runs {alike:.2f}, {len(results)} runs",
            "In part, on whichever layers" if alike.low > 0 else "No evidence",
            number(alike),
            "share",
            0.0,
        ),
    ]
