"""Choosing a setting by validation accuracy, and how much of such a choice is luck."""

from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

MOST_SEEDS = 5  # 5**5 = 3,125 draws can all be counted, 6**6 = 46,656 take too long
DRAWS = 10_000  # of the best of equal settings: enough for two digits of its 95 % quantile


def choice(scores: pd.DataFrame) -> Hashable:
    """The name of the setting with the highest mean score; the first of equals.

    Args:
        scores: one row per setting, one column per seed.
    """
    return scores.mean(axis=1).idxmax()


def choices_by_fewer_seeds(scores: pd.DataFrame, count: int) -> Counter:
    """How often each setting is chosen, by its name, over all ways to take `count` of the seeds.

    Args:
        scores: one row per setting, one column per seed.
        count: how many seeds a choice may look at.

    Raises:
        ValueError: unless 1 <= count <= number of seeds.
    """
    if not 1 <= count <= scores.shape[1]:
        raise ValueError(f"count must lie in 1..{scores.shape[1]}, the number of seeds, got {count!r}")
    return Counter(choice(scores[list(seeds)]) for seeds in combinations(scores.columns, count))


def bootstrap_choices(scores: pd.DataFrame) -> Counter:
    """How often each setting is chosen, by its name, over all S**S ways to draw S seeds with replacement.

    Every draw is counted, so nothing is random.

    Args:
        scores: one row per setting, one column per seed.

    Raises:
        ValueError: for more than `MOST_SEEDS` seeds.
    """
    seeds = range(scores.shape[1])
    if len(seeds) > MOST_SEEDS:
        raise ValueError(f"at most {MOST_SEEDS} seeds can be drawn in every way, got {len(seeds)}")
    values = scores.to_numpy()
    return Counter(scores.index[values[:, draw].mean(axis=1).argmax()] for draw in product(seeds, repeat=len(seeds)))


def effects(table: pd.DataFrame, outcome: str, factors: Sequence[str]) -> pd.DataFrame:
    """Analysis of variance: what each factor of a full grid explains of the outcome, one row per factor.

    Main effects with the seed as a block; all else counts as noise, the last row. Columns: share of the variance in
    percent, F, p.

    Args:
        table: one row per run, with the columns "seed", the factors and the outcome.
        outcome: the column to explain.
        factors: the columns that may explain it.
    """
    terms = [f"C({name})" for name in [*factors, "seed"]]
    found = anova_lm(ols(f"{outcome} ~ {' + '.join(terms)}", table).fit())
    shares = 100 * found["sum_sq"] / found["sum_sq"].sum()
    rows = pd.DataFrame({"share of variance, %": shares, "F": found["F"], "p": found["PR(>F)"]})
    return rows.rename(index=lambda name: "noise" if name == "Residual" else name.removeprefix("C(").removesuffix(")"))


def _means_of_equal_settings(scores: pd.DataFrame) -> np.ndarray:
    """What the settings' means would be if all settings were equal, around 0, many draws: (DRAWS, settings)."""
    values = scores.to_numpy()
    settings, seeds = values.shape
    left = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    noise = np.sqrt((left**2).sum() / ((settings - 1) * (seeds - 1)))
    return np.random.default_rng(0).normal(scale=noise / np.sqrt(seeds), size=(DRAWS, settings))


def winners_curse(scores: pd.DataFrame) -> np.ndarray:
    """How far the best of equal settings would stand above the mean of all, by chance alone, (DRAWS,).

    In the unit of the scores. Each draw gives every setting the same true score and as many seeds as `scores` has, with
    the noise that is left in `scores` when each setting's and each seed's mean is taken out.

    Args:
        scores: one row per setting, one column per seed.
    """
    means = _means_of_equal_settings(scores)
    return means.max(axis=1) - means.mean(axis=1)


def ranked_by_luck(scores: pd.DataFrame) -> np.ndarray:
    """How far equal settings would stand from the mean of all, by chance alone, best first: (DRAWS, settings).

    The draws of `winners_curse`, which is the first column: what each rank of a grid owes to luck.

    Args:
        scores: one row per setting, one column per seed.
    """
    means = _means_of_equal_settings(scores)
    return np.sort(means - means.mean(axis=1, keepdims=True), axis=1)[:, ::-1]
