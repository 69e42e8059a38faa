"""Early exits as curves and tables: what each way of leaving keeps, and what it saves.

`values` are the arrays of `runs.exits.prefix_exits` or `joint_exits` of one run, `cost` those of `exit_cost`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from laya_nb.analysis import early_exit

WAYS = ("confidence", "attention entropy", "gate", "weight on later layers")
"""Who says that an exit is sure enough. The last one is known at the end alone: no exit can go by it."""
POINTS = 60  # of a curve
SPLITS = 1000

Values = Mapping[str, Any]


class Left(NamedTuple):
    """What leaving keeps and saves: accuracy in percent, and the share of the whole network's multiply-adds."""

    accuracy: np.ndarray
    cost: np.ndarray


def certainty(values: Values, way: str) -> np.ndarray:
    """Of all exits but the end, (N, K - 1), higher for who is to leave.

    An exit that reads one hidden state has no entropy of attention, so by that nobody leaves there: less infinity.
    """
    if way == "attention entropy":
        entropy = values["entropy"][:, :-1].astype(float)
        return np.where((entropy == 0).all(axis=0), -np.inf, 1 - entropy)
    if way == "confidence":
        return values["confidence"][:, :-1].astype(float)
    return 1 - values["gate" if way == "gate" else "later"].astype(float)


def curve(values: Values, cost: Values, way: str) -> Left:
    """Accuracy and cost as the threshold falls, from all going to the end, (POINTS + 1,) each.

    Args:
        values: of one run.
        cost: of the network.
        way: one of `WAYS`.
    """
    sure, right = certainty(values, way), _right(values)
    taken = [early_exit.exits(sure, threshold) for threshold in _thresholds(sure)]
    everyone, shares = np.arange(len(right)), _relative(cost)
    return Left(
        np.array([100 * right[everyone, exit].mean() for exit in taken]),
        np.array([shares[exit].mean() for exit in taken]),
    )


def at_random(values: Values, cost: Values, way: str) -> Left:
    """The same if as many leave at each exit as in `curve`, but drawn at random: the mean over draws."""
    sure, right = certainty(values, way), _right(values)
    taken = [early_exit.exits(sure, threshold) for threshold in _thresholds(sure)]
    rates = np.stack([np.bincount(exit, minlength=right.shape[1]) / len(right) for exit in taken])
    return Left(100 * rates @ right.mean(axis=0), rates @ _relative(cost))


def fixed(values: Values, cost: Values) -> Left:
    """All leave at exit k, the only one, for k = 1..K."""
    whole = cost["fixed/multiply_adds"]
    return Left(100 * _right(values).mean(axis=0), whole / whole[-1])


def on_a_grid(left: Left, grid: np.ndarray) -> np.ndarray:
    """The highest accuracy at each cost of a grid or less, NaN below the lowest cost of the curve."""
    order = np.argsort(left.cost, kind="stable")
    best = np.maximum.accumulate(left.accuracy[order])
    place = np.searchsorted(left.cost[order], grid, side="right") - 1
    return np.where(place >= 0, best[np.maximum(place, 0)], np.nan)


def saved(values: Values, cost: Values, way: str, points: float) -> dict[str, float]:
    """What is saved if the threshold is the lowest that loses at most some points on one random half of the examples;
    the other half is judged.

    Returns:
        "saved", in percent of the whole network's multiply-adds, and "lost", in points of accuracy.
    """
    sure, right = certainty(values, way), _right(values)
    one, other = next(halves(len(right), 1))

    def lost(examples: np.ndarray, taken: np.ndarray) -> float:
        return 100 * float(right[examples, -1].mean() - right[examples, taken].mean())

    kept = [t for t in _thresholds(sure[one]) if lost(one, early_exit.exits(sure[one], t)) <= points]
    taken = early_exit.exits(sure[other], min(kept))
    return {"saved": 100 * float(1 - _relative(cost)[taken].mean()), "lost": lost(other, taken)}


def guarantee(
    values: Values, cost: Values, way: str, risk: float, delta: float = 0.05, splits: int = SPLITS
) -> dict[str, float]:
    """`early_exit.threshold_with_guarantee` on one half of the examples, judged on the other, for many random halves.

    Returns:
        "violated", the share of splits in which the other half's risk is above `risk`, with "low" and "high", its 95 %
        interval (Clopper-Pearson); "risk", the mean of it; "saved", in percent of the whole network's multiply-adds.
    """
    sure, answers, labels = certainty(values, way), values["answers"], values["label"]
    risks, gains = [], []
    for one, other in halves(len(labels), splits):
        threshold = early_exit.threshold_with_guarantee(sure[one], answers[one], labels[one], risk, delta)
        taken = early_exit.exits(sure[other], threshold)
        risks.append(early_exit.lost(answers[other], labels[other], taken).mean())
        gains.append(100 * (1 - _relative(cost)[taken].mean()))
    violated = int((np.array(risks) > risk).sum())
    interval = stats.binomtest(violated, splits).proportion_ci(0.95, method="exact")
    return {
        "violated": violated / splits,
        "low": float(interval.low),
        "high": float(interval.high),
        "risk": float(np.mean(risks)),
        "saved": float(np.mean(gains)),
    }


def halves(examples: int, splits: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Random halves of examples, always the same ones."""
    rng = np.random.default_rng(0)
    for _ in range(splits):
        order = rng.permutation(examples)
        yield order[: examples // 2], order[examples // 2 :]


def _thresholds(sure: np.ndarray) -> list[float]:
    """From the one that nobody passes down to one that all pass."""
    return [np.inf, *np.quantile(sure[np.isfinite(sure)], np.linspace(1, 0, POINTS))]


def _right(values: Values) -> np.ndarray:
    """Whether each exit is right, (N, K)."""
    return values["answers"] == values["label"][:, None]


def _relative(cost: Values) -> np.ndarray:
    """What leaving at each exit costs, all heads so far among it, as a share of the network as it is, (K,)."""
    return np.asarray(cost["multiply_adds"] / cost["fixed/multiply_adds"][-1], dtype=float)
