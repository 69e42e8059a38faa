"""Attention analysis: against cases whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from laya_nb.analysis.attention import auroc, class_profile, class_profiles, entropy, entropy_effect

rng = np.random.default_rng(0)
WEIGHTS, LABELS = np.array([[1, 0], [0.5, 0.5], [0, 1]]), np.array([0, 0, 2])


def attention(n: int, layers: int = 3) -> np.ndarray:
    return rng.dirichlet(np.ones(layers), size=n)


def test_class_profile_is_the_mean_of_each_class() -> None:
    np.testing.assert_allclose(class_profile(WEIGHTS, LABELS, 3), np.array([[0.75, 0.25], [np.nan, np.nan], [0, 1]]))
    assert class_profile(WEIGHTS, LABELS, 5).shape == (5, 2)
    masked = class_profile(WEIGHTS, LABELS, 3, np.array([True, False, False]))
    np.testing.assert_allclose(masked, np.array([[1, 0], [np.nan, np.nan], [np.nan, np.nan]]))


def test_class_profiles_are_those_of_each_run() -> None:
    runs = np.stack([WEIGHTS, WEIGHTS[:, ::-1]])
    np.testing.assert_array_equal(
        class_profiles(runs, LABELS, 3), [class_profile(one, LABELS, 3) for one in (runs[0], runs[1])]
    )
    masks = np.array([[True, False, True], [False, True, True]])
    masked = class_profiles(runs, LABELS, 3, masks)
    np.testing.assert_allclose(masked[:, 0], np.array([[1, 0], [0.5, 0.5]]))
    with pytest.raises(ValueError, match="zip"):
        class_profiles(runs, LABELS, 3, masks[:1])


@given(arrays(float, (5, 4), elements=st.floats(0.001, 1)))
def test_entropy_is_between_one_layer_and_uniform(raw: np.ndarray) -> None:
    values = entropy(raw / raw.sum(axis=1, keepdims=True))
    assert ((values >= 0) & (values <= 1 + 1e-9)).all()


def test_entropy_by_hand() -> None:
    np.testing.assert_allclose(entropy(np.array([[1, 0, 0], [1 / 3] * 3])), [0, 1])
    half = 0.5 * np.log(2) + 0.5 * np.log(4)
    assert entropy(np.array([0.5, 0.25, 0.25])) == pytest.approx(half / np.log(3))
    one_layer = entropy(np.ones((4, 2, 1)))
    assert one_layer.shape == (4, 2)
    assert not one_layer.any()


def test_entropy_effect_finds_a_planted_effect_and_no_other() -> None:
    sharp, flat = np.array([0.9, 0.05, 0.05]), np.array([0.4, 0.3, 0.3])
    correct = np.array([True] * 50 + [False] * 50)
    assert entropy_effect(np.where(correct[:, None], sharp, flat), correct).auroc == 1.0
    nothing = entropy_effect(attention(4000), rng.random(4000) < 0.5)
    assert nothing.auroc == pytest.approx(0.5, abs=0.03)
    assert nothing.cohen_d == pytest.approx(0, abs=0.1)


def test_cohens_d_by_hand() -> None:
    """Groups of unequal size and spread: the pooled variance weighs them by n - 1."""
    weights = attention(9)
    correct = np.array([True, True, False, True, True, False, False, True, True])
    right, wrong = entropy(weights)[correct], entropy(weights)[~correct]
    pooled = np.sqrt((((right - right.mean()) ** 2).sum() + ((wrong - wrong.mean()) ** 2).sum()) / 7)
    found = entropy_effect(weights, correct)
    assert found.cohen_d == pytest.approx((wrong.mean() - right.mean()) / pooled)
    assert found.auroc == pytest.approx(np.mean(wrong[:, None] > right))


def test_entropy_that_never_varies_has_no_effect() -> None:
    same = entropy_effect(np.full((8, 2), 0.5), np.array([True, False] * 4))
    assert (same.auroc, same.cohen_d) == (0.5, 0.0)


def test_an_effect_needs_two_of_each() -> None:
    two_wrong = np.array([True, True, False, False])
    assert 0 <= entropy_effect(attention(4), two_wrong).auroc <= 1
    with pytest.raises(ValueError, match="at least 2 right and 2 wrong predictions, got 2 and 1"):
        entropy_effect(attention(3), np.array([True, True, False]))
    with pytest.raises(ValueError, match="got 1 and 2"):
        entropy_effect(attention(3), np.array([True, False, False]))


def test_auroc_counts_pairs() -> None:
    values, positive = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True])
    assert auroc(values, positive) == pytest.approx(3.5 / 4)
    many = np.tile(values, 1000).astype(np.float16)  # float16 counts no further than 65,504
    assert auroc(many, np.tile(positive, 1000)) == pytest.approx(3.5 / 4)
    assert auroc(np.array([3.0, 1.0, 2.0]), np.array([True, False, False])) == 1.0
