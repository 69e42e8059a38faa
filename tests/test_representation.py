"""Measures of a layer: closed forms, what they are blind to, where they have no answer, bad input."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import block_diag, sqrtm
from scipy.stats import entropy

from laya_nb.analysis.representation import (
    curvature,
    dime,
    effective_rank,
    expected_entropy,
    info_nce,
    lidar,
    linear_cka,
    matrix_entropy,
    nt_xent,
    unbiased_cka,
    within_variance,
)
from laya_nb.analysis.rows import centred, unit_rows

exactly = partial(pytest.approx, rel=1e-9, abs=1e-9)
seeds = st.integers(0, 10_000)
sizes = st.integers(2, 12)
scales = st.floats(1e-6, 1e6)
ORDERS = (0.3, 0.5, 1.0, 2.0, 7.0)
every_order = pytest.mark.parametrize("alpha", ORDERS)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def rotation(d: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(normal(d, d, seed=seed))[0]


def orthonormal(n: int, d: int) -> np.ndarray:
    return rotation(d)[:n]


def with_cosine(n: int, rho: float) -> np.ndarray:
    """n rows of length 1, the cosine of each pair being rho."""
    return np.linalg.cholesky((1 - rho) * np.eye(n) + rho)


def renyi(p: np.ndarray, alpha: float) -> float:
    return float(entropy(p) if alpha == 1 else np.log((p**alpha).sum()) / (1 - alpha))


# --- entropy and rank


@every_order
def test_rows_on_one_line_have_no_entropy(alpha: float) -> None:
    z = np.outer(normal(9), normal(5, seed=1))
    assert matrix_entropy(z, alpha) == exactly(0)
    assert matrix_entropy(z[:1], alpha) == exactly(0)
    assert effective_rank(z) == exactly(1)


@every_order
def test_orthonormal_rows_have_all_the_entropy(alpha: float) -> None:
    z = orthonormal(7, 20)
    assert matrix_entropy(z, alpha) == exactly(math.log(7))
    assert matrix_entropy(centred(z), alpha) == exactly(math.log(6))
    assert (effective_rank(z), effective_rank(centred(z))) == (exactly(7), exactly(6))


@every_order
def test_copies_of_two_orthogonal_rows(alpha: float) -> None:
    z = np.repeat(orthonormal(2, 6), (3, 7), axis=0)
    assert matrix_entropy(z, alpha) == exactly(renyi(np.array([0.3, 0.7]), alpha))
    assert math.log(effective_rank(z)) == exactly(entropy(np.sqrt([0.3, 0.7])))


def test_order_2_of_two_directions_by_hand() -> None:
    assert matrix_entropy(np.diag([math.sqrt(0.3), math.sqrt(0.7)]), 2) == exactly(-math.log(0.3**2 + 0.7**2))
    assert matrix_entropy(np.diag([3.0, 4.0]), 2) == exactly(-math.log((9 / 25) ** 2 + (16 / 25) ** 2))


@every_order
@pytest.mark.parametrize("rho", [0.0, 0.4, 0.99])
def test_rows_that_are_all_equally_alike(rho: float, alpha: float) -> None:
    n = 8
    shares = np.array([(1 + (n - 1) * rho) / n] + [(1 - rho) / n] * (n - 1))
    assert matrix_entropy(with_cosine(n, rho), alpha) == exactly(renyi(shares, alpha))


@given(st.sampled_from(ORDERS), seeds, sizes, sizes, scales)
def test_entropy_is_blind_to_rotation_transposition_order_and_scale(
    alpha: float, seed: int, n: int, d: int, scale: float
) -> None:
    z = normal(n, d, seed=seed)
    found = matrix_entropy(z, alpha)
    shares = np.linalg.svd(z, compute_uv=False) ** 2
    assert found == exactly(renyi(shares / shares.sum(), alpha))
    for same in (z @ rotation(d, seed), z.T, z[::-1], z * scale, np.vstack([z, z])):
        assert matrix_entropy(same, alpha) == exactly(found)


@given(seeds, sizes, sizes, scales)
def test_effective_rank_is_blind_to_the_same_and_never_below_the_entropy(
    seed: int, n: int, d: int, scale: float
) -> None:
    z = normal(n, d, seed=seed) * np.arange(1, d + 1)
    found = effective_rank(z)
    assert math.exp(matrix_entropy(z)) <= found * (1 + 1e-12) <= min(n, d) * (1 + 1e-9)
    for same in (z @ rotation(d, seed), z.T, z[::-1], z * scale, np.vstack([z, z])):
        assert effective_rank(same) == exactly(found)


@given(seeds, st.floats(0.05, 20), st.floats(0.05, 20))
def test_entropy_falls_with_its_order(seed: int, low: float, high: float) -> None:
    z = normal(6, 4, seed=seed)
    low, high = sorted((low, high))
    assert matrix_entropy(z, low) >= matrix_entropy(z, high) - 1e-9


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-13])
def test_nothing_jumps_near_order_1(gap: float) -> None:
    """The slope there is minus half the variance of log p."""
    z = normal(20, 8)
    p = np.linalg.svd(z, compute_uv=False) ** 2
    p /= p.sum()
    slope = -(p @ np.log(p) ** 2 - (p @ np.log(p)) ** 2) / 2
    for alpha in (1 - gap, 1 + gap):
        step = (alpha - 1) * slope
        assert matrix_entropy(z, alpha) - matrix_entropy(z) == pytest.approx(step, abs=gap**2 + 1e-12)


def test_a_high_order_sees_the_largest_share_alone() -> None:
    assert matrix_entropy(orthonormal(50, 60), 1e4) == exactly(math.log(50))
    assert matrix_entropy(np.diag(np.sqrt([0.6, 0.3, 0.1])), 1e9) == pytest.approx(-math.log(0.6))


def test_shares_below_1e_12_count_as_nothing() -> None:
    """At order 0.05 a share of 1e-13 would add 0.2 to the sum of powers."""
    assert matrix_entropy(np.diag([1.0, math.sqrt(0.9e-12)]), 0.05) == exactly(0)
    assert matrix_entropy(np.diag([1.0, math.sqrt(1.1e-12)]), 0.05) > 0.2


@pytest.mark.parametrize(("n", "d"), [(100, 400), (400, 100), (10, 10), (60, 384)])
def test_normal_rows_have_the_entropy_to_expect(n: int, d: int) -> None:
    drawn = [matrix_entropy(normal(n, d, seed=seed)) for seed in range(1000 if n == 10 else 20)]
    assert expected_entropy(n, d) == pytest.approx(np.mean(drawn), abs=0.03 if n == 10 else 0.002)


def test_the_entropy_to_expect_by_hand() -> None:
    assert expected_entropy(100, 400) == exactly(math.log(100) - 0.125)
    for wrong in ((0, 5), (5, 2.0)):
        with pytest.raises(ValueError, match="must be an integer of at least 1"):
            expected_entropy(*wrong)


# --- curvature


def regular(n: int) -> np.ndarray:
    """Once around a regular n-gon, in a random plane of five dimensions."""
    turns = 2 * np.pi * np.arange(n) / n
    return 3 + np.stack([np.cos(turns), np.sin(turns)], axis=1) @ orthonormal(2, 5)


def test_curvature_of_shapes() -> None:
    line = np.outer([0.0, 1.0, 3.0, 3.5, 9.0], normal(4)) + 7
    zigzag = np.outer([0.0, 1.0, -2.0, 5.0], normal(4))
    assert curvature(line) == exactly(0)
    assert curvature(zigzag) == exactly(math.pi)
    for corners in (3, 4, 5, 12):
        assert curvature(regular(corners)) == exactly(2 * math.pi / corners)


def test_curvature_is_a_mean_of_angles() -> None:
    """A right turn, then straight on."""
    assert curvature(np.array([[0.0, 0], [1, 0], [1, 2], [1, 3]])) == exactly(math.pi / 4)


def test_curvature_of_chance() -> None:
    z = normal(40, 20_000)
    assert curvature(z) == pytest.approx(2 * math.pi / 3, abs=0.005)
    assert curvature(z.cumsum(axis=0)) == pytest.approx(math.pi / 2, abs=0.005)


@given(seeds, st.integers(3, 12), sizes, scales)
def test_curvature_is_blind_to_rotation_translation_scale_and_direction(
    seed: int, n: int, d: int, scale: float
) -> None:
    z = normal(n, d, seed=seed)
    found = curvature(z)
    for same in (z @ rotation(d, seed), z + normal(d), z * scale, z[::-1]):
        assert curvature(same) == exactly(found)
    assert 0 <= found <= math.pi


# --- agreement of views


@pytest.mark.parametrize("temperature", [0.1, 0.7])
@pytest.mark.parametrize("n", [2, 9])
def test_losses_of_orthonormal_views(n: int, temperature: float) -> None:
    z = orthonormal(n, 12) * np.arange(1, n + 1)[:, None]  # of any length
    apart = math.exp(-1 / temperature)
    assert info_nce(z, 3 * z, temperature) == exactly(math.log(1 + (n - 1) * apart))
    assert nt_xent(z, 3 * z, temperature) == exactly(math.log(1 + 2 * (n - 1) * apart))


def test_the_usual_temperature_is_a_tenth() -> None:
    z = orthonormal(4, 4)
    assert (info_nce(z, z), nt_xent(z, z)) == (info_nce(z, z, 0.1), nt_xent(z, z, 0.1))


def test_losses_of_collapsed_views() -> None:
    z = np.tile(normal(5), (6, 1))
    assert info_nce(z, z) == exactly(math.log(6))
    assert nt_xent(z, z) == exactly(math.log(11))


def test_the_loss_goes_from_view_a_to_view_b() -> None:
    """Both rows of a find b_1 first: half of them is wrong. Both rows of b know their partner no less than the other.

    Cosines are 1 and 0 in each row of a; column by column they are equal.
    """
    a, b = np.array([[1.0, 0], [1, 0]]), np.array([[1.0, 0], [0, 1]])
    right, wrong = math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))
    assert info_nce(a, b, 1.0) == exactly((right + wrong) / 2)
    assert info_nce(b, a, 1.0) == exactly(math.log(2))


@given(seeds, sizes, st.integers(1, 6), st.floats(1e-3, 10))
def test_losses_are_pytorchs_cross_entropy(seed: int, n: int, d: int, temperature: float) -> None:
    a, b = normal(n, d, seed=seed), normal(n, d, seed=seed + 1)
    first, second = (torch.nn.functional.normalize(torch.from_numpy(z)) for z in (a, b))
    loss = torch.nn.functional.cross_entropy
    assert info_nce(a, b, temperature) == exactly(float(loss(first @ second.T / temperature, torch.arange(n))))
    both = torch.cat([first, second])
    others = (both @ both.T / temperature).fill_diagonal_(-torch.inf)
    partners = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    assert nt_xent(a, b, temperature) == exactly(float(loss(others, partners)))


@given(seeds, sizes, st.integers(1, 6), scales)
def test_losses_are_blind_to_rotation_order_and_scale(seed: int, n: int, d: int, scale: float) -> None:
    a, b, turn = normal(n, d, seed=seed), normal(n, d, seed=seed + 1), rotation(d, seed)
    order = np.random.default_rng(seed).permutation(n)
    for measure in (info_nce, nt_xent):
        assert measure(a[order] @ turn, scale * b[order] @ turn) == exactly(measure(a, b))
    assert nt_xent(b, a) == exactly(nt_xent(a, b))


def clusters(labels: np.ndarray) -> np.ndarray:
    return orthonormal(2, 4)[labels]


def test_dime_of_views_that_tell_nothing() -> None:
    same, apart = np.tile(unit_rows(normal(1, 5)), (30, 1)), orthonormal(30, 40)
    assert dime(same, same) == exactly(0)
    assert dime(apart, apart) == exactly(0)


def test_dime_of_two_clusters() -> None:
    halves, alternating = np.arange(200) // 100, np.arange(200) % 2
    assert dime(clusters(halves), clusters(halves)) == pytest.approx(0.6906, abs=0.004)
    assert dime(clusters(halves), clusters(alternating), 50) == pytest.approx(0, abs=0.005)


def test_dime_is_a_mean_over_drawn_orders() -> None:
    """Rows of two clusterings are one of four kinds, whose shares have the entropy, whatever the order."""
    labels = np.arange(12) // 6
    rng = np.random.default_rng(5)
    kinds = [2 * labels + labels[rng.permutation(12)] for _ in range(3)]
    expected = np.mean([entropy(np.bincount(kind)) for kind in kinds]) - math.log(2)
    assert dime(clusters(labels), clusters(labels), permutations=3, seed=5) == exactly(expected)
    assert dime(clusters(labels), clusters(labels)) == dime(clusters(labels), clusters(labels), 10, 0)


def test_dime_moves_rows_and_columns_together_and_takes_lengths_as_they_are() -> None:
    a, b = normal(5, 3), normal(5, 4, seed=1)
    order = np.random.default_rng(2).permutation(5)

    def joint(first: np.ndarray, second: np.ndarray) -> float:
        products = np.stack([np.outer(x, y).ravel() for x, y in zip(first, second, strict=True)])
        return matrix_entropy(products)

    assert dime(a, b, permutations=1, seed=2) == exactly(joint(a, b[order]) - joint(a, b))


@given(seeds, sizes, sizes, scales)
def test_dime_is_blind_to_rotation_and_scale(seed: int, n: int, d: int, scale: float) -> None:
    a, b = normal(n, d, seed=seed), normal(n, d, seed=seed + 1)
    assert dime(a @ rotation(d, seed), scale * b, 2, seed) == exactly(dime(a, b, 2, seed))


def crossed(means: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Every mean (N, D) with every noise (Q, D) added."""
    return means[:, None] + noise[None]


