"""Scores of strangeness: closed forms, invariances, and what each is blind to."""

from typing import Any

import numpy as np
import pytest
import pytorch_ood.detector as ood
import torch
from scipy import special
from scipy.spatial.distance import mahalanobis

from laya_nb.analysis import detection
from laya_nb.analysis.detection import AllLayers, Mahalanobis, Neighbours, Residual, UsualWeights, judge

rng = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2], 100)
MEANS = 6 * rng.standard_normal((3, 4))


def known(n: int = 100) -> np.ndarray:
    return np.repeat(MEANS, n, axis=0) + rng.standard_normal((3 * n, 4)) * [1, 2, 1, 0.5]


def test_scores_of_logits() -> None:
    logits = np.array([[0.0, 3.0, 0.0], [1000.0, 999.0, 0.0]])
    np.testing.assert_allclose(detection.max_softmax(logits), -special.softmax(logits, axis=1).max(axis=1))
    np.testing.assert_allclose(detection.max_logit(logits), [-3, -1000])
    np.testing.assert_allclose(detection.energy(logits), [-np.log(2 + np.exp(3)), -1000 - np.log(1 + np.exp(-1))])


def test_mahalanobis_is_scipys_to_the_nearest_mean() -> None:
    rows, new = known(), 5 * rng.standard_normal((7, 4))
    found = Mahalanobis(rows, LABELS)
    means = np.stack([rows[c == LABELS].mean(axis=0) for c in range(3)])
    deviations = rows - means[LABELS]
    inverse = np.linalg.inv(deviations.T @ deviations / len(rows))
    expected = [min(mahalanobis(x, mean, inverse) ** 2 for mean in means) for x in new]
    np.testing.assert_allclose(found(new), expected)
    turned = rng.standard_normal((4, 4))  # any linear map of all coordinates changes nothing
    np.testing.assert_allclose(Mahalanobis(rows @ turned, LABELS + 5)(new @ turned), expected, rtol=1e-6)


def test_neighbours_are_counted_by_direction() -> None:
    rows = np.array([[1.0, 0], [0, 2], [-3, 0], [0, -1]])
    for k, distance in ((1, 0.0), (2, np.sqrt(2)), (4, 2.0)):
        np.testing.assert_allclose(Neighbours(rows, k)(np.array([[5.0, 0]])), [distance], atol=1e-7)
    with pytest.raises(ValueError, match="at most the number of training examples, 4, got 5"):
        Neighbours(rows, 5)
    assert Neighbours(known()).index.n_neighbors == detection.NEIGHBOURS


def test_what_lies_outside_of_the_space_that_is_filled_is_strange() -> None:
    """Energy cannot see it: the last layer is blind to that direction."""
    weight, bias = np.hstack([rng.standard_normal((3, 2)), np.zeros((3, 2))]), np.array([1.0, 0, -1])
    rows = np.hstack([3 * rng.standard_normal((300, 2)), 0.1 * rng.standard_normal((300, 2))])
    found, new = Residual(rows, weight, bias), rows[:50].copy()
    new[:, 3] += 2
    logits = [x @ weight.T + bias for x in (rows, new)]
    assert judge(detection.energy(logits[0][:50]), detection.energy(logits[1]))["auroc"] == 0.5
    assert judge(found(rows[:50]), found(new))["auroc"] > 0.99
    outside = np.abs(np.linalg.norm((rows - found.origin) @ found.outside, axis=1))
    scale = (rows @ weight.T + bias).max(axis=1).mean() / outside.mean()
    np.testing.assert_allclose(found(rows), scale * outside + detection.energy(logits[0]))
    np.testing.assert_allclose(found.origin @ weight.T, -bias, atol=1e-9 + np.abs(bias).max())
    assert found.outside.shape == (4, 2)
    assert Residual(rows, weight, bias, 3).outside.shape == (4, 1)
    with pytest.raises(ValueError, match="below the width 4, got 4"):
        Residual(rows, weight, bias, 4)


