"""The measurements of pruning as curves and comparisons: accuracy against layers left, for every order of removal."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from laya_nb.analysis.attribution import all_subsets
from laya_nb.analysis.pruning import removal_order
from laya_nb.analysis.statistics import Comparison, compare, estimate
from laya_nb.report import tables
from laya_nb.runs import ResultStore, Run, sweep
from laya_nb.runs.pruning import best_rows, fewer, judged_rows, nested
from laya_nb.runs.store import Result, Store

SCORES = {
    "attention": "score/weight",
    "contribution": "score/contribution",
    "Shapley": "score/shapley",
    "block influence": "score/block influence",
}
"""The orders that a score of layers gives, and what the measurement calls it."""


def curves(table: pd.DataFrame, which: str) -> dict[str, dict[str, np.ndarray]]:
    """By network, by order of removal, accuracies in percent (S, L), from all L layers down to one.

    "best subset" is chosen on other examples, for the model as it is. "random" is the mean over random orders: over all
    subsets where each was measured.

    Args:
        table: of `runs.pruning.pruning`, a row per run.
        which: "as_it_is" or "retrained".
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for network, group in table.groupby("network", sort=False):
        runs = group.to_dict("records")
        layers = len(runs[0]["score/weight"])
        orders: dict[str, Callable[[dict], list[int]]] = {
            name: lambda run, score=score: nested(removal_order(run[score]))  # type: ignore[misc]
            for name, score in SCORES.items()
            if not np.isnan(runs[0][score]).all()
        }
        orders["deepest first"] = lambda run, layers=layers: nested(list(range(layers - 1, -1, -1)))  # type: ignore[misc]
        orders["best subset"] = lambda run, layers=layers: best_rows(run["chosen_on"], layers)  # type: ignore[misc]
        found[str(network)] = {
            name: np.stack([100 * run[which][rows(run)] for run in runs]) for name, rows in orders.items()
        }
        found[str(network)]["random"] = np.stack([100 * _random(run, which, layers) for run in runs])
    return found


