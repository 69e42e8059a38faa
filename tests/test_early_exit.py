"""Early exits: where examples leave, what that loses, and a guarantee that holds."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.risk_control import control_fwer
from scipy import stats

from laya_nb.analysis.early_exit import exits, lost, most_losses, threshold_with_guarantee

rng = np.random.default_rng(0)


def drawn(n: int, generator: np.random.Generator = rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Certainties, answers and labels of three exits; the surer the first two are, the more often they are right."""
    certainty = generator.random((n, 2))
    right = np.column_stack([generator.random((n, 2)) < certainty**0.2, generator.random(n) < 0.98])
    return certainty, np.where(right, 1, 0), np.ones(n, dtype=int)


def test_an_example_leaves_at_the_first_exit_that_is_sure() -> None:
    certainty = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.3], [0.8, 0.9]])
    assert exits(certainty, 0.8).tolist() == [0, 1, 2, 0]
    assert exits(certainty, 0.85).tolist() == [0, 2, 2, 1]
    assert exits(certainty, math.inf).tolist() == [2, 2, 2, 2]
    assert exits(certainty, 0).tolist() == [0, 0, 0, 0]


def test_a_loss_is_a_wrong_exit_before_a_right_end() -> None:
    answers = np.array([[0, 1], [0, 0], [1, 1], [1, 0], [0, 1]])
    labels = np.ones(5, dtype=int)
    assert lost(answers, labels, np.zeros(5, dtype=int)).tolist() == [True, False, False, False, True]
    assert not lost(answers, labels, np.ones(5, dtype=int)).any()


@pytest.mark.parametrize(
    ("examples", "losses"), [(1000, (1, 4, 12)), (5000, (16, 38, 83)), (10_000, (38, 83, 176)), (500, (-1, 1, 4))]
)
def test_how_many_losses_are_allowed(examples: int, losses: tuple[int, ...]) -> None:
    assert tuple(most_losses(examples, risk) for risk in (0.005, 0.01, 0.02)) == losses


@given(st.integers(1, 400), st.floats(0.01, 0.6), st.floats(0.01, 0.5))
def test_one_more_loss_would_be_too_many(examples: int, risk: float, delta: float) -> None:
    most = most_losses(examples, risk, delta)
    assert most < 0 or stats.binom.cdf(most, examples, risk) <= delta
    assert stats.binom.cdf(most + 1, examples, risk) > delta


def test_the_threshold_is_the_last_that_passes() -> None:
    certainty, answers, labels = drawn(3000)
    threshold = threshold_with_guarantee(certainty, answers, labels, 0.02)
    most = most_losses(3000, 0.02)
    assert lost(answers, labels, exits(certainty, threshold)).sum() <= most
    tried = np.unique(certainty)
    below = tried[np.searchsorted(tried, threshold) - len(tried) // 190]
    assert lost(answers, labels, exits(certainty, below)).sum() > most
    assert threshold_with_guarantee(certainty, answers, labels, 0.1) < threshold
    assert threshold_with_guarantee(certainty, answers, labels, 0.02, delta=0.4) <= threshold


def test_the_threshold_is_that_of_mapie() -> None:
    """Its procedure gets the same p-values, from the highest threshold on."""
    for risk in (0.01, 0.02, 0.05):
        certainty, answers, labels = drawn(2000)
        tried = np.unique(certainty)[:: -len(certainty) * 2 // 150]
        losses = [lost(answers, labels, exits(certainty, one)).sum() for one in tried]
        passed = control_fwer(stats.binom.cdf(losses, 2000, risk), 0.05, "fixed_sequence")
        ours = threshold_with_guarantee(certainty, answers, labels, risk)
        assert abs(tried[passed[-1]] - ours) < 0.03
        allowed = [count <= most_losses(2000, risk) for count in losses]
        assert passed.tolist() == list(range(allowed.index(False)))


def test_the_guarantee_holds_from_draw_to_draw() -> None:
    """The risk of a threshold is known here, from a large sample; it is above 2 % in 5 % of draws at most."""
    certainty, answers, labels = drawn(100_000, np.random.default_rng(1))
    generator, missed, gained = np.random.default_rng(2), 0, 0.0
    risks: dict[float, float] = {}
    for _ in range(300):
        threshold = round(threshold_with_guarantee(*drawn(1000, generator), risk=0.02), 3)
        if threshold not in risks:
            risks[threshold] = float(lost(answers, labels, exits(certainty, threshold)).mean())
        missed += risks[threshold] > 0.02
        gained += risks[threshold] / 300
    assert stats.binomtest(missed, 300).proportion_ci().low <= 0.05
    assert missed >= 2  # it is no more careful than it must be
    assert gained > 0.008


def test_where_nothing_can_be_shown() -> None:
    certainty, answers, labels = drawn(100)
    with pytest.raises(
        ValueError, match=r"100 calibration examples cannot show a risk of 0\.01 .* at least 299 are needed"
    ):
        threshold_with_guarantee(certainty, answers, labels, 0.01)
    assert most_losses(299, 0.01) == 0
    assert most_losses(298, 0.01) == -1
    never = np.column_stack([np.zeros((300, 2)), np.ones(300)])
    assert threshold_with_guarantee(np.ones((300, 2)), never, np.ones(300), 0.01) == math.inf


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"certainty": np.zeros((0, 2))}, r"certainty must be numbers .* got \(0, 2\)"),
        ({"certainty": np.full((400, 2), np.nan)}, "certainty must be numbers"),
        ({"answers": np.ones((400, 2))}, r"got \(400, 2\), \(400,\) and \(400, 2\)"),
        ({"labels": np.ones(3)}, r"\(3,\)"),
        ({"risk": 0.0}, "risk must be"),
        ({"risk": 1.0}, "risk must be above 0 and below 1, got 1.0"),
        ({"delta": 1.5}, "delta must be above 0 and below 1, got 1.5"),
    ],
)
def test_bad_input_is_named(changed: dict[str, Any], said: str) -> None:
    certainty, answers, labels = drawn(400)
    good: dict[str, Any] = {"certainty": certainty, "answers": answers, "labels": labels, "risk": 0.02}
    with pytest.raises(ValueError, match=said):
        threshold_with_guarantee(**(good | changed))
