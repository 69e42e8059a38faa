"""Statistics: against textbook numbers, by simulation, and on input that carries no answer."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from laya_nb.statistics import Comparison, compare, compare_all, estimate, holm, holm_within, slopes, welch_t

VALUES = st.lists(st.floats(-100, 100), min_size=3, max_size=12)


def test_interval_by_hand() -> None:
    """1, 2, 3: mean 2, std 1, t(0.975, 2) = 4.3027, so 2 ± 4.3027 / sqrt(3)."""
    e = estimate([1.0, 2.0, 3.0])
    assert (e.mean, e.std, e.n) == (2, 1, 3)
    assert (e.low, e.high) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)
    assert (estimate([4.0, 4.0]).low, estimate([4.0, 4.0]).high) == (4, 4)
    assert f"{e:.1f}" == "2.0 [-0.5, 4.5]"


def test_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = [e.low <= 5 <= e.high for e in (estimate(rng.normal(5, 2, 10)) for _ in range(2000))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


@given(VALUES, st.floats(-5, 5))
def test_comparison_turns_with_its_sides(values: list[float], shift: float) -> None:
    a = np.array(values)
    b = a[::-1] + shift
    one, other = compare(a, b, 1), compare(b, a, 1)
    assert one.difference.mean == pytest.approx(-other.difference.mean)
    assert one.p_difference == pytest.approx(other.p_difference, abs=1e-9)
    assert one.p_equivalence == pytest.approx(other.p_equivalence, abs=1e-9)


def test_paired_tests_agree_with_their_intervals() -> None:
    """p < 0.05 exactly where the 95 % interval leaves out zero; TOST at 0.05 where the 90 % one stays inside."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        a, b = rng.normal(0, 1, 10), rng.normal(rng.choice([0, 1]), 1, 10)
        c = compare(a, b, margin=0.8)
        low, high = stats.ttest_1samp(a - b, 0).confidence_interval(0.90)
        assert (c.p_difference < 0.05) == (not c.difference.low <= 0 <= c.difference.high)
        assert (c.p_equivalence < 0.05) == (low > -0.8 and high < 0.8)
        assert c.p_difference == pytest.approx(stats.ttest_1samp(a - b, 0).pvalue)


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        ([2.0, 2.1, 1.9, 2.0, 2.05], "higher"),
        ([-2.0, -2.1, -1.9, -2.0, -2.05], "lower"),
        ([0.1, -0.1, 0.0, 0.05, -0.05], "equivalent"),
        ([0.2, 0.21, 0.19, 0.2, 0.22], "equivalent"),  # real, and too small to matter
        ([3.0, -3.0, 1.0, -2.0, 2.0], "undecided"),
        ([0.0, 0.0, 0.0, 0.0, 0.0], "equivalent"),
        ([2.0, 2.0, 2.0, 2.0, 2.0], "higher"),
        ([-2.0, -2.0, -2.0, -2.0, -2.0], "lower"),
        ([0.25, 0.25, 0.25, 0.25, 0.25], "equivalent"),
        ([0.5, 0.5, 0.5, 0.5, 0.5], "higher"),  # the margin itself is not below the margin
    ],
)
def test_verdicts(difference: list[float], verdict: str) -> None:
    base = np.array([80.0, 80.5, 81.0, 79.5, 80.25])
    assert compare(base + np.array(difference), base, 0.5).verdict() == verdict


@pytest.mark.parametrize(
    ("p_difference", "p_holm", "p_equivalence", "p_equivalence_holm", "verdict"),
    [
        (0.04, None, 0.5, None, "higher"),
        (0.04, 0.08, 0.5, 1.0, "undecided"),  # after the correction
        (0.2, 0.04, 0.5, 1.0, "higher"),
        (0.05, None, 0.025, None, "undecided"),  # the level itself is not below the level
        (0.01, 0.01, 0.01, 0.024, "equivalent"),
        (0.9, 0.9, 0.01, 0.04, "undecided"),
        (0.01, 0.01, 0.01, 0.04, "higher"),
    ],
)
def test_what_a_verdict_looks_at(
    p_difference: float, p_holm: float | None, p_equivalence: float, p_equivalence_holm: float | None, verdict: str
) -> None:
    above = estimate([0.9, 1.1])
    comparison = Comparison(above, p_difference, p_equivalence, 0.5, p_holm, p_equivalence_holm)
    assert comparison.verdict() == verdict