def plus_minus(d: int) -> np.ndarray:
    return np.vstack([np.eye(d), -np.eye(d)])


def test_lidar_of_shapes() -> None:
    quiet = np.zeros((3, 20))
    assert lidar(crossed(orthonormal(8, 20), quiet)) == exactly(math.log(7))
    assert lidar(crossed(np.outer(normal(8), normal(20)), quiet)) == exactly(0)
    assert lidar(crossed(plus_minus(6), 0.1 * plus_minus(6))) == exactly(math.log(6))


@pytest.mark.parametrize("delta", [1e-12, 1e-4, 0.3])
def test_lidar_by_hand(delta: float) -> None:
    """Means of equal variance; noise on the first axis alone, +-s in half of 4 views: variance 2 s^2 / (4 - 1)."""
    s = 0.2
    views = crossed(plus_minus(2), np.array([[s, 0], [-s, 0], [0, 0], [0, 0]]))
    within = 2 * s**2 / 3
    assert lidar(views, delta) == exactly(entropy([1 / (within + delta), 1 / delta]))
    assert within_variance(views) == exactly(within / 2)


def test_the_usual_delta() -> None:
    views = normal(6, 3, 4) / 100
    assert lidar(views) == lidar(views, 1e-4) != lidar(views, 1e-3)


