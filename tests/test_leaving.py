"""Ways of leaving, on planted exits: what they keep and save can be counted."""

import re

import numpy as np
import pytest

from laya_nb import figures
from laya_nb.analysis import early_exit
from laya_nb.report import leaving
from laya_nb.report.findings import early_exit as early

N, K = 4000, 3
rng = np.random.default_rng(0)
EASY = rng.random(N) < 0.6
COST = {"multiply_adds": np.array([2.0, 5.0, 12.0]), "fixed/multiply_adds": np.array([2.0, 4.0, 10.0])}
"""A head costs 1."""


def planted(wrong_and_sure: float = 0.0) -> dict[str, np.ndarray]:
    """Easy inputs are right and sure at every exit, the others at the end alone, where nine in ten are right.

    A share of the others is sure at the first exit all the same.
    """
    label = rng.integers(0, 10, N)
    end = np.where(EASY | (rng.random(N) < 0.9), label, (label + 1) % 10)
    early = np.where(EASY, label, (label + 1) % 10)
    sure = np.where(EASY | (rng.random(N) < wrong_and_sure), 0.99, 0.3)
    confidence = np.stack([sure, sure, np.full(N, 0.8)], axis=1) + 0.001 * rng.random((N, K))
    later = np.repeat(np.where(EASY, 0.1, 0.9)[:, None], K - 1, axis=1)
    entropy = np.stack([np.zeros(N), np.where(EASY, 0.2, 0.7), np.full(N, 0.5)], axis=1)
    return {
        "label": label, "answers": np.stack([early, early, end], axis=1), "confidence": confidence,
        "later": later, "gate": np.full((N, K - 1), 0.5) + 0.01 * rng.random((N, K - 1)), "entropy": entropy,
    }  # fmt: skip


def test_who_is_sure_leaves_first_and_saves_what_it_does_not_run() -> None:
    values = planted()
    end = 100 * (values["answers"][:, -1] == values["label"]).mean()
    found = leaving.curve(values, COST, "confidence")
    assert (found.accuracy[0], found.cost[0]) == pytest.approx((end, 1.2))  # all heads are run, and nobody leaves
    assert found.accuracy[-1] == pytest.approx(100 * EASY.mean())
    assert found.cost[-1] == pytest.approx(0.2)
    kept = found.accuracy >= end - 1e-9
    assert found.cost[kept].min() == pytest.approx(EASY.mean() * 0.2 + (1 - EASY.mean()) * 1.2, abs=0.02)
    one_exit = leaving.curve(values, COST, "confidence", only=1)
    assert (one_exit.cost[0], one_exit.cost[-1]) == pytest.approx((1.1, 0.4))  # the first exit's head is not run
    at_random = leaving.at_random(values, COST, "confidence")
    np.testing.assert_allclose(at_random.cost, found.cost)
    assert (at_random.accuracy <= found.accuracy + 1e-9).all()
    assert (found.accuracy - at_random.accuracy).max() > 5


def test_other_ways_of_being_sure() -> None:
    values = planted()
    by_entropy = leaving.certainty(values, "attention entropy")
    assert np.isneginf(by_entropy[:, 0]).all()  # it reads one hidden state
    np.testing.assert_allclose(by_entropy[:, 1], 1 - values["entropy"][:, 1])
    best = {way: leaving.on_a_grid(leaving.curve(values, COST, way), np.array([0.7])) for way in leaving.WAYS}
    assert best["weight on later layers"] == pytest.approx(best["confidence"], abs=0.5)
    assert best["gate"] < best["confidence"] - 5  # it says nothing here
    assert leaving.curve(values, COST, "attention entropy").cost.min() == pytest.approx(0.5)


def test_fixed_exits_and_a_grid_of_costs() -> None:
    found = leaving.fixed(planted(), COST)
    assert found.cost.tolist() == [0.2, 0.4, 1.0]
    left = leaving.Left(np.array([90.0, 95.0, 80.0]), np.array([1.0, 0.5, 0.2]))
    grid = leaving.on_a_grid(left, np.array([0.1, 0.2, 0.6, 1.0]))
    assert np.isnan(grid[0])
    assert grid[1:].tolist() == [80, 95, 95]  # a cheaper way may be the better one


def test_what_is_saved_is_chosen_on_one_half_and_judged_on_the_other() -> None:
    """The first exit alone saves most: all with its certainty are right there, and no second head is run."""
    found = leaving.saved(planted(), COST, "confidence", 0.5)
    assert found["saved"] == pytest.approx(100 * (1 - EASY.mean() * 0.2 - (1 - EASY.mean()) * 1.1), abs=3)
    assert abs(found["lost"]) < 1
    by_entropy = leaving.saved(planted(), COST, "attention entropy", 0.5)  # the first exit has none
    assert by_entropy["saved"] == pytest.approx(100 * (1 - EASY.mean() * 0.4 - (1 - EASY.mean()) * 1.1), abs=3)