@given(
    st.lists(
        st.lists(st.floats(-2, 2).map(lambda x: round(x, 3)), min_size=4, max_size=4), min_size=1, max_size=4
    ).filter(lambda rows: all(np.std(row) > 0.01 for row in rows))
)
def test_no_verdict_contradicts_its_interval(rows: list[list[float]]) -> None:
    """Alone or corrected with others: equivalent is within the margin, higher and lower leave out 0."""
    alone = {str(i): compare(row, np.zeros(4), 0.5) for i, row in enumerate(rows)}
    for comparison in [*alone.values(), *holm(alone).values()]:
        low, high = comparison.difference.low, comparison.difference.high
        match comparison.verdict():
            case "equivalent":
                assert -0.5 <= low <= high <= 0.5
            case "higher":
                assert low > 0
            case "lower":
                assert high < 0


def test_identical_pairs_leave_no_doubt() -> None:
    same, shifted = compare([1, 2, 3], [1, 2, 3], 0.5), compare([2, 3, 4], [1, 2, 3], 0.5)
    assert (same.p_difference, same.p_equivalence) == (1.0, 0.0)
    assert (shifted.p_difference, shifted.p_equivalence) == (0.0, 1.0)


def test_holm_by_hand() -> None:
    """Of p = 0.01, 0.03, 0.02: the smallest times 3, the next times 2, and none below the one before it."""
    difference = estimate([1.0, 2.0])
    found = holm({name: Comparison(difference, p, 0.5, 0.5) for name, p in (("a", 0.01), ("b", 0.03), ("c", 0.02))})
    assert {name: c.p_holm for name, c in found.items()} == pytest.approx({"a": 0.03, "b": 0.04, "c": 0.04})
    assert found["b"].p_difference == 0.03
    found = holm({name: Comparison(difference, 0.5, p, 0.5) for name, p in (("a", 0.01), ("b", 0.03), ("c", 0.02))})
    assert {name: c.p_equivalence_holm for name, c in found.items()} == pytest.approx({"a": 0.03, "b": 0.04, "c": 0.04})
    assert holm({}) == {}


def test_each_network_is_a_question_of_its_own() -> None:
    difference, names = estimate([1.0, 2.0]), [("a", "x"), ("a", "y"), ("b", "x")]
    found = holm_within(
        {n: Comparison(difference, p, 0.5, 0.5) for n, p in zip(names, (0.01, 0.03, 0.02), strict=True)}
    )
    assert {name: c.p_holm for name, c in found.items()} == pytest.approx(
        dict(zip(names, (0.02, 0.03, 0.02), strict=True))
    )


def test_settings_are_compared_with_the_reference_seed_by_seed() -> None:
    rows = [{"tau": tau, "seed": seed, "y": 10.0 * seed + tau} for tau in (1.0, 2.0, 4.0) for seed in range(3)]
    compared = compare_all(pd.DataFrame(rows), "y", 2.0, 0.5, by="tau")
    assert {tau: c.difference.mean for tau, c in compared.items()} == pytest.approx({1.0: -1.0, 4.0: 2.0})
    with pytest.raises(ValueError, match=r"no run has tau 3.0, the reference; there are: \[1.0, 2.0, 4.0\]"):
        compare_all(pd.DataFrame(rows), "y", 3.0, 0.5, by="tau")
    absent = pd.DataFrame(rows).assign(y=lambda table: table["y"].where(table["tau"] != 4.0))
    with pytest.raises(ValueError, match="every tau needs every seed"):  # not one setting fewer
        compare_all(absent, "y", 2.0, 0.5, by="tau")
    backwards = compare_all(pd.DataFrame(rows[::-1]), "y", 2.0, 0.5, by="tau")
    assert list(backwards) == [4.0, 1.0]  # the order of the table
    alone = pd.DataFrame([row for row in rows if row["tau"] == 2.0])
    assert compare_all(alone, "y", 2.0, 0.5, by="tau") == {}