def test_lidar_is_the_formula_written_out() -> None:
    views = normal(12, 5, 4) * np.arange(1, 5) + 3 * normal(12, 1, 4, seed=1)
    means = views.mean(axis=1)
    within = 0.01 * np.eye(4)
    for example, mean in zip(views, means, strict=True):
        within += (example - mean).T @ (example - mean) / (12 * 4)
    inverse = np.linalg.inv(sqrtm(within).real)
    shares = np.linalg.eigvalsh(inverse @ np.cov(means.T) @ inverse)
    assert lidar(views, 0.01) == exactly(entropy(shares))


@given(seeds, st.integers(3, 12), st.integers(2, 5), st.integers(1, 5))
def test_lidar_is_blind_to_a_linear_map_of_signal_and_noise(seed: int, n: int, q: int, d: int) -> None:
    """As long as delta is small: with noise in every direction."""
    views = crossed(normal(n, d, seed=seed), np.vstack([plus_minus(d), normal(q, d, seed=seed)]))
    mapped = (views + 5) @ (rotation(d, seed) * np.linspace(1, 2, d)) @ rotation(d, seed + 1)
    found = lidar(views, 1e-13)
    assert lidar(mapped, 1e-13) == exactly(found)
    assert lidar(mapped[::-1, ::-1], 1e-13) == exactly(found)
    assert found <= math.log(min(d, n - 1)) + 1e-9


