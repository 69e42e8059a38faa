"""The measurements of faithfulness as tables and comparisons: seeds are the units, rankings are paired within them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from laya_nb.analysis.faithfulness import REMOVALS
from laya_nb.analysis.statistics import Comparison, Estimate, compare, estimate
from laya_nb.report import tables

RANKINGS = (
    "weight", "contribution", "shapley", "integrated gradients", "gradient x input", "class mean", "constant", "random",
)  # fmt: skip
"""How layers are ranked for a prediction, in the order of tables."""


def scores(table: pd.DataFrame, ranking: str, removal: str, what: str = "comprehensiveness") -> np.ndarray:
    """Of each run, (S,), what a ranking has under a way of removal."""
    return table[f"{ranking}/{removal}/{what}"].to_numpy(dtype=float)


def gains(table: pd.DataFrame, removal: str, baselines: Sequence[str]) -> dict[str, list[Estimate]]:
    """By baseline, for each network, the comprehensiveness of the weights less that of the baseline."""
    groups = [group for _, group in table.groupby("network", sort=False)]
    return {
        f"less {baseline}": [
            estimate(scores(group, "weight", removal) - scores(group, baseline, removal)) for group in groups
        ]
        for baseline in baselines
    }


def against(table: pd.DataFrame, removal: str, baseline: str, margin: float) -> dict[str, Comparison]:
    """By network, the comprehensiveness of the weights compared with that of a baseline. Each network is a question of
    its own, so nothing is corrected for their number."""
    return {
        str(network): compare(scores(group, "weight", removal), scores(group, baseline, removal), margin)
        for network, group in table.groupby("network", sort=False)
    }


def rankings(table: pd.DataFrame, removal: str, what: str = "comprehensiveness") -> dict[str, dict[str, Estimate]]:
    """By network, by ranking, what it has under a way of removal, with its interval over seeds."""
    return {
        str(network): {ranking: estimate(scores(group, ranking, removal, what)) for ranking in RANKINGS}
        for network, group in table.groupby("network", sort=False)
    }


def removals(table: pd.DataFrame) -> pd.DataFrame:
    """By network and way of removal, the comprehensiveness of the weights less that of random order, ready to show."""
    return pd.DataFrame(
        {
            str(network): {
                removal: f"{estimate(scores(group, 'weight', removal) - scores(group, 'random', removal)):.2f}"
                for removal in REMOVALS
            }
            for network, group in table.groupby("network", sort=False)
        }
    ).T


def numbers(table: pd.DataFrame, columns: dict[str, str], scale: float = 1.0, digits: int = 2) -> pd.DataFrame:
    """By network, the mean of columns over seeds with its interval, ready to show.

    Args:
        table: one row per run.
        columns: of the table, with what they are to be called.
        scale: 100 makes percent of shares.
        digits: after the point.
    """
    return pd.DataFrame(
        {
            str(network): {
                title: f"{estimate(scale * group[column].to_numpy(dtype=float)):.{digits}f}"
                for column, title in columns.items()
            }
            for network, group in table.groupby("network", sort=False)
        }
    ).T


def by_layer(table: pd.DataFrame, names: dict[str, str]) -> dict[str, dict[str, np.ndarray]]:
    """By network, by what is shown, values of all runs, (S, L): "layers/NAME" of the table, under a title."""
    return {
        str(network): {title: np.stack(list(group[f"layers/{name}"])) for name, title in names.items()}
        for network, group in table.groupby("network", sort=False)
    }


def comparisons(table: pd.DataFrame, removal: str, baseline: str, margin: float) -> pd.DataFrame:
    """`against`, ready to show: by network the difference in probability, and what the tests say of it."""
    shown = tables.comparison_table(against(table, removal, baseline, margin))
    return shown.rename(columns={"difference, points": f"weights - {baseline}"})


def ranking_table(table: pd.DataFrame, removal: str) -> pd.DataFrame:
    """By network, the comprehensiveness of every ranking with its interval, ready to show."""
    return pd.DataFrame(
        {
            network: {ranking: f"{value:.2f}" for ranking, value in found.items()}
            for network, found in rankings(table, removal).items()
        }
    )
