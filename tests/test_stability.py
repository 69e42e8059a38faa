"""Agreement between runs: against cases whose answer is known."""

from itertools import combinations

import numpy as np
import pytest

from laya_nb.analysis import stability
from laya_nb.analysis.stability import (
    RESAMPLES,
    SPLITS,
    averaged_agreement,
    averaging,
    chance_agreement,
    class_distances,
    intraclass_correlation,
    p_value,
    pair_estimate,
    pairwise_correlation,
    permute_layers,
    permute_rows,
    spearman_brown,
    top_layer_agreement,
)

rng = np.random.default_rng(0)


def attention(n: int, layers: int = 3) -> np.ndarray:
    return rng.dirichlet(np.ones(layers), size=n)


def test_agreement_of_copies_and_of_strangers() -> None:
    one = attention(3000)
    copies, strangers = np.stack([one, one]), np.stack([one, attention(3000)])
    assert pairwise_correlation(copies) == pytest.approx([1.0])
    assert pairwise_correlation(strangers) == pytest.approx([0.0], abs=0.06)
    assert top_layer_agreement(copies) == pytest.approx([1.0])
    assert top_layer_agreement(strangers) == pytest.approx(chance_agreement(strangers), abs=0.04)


def test_pairs_stand_in_their_order() -> None:
    profiles = np.stack([attention(6) for _ in range(4)])
    pairs = list(combinations(range(4), 2))
    for found, measure in (
        (pairwise_correlation(profiles), pairwise_correlation),
        (top_layer_agreement(profiles), top_layer_agreement),
    ):
        assert found == pytest.approx([measure(profiles[list(pair)]).item() for pair in pairs])
    assert len(chance_agreement(profiles)) == 6


def test_chance_agreement_by_hand() -> None:
    """Tops in shares of 3/4, 1/4, 0 and 1/2, 0, 1/2: by chance 3/8 of the rows have one top in both runs."""
    first, second = np.eye(3)[[0, 0, 0, 1]], np.eye(3)[[2, 0, 2, 0]]
    assert chance_agreement(np.stack([first, second])) == pytest.approx([3 / 8])
    assert top_layer_agreement(np.stack([first, second])) == pytest.approx([1 / 4])
    nobody = np.stack([np.eye(3)[[0, 0]], np.eye(3)[[0, 0]]])
    assert chance_agreement(nobody) == pytest.approx([1.0])


def test_a_shared_favourite_layer_is_no_agreement() -> None:
    """Both runs favour layer 3 on everything and agree on nothing else: correlation 0, chance agreement 1."""
    favourite = np.stack([attention(3000) * 0.1 + np.array([0, 0, 0.9]) for _ in range(2)])
    assert pairwise_correlation(favourite) == pytest.approx([0.0], abs=0.06)
    assert chance_agreement(favourite) == pytest.approx([1.0])


def planted(share: float, runs: int, seed: int = 0) -> np.ndarray:
    """Profiles (S, 200, 1) whose variance is common to all runs to the given share."""
    draw = np.random.default_rng(seed).standard_normal
    return np.sqrt(share) * draw((1, 200, 1)) + np.sqrt(1 - share) * draw((runs, 200, 1))


def test_class_distances_are_blind_to_the_names_of_layers() -> None:
    profiles = np.stack([attention(5), attention(5)])
    renamed = profiles[:, :, [2, 0, 1]]
    assert class_distances(profiles).shape == (2, 10)
    np.testing.assert_allclose(class_distances(renamed), class_distances(profiles))
    assert class_distances(profiles)[0, 0] == pytest.approx(np.linalg.norm(profiles[0, 0] - profiles[0, 1]))


def test_permuted_rows_keep_what_a_run_has_and_lose_what_it_shares() -> None:
    shared = np.stack([attention(600)] * 6)
    shuffled = permute_rows(shared, np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(shuffled, axis=1), np.sort(shared, axis=1))
    np.testing.assert_allclose(shuffled.sum(axis=2), 1)  # a row stays whole
    assert pairwise_correlation(shuffled).mean() == pytest.approx(0, abs=0.06)


def test_permuted_layers_keep_the_distances_and_lose_the_names() -> None:
    shared = np.stack([attention(8)] * 200)
    renamed = permute_layers(shared, np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(renamed, axis=2), np.sort(shared, axis=2))
    np.testing.assert_allclose(class_distances(renamed), class_distances(shared))
    assert pairwise_correlation(renamed).mean() == pytest.approx(0, abs=0.06)


def test_p_value_counts_the_observed_value() -> None:
    assert p_value(0.5, np.array([0.1, 0.5, 0.9])) == pytest.approx(3 / 4)
    assert p_value(2.0, np.zeros(99)) == pytest.approx(0.01)