def test_nothing_is_lost_where_no_exit_saves_anything() -> None:
    dear = {"multiply_adds": np.array([9.0, 19.0, 30.0]), "fixed/multiply_adds": np.array([9.0, 9.5, 10.0])}
    assert leaving.saved(planted(), dear, "confidence", 0.5) == {"saved": 0, "lost": 0}
    assert leaving.saved(planted(), COST, "gate", 0.0)["saved"] < 5


def test_the_best_fixed_exit_is_chosen_too() -> None:
    always = planted() | {"answers": np.repeat(planted()["label"][:, None], K, axis=1)}
    always["label"] = always["answers"][:, 0]
    assert leaving.saved(always, COST, "fixed exit", 0.5) == pytest.approx({"saved": 80, "lost": 0})
    assert leaving.saved(planted(), COST, "fixed exit", 0.5) == {"saved": 0, "lost": 0}


def test_leaving_at_random_saves_what_may_be_lost() -> None:
    """Who leaves loses what the end would get right of the hard ones. All leave where nothing is lost by it."""
    found = leaving.saved(planted(), COST, "at random", 18.0)
    leave = 18.0 / (100 * 0.9 * (1 - EASY.mean()))  # the share of all inputs that may
    assert found["saved"] == pytest.approx(80 * leave - 10 * (1 - leave), abs=4)  # who stays pays for the exit's head
    assert leaving.saved(planted(), COST, "at random", 1.0) == {"saved": 0, "lost": 0}
    right = planted() | {"answers": np.repeat(planted()["label"][:, None], K, axis=1)}
    right["label"] = right["answers"][:, 0]
    assert leaving.saved(right, COST, "at random", 0.5) == pytest.approx({"saved": 80, "lost": 0})


def test_findings_compare_ways_with_leaving_at_random() -> None:
    """The certain ones save half; at random too much is lost. The first exit has no entropy, so that saves less."""
    frozen, cost = {"sample": [planted() for _ in range(4)]}, {"sample": COST}
    by_confidence, by_entropy = early.findings_of(frozen, cost, 0.5, too_little=5.0)
    assert (by_confidence.answer, by_entropy.answer) == ("Yes", "Yes")
    assert re.match(r"4\d % against \d %, 4 seeds", by_confidence.measured)
    assert re.match(r"[23]\d % against \d %", by_entropy.measured)
    assert early.findings_of(frozen, cost, 0.5, too_little=90.0)[0].answer.startswith("No: as much, within 90")
    useless = {"sample": [one | {"confidence": np.full((N, K), 0.5)} for one in frozen["sample"]]}
    assert early.findings_of(useless, cost, 0.5, 5.0)[0].answer == "No: as much, within 5 % of the work"
    assert re.search(r"sample of Fashion-MNIST 4\d % \(at random \d %\)", early.headline(frozen, cost, 0.5))


def test_the_guarantee_is_counted_over_draws_and_over_halves() -> None:
    """In the second case any threshold that lets the easy ones go risks 3.6 %: too much, so nobody leaves."""
    found = leaving.guarantee(planted(), "confidence", risk=0.01, splits=200)
    for name in ("violated", "violated on halves"):
        assert found[f"{name}/low"] <= found[name] <= found[f"{name}/high"] < 0.15
    assert found["violated"] <= 0.05
    assert found["risk"] < 0.01
    assert found["left"] > 0.5
    risky = leaving.guarantee(planted(wrong_and_sure=0.1), "confidence", risk=0.01, splits=50)
    assert risky["left"] < 0.3
    assert risky["violated"] <= 0.12


def test_a_promise_that_is_broken_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_exit, "threshold_with_guarantee", lambda *_: 0.0)
    found = leaving.guarantee(planted(), "confidence", risk=0.01, splits=20)
    assert found["violated"] == found["violated on halves"] == 1


def test_ways_are_lines_and_single_exits_points() -> None:
    lines = {
        "confidence": (np.array([20.0, 100]), np.array([70.0, 90])),
        "at random": (np.array([20.0, 100]), np.array([50.0, 90])),
    }
    points = {"fixed exit": (np.array([20.0, 60]), np.array([50.0, 80]))}
    first, second = figures.exit_curves({"a": (lines, points), "b": (lines, {})}).axes
    drawn = [np.asarray(line.get_xydata()).tolist() for line in first.get_lines()]
    assert drawn == [np.stack(of, axis=1).tolist() for of in (*lines.values(), *points.values())]
    assert [line.get_label() for line in first.get_lines()] == ["confidence", "at random", "fixed exit"]
    assert len(second.get_lines()) == 2
