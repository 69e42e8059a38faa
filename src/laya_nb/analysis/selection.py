"""Choosing a setting by validation accuracy, and how much of such a choice is luck."""

from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm


def choice(scores: pd.DataFrame) -> Hashable:
    """The setting with the highest mean score; the first of equals.

    Args:
        scores: one row a setting, one column a seed.
    """
    return scores.mean(axis=1).idxmax()


def choices_by_fewer_seeds(scores: pd.DataFrame, count: int) -> Counter:
    """How often each setting is chosen, over all ways to take `count` of the seeds.

    Raises:
        ValueError: unless 1 <= count <= number of seeds.
    """
    if not 1 <= count <= scores.shape[1]:
        raise ValueError(f"count must lie in 1..{scores.shape[1]}, the number of seeds, got {count!r}")
    return Counter(choice(scores[list(seeds)]) for seeds in combinations(scores.columns, count))


def bootstrap_choices(scores: pd.DataFrame) -> Counter:
    """How often each setting is chosen, over all S**S ways to draw S seeds with replacement.

    Every draw is counted, so nothing is random. S is the number of seeds, at most 5.
    """
    seeds = range(scores.shape[1])
    if len(seeds) > 5:
        raise ValueError(f"at most 5 seeds can be drawn in every way, got {len(seeds)}")
    values = scores.to_numpy()
    return Counter(scores.index[values[:, draw].mean(axis=1).argmax()] for draw in product(seeds, repeat=len(seeds)))


def effects(table: pd.DataFrame, outcome: str, factors: Sequence[str]) -> pd.DataFrame:
    """Analysis of variance: what each factor of a full grid explains of the outcome, one row a factor.

    Main effects with the seed as a block; all else counts as noise. Columns: share of the variance in percent, F, p.
    """
    terms = [f"C({name})" for name in [*factors, "seed"]]
    found = anova_lm(ols(f"{outcome} ~ {' + '.join(terms)}", table).fit())
    shares = 100 * found["sum_sq"] / found["sum_sq"].sum()
    rows = pd.DataFrame({"share of variance, %": shares, "F": found["F"], "p": found["PR(>F)"]})
    return rows.rename(index=lambda name: "noise" if name == "Residual" else name.removeprefix("C(").removesuffix(")"))


def winners_curse(scores: pd.DataFrame, draws: int = 10_000) -> np.ndarray:
    """What the best of equal settings would stand above the mean of all, by chance alone, (draws,).

    Each draw gives every setting the same true score and as many seeds as `scores` has, with the noise that is left in
    `scores` when each setting's and each seed's mean is taken out.
    """
    values = scores.to_numpy()
    settings, seeds = values.shape
    left = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0, keepdims=True) + values.mean()
    noise = np.sqrt((left**2).sum() / ((settings - 1) * (seeds - 1)))
    means = np.random.default_rng(0).normal(0, noise / np.sqrt(seeds), (draws, settings))
    return means.max(axis=1) - means.mean(axis=1)