def curves_of_orders(table: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """`curves` of models as they are, from `runs.pruning.pruning_orders`: for so many layers without a best subset."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for network, group in table.groupby("network", sort=False):
        runs = group.to_dict("records")
        names = {order: [f"as_it_is/{score}"] for order, score in SCORES.items() if score in runs[0]}
        names["deepest first"] = ["as_it_is/deepest first"]
        names["random"] = [name for name in map(str, runs[0]) if name.startswith("as_it_is/random/")]
        found[str(network)] = {
            order: np.stack([100 * np.mean([run[name] for name in of], axis=0) for run in runs])
            for order, of in names.items()
        }
    return found


def with_fewer_tokens(
    runs: dict[str, list[Run]], table: pd.DataFrame, left: Sequence[int], scores: Store
) -> dict[str, dict[str, np.ndarray]]:
    """By probe, by order of removal, what probes lose that are trained from scratch on what is left, in points of
    accuracy on the test part: (S, 1 + numbers left), nothing in the first column, for all tokens.

    Args:
        runs: of probes of many tokens, by title.
        table: of `runs.pruning.pruning_orders` for these runs.
        left: the numbers of tokens.
        scores: where results are looked for and saved.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for title, group in table.groupby("network", sort=False):
        of = found[str(title)] = dict[str, np.ndarray]()
        whole = np.array([result.metrics["accuracy"] for result in sweep(runs[str(title)], ResultStore())])
        scores_of: dict[str, list[np.ndarray]] = {
            "attention": list(group["score/weight"]),
            "deepest first": [-np.arange(len(scores)) for scores in group["score/weight"]],
            "random": list(group["random/0"]),
        }
        for order, of_runs in scores_of.items():
            by_run = [removal_order(of_run) for of_run in of_runs]
            shorter = [fewer(run, o, n) for run, o in zip(runs[str(title)], by_run, strict=True) for n in left]
            accuracy = np.array([result.metrics["accuracy"] for result in sweep(shorter, scores)])
            lost = 100 * (accuracy.reshape(len(whole), len(left)) - whole[:, None])
            of[order] = np.concatenate([np.zeros((len(whole), 1)), lost], axis=1)
    return found


def tokens_table(lost: dict[str, dict[str, np.ndarray]], left: Sequence[int]) -> pd.DataFrame:
    """`with_fewer_tokens`, ready to show."""
    rows = {
        (title, order): {f"{n} left": f"{estimate(values[:, i]):+.1f}" for i, n in enumerate(left, start=1)}
        for title, of in lost.items()
        for order, values in of.items()
    }
    return pd.DataFrame(rows).T


def against(shown: dict[str, dict[str, np.ndarray]], order: str, other: str, margin: float) -> dict[str, Comparison]:
    """By network, an order less another: the mean accuracy over all numbers of layers left but L, in points. Each
    network is a question of its own, so nothing is corrected for their number."""
    return {
        network: compare(of[order][:, 1:].mean(axis=1), of[other][:, 1:].mean(axis=1), margin)
        for network, of in shown.items()
    }


def comparisons(shown: dict[str, dict[str, np.ndarray]], order: str, other: str, margin: float) -> pd.DataFrame:
    """`against`, ready to show."""
    table = tables.comparison_table(against(shown, order, other, margin))
    return table.rename(columns={"difference, points": f"{order} - {other}, points"})


def losses(shown: dict[str, dict[str, np.ndarray]], order: str) -> pd.DataFrame:
    """By network, what an order of removal costs, in points of accuracy, for every number of layers that are left."""
    rows = {
        network: {
            f"{of[order].shape[1] - gone} left": f"{estimate(of[order][:, gone] - of[order][:, 0]):+.1f}"
            for gone in range(1, of[order].shape[1])
        }
        for network, of in shown.items()
    }
    most = max(of[order].shape[1] for of in shown.values())
    return pd.DataFrame(rows, index=[f"{left} left" for left in range(most - 1, 0, -1)]).T.fillna("")


def shallower_table(
    shown: dict[str, dict[str, np.ndarray]], scratch: dict[str, dict[int, Sequence[Result]]]
) -> pd.DataFrame:
    """What is left of a network that is cut after layer k and has a new head, beside a network of k layers that was
    trained from scratch; accuracies in percent on the same examples, paired by seed, ready to show.

    Args:
        shown: `curves` of new heads.
        scratch: by network, by number of layers, results of the same seeds.
    """
    rows = {}
    for network, by_depth in scratch.items():
        cut = shown[network]["deepest first"]
        for depth, results in by_depth.items():
            judged = judged_rows(len(results[0].correct)).numpy()
            own = np.array([100 * result.correct[judged].mean() for result in results])
            left = cut[:, cut.shape[1] - depth]
            rows[network, depth] = {
                "cut, new head, %": f"{estimate(left):.1f}",
                "from scratch, %": f"{estimate(own):.1f}",
                "difference": f"{estimate(left - own):+.1f}",
            }
    table = pd.DataFrame(rows).T
    table.index.names = ["network", "layers"]
    return table


def cost_table(cost: dict[str, np.ndarray]) -> pd.DataFrame:
    """What a model costs that is cut after layer k, beside the whole model, in percent of it; ready to show.

    Args:
        cost: of `runs.pruning.prefix_cost`.
    """
    whole = {name: float(cost[name][-1]) for name in ("parameters", "multiply_adds", "ms_1", "ms_many")}
    titles = ["parameters", "multiply-adds", "time, one input", "time, large batch"]
    table = pd.DataFrame(
        {
            f"up to layer {depth + 1}": [
                "–" if whole[name] == 0 else f"{100 * cost[name][depth] / whole[name]:.0f} %" for name in whole
            ]
            for depth in range(len(cost["parameters"]) - 1)
        },
        index=titles,
    ).T
    numbers = [
        f"{whole['parameters']:,.0f}",
        f"{whole['multiply_adds']:,.0f}",
        *(f"{whole[n]:.2f} ms" for n in ("ms_1", "ms_many")),
    ]
    table.loc["whole model"] = ["–" if text == "0" else text for text in numbers]
    return table


def _random(run: dict, which: str, layers: int) -> np.ndarray:
    """The mean accuracy for each number of layers left, over all subsets of that size, or over the random orders."""
    values, sizes = run[which], all_subsets(layers).sum(dim=1).numpy()
    everywhere = not np.isnan(values[1:]).any()
    if everywhere:
        return np.array([values[sizes == left].mean() for left in range(layers, 0, -1)])
    orders = [nested(removal_order(run[name])) for name in run if name.startswith("random/")]
    return np.mean([values[rows] for rows in orders], axis=0)
