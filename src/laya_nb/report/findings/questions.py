"""Depth and questions: whether a head's weights lie where single layers know the answer, and move with it."""

from collections.abc import Mapping

import numpy as np

from laya_nb.analysis.statistics import Estimate, estimate
from laya_nb.report.findings.base import Finding, number

HEADS = {"scalar_mix": "ScalarMix", "laya_low_rate": "LAYA", "fusion": "Fusion"}


def findings_of(agreement: Mapping[str, np.ndarray], moves: Mapping[str, np.ndarray]) -> list[Finding]:
    """From runs on a frozen network that was asked many questions.

    Args:
        agreement: by head, the rank correlation of a token's weight with what a probe of that token knows, (S, Q) for
            S seeds and Q questions.
        moves: by head, the correlation over questions of the depth of the weights with the depth of what single layers
            know, (S,).
    """
    found = []
    for head, values in agreement.items():
        if len(values) > 1:
            mean = estimate(values.mean(axis=1))
            label = HEADS.get(head, head)
            found.append(
                Finding(
                    f"{label}: weight and knowledge",
                    f"Does {label} give more weight to the tokens that know more?",
                    f"rank correlation {mean:.2f}, {mean.n} seeds, {values.shape[1]} questions",
                    _answer(mean),
                    number(mean),
                    "share",
                    0.0,
                )
            )
    for head, by_seed in moves.items():
        if len(by_seed) > 1:
            mean = estimate(by_seed)
            label = HEADS.get(head, head)
            found.append(
                Finding(
                    f"{label}: depth of weight and of knowledge",
                    f"Does the depth of {label}'s weight follow the question?",
                    f"correlation over questions {mean:.2f}, {mean.n} seeds",
                    _answer(mean),
                    number(mean),
                    "share",
                    0.0,
                )
            )
    return found


def headline(agreement: Mapping[str, np.ndarray]) -> str | None:
    """The chapter's outcome in one line, from the rank correlations that `findings_of` takes."""
    if not agreement or any(len(values) < 2 for values in agreement.values()):
        return None
    means = {HEADS.get(head, head): estimate(values.mean(axis=1)) for head, values in agreement.items()}
    words = ", ".join(f"{head} {mean.mean:.2f} ({mean.low:.2f} to {mean.high:.2f})" for head, mean in means.items())
    return f"The same network: rank correlation of a token's weight with what the token knows: {words}"


def _answer(value: Estimate) -> str:
    """Half of a perfect correlation is our line between a little and much."""
    if value.low > 0:
        return "Yes" if value.low > 0.5 else "A little" if value.high < 0.5 else "Yes, though how far is open"
    return "No: the other way round" if value.high < 0 else "Not shown"
