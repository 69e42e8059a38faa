"""Rows of hidden states, made ready to be measured, and measures taken prompt by prompt."""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

Rows = np.ndarray | Tensor  # (N, D), one row per token or example

LARGEST = 1e75  # root of the sum of squares: its fourth power, which CKA needs, is still a number
EPSILON = float(np.finfo(np.float64).eps)


class Undefined(ValueError):
    """Rows for which there is no answer: `over_prompts` counts them."""


@dataclass(frozen=True)
class Mean:
    """The mean of a measure over the prompts for which it is defined, and how many others there are.

    `value` is NaN if it is defined for none.
    """

    value: float
    undefined: int


def centred(z: Rows) -> np.ndarray:
    """Rows (N, D) less their mean. A row that differs from the mean by rounding errors alone becomes exactly 0."""
    rows = as_array("z", z)
    rows = rows - rows[0]  # rows that are all the same give exactly 0, which their rounded mean would not
    rows -= rows.mean(axis=0)
    lengths = lengths_of(rows)
    rows[lengths <= len(rows) * EPSILON * lengths.max()] = 0
    return rows


def unit_rows(z: Rows) -> np.ndarray:
    """Rows (N, D), each divided by its length.

    Raises:
        Undefined: for a row of zeros, which has no direction.
    """
    rows = directions(as_array("z", z))
    without = np.flatnonzero(np.isnan(rows[:, 0]))
    if len(without):
        raise Undefined(f"a row of zeros has no direction; {len(without)} of {len(rows)}, the first is {without[0]}")
    return rows


def over_prompts(function: Callable[[Any], float], tokens: Rows, lengths: Sequence[int] | Rows) -> Mean:
    """The mean over prompts of a function of their tokens, and the number of prompts for which it is NaN or Undefined.

    Args:
        function: of one prompt's tokens (T, D): `curvature`, or `lambda z: matrix_entropy(unit_rows(centred(z)))`.
        tokens: of all prompts, one after the other, without padding: (sum of lengths, D).
        lengths: how many tokens each prompt has, at least 1.
    """
    counts = [operator.index(length) for length in lengths]
    if not counts or min(counts) < 1 or sum(counts) != len(tokens):
        raise ValueError(
            f"lengths must be integers of at least 1 that sum to the {len(tokens)} tokens, "
            f"got {len(counts)} from {min(counts, default=0)} on that sum to {sum(counts)}"
        )
    ends = np.cumsum(counts)
    values = np.array([_defined(function, tokens[end - count : end]) for count, end in zip(counts, ends, strict=True)])
    undefined = np.isnan(values)
    return Mean(math.nan if undefined.all() else float(values[~undefined].mean()), int(undefined.sum()))


def as_array(name: str, values: Rows) -> np.ndarray:
    """Rows (N, D) in float64, at least one, of width 1 or more, all values finite."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().double().numpy()
    array = np.asarray(values).astype(np.float64, casting="same_kind", copy=False)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} must have the shape (N, D), each at least 1, got {array.shape}")
    if not np.vdot(array, array) <= LARGEST**2:  # one quick pass, which NaN does not get through either
        wrong = array.flat[np.abs(array).argmax()]
        raise ValueError(
            f"{name} must hold finite numbers, and the root of their sum of squares at most {LARGEST:g}, got {wrong:g}"
        )
    return array


def paired(name: str, first: Rows, other: str, second: Rows) -> tuple[np.ndarray, np.ndarray]:
    one, two = as_array(name, first), as_array(other, second)
    if len(one) != len(two):
        raise ValueError(f"{name} and {other} must have as many rows as one another, got {len(one)} and {len(two)}")
    return one, two


def lengths_of(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(rows[:, None, :] @ rows[:, :, None])[:, 0, 0]  # twice as fast as einsum


def directions(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; NaN where a row is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return rows * (1 / lengths_of(rows))[:, None]


def _defined(function: Callable[[Any], float], tokens: Rows) -> float:
    try:
        return function(tokens)
    except Undefined:
        return math.nan
