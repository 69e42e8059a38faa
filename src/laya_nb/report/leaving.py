"""Early exits as curves and tables: what each way of leaving keeps, and what it saves.

`values` are the arrays of `runs.exits.prefix_exits` or `joint_exits` of one run, `cost` those of `exit_cost`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from torch import Tensor

from laya_nb.analysis import early_exit
from laya_nb.analysis.pruning import multiply_adds
from laya_nb.runs import Run, sweep
from laya_nb.runs.exits import EXAMPLES
from laya_nb.runs.new_heads import some_rows
from laya_nb.runs.store import ResultStore
from laya_nb.runs.train import build_model, input_size

WAYS = ("confidence", "attention entropy", "gate", "weight on later layers", "fixed exit", "at random")
"""Who says that an exit is sure enough. Weight on later layers is known at the end alone, so no exit can go by it.
Where the exit is fixed, all leave at the first there is.
At random, any share of the inputs may leave, all of them too."""
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
    if way == "fixed exit":
        return np.zeros(values["confidence"][:, :-1].shape)
    if way == "at random":
        return np.random.default_rng(0).random(values["confidence"][:, :-1].shape)
    return 1 - values["gate" if way == "gate" else "later"].astype(float)


def curve(values: Values, cost: Values, way: str, only: int | None = None) -> Left:
    """Accuracy and cost as the threshold falls, from all going to the end, (POINTS + 1,) each.

    Args:
        values: of one run.
        cost: of the network.
        way: one of `WAYS`.
        only: the one exit that the network has, from 0; None: all of them.
    """
    chosen = _chosen(values, only)
    sure, right = certainty(values, way)[:, chosen], _right(values)[:, [*chosen, -1]]
    taken = [early_exit.exits(sure, threshold) for threshold in _thresholds(sure)]
    everyone, shares = np.arange(len(right)), _shares(cost, chosen)
    return Left(
        np.array([100 * right[everyone, exit].mean() for exit in taken]),
        np.array([shares[exit].mean() for exit in taken]),
    )


def at_random(values: Values, cost: Values, way: str) -> Left:
    """The same if as many leave at each exit as in `curve`, but drawn at random: the mean over draws."""
    sure, right = certainty(values, way), _right(values)
    taken = [early_exit.exits(sure, threshold) for threshold in _thresholds(sure)]
    rates = np.stack([np.bincount(exit, minlength=right.shape[1]) / len(right) for exit in taken])
    return Left(100 * rates @ right.mean(axis=0), rates @ _shares(cost, _chosen(values, None)))


def fixed(values: Values, cost: Values) -> Left:
    """All leave at exit k, the only one, for k = 1..K."""
    whole = cost["fixed/multiply_adds"]
    return Left(100 * _right(values).mean(axis=0), whole / whole[-1])


def shallower(groups: Mapping[int, Sequence[Run]], x: Tensor | None, cost: Values, store: ResultStore) -> Left:
    """Networks of fewer layers, with the usual head on the last of them, from the shallowest on: means over seeds.

    Args:
        groups: by number of layers, runs (`report.networks.shallower_runs`). Judged are the examples of exits.
        x: one input, (1, ...). None: of a frozen encoder, which is cut off and counted with the exit's own head.
        cost: of the whole network, with whose work theirs is compared.
        store: where their results are.
    """
    accuracy, work, whole = [], [], cost["fixed/multiply_adds"]
    for depth, runs in sorted(groups.items()):
        found = sweep(runs, store)
        judged = some_rows(len(found[0].correct), EXAMPLES).numpy()
        accuracy.append(100 * np.mean([result.correct[judged].mean() for result in found]))
        if x is None:
            work.append(whole[depth - 1])
        else:
            classes = 1 + int(found[0].arrays["label"].max())
            work.append(multiply_adds(build_model(runs[0], input_size(runs[0], x), classes), x))
    return Left(np.array(accuracy), np.array(work) / float(whole[-1]))


def on_a_grid(left: Left, grid: np.ndarray) -> np.ndarray:
    """The highest accuracy at each cost of a grid or less, NaN below the lowest cost of the curve."""
    order = np.argsort(left.cost, kind="stable")
    best = np.maximum.accumulate(left.accuracy[order])
    place = np.searchsorted(left.cost[order], grid, side="right") - 1
    return np.where(place >= 0, best[np.maximum(place, 0)], np.nan)


def saved(values: Values, cost: Values, way: str, points: float) -> dict[str, float]:
    """What is saved where one random half of the examples chooses exits and threshold, and the other half is judged.

    The exits are all of them, or one alone, or none. Chosen is what saves most of what loses at most some points. With
    certainties that are drawn at random this is what a way of leaving must beat.

    Returns:
        "saved", in percent of the multiply-adds of the network as it is, and "lost", in points of accuracy.
    """
    right = _right(values)
    one, other = next(halves(len(right), 1))
    best, found = 0.0, {"saved": 0.0, "lost": 0.0}
    for only in (None, *range(right.shape[1] - 1)):
        chosen = _chosen(values, only)
        sure, left, shares = certainty(values, way)[:, chosen], right[:, [*chosen, -1]], _shares(cost, chosen)

        for threshold in _thresholds(sure[one]):
            seen = _outcome(sure[one], left[one], shares, threshold)
            if seen["lost"] <= points and seen["saved"] > best:
                best, found = seen["saved"], _outcome(sure[other], left[other], shares, threshold)
    return found


def guarantee(values: Values, way: str, risk: float, delta: float = 0.05, splits: int = SPLITS) -> dict[str, float]:
    """How often `early_exit.threshold_with_guarantee` breaks its promise. All exits are there.

    "violated": the examples are taken for the whole population, so the risk of a threshold is known. Half as many
    calibration examples are drawn from it, with replacement, many times: this is what the guarantee is about.
    "violated on halves": one random half calibrates, and on the other the risk is observed. It is that of a sample, so
    it may be too high where the risk is not: this share may well be above delta.

    Returns:
        both shares, each with ".../low" and ".../high", its 95 % interval (Clopper-Pearson); "risk", the mean over
        draws; "left", the mean share that leaves before the end.
    """
    sure, answers, labels = certainty(values, way), values["answers"], values["label"]

    def outcome(calibration: np.ndarray, judged: np.ndarray | slice) -> tuple[float, float]:
        threshold = early_exit.threshold_with_guarantee(
            sure[calibration], answers[calibration], labels[calibration], risk, delta
        )
        taken = early_exit.exits(sure[judged], threshold)
        lost = early_exit.lost(answers[judged], labels[judged], taken)
        return float(lost.mean()), float((taken < sure.shape[1]).mean())

    rng = np.random.default_rng(0)
    drawn = [outcome(rng.integers(0, len(labels), len(labels) // 2), slice(None)) for _ in range(splits)]
    halved = [outcome(one, other) for one, other in halves(len(labels), splits)]
    found = {
        name: float(np.mean(values)) for name, values in zip(("risk", "left"), zip(*drawn, strict=True), strict=True)
    }
    for name, outcomes in {"violated": drawn, "violated on halves": halved}.items():
        violated = sum(of > risk for of, _ in outcomes)
        interval = stats.binomtest(violated, splits).proportion_ci(0.95, method="exact")
        found |= {name: violated / splits, f"{name}/low": float(interval.low), f"{name}/high": float(interval.high)}
    return found


def halves(examples: int, splits: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Random halves of examples, always the same ones."""
    rng = np.random.default_rng(0)
    for _ in range(splits):
        order = rng.permutation(examples)
        yield order[: examples // 2], order[examples // 2 :]


def _outcome(sure: np.ndarray, right: np.ndarray, shares: np.ndarray, threshold: float) -> dict[str, float]:
    """What `saved` returns, of a threshold on some examples."""
    taken = early_exit.exits(sure, threshold)
    given = np.take_along_axis(right, taken[:, None], axis=1)[:, 0]
    return {"saved": 100 * float(1 - shares[taken].mean()), "lost": 100 * float(right[:, -1].mean() - given.mean())}


def _thresholds(sure: np.ndarray) -> list[float]:
    """From the one that nobody passes down to one that all pass who ever do."""
    able = sure[np.isfinite(sure)]
    return [np.inf, *(np.quantile(able, np.linspace(1, 0, POINTS)) if len(able) else ())]


def _right(values: Values) -> np.ndarray:
    """Whether each exit is right, (N, K)."""
    return values["answers"] == values["label"][:, None]


def _chosen(values: Values, only: int | None) -> list[int]:
    return list(range(values["answers"].shape[1] - 1)) if only is None else [only]


def _shares(cost: Values, chosen: Sequence[int]) -> np.ndarray:
    """What it costs to leave at each of some exits, and last at the end, as a share of the network as it is.

    The heads of all of these exits that come before are run, too. What a head costs shows in what leaving costs more
    where all heads before are run than where none is.
    """
    alone = np.asarray(cost["fixed/multiply_adds"], dtype=float)
    heads = np.diff(cost["multiply_adds"] - alone)
    run = np.concatenate([[0.0], np.cumsum(heads[list(chosen)])])
    return (alone[[*chosen, -1]] + run) / alone[-1]
