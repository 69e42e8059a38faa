"""Attribution: against cases whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from laya_nb.analysis.attention import auroc, class_profiles, entropy, entropy_effect
from laya_nb.analysis.stability import averaged_agreement, averaging, chance_agreement, intraclass_correlation, class_distances, p_value, pair_estimate, pairwise_correlation, permute_layers, permute_rows, spearman_brown, top_layer_agreement

rng = np.random.default_rng(0)


def attention(n: int, layers: int = 3) -> np.ndarray:
    return rng.dirichlet(np.ones(layers), size=n)


def test_class_profiles_are_class_means() -> None:
    weights = np.array([[1, 0], [0.5, 0.5], [0, 1]])
    profiles = class_profiles(weights, np.array([0, 0, 2]), 3)
    np.testing.assert_allclose(profiles, np.array([[0.75, 0.25], [np.nan, np.nan], [0, 1]]))
    masked = class_profiles(weights, np.array([0, 0, 2]), 3, np.array([True, False, False]))
    np.testing.assert_allclose(masked[0], [1, 0])


@given(arrays(float, (5, 4), elements=st.floats(0.001, 1)))
def test_entropy_is_between_one_layer_and_uniform(raw: np.ndarray) -> None:
    values = entropy(raw / raw.sum(axis=1, keepdims=True))
    assert ((values >= 0) & (values <= 1 + 1e-9)).all()


def test_entropy_at_its_ends() -> None:
    np.testing.assert_allclose(entropy(np.array([[1, 0, 0], [1 / 3] * 3])), [0, 1])
    np.testing.assert_allclose(entropy(np.ones((4, 1))), 0)


def test_entropy_effect_finds_a_planted_effect_and_no_other() -> None:
    sharp, flat = np.array([0.9, 0.05, 0.05]), np.array([0.4, 0.3, 0.3])
    correct = np.array([True] * 50 + [False] * 50)
    planted = entropy_effect(np.where(correct[:, None], sharp, flat), correct)
    assert (planted.auroc, planted.wrong > planted.right) == (1.0, True)
    nothing = entropy_effect(attention(4000), rng.random(4000) < 0.5)
    assert nothing.auroc == pytest.approx(0.5, abs=0.03)
    assert nothing.cohen_d == pytest.approx(0, abs=0.1)
    with pytest.raises(ValueError, match="at least 2 right and 2 wrong"):
        entropy_effect(attention(3), np.array([True, True, False]))


def test_auroc_counts_pairs() -> None:
    values, positive = np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True])
    assert auroc(values, positive) == pytest.approx(3.5 / 4)
    many = np.tile(values, 1000).astype(np.float16)  # float16 counts no further than 65,504
    assert auroc(many, np.tile(positive, 1000)) == pytest.approx(3.5 / 4)


def test_agreement_of_copies_and_of_strangers() -> None:
    one = attention(3000)
    copies, strangers = np.stack([one, one]), np.stack([one, attention(3000)])
    assert pairwise_correlation(copies) == pytest.approx([1.0])
    assert pairwise_correlation(strangers) == pytest.approx([0.0], abs=0.06)
    assert top_layer_agreement(copies) == pytest.approx([1.0])
    assert top_layer_agreement(strangers) == pytest.approx(
        chance_agreement(strangers), abs=0.04
    )


def test_a_shared_favourite_layer_is_no_agreement() -> None:
    """Both trainings favour layer 3 on everything and agree on nothing else: correlation 0, chance agreement 1."""
    favourite = np.stack([attention(3000) * 0.1 + np.array([0, 0, 0.9]) for _ in range(2)])
    assert pairwise_correlation(favourite) == pytest.approx([0.0], abs=0.06)
    assert chance_agreement(favourite) == pytest.approx([1.0])


def planted(share: float, trainings: int, seed: int = 0) -> np.ndarray:
    """Profiles (S, 200, 1) whose variance is common to all trainings to the given share."""
    draw = np.random.default_rng(seed).standard_normal
    return np.sqrt(share) * draw((1, 200, 1)) + np.sqrt(1 - share) * draw((trainings, 200, 1))


def test_grouping_is_blind_to_the_names_of_layers() -> None:
    profiles = np.stack([attention(5), attention(5)])
    renamed = profiles[:, :, [2, 0, 1]]
    assert class_distances(profiles).shape == (2, 10)
    np.testing.assert_allclose(class_distances(renamed), class_distances(profiles))
    assert class_distances(profiles)[0, 0] == pytest.approx(np.linalg.norm(profiles[0, 0] - profiles[0, 1]))


def test_shuffles_keep_what_a_training_has_and_lose_what_it_shares() -> None:
    shared = np.stack([attention(600)] * 6)
    shuffled = permute_rows(shared, np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(shuffled, axis=1), np.sort(shared, axis=1))
    assert pairwise_correlation(shuffled).mean() == pytest.approx(0, abs=0.06)


def test_renaming_layers_keeps_the_grouping_and_loses_the_names() -> None:
    shared = np.stack([attention(8)] * 200)
    renamed = permute_layers(shared, np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(renamed, axis=2), np.sort(shared, axis=2))
    np.testing.assert_allclose(class_distances(renamed), class_distances(shared))
    assert pairwise_correlation(renamed).mean() == pytest.approx(0, abs=0.06)


def test_p_value_counts_the_observed_value() -> None:
    assert p_value(0.5, np.array([0.1, 0.5, 0.9])) == pytest.approx(3 / 4)
    assert p_value(2.0, np.zeros(99)) == pytest.approx(0.01)


def test_pair_estimate_is_a_mean_that_draws_trainings() -> None:
    pairs = pairwise_correlation(planted(0.4, 12))
    found = pair_estimate(pairs)
    assert (found.mean, found.std, found.n) == (pytest.approx(pairs.mean()), pytest.approx(pairs.std(ddof=1)), 12)
    assert found.low < found.mean < found.high
    assert found == pair_estimate(pairs)  # a fixed seed

    # One odd training spoils 11 of 66 pairs together: an interval over pairs would be too narrow.
    odd = np.where(np.arange(66) < 11, 0.0, 1.0)
    assert pair_estimate(odd).low < odd.mean() - 2 * odd.std(ddof=1) / np.sqrt(66)


def test_a_training_is_no_pair_with_itself() -> None:
    same = pair_estimate(np.full(6, 0.3))  # pairs with itself, at 0 or 1, would move the interval
    assert (same.low, same.mean, same.high) == pytest.approx((0.3, 0.3, 0.3))
    assert pair_estimate(np.array([0.2])).n == 2
    with pytest.raises(ValueError, match="needs 2 trainings"):
        intraclass_correlation(planted(0.5, 1))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_common_share_finds_the_planted_share(share: float) -> None:
    profiles = planted(share, 40)
    found = intraclass_correlation(profiles)
    assert found.mean == pytest.approx(share, abs=0.1)
    assert found.low < found.mean < found.high
    assert intraclass_correlation(10 + 3 * profiles).mean == pytest.approx(found.mean)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_means_agree_as_the_common_share_predicts(share: float) -> None:
    profiles = planted(share, 20)
    controls = [permute_rows(profiles, np.random.default_rng(i)) for i in range(20)]
    found = averaging(profiles, controls, [1, 2, 5, 10, 11])
    assert found.groups == (1, 2, 5, 10)  # two groups of 11 do not fit
    predicted = [spearman_brown(found.share.mean, k) for k in found.groups]
    assert found.measured == pytest.approx(predicted, abs=0.1)
    assert found.control.shape == (4, 20)
    assert found.control.mean(axis=1) == pytest.approx(np.zeros(4), abs=0.1)


def test_averaged_agreement_of_one_is_that_of_pairs() -> None:
    profiles = planted(0.5, 3)
    pairs = pairwise_correlation(profiles)
    drawn = averaged_agreement(profiles, 1)
    assert np.abs(drawn[:, None] - pairs).min(axis=1) == pytest.approx(np.zeros(200))
    with pytest.raises(ValueError, match="two groups of 2 need 4 trainings, got 3"):
        averaged_agreement(profiles, 2)


def test_spearman_brown() -> None:
    assert spearman_brown(0.5, 2) == pytest.approx(2 / 3)
    assert (spearman_brown(0.3, 1), spearman_brown(-0.2, 10)) == (pytest.approx(0.3), 0.0)
