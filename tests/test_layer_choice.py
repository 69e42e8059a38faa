"""Correlations over few, smooth layers: what chance gives, and what it does not."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from laya_nb.analysis.layer_choice import (
    Curves,
    best_layer_right,
    chosen_accuracy,
    distance_correlation,
    distance_correlation_over_layers,
    picked,
    random_walks,
    spearman_over_layers,
)

rng = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("length", "drawn", "mean", "high"),
    [
        (13, "noise", 0.45, 0.62),
        (7, "noise", 0.59, None),
        (13, "walks", 0.57, 0.87),
    ],
)
def test_what_independent_curves_have_by_chance(length: int, drawn: str, mean: float, high: float | None) -> None:
    def one() -> np.ndarray:
        return rng.standard_normal(length) if drawn == "noise" else random_walks(1, length, rng)[0]

    found = np.array([distance_correlation(one(), one()) for _ in range(3000)])
    assert found.mean() == pytest.approx(mean, abs=0.015)
    if high is not None:
        assert np.quantile(found, 0.95) == pytest.approx(high, abs=0.02)


def test_rank_correlation_is_scipys_and_zero_for_constants() -> None:
    measure, accuracy = rng.standard_normal(9), np.round(rng.random(9), 1)
    (found,) = spearman_over_layers([Curves("a", measure, accuracy)], draws=2).values
    assert found == pytest.approx(stats.spearmanr(measure, accuracy).statistic)
    assert spearman_over_layers([Curves("a", measure, np.ones(9))], draws=2).mean == 0


def test_distance_correlation_is_one_for_lines_and_nothing_for_constants() -> None:
    x = rng.standard_normal(9)
    assert distance_correlation(x, 3 - 2 * x) == pytest.approx(1)
    assert distance_correlation(x, np.ones(9)) == 0
    assert distance_correlation(x, x**2) == pytest.approx(distance_correlation(x**2, x))


def units(encoders: int, tasks: int, length: int = 12, follows: float = 0.0) -> list[Curves]:
    """Measures that are walks, and accuracies that follow them by a share, or are walks of their own."""
    found = []
    for encoder in range(encoders):
        measure = random_walks(1, length, rng)[0]
        for _ in range(tasks):
            accuracy = follows * measure + (1 - follows) * random_walks(1, length, rng)[0]
            found.append(Curves(str(encoder), measure, accuracy))
    return found


def test_the_null_gives_p_values_that_are_what_they_say() -> None:
    """Walks that have nothing to do with each other, ten tasks on each of two encoders: 5 % come below 0.05, however
    many tasks share an encoder's curve."""
    below = np.mean([spearman_over_layers(units(2, 10), draws=99, seed=i).p <= 0.05 for i in range(100)])
    assert 0 <= below <= 0.12


def test_what_follows_is_found_and_its_sign_counts() -> None:
    there = units(4, 5, follows=0.7)
    found = spearman_over_layers(there, draws=300)
    assert found.p < 0.01
    assert found.mean == pytest.approx(found.values.mean())
    assert found.mean > found.null_high > found.null_mean
    turned = [Curves(unit.encoder, unit.measure, unit.accuracy, -1) for unit in there]
    assert spearman_over_layers(turned, draws=300).mean == pytest.approx(-found.mean)
    assert spearman_over_layers(turned, draws=300).p > 0.9
    assert distance_correlation_over_layers(turned, draws=50).mean == pytest.approx(
        distance_correlation_over_layers(there, draws=50).mean
    )


def test_many_tasks_on_one_encoder_are_little_evidence() -> None:
    """One curve that happens to fit: all tasks repeat it, and so does every walk of the null."""
    rising = np.arange(6.0)
    one = [Curves("a", rising, rising + 0.01 * rng.standard_normal(6)) for _ in range(50)]
    several = [Curves(str(i % 5), rising, unit.accuracy) for i, unit in enumerate(one)]
    assert spearman_over_layers(one, draws=500).p > 0.01
    assert spearman_over_layers(several, draws=500).p < 0.005


def test_the_picked_layer_has_most_or_least() -> None:
    measure = np.array([1.0, 3, 3, 0])
    assert (picked(measure, 1), picked(measure, -1)) == (1, 3)  # the first of equals
    with pytest.raises(ValueError, match=r"finite at every layer, got \[1.0, nan\]"):
        picked(np.array([1, np.nan]), 1)


def test_equal_scores_share_the_choice() -> None:
    assert chosen_accuracy(np.array([1, 2, 2, 0]), np.array([0.1, 0.5, 0.7, 0.9])) == pytest.approx(0.6)


def test_the_best_layer_is_judged_where_it_was_not_chosen() -> None:
    guesses = rng.random((200, 12, 400)) < 0.5
    assert guesses.mean(axis=2).max(axis=1).mean() > 0.53  # the luck of the best of twelve
    assert np.mean([best_layer_right(right).mean() for right in guesses]) == pytest.approx(0.5, abs=0.006)
    one_better = np.stack([np.zeros(10), np.arange(10) < 9, np.zeros(10)])
    assert best_layer_right(one_better).mean() == pytest.approx(0.9)
    np.testing.assert_array_equal(best_layer_right(one_better), one_better[1])
    assert best_layer_right(np.array([[1, 0], [0, 1]])).tolist() == [0, 0]  # each is best where it is not judged
    with pytest.raises(ValueError, match=r"N at least 2, got \(3, 1\)"):
        best_layer_right(np.ones((3, 1)))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((np.zeros(2), np.zeros(2)), r"L at least 3, got \(2,\) and \(2,\)"),
        ((np.zeros(3), np.zeros(4)), r"got \(3,\) and \(4,\)"),
        ((np.array([0, np.nan, 1]), np.zeros(3)), "enc: .*must be finite at every layer"),
        ((np.zeros(3), np.zeros(3), 0), "sign must be 1 or -1, got 0"),
    ],
)
def test_bad_curves_are_named(arguments: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Curves("enc", *arguments)
    with pytest.raises(ValueError, match="no curves"):
        spearman_over_layers([])
