"""Choosing by validation accuracy: a planted best setting is found, and luck is called luck."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from laya_nb.analysis import selection


def scores(settings: int, seeds: int, best: float, rng: np.random.Generator) -> pd.DataFrame:
    """Noise of standard deviation 1 around 0, a shift for each seed, and the last setting better by `best`."""
    values = rng.normal(size=(settings, seeds)) + 5 * rng.normal(size=seeds)
    values[-1] += best
    return pd.DataFrame(values, index=[f"s{i}" for i in range(settings)], columns=list(range(seeds)))


def test_a_clearly_better_setting_is_always_chosen() -> None:
    table = scores(36, 3, best=20.0, rng=np.random.default_rng(0))
    assert selection.choice(table) == "s35"
    assert selection.bootstrap_choices(table) == {"s35": 27}
    assert selection.choices_by_fewer_seeds(table, 2) == {"s35": 3}


def test_choices_by_hand() -> None:
    table = pd.DataFrame({0: [3.0, 0.0], 1: [0.0, 2.0]}, index=["a", "b"])
    assert selection.choice(table) == "a"
    assert selection.choices_by_fewer_seeds(table, 1) == {"a": 1, "b": 1}
    # seeds (0, 0), (0, 1), (1, 0) choose a, (1, 1) chooses b
    assert selection.bootstrap_choices(table) == {"a": 3, "b": 1}
    equal = pd.DataFrame({0: [1.0, 1.0], 1: [2.0, 2.0]}, index=["a", "b"])
    assert selection.choice(equal) == "a"
    assert selection.choices_by_fewer_seeds(equal, 2) == {"a": 1}


def test_luck_is_calibrated() -> None:
    """Where no setting is better, the best exceeds 95 % of lucky draws in about 5 % of all grids."""
    rng = np.random.default_rng(1)
    tables = [scores(36, 3, best=0.0, rng=rng) for _ in range(300)]
    above = [
        table.mean(axis=1).max() - table.to_numpy().mean() > np.quantile(selection.winners_curse(table), 0.95)
        for table in tables
    ]
    assert 0.02 < np.mean(above) < 0.09


def test_luck_by_hand() -> None:
    """Two settings whose differences are 1 and -1: their noise has variance 1, and a mean of two seeds half of it.

    So the difference of two such means is normal with variance 1, and the better stands half of it above their mean.
    """
    table = pd.DataFrame({0: [1.0, 0.0], 1: [5.0, 6.0]}, index=["a", "b"])
    luck = selection.winners_curse(table)
    assert luck.shape == (10_000,)
    assert luck.min() >= 0
    assert luck.mean() == pytest.approx(0.5 * np.sqrt(2 / np.pi), abs=0.01)
    assert selection.winners_curse(table + np.array([[7.0], [9.0]])) == pytest.approx(luck)  # settings' own means


def test_luck_of_every_rank() -> None:
    """The first column is the winner's curse; ranks fall, and the last lies as far below the mean."""
    table = scores(36, 3, best=0.0, rng=np.random.default_rng(4))
    luck = selection.ranked_by_luck(table)
    assert luck.shape == (10_000, 36)
    np.testing.assert_allclose(luck[:, 0], selection.winners_curse(table))
    assert (np.diff(luck, axis=1) <= 0).all()
    np.testing.assert_allclose(luck.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(luck.mean(axis=0), -luck.mean(axis=0)[::-1], atol=0.02)


def test_equal_settings_lie_in_the_band_of_luck() -> None:
    """At each rank 95 % of all grids of equal settings lie between its edges; a setting that is better lies above."""
    rng = np.random.default_rng(5)
    inside = []
    for _ in range(100):
        table = scores(12, 3, best=0.0, rng=rng)
        low, high = np.quantile(selection.ranked_by_luck(table), [0.025, 0.975], axis=0)
        ranked = np.sort(table.mean(axis=1) - table.to_numpy().mean())[::-1]
        inside.append((low <= ranked) & (ranked <= high))
    assert 0.88 < np.mean(inside) < 0.99
    better = scores(36, 3, best=20.0, rng=rng)
    most = np.quantile(selection.ranked_by_luck(better)[:, 0], 0.975)
    assert better.mean(axis=1).max() - better.to_numpy().mean() > most


def test_effects_find_the_factor_that_matters() -> None:
    rng = np.random.default_rng(2)
    rows = [
        {"a": a, "b": b, "seed": seed, "y": 2.0 * a + 5.0 * seed + rng.normal()}
        for a, b, seed in product(range(3), range(4), range(3))
    ]
    table = selection.effects(pd.DataFrame(rows), "y", ["a", "b"])
    assert list(table.index) == ["a", "b", "seed", "noise"]
    assert table["share of variance, %"].sum() == pytest.approx(100)
    p = table["p"].to_dict()
    assert p["a"] < 1e-4
    assert p["b"] > 0.01
    assert table.loc["noise", ["F", "p"]].isna().all()


def test_effects_by_hand() -> None:
    """A balanced table without noise: the seed's and the factor's sums of squares, 8 and 2, share the variance."""
    rows = [{"a": a, "seed": seed, "y": a + 2.0 * seed} for a in (0, 1) for seed in (0, 1) for _ in range(2)]
    shares = selection.effects(pd.DataFrame(rows), "y", ["a"])["share of variance, %"]
    assert shares.to_dict() == pytest.approx({"a": 20, "seed": 80, "noise": 0}, abs=1e-6)


def test_wrong_counts_are_named() -> None:
    table = scores(4, 6, 0.0, np.random.default_rng(3))
    with pytest.raises(ValueError, match=r"count must lie in 1..6, the number of seeds, got 7"):
        selection.choices_by_fewer_seeds(table, 7)
    with pytest.raises(ValueError, match="got 0"):
        selection.choices_by_fewer_seeds(table, 0)
    assert sum(selection.choices_by_fewer_seeds(table, 6).values()) == 1
    assert sum(selection.bootstrap_choices(table[[0, 1, 2, 3, 4]]).values()) == 5**5
    with pytest.raises(ValueError, match="at most 5 seeds can be drawn in every way, got 6"):
        selection.bootstrap_choices(table)