def test_heads_are_compared_seed_by_seed_and_corrected_together() -> None:
    rng = np.random.default_rng(2)
    luck = rng.normal(0, 3, 8)
    rows = [
        {"head": head, "seed": seed, "accuracy": 80 + luck[seed] + gain + rng.normal(0, 0.1)}
        for head, gain in (("base", 0.0), ("better", 1.0), ("same", 0.0))
        for seed in rng.permutation(8)
    ]
    found = compare_all(pd.DataFrame(rows), "accuracy", "base", 0.5)
    assert list(found) == ["better", "same"]
    assert found["better"].verdict() == "higher"
    assert found["same"].verdict() == "equivalent"
    assert found["better"].p_holm == pytest.approx(2 * found["better"].p_difference)
    asked = compare_all(pd.DataFrame(rows), "accuracy", "base", 0.5, primary="same")
    assert list(asked) == ["better", "same"]
    assert (asked["same"].p_holm, asked["same"].p_equivalence_holm) == (None, None)
    assert asked["better"].p_holm == pytest.approx(asked["better"].p_difference)  # nothing else to pay for
    with pytest.raises(ValueError, match="every head needs every seed"):
        compare_all(pd.DataFrame(rows[:-1]), "accuracy", "base", 0.5)


def test_welch_from_the_papers_table() -> None:
    """LAYA 88.34 ± 0.46 against LastLayer 88.29 ± 0.63, five seeds each: t = 0.14."""
    t, p = welch_t(88.34, 0.46, 88.29, 0.63, 5)
    assert t == pytest.approx(0.143, abs=0.001)
    assert p == pytest.approx(0.89, abs=0.01)


def test_welch_does_not_pool_unequal_spreads() -> None:
    """With 10 against 0.001 the second mean is as good as known: a t of 2 has the 4 degrees of freedom of the first."""
    t, p = welch_t(2 * 10 / 5**0.5, 10.0, 0.0, 0.001, 5)
    assert t == pytest.approx(2)
    assert p == pytest.approx(2 * stats.t.sf(2, 4), rel=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: estimate([1.0]), "at least 2 values, got 1"),
        (lambda: estimate([1.0, float("nan")]), "finite"),
        (lambda: estimate(np.ones((2, 2))), "at least 2 values"),
        (lambda: compare([1, 2, 3], [1, 2, 4], float("nan")), "margin must be above 0, got nan"),
        (lambda: compare([1, 2, 3], [1, 2], 1), "paired by seed"),
        (lambda: compare([1, 2, 3], [1, 2, 4], 0), "margin must be above 0"),
    ],
)
def test_what_carries_no_answer_is_refused(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()


def test_slopes_one_for_each_seed() -> None:
    rows = [{"seed": seed, "tau": tau, "y": 3.0 * tau**seed} for seed in (1, 2) for tau in (0.1, 1.0, 10.0)]
    table = pd.DataFrame(rows)
    assert slopes(table, "y", "tau", log_y=True, log_x=True) == pytest.approx([1, 2])
    assert slopes(table[table["seed"] == 1], "y", "tau") == pytest.approx([3])
    assert slopes(table[table["seed"] == 1], "y", "tau", log_x=True)[0] == pytest.approx((30 - 0.3) / 2)
    two = table[table["tau"] != 1.0]
    assert slopes(two, "y", "tau", log_y=True, log_x=True) == pytest.approx([1, 2])
    with pytest.raises(ValueError, match="a slope needs at least 2 values of tau, seed 1 has 1"):
        slopes(table[table["tau"] == 1.0], "y", "tau")
