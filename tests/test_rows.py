"""Rows made ready, and measures over prompts and layers: nothing is skipped silently."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laya_nb.analysis.representation import curvature, matrix_entropy
from laya_nb.analysis.rows import Undefined, as_array, centred, over_prompts, unit_rows

rng = np.random.default_rng(0)


def test_centred_rows_sum_to_nothing_and_keep_their_differences() -> None:
    z = rng.standard_normal((7, 3))
    kept = z.copy()
    found = centred(z)
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(np.diff(found, axis=0), np.diff(z, axis=0), atol=1e-14)
    np.testing.assert_array_equal(z, kept)
    np.testing.assert_allclose(centred(1e-9 * z), 1e-9 * found, rtol=1e-6)


@given(st.integers(1, 40), st.floats(-1e6, 1e6), st.integers(1, 5))
def test_the_same_row_throughout_is_centred_to_exactly_nothing(n: int, value: float, d: int) -> None:
    assert not centred(np.full((n, d), value)).any()


def test_a_row_at_the_mean_is_centred_to_exactly_nothing() -> None:
    """0.1, 0.2, 0.3 have a mean that is not 0.2 in floating point; a row close to the mean is no rounding error."""
    assert centred(np.array([[0.1], [0.2], [0.3]]))[1] == 0
    assert centred(np.array([[-1.0], [1e-12], [1.0]]))[1] != 0


def test_unit_rows_have_length_1_and_their_direction() -> None:
    z = rng.standard_normal((5, 3)) * 1e-20
    found = unit_rows(z)
    np.testing.assert_allclose((found**2).sum(axis=1), 1)
    np.testing.assert_allclose(found * np.linalg.norm(z, axis=1, keepdims=True), z)
    assert unit_rows(np.array([[2.0], [-3.0]])).tolist() == [[1.0], [-1.0]]


def test_a_row_of_zeros_has_no_direction() -> None:
    z = np.ones((4, 2))
    z[[1, 3]] = 0
    with pytest.raises(Undefined, match="2 of 4, the first is 1"):
        unit_rows(z)


def prompt_entropy(z: np.ndarray) -> float:
    return matrix_entropy(unit_rows(centred(z)))


def test_the_mean_over_prompts_is_that_of_each_alone_and_counts_those_without() -> None:
    """Prompts of 1 token and of the same token twice have no entropy; the shorter than 3 have no curvature."""
    prompts = [rng.standard_normal((length, 6)) for length in (5, 1, 9, 2)] + [np.full((2, 6), 0.1)]
    tokens, lengths = np.concatenate(prompts), [len(prompt) for prompt in prompts]
    entropies = [prompt_entropy(prompts[i]) for i in (0, 2, 3)]
    curvatures = [curvature(prompts[i]) for i in (0, 2)]
    for given_tokens, given_lengths in ((tokens, lengths), (torch.from_numpy(tokens), torch.tensor(lengths))):
        entropy = over_prompts(prompt_entropy, given_tokens, given_lengths)
        bend = over_prompts(curvature, given_tokens, given_lengths)
        assert (entropy.value, entropy.undefined) == (pytest.approx(np.mean(entropies)), 2)
        assert (bend.value, bend.undefined) == (pytest.approx(np.mean(curvatures)), 3)


def test_no_prompt_with_an_answer_is_no_answer() -> None:
    found = over_prompts(prompt_entropy, np.ones((3, 2)), [1, 2])
    assert math.isnan(found.value)
    assert found.undefined == 2


def test_an_error_in_a_prompt_is_no_missing_value() -> None:
    tokens = np.ones((3, 2))
    tokens[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"z must hold finite numbers.* at most 1e\+75, got nan"):
        over_prompts(prompt_entropy, tokens, [1, 2])


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ([2, 2], "the 5 tokens, got 2 from 2 on that sum to 4"),
        ([5, 0], "got 2 from 0 on that sum to 5"),
        ([], "got 0 from 0 on that sum to 0"),
        ([6, -1], "from -1 on"),
    ],
)
def test_lengths_must_fit_the_tokens(lengths: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        over_prompts(curvature, np.ones((5, 2)), lengths)


def test_lengths_are_integers() -> None:
    with pytest.raises(TypeError, match="float"):
        over_prompts(curvature, np.ones((5, 2)), [2.5, 2.5])  # type: ignore[list-item]


def test_any_real_type_is_taken() -> None:
    values = [[1.0, 2.0], [3.0, 4.5]]
    tensors = [torch.tensor(values, dtype=kind) for kind in (torch.bfloat16, torch.float16, torch.float64)]
    for one in (*tensors, tensors[2].requires_grad_(), np.array(values, np.float32), values):
        found = as_array("z", one)  # type: ignore[arg-type]
        assert found.dtype == np.float64
        assert found.tolist() == values
    with pytest.raises(TypeError, match="complex"):
        as_array("z", np.ones((2, 2), complex))


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 3), (3, 0)])
def test_rows_have_two_axes_and_are_not_empty(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"z must have the shape \(N, D\), each at least 1, got \("):
        centred(np.ones(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2e75, -2e75])
def test_a_value_that_is_no_usable_number_is_named(value: float) -> None:
    z = np.ones((2, 2))
    z[1, 0] = value
    with pytest.raises(ValueError, match="z must hold finite numbers") as caught:
        unit_rows(z)
    assert str(caught.value).endswith(f"got {value:g}")