# --- likeness of layers


def test_cka_by_hand() -> None:
    """Two clusterings of four examples, centred: crossed ones have nothing in common; a third shares a half."""
    x, crossed_, half = np.array([[1.0], [1], [0], [0]]), np.array([[1.0], [0], [1], [0]]), np.eye(4)[:, :1]
    assert linear_cka(x, crossed_) == exactly(0)
    assert linear_cka(x, half) == exactly(0.5**2 / (1 * 0.75))  # covariance and variances, times 4


@pytest.mark.parametrize("d", [3, 50])  # through D x D, and through N x N
def test_cka_is_the_cosine_of_centred_gram_matrices(d: int) -> None:
    x, y = normal(20, d) + 3, normal(20, d + 1, seed=1) + normal(20, 1)
    middle = np.eye(20) - 1 / 20
    first, second = (middle @ z @ z.T @ middle for z in (x, y))
    cosine = (first * second).sum() / math.sqrt((first**2).sum() * (second**2).sum())
    assert linear_cka(x, y) == exactly(cosine)


def hsic(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate of Song et al. (2012), equation 5, term by term."""
    n, one = len(x), np.ones(len(x))
    k, m = (z @ z.T - np.diag((z**2).sum(axis=1)) for z in (x, y))
    products = (
        np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ k @ m @ one
    )
    return products / (n * (n - 3))


@pytest.mark.parametrize("n", [4, 5, 30])
def test_unbiased_cka_is_the_published_estimate(n: int) -> None:
    x, y = normal(n, 6), normal(n, 3, seed=1)
    y[:, 0] += x[:, 0]
    expected = hsic(x, y) / math.sqrt(hsic(x, x) * hsic(y, y))
    assert unbiased_cka(x, y) == exactly(expected)


def test_independent_wide_layers_seem_alike_to_the_biased_measure_alone() -> None:
    found = [
        (linear_cka(x, y), unbiased_cka(x, y))
        for x, y in ((normal(50, 400, seed=s), normal(50, 400, seed=s + 50)) for s in range(20))
    ]
    biased, unbiased = np.mean(found, axis=0)
    assert biased > 0.8
    assert unbiased == pytest.approx(0, abs=0.02)


@given(seeds, st.integers(4, 12), sizes, scales)
def test_likeness_is_blind_to_rotation_translation_order_and_scale(seed: int, n: int, d: int, scale: float) -> None:
    x, y = normal(n, d, seed=seed), normal(n, 3, seed=seed + 1)
    order = np.random.default_rng(seed).permutation(n)
    for measure in (linear_cka, unbiased_cka):
        found = measure(x, y)
        assert measure(scale * x[order] @ rotation(d, seed) + normal(d), y[order]) == exactly(found)
        assert measure(y, x) == exactly(found)
        assert measure(x, x) == exactly(1)


# --- no answer, bad input


ONES, TWO = np.ones((5, 3)), normal(2, 3)
HALF = np.vstack([normal(4, 3), np.zeros((1, 3))])
VIEWS = normal(5, 2, 3)


@pytest.mark.parametrize(
    "value",
    [
        matrix_entropy(0 * ONES),
        matrix_entropy(centred(0.1 * ONES)),
        matrix_entropy(centred(TWO[:1]), 2.0),
        effective_rank(0 * ONES),
        curvature(TWO),
        curvature(TWO[:1]),
        curvature(np.array([[0.0], [1], [1], [2]])),
        info_nce(TWO[:1], TWO[:1]),
        info_nce(HALF, ONES),
        info_nce(ONES, HALF),
        nt_xent(TWO[:1], TWO[:1]),
        nt_xent(ONES, HALF),
        dime(TWO[:1], TWO[:1]),
        dime(0 * ONES, ONES),
        dime(block_diag(1, 0), block_diag(0, 1)),
        lidar(VIEWS[:1]),
        lidar(np.broadcast_to(VIEWS[0], VIEWS.shape)),
        linear_cka(0.1 * ONES, HALF),
        linear_cka(HALF, 0.1 * ONES),
        unbiased_cka(normal(3, 2), normal(3, 2)),
        unbiased_cka(HALF, 0.1 * ONES),
        unbiased_cka(orthonormal(6, 9), normal(6, 2)),
    ],
)
def test_what_is_not_defined_is_nan(value: float) -> None:
    assert math.isnan(value)


def test_the_fewest_rows_that_have_an_answer() -> None:
    for value in (
        matrix_entropy(TWO[:1]),
        curvature(normal(3, 1)),
        info_nce(TWO, TWO),
        nt_xent(TWO, TWO),
        dime(TWO, TWO),
        lidar(VIEWS[:2]),
        linear_cka(TWO, TWO),
        unbiased_cka(normal(4, 2), normal(4, 2, seed=1)),
    ):
        assert isinstance(value, float)
        assert math.isfinite(value)


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: matrix_entropy(ONES, 0), "alpha must be a finite number above 0, got 0"),
    (lambda: matrix_entropy(ONES, math.inf), "alpha must be a finite number above 0, got inf"),
    (lambda: info_nce(ONES, ONES, 0.0), "temperature must be a finite number above 0, got 0.0"),
    (lambda: nt_xent(ONES, ONES, -1), "temperature must be a finite number above 0, got -1"),
    (lambda: info_nce(ONES, ONES[:4]), "a and b must have as many rows as one another, got 5 and 4"),
    (lambda: nt_xent(ONES, ONES[:, :2]), r"a and b must have the same shape, got \(5, 3\) and \(5, 2\)"),
    (lambda: dime(ONES, ONES, permutations=0), "permutations must be an integer of at least 1, got 0"),
    (lambda: dime(ONES, ONES, seed=-1), "seed must be an integer of at least 0, got -1"),
    (lambda: dime(ONES, ONES[:4]), "a and b must have as many rows"),
    (lambda: linear_cka(ONES[:4], ONES), "x and y must have as many rows as one another, got 4 and 5"),
    (lambda: unbiased_cka(ONES, ONES[:4]), "x and y must have as many rows"),
    (lambda: lidar(ONES), r"views must have the shape \(N, Q, D\), each at least 1, got \(5, 3\)"),
    (lambda: lidar(VIEWS[:, :1]), "views must hold at least 2 views of each example, got 1"),
    (lambda: within_variance(VIEWS[:, :1]), "views must hold at least 2 views"),
    (lambda: lidar(VIEWS, 0), "delta must be a finite number above 0, got 0"),
    (lambda: lidar(crossed(normal(4, 3), normal(2, 3)), 1e-300), r"delta must be large enough .* got 1e-300"),
    (lambda: lidar(crossed(normal(4, 3), np.eye(3)[:2]), 1e-17), r"delta must be large enough .* got 1e-17"),
]


@pytest.mark.parametrize(("call", "said"), BAD, ids=[said[:40] for _, said in BAD])
def test_bad_input_is_named(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("measure", [info_nce, nt_xent, dime, linear_cka, unbiased_cka])
def test_values_that_are_no_numbers_are_named(measure: Callable[..., float], position: int) -> None:
    bad = ONES.copy()
    bad[2, 1] = np.nan
    pair = [ONES, ONES]
    pair[position] = bad
    with pytest.raises(ValueError, match=r"must hold finite numbers.*got nan"):
        measure(*pair)
    for single in (matrix_entropy, effective_rank, curvature):
        with pytest.raises(ValueError, match=r"z must hold finite numbers.*got nan"):
            single(bad)
    with pytest.raises(ValueError, match="views must hold finite numbers"):
        lidar(np.stack(pair, axis=1))


def test_tensors_and_arrays_have_the_same_answer_and_stay_as_they_are() -> None:
    z, views = normal(6, 3), normal(6, 4, 3)
    kept = z.copy(), views.copy()
    of_one: list[Callable[..., float]] = [matrix_entropy, effective_rank, curvature]
    of_two: list[Callable[..., float]] = [info_nce, nt_xent, dime, linear_cka, unbiased_cka]
    of_views: list[Callable[..., float]] = [lidar, within_variance]
    for measures, values in ((of_one, [z]), (of_two, [z, z + 1]), (of_views, [views])):
        for measure in measures:
            assert measure(*map(torch.from_numpy, values)) == measure(*values)
    np.testing.assert_array_equal(z, kept[0])
    np.testing.assert_array_equal(views, kept[1])