def test_pair_estimate_is_a_mean_that_draws_runs() -> None:
    pairs = pairwise_correlation(planted(0.4, 12))
    found = pair_estimate(pairs)
    assert (found.mean, found.std, found.n) == (pytest.approx(pairs.mean()), pytest.approx(pairs.std(ddof=1)), 12)
    assert found.low < found.mean < found.high
    assert found == pair_estimate(pairs)  # a fixed seed

    # One odd run spoils 11 of 66 pairs together: an interval over pairs would be too narrow.
    odd = np.where(np.arange(66) < 11, 0.0, 1.0)
    assert pair_estimate(odd).low < odd.mean() - 2 * odd.std(ddof=1) / np.sqrt(66)


def test_the_interval_is_that_of_a_bootstrap_written_out() -> None:
    """Draw runs with replacement, average the pairs of different runs among those drawn, take the quantiles."""
    pairs = np.array([0.9, 0.1, 0.4, 0.3, 0.2, 0.6])
    table = np.zeros((4, 4))
    table[np.triu_indices(4, 1)] = pairs
    table += table.T
    draw = np.random.default_rng(7)
    means: list[float] = []
    while len(means) < 4000:
        runs = draw.integers(4, size=4)
        values = [table[a, b] for a, b in combinations(runs, 2) if a != b]
        if values:
            means.append(float(np.mean(values)))
    found = pair_estimate(pairs)
    assert [found.low, found.high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.02)
    assert (SPLITS, RESAMPLES) == (200, 4000)  # a change of either changes published numbers


def test_a_run_is_no_pair_with_itself() -> None:
    same = pair_estimate(np.full(6, 0.3))  # pairs with itself, at 0 or 1, would move the interval
    assert (same.low, same.mean, same.high) == pytest.approx((0.3, 0.3, 0.3))
    two = pair_estimate(np.array([0.2]))
    assert (two.n, two.std, two.mean) == (2, 0.0, pytest.approx(0.2))
    with pytest.raises(ValueError, match="needs 2 runs, got 1"):
        intraclass_correlation(planted(0.5, 1))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_intraclass_correlation_finds_the_planted_share(share: float) -> None:
    profiles = planted(share, 40)
    found = intraclass_correlation(profiles)
    assert found.mean == pytest.approx(share, abs=0.1)
    assert found.low < found.mean < found.high
    assert intraclass_correlation(10 + 3 * profiles).mean == pytest.approx(found.mean)


def test_intraclass_correlation_by_hand() -> None:
    """Centred: (-1, 1), (-1, 1), (-2, 2). Covariances 2, 4, 4 on average 10/3, variances 2, 2, 8 on average 4."""
    profiles = np.array([[0.0, 2.0], [1.0, 3.0], [0.0, 4.0]])[:, :, None]
    found = intraclass_correlation(profiles)
    assert found.mean == pytest.approx((10 / 3) / 4)
    assert found.std == pytest.approx(np.std([0.5, 1, 1], ddof=1))


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_means_agree_as_the_intraclass_correlation_predicts(share: float) -> None:
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
    assert np.abs(drawn[:, None] - pairs).min(axis=1) == pytest.approx(np.zeros(SPLITS))
    with pytest.raises(ValueError, match="two groups of 2 need 4 runs, got 3"):
        averaged_agreement(profiles, 2)
    with pytest.raises(ValueError, match="two groups of 0"):
        averaged_agreement(profiles, 0)


def test_groups_share_no_run() -> None:
    """Of four runs, two groups of two are the four: each split is one of three, whatever its order."""
    profiles = planted(0.5, 4)[:, :, 0]
    profiles = profiles - profiles.mean(axis=1, keepdims=True)
    splits = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    expected = [np.corrcoef(profiles[list(a)].mean(axis=0), profiles[list(b)].mean(axis=0))[0, 1] for a, b in splits]
    drawn = averaged_agreement(profiles[:, :, None], 2)
    assert {int(np.abs(one - np.array(expected)).argmin()) for one in drawn} == {0, 1, 2}
    assert np.abs(drawn[:, None] - np.array(expected)).min(axis=1) == pytest.approx(np.zeros(SPLITS))


def test_spearman_brown() -> None:
    assert spearman_brown(0.5, 2) == pytest.approx(2 / 3)
    assert spearman_brown(0.5, 3) == pytest.approx(3 / 4)
    assert (spearman_brown(0.3, 1), spearman_brown(-0.2, 10)) == (pytest.approx(0.3), 0.0)


def test_shared_weight_is_what_two_runs_have_in_common() -> None:
    same, apart = np.array([[0.5, 0.5, 0.0]] * 3), np.eye(3)
    assert stability.shared_weight(same).mean == 1
    assert stability.shared_weight(apart).mean == 0
    half = stability.shared_weight(np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]))
    assert half.mean == pytest.approx((0.5 + 0 + 0.5) / 3)
    assert half.n == 3
