"""Redundancy: what attention does with copies of a layer, and with noise."""

from collections.abc import Sequence

from laya_nb.analysis.attention import entropy
from laya_nb.analysis.statistics import estimate
from laya_nb.report.findings.base import Finding, number
from laya_nb.runs import Result

IGNORED = 0.05  # a layer with a smaller mean weight than this has next to no say


def findings_of(as_it_is: Sequence[Result], three_copies: Sequence[Result], noisy: Sequence[Result]) -> list[Finding]:
    """From three sets of LAYA runs: on h1 to h3, on the last layer three times, and with the first made noise."""
    real, copies = (estimate([entropy(r.attention).mean() for r in runs]) for runs in (as_it_is, three_copies))
    on_noise = [result.attention[:, 0].mean() for result in noisy]
    return [
        Finding(
            "entropy on three copies of a layer",
            "Does a sharp profile show that layers differ?",
            f"entropy, from 0 sharp to 1 even: {copies:.2f} on copies, {real:.2f} on layers, {copies.n} runs",
            "No: copies give one as sharp" if copies.low <= real.high else "Copies give a more diffuse one",
            number(copies),
            "share",
            1.0,
        ),
        Finding(
            "weight of noise",
            "Is a layer of noise ignored?",
            f"mean weight at most {max(on_noise):.4f} in {len(on_noise)} runs",
            "Yes" if max(on_noise) < IGNORED else "Not always",
        ),
    ]
