"""Calibration: closed forms, scikit-learn as the oracle, and what scaling can and cannot mend."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special
from sklearn.metrics import log_loss

from laya_nb.analysis.calibration import best_temperature, brier, calibration, calibration_error, reliability

rng = np.random.default_rng(0)


def drawn(n: int = 20_000, sharper: float = 1.0, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is the truth, made sharper by a factor."""
    logits = 2 * rng.standard_normal((n, classes))
    p = special.softmax(logits, axis=1)
    labels = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return sharper * logits, labels


def rows(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    return {str(name): {str(k): float(v) for k, v in row.items()} for name, row in table.to_dict("index").items()}


def test_bins_hold_what_lies_in_them() -> None:
    confidence = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    correct = np.array([False, True, True, False, True])
    two = reliability(confidence, correct, bins=2)
    assert two.to_dict("list") == {
        "confidence": pytest.approx([0.05, 0.8]),
        "accuracy": pytest.approx([0.5, 2 / 3]),
        "count": [2, 3],
    }
    assert calibration_error(confidence, correct, bins=2) == pytest.approx(2 / 5 * 0.45 + 3 / 5 * (0.8 - 2 / 3))
    assert calibration_error(confidence, correct, bins=1) == pytest.approx(0.1)
    assert len(reliability(np.full(7, 0.95), np.ones(7, dtype=bool))) == 1  # empty bins are left out


def test_bins_of_equal_mass_have_as_many_each_and_keep_equal_confidences_together() -> None:
    confidence = np.linspace(0.9, 1, 30)
    table = reliability(confidence, np.ones(30, dtype=bool), bins=3, equal_mass=True)
    assert table["count"].tolist() == [10, 10, 10]
    tied = np.array([0.5] * 4 + [0.9] * 2)
    by_mass = reliability(tied, np.ones(6, dtype=bool), bins=3, equal_mass=True)
    assert by_mass["count"].tolist() == [4, 2]
    order = rng.permutation(6)
    assert reliability(tied[order], np.ones(6, dtype=bool), 3, True).equals(by_mass)


def test_scores_of_probabilities_are_scikit_learns() -> None:
    logits, labels = drawn(500)
    p = special.softmax(logits, axis=1)
    truth = np.eye(4)[labels]
    assert brier(p, labels) == pytest.approx(((p - truth) ** 2).sum(axis=1).mean())
    found = rows(calibration(logits, labels, logits, labels))["as it is"]
    assert found["log_loss"] == pytest.approx(log_loss(labels, p))
    assert found["overconfidence"] == pytest.approx(p.max(axis=1).mean() - (p.argmax(axis=1) == labels).mean())
    assert found["ece"] == calibration_error(p.max(axis=1), p.argmax(axis=1) == labels)
    assert found["ece_equal_mass"] == calibration_error(p.max(axis=1), p.argmax(axis=1) == labels, equal_mass=True)
    assert found["brier"] == brier(p, labels)
    assert brier(np.eye(2), np.array([0, 1])) == 0
    assert brier(np.eye(2), np.array([1, 0])) == 2


@pytest.mark.parametrize("sharper", [0.5, 1.0, 3.0])
def test_scaling_finds_the_temperature_and_mends_all(sharper: float) -> None:
    logits, labels = drawn(sharper=sharper)
    held_out = drawn(sharper=sharper)
    assert best_temperature(*held_out) == pytest.approx(sharper, rel=0.05)
    table = calibration(logits, labels, *held_out)
    assert table["temperature"].tolist() == [1.0, best_temperature(*held_out)]
    as_it_is, scaled = rows(table)["as it is"], rows(table)["scaled"]
    assert scaled["ece"] < 0.015
    assert abs(scaled["overconfidence"]) < 0.015
    if sharper != 1:
        for name in ("ece", "ece_equal_mass", "brier", "log_loss"):
            assert as_it_is[name] - scaled[name] > 0.005
    assert as_it_is["overconfidence"] * (sharper - 1) >= 0


def test_without_a_mistake_no_temperature_is_low_enough() -> None:
    assert best_temperature(np.array([[3.0, 1.0], [0.0, 2.0]]), np.array([0, 1])) < 0.05


@pytest.mark.parametrize(
    ("logits", "labels", "said"),
    [
        (np.zeros((3, 2)), np.array([0, 1]), r"got \(3, 2\) and \(2,\)"),
        (np.zeros((0, 2)), np.zeros(0, dtype=int), "at least one example"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), np.array([0, 1]), "those of example 1 are not"),
        (np.zeros((2, 2)), np.array([0, 2]), r"labels must lie in 0\.\.1, got 0 to 2"),
        (np.zeros((2, 2)), np.array([-1, 0]), r"labels must lie in 0\.\.1, got -1 to 0"),
    ],
)
def test_bad_input_is_named(logits: np.ndarray, labels: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        best_temperature(logits, labels)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([0.5], [True, False]), r"got \(1,\) and \(2,\)"),
        (([], []), "at least one example"),
        (([0.5, 1.2], [True, True]), "must lie in \\[0, 1\\], got 0.5 to 1.2"),
        (([0.5, np.nan], [True, True]), "must lie in"),
        (([0.5], [True], 0), "bins must be an integer of at least 1, got 0"),
    ],
)
def test_bad_confidences_are_named(arguments: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        calibration_error(*arguments)
