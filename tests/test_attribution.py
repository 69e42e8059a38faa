"""Attribution: against cases whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from laya_nb import attribution

rng = np.random.default_rng(0)


def attention(n: int, layers: int = 3) -> np.ndarray:
    return rng.dirichlet(np.ones(layers), size=n)


def test_class_profiles_are_class_means() -> None:
    weights = np.array([[1, 0], [0.5, 0.5], [0, 1]])
    profiles = attribution.class_profiles(weights, np.array([0, 0, 2]), 3)
    np.testing.assert_allclose(profiles, np.array([[0.75, 0.25], [np.nan, np.nan], [0, 1]]))
    masked = attribution.class_profiles(weights, np.array([0, 0, 2]), 3, np.array([True, False, False]))
    np.testing.assert_allclose(masked[0], [1, 0])


@given(arrays(float, (5, 4), elements=st.floats(0.001, 1)))
def test_entropy_is_between_one_layer_and_uniform(raw: np.ndarray) -> None:
    values = attribution.entropy(raw / raw.sum(axis=1, keepdims=True))
    assert ((values >= 0) & (values <= 1 + 1e-9)).all()


def test_entropy_at_its_ends() -> None:
    np.testing.assert_allclose(attribution.entropy(np.array([[1, 0, 0], [1 / 3] * 3])), [0, 1])
    np.testing.assert_allclose(attribution.entropy(np.ones((4, 1))), 0)


def test_entropy_effect_finds_a_planted_effect_and_no_other() -> None:
    sharp, flat = np.array([0.9, 0.05, 0.05]), np.array([0.4, 0.3, 0.3])
    correct = np.array([True] * 50 + [False] * 50)
    planted = attribution.entropy_effect(np.where(correct[:, None], sharp, flat), correct)
    assert (planted.auroc, planted.wrong > planted.right) == (1.0, True)
    nothing = attribution.entropy_effect(attention(4000), rng.random(4000) < 0.5)
    assert nothing.auroc == pytest.approx(0.5, abs=0.03)
    assert nothing.cohen_d == pytest.approx(0, abs=0.1)
    with pytest.raises(ValueError, match="at least 2 right and 2 wrong"):
        attribution.entropy_effect(attention(3), np.array([True, True, False]))


def test_auroc_counts_pairs() -> None:
    values, positive = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True])
    assert attribution.auroc(values, positive) == pytest.approx(3.5 / 4)
    many = np.tile(values, 1000).astype(np.float16)  # float16 counts no further than 65,504
    assert attribution.auroc(many, np.tile(positive, 1000)) == pytest.approx(3.5 / 4)


def test_agreement_of_copies_and_of_strangers() -> None:
    one = attention(3000)
    copies, strangers = np.stack([one, one]), np.stack([one, attention(3000)])
    assert attribution.pairwise_correlation(copies) == pytest.approx([1.0])
    assert attribution.pairwise_correlation(strangers) == pytest.approx([0.0], abs=0.06)
    assert attribution.top_layer_agreement(copies) == pytest.approx([1.0])
    assert attribution.top_layer_agreement(strangers) == pytest.approx(
        attribution.chance_agreement(strangers), abs=0.04
    )


def test_a_shared_favourite_layer_is_no_agreement() -> None:
    """Both trainings favour layer 3 on everything and agree on nothing else: correlation 0, chance agreement 1."""
    favourite = np.stack([attention(3000) * 0.1 + np.array([0, 0, 0.9]) for _ in range(2)])
    assert attribution.pairwise_correlation(favourite) == pytest.approx([0.0], abs=0.06)
    assert attribution.chance_agreement(favourite) == pytest.approx([1.0])