def test_detectors_agree_with_pytorch_ood() -> None:
    """It counts in float32. Its Mahalanobis is half of the squared distance, under a covariance that is N times as
    large: a sum of products, not their mean."""
    rows, new = known(), 5 * rng.standard_normal((20, 4))
    weight, bias = rng.standard_normal((3, 4)), rng.standard_normal(3)
    x, y, strange = torch.tensor(rows).float(), torch.tensor(LABELS), torch.tensor(new).float()
    logits = new @ weight.T + bias
    w, b, z = torch.tensor(weight), torch.tensor(bias), torch.tensor(logits)
    theirs = {
        "max softmax": (ood.MaxSoftmax.score(z), detection.max_softmax(logits)),
        "max logit": (ood.MaxLogit.score(z), detection.max_logit(logits)),
        "energy": (ood.EnergyBased.score(z), detection.energy(logits)),
        "Mahalanobis": (
            2 * len(rows) * ood.Mahalanobis(None).fit_features(x, y).predict_features(strange),
            Mahalanobis(rows, LABELS)(new),
        ),
        "neighbours": (ood.KNN(None, k=7).fit_features(x, y).predict_features(strange), Neighbours(rows, 7)(new)),
        "ViM": (
            ood.ViM(None, 2, w, b).fit_features(x, y).predict_features(strange),
            Residual(rows, weight, bias)(new),
        ),
    }
    for name, (expected, found) in theirs.items():
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4, err_msg=name)


def test_all_layers_see_what_one_does_not() -> None:
    first, second = known(), known()
    both = AllLayers([first, second], LABELS)
    assert both([first, second]).mean() == pytest.approx(0, abs=1e-9)
    moved = second + 8
    new = judge(both([first, second]), both([first, moved]))
    assert new["auroc"] > 0.9
    one = Mahalanobis(first, LABELS)
    assert judge(one(first), one(first))["auroc"] == 0.5
    parts = [Mahalanobis(x, LABELS)(x) for x in (first, second)]
    expected = sum((part - part.mean()) / part.std() for part in parts) / 2
    np.testing.assert_allclose(both([first, second]), expected)


def test_usual_weights_are_those_of_the_class() -> None:
    weights = rng.dirichlet([8, 1, 1], 200), rng.dirichlet([1, 1, 8], 200)
    predicted = np.repeat([0, 4], 200)
    usual = UsualWeights(np.concatenate(weights), predicted)
    own = usual(np.concatenate(weights), predicted)
    others = usual(np.concatenate(weights[::-1]), predicted)
    assert judge(own, others)["auroc"] > 0.95
    assert np.isfinite(usual(np.array([[1.0, 0.0, 0.0]]), np.array([0]))).all()
    with pytest.raises(ValueError, match="no training example was put into class 2"):
        usual(weights[0][:1], np.array([2]))
    # Which coordinate is left out does not matter.
    turned = UsualWeights(np.concatenate(weights)[:, [2, 0, 1]], predicted)
    np.testing.assert_allclose(turned(np.concatenate(weights)[:, [2, 0, 1]], predicted), own, rtol=1e-6)


def test_both_readings_of_a_rate_at_95_percent() -> None:
    inside, outside = np.arange(100.0), np.arange(50.0, 250.0)
    found = judge(inside, outside)
    assert found["known_flagged"] == np.mean(inside >= outside[9])  # 191 of 200 lie there or above
    assert found["strange_passed"] == np.mean(outside <= inside[95])
    assert found["auroc"] == pytest.approx(np.mean([(x > inside).mean() + 0.5 * (x == inside).mean() for x in outside]))
    assert judge(inside, inside + 1000) == {
        "auroc": 1, "aupr_strange": 1, "aupr_known": 1, "known_flagged": 0, "strange_passed": 0,
    }  # fmt: skip
    assert found["aupr_strange"] > found["aupr_known"]


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ((np.zeros(0), np.ones(2)), "known must be scores"),
        ((np.ones(2), np.zeros(0)), "strange must be scores"),
        ((np.ones(2), np.array([0, np.nan])), "strange must be scores .*nan"),
    ],
)
def test_no_strangers_and_no_numbers_are_named(scores: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        judge(*scores)


@pytest.mark.parametrize("rows", [np.zeros((0, 3)), np.zeros(3), np.array([[0.0, np.inf]])])
def test_rows_that_are_none(rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match="rows must be finite numbers"):
        Mahalanobis(rows, np.zeros(len(rows), dtype=int))
