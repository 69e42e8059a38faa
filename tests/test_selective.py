"""Scores of doubt: areas by hand, ties as the mean over all orders, and what confidence takes away."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laya_nb.analysis.attention import auroc
from laya_nb.analysis.selective import (
    accuracy_at,
    augrc,
    aurc,
    auroc_given,
    excess_aurc,
    gain_given,
    like_confidence,
)

rng = np.random.default_rng(0)


def test_areas_by_hand() -> None:
    doubt, wrong = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True])
    assert aurc(doubt, wrong) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert aurc(-doubt, wrong) == pytest.approx((1 + 1 / 2 + 2 / 3 + 2 / 4) / 4)
    ideal = (0 + 0 + 1 / 3 + 2 / 4) / 4
    assert excess_aurc(doubt, wrong) == pytest.approx(aurc(doubt, wrong) - ideal)
    assert excess_aurc(wrong.astype(float), wrong) == 0
    assert [accuracy_at(doubt, wrong, c) for c in (0.25, 0.5, 0.75, 1)] == pytest.approx([1, 0.5, 2 / 3, 0.5])


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6))
def test_ties_are_the_mean_over_all_orders(examples: list[tuple[int, bool]]) -> None:
    doubt, wrong = (np.array(values) for values in zip(*examples, strict=True))
    orders = [order for order in itertools.permutations(range(len(doubt))) if (np.diff(doubt[list(order)]) >= 0).all()]
    ranks = np.arange(len(doubt))
    for area in (aurc, augrc):
        expected = np.mean([area(ranks, wrong[list(order)]) for order in orders])
        assert area(doubt, wrong) == pytest.approx(expected)


@given(st.integers(2, 60), st.integers(0, 10_000))
def test_the_generalised_area_follows_from_auroc_and_accuracy(n: int, seed: int) -> None:
    own = np.random.default_rng(seed)
    doubt, wrong = own.integers(0, 9, n), own.random(n) < 0.4
    wrong[:2] = True, False
    a = 1 - wrong.mean()
    assert augrc(doubt, wrong) == pytest.approx((1 - auroc(doubt, wrong)) * a * (1 - a) + (1 - a) ** 2 / 2)


def test_within_groups_nothing_is_left_of_what_the_groups_tell() -> None:
    confidence = rng.random(4000)
    wrong = rng.random(4000) > confidence
    doubt = -confidence + 0.05 * rng.standard_normal(4000)  # knows confidence and nothing else
    assert auroc(doubt, wrong) > 0.8
    groups = like_confidence(confidence, 50)
    assert np.bincount(groups).tolist() == [80] * 50
    assert confidence[groups == 3].max() < confidence[groups == 4].min()
    assert auroc_given(doubt, wrong, groups) == pytest.approx(0.5, abs=0.05)
    told = doubt - 0.2 * wrong  # knows more, in the wrong direction
    assert auroc_given(told, wrong, groups) < 0.2
    assert auroc_given(doubt, wrong, np.zeros(4000)) == pytest.approx(auroc(doubt, wrong))
    assert np.isnan(auroc_given(doubt, wrong, wrong))


def test_larger_groups_count_more() -> None:
    doubt = np.array([1.0, 0, 0, 1, 1, 0])
    wrong = np.array([True, False, True, True, False, False])
    groups = np.array([0, 0, 1, 1, 1, 1])
    assert auroc_given(doubt, wrong, groups) == pytest.approx((1 * 1 + 4 * 0.5) / 5)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"got \(2,\) and \(3,\)"):
        aurc(np.zeros(2), np.zeros(3, dtype=bool))
    with pytest.raises(ValueError, match="that of example 1 is NaN"):
        augrc(np.array([0, np.nan]), np.array([True, False]))
    with pytest.raises(ValueError, match="at least one example"):
        aurc(np.zeros(0), np.zeros(0, dtype=bool))
    for coverage in (0.0, 0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="leave an example of 3, got"):
            accuracy_at(np.zeros(3), np.zeros(3, dtype=bool), coverage)


def test_what_a_doubt_adds_to_another() -> None:
    """Half of the risk is in the known doubt, half in another: nothing is gained from a copy, however stretched, or
    from noise; what the other one adds is close to what the true risks say."""
    known, other, noise = rng.random((3, 20_000))
    risk = 0.5 * known**2 + 0.5 * other**2
    wrong = rng.random(20_000) < risk
    for nothing in (known, np.exp(9 * known), noise):
        gained = gain_given(nothing, known, wrong)
        assert gained == pytest.approx({"auroc": 0, "log_loss": 0}, abs=2e-3)
    gained = gain_given(-1 / (other + 0.1), known, wrong)
    assert gained["auroc"] == pytest.approx(auroc(risk, wrong) - auroc(known, wrong), abs=0.01)
    at_known = 0.5 * known**2 + 0.5 / 3  # the mean over the other
    losses = [-np.log(np.where(wrong, p, 1 - p)).mean() for p in (at_known, risk)]
    assert gained["log_loss"] == pytest.approx(losses[0] - losses[1], abs=0.005)


def test_without_a_mistake_in_either_half_nothing_is_gained() -> None:
    doubt, wrong = np.arange(10.0), np.zeros(10, dtype=bool)
    assert np.isnan(list(gain_given(doubt, doubt, wrong).values())).all()
