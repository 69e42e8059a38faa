"""Stop at the first exit that is sure enough, with a guarantee for what that costs.

    from laya_nb.analysis import early_exit

    threshold = early_exit.threshold_with_guarantee(certainty, answers, labels, risk=0.01)  # calibration examples
    taken = early_exit.exits(certainty, threshold)                                          # any examples

A network has exits 1..K, the last of which is its end. An exit's certainty is any number that is higher for answers
that are to be trusted more. The risk is the share of examples whose exit is wrong where the end is right.
"""

import math

import numpy as np
from scipy import stats

from laya_nb.support.checks import check_positive

GRID = 200  # thresholds that are tried, at most


def exits(certainty: np.ndarray, threshold: float) -> np.ndarray:
    """Where each example leaves, (N,), from 0: the first exit whose certainty is at least the threshold, or the end.

    Args:
        certainty: of all exits but the end, (N, K - 1).
        threshold: infinity: all go on to the end.
    """
    sure = _checked(certainty) >= threshold
    return np.where(sure.any(axis=1), sure.argmax(axis=1), sure.shape[1])


def lost(answers: np.ndarray, labels: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Which examples are wrong where they leave, and right at the end, (N,), bool.

    Args:
        answers: of all exits, (N, K).
        labels: (N,).
        taken: (N,), as `exits` gives it.
    """
    given = np.take_along_axis(np.asarray(answers), np.asarray(taken)[:, None], axis=1)[:, 0]
    return (given != labels) & (np.asarray(answers)[:, -1] == labels)


def threshold_with_guarantee(
    certainty: np.ndarray, answers: np.ndarray, labels: np.ndarray, risk: float, delta: float = 0.05
) -> float:
    """The lowest threshold that keeps the risk at `risk`, with probability 1 - delta over calibration examples.

    Thresholds are tested from the highest on, each by the binomial probability of as few losses as there are if the
    risk were above `risk`; the last before the first that fails is taken (Learn then Test, arXiv 2110.01052, with a
    fixed sequence). Their order is that of certainty on the calibration examples, which decide nothing else: they must
    not have been trained on, nor stopped training, nor chosen the exits.

    Args:
        certainty: (N, K - 1), of N calibration examples.
        answers: (N, K).
        labels: (N,).
        risk: above 0 and below 1.
        delta: above 0 and below 1.

    Returns:
        infinity where not even the highest certainty passes: then all go on to the end, and nothing is risked.

    Raises:
        ValueError: for so few examples that not even without a loss could any threshold pass.
    """
    sure = _checked(certainty)
    most = most_losses(len(sure), risk, delta)
    if most < 0:
        needed = math.ceil(math.log(delta) / math.log1p(-risk))
        raise ValueError(
            f"{len(sure)} calibration examples cannot show a risk of {risk:g} with probability {1 - delta:g}, not even "
            f"without a loss: at least {needed} are needed"
        )
    if np.shape(answers) != (len(sure), sure.shape[1] + 1) or np.shape(labels) != (len(sure),):
        raise ValueError(
            f"answers must be (N, K) and labels (N,) for certainty (N, K - 1), got {np.shape(answers)}, "
            f"{np.shape(labels)} and {sure.shape}"
        )
    passed = math.inf
    for threshold in _sequence(sure):
        if lost(answers, labels, exits(sure, threshold)).sum() > most:
            break
        passed = float(threshold)
    return passed


def most_losses(examples: int, risk: float, delta: float = 0.05) -> int:
    """With how many losses among n examples a risk above `risk` is still refused at level delta: the largest k with
    P(Binomial(n, risk) <= k) <= delta; -1 if there is none."""
    for name, value in (("risk", risk), ("delta", delta)):
        check_positive(name, value)
        if value >= 1:
            raise ValueError(f"{name} must be above 0 and below 1, got {value!r}")
    k = int(stats.binom.ppf(delta, examples, risk))  # the smallest k with at least delta
    while k >= 0 and stats.binom.cdf(k, examples, risk) > delta:
        k -= 1
    return k


def _sequence(sure: np.ndarray) -> np.ndarray:
    """Thresholds from the highest down: certainties that occur, at equal distances in rank."""
    values = np.unique(sure)
    return values[np.unique(np.linspace(0, len(values) - 1, min(GRID, len(values))).round().astype(int))][::-1]


def _checked(certainty: np.ndarray) -> np.ndarray:
    sure = np.asarray(certainty, dtype=float)
    if sure.ndim != 2 or not sure.size or np.isnan(sure).any():
        raise ValueError(f"certainty must be numbers (N, K - 1), at least one example and one exit, got {sure.shape}")
    return sure
