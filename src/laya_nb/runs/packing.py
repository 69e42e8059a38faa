"""A result's arrays as few bytes, and back again to the last bit.

Most of these bytes are digits that no model can guess. What can be guessed is taken out first, in steps that each array
lists in its result's JSON file; LZMA does the rest:

- `ordered`: rows are sorted by what stands before them: label, prediction, confidence. Rows alike in these are alike;
- `minus label`: predictions (N,) uint8 less their labels, mostly 0;
- `largest from the rest`: rows (N, L) float16 that sum to 1, so the largest value of a row follows from the others.

Numbers of several bytes are written byte by byte: the first of all numbers, then the second of all, and so on.
"""

import itertools
import lzma
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

ORDERED, MINUS_LABEL, LARGEST_FROM_THE_REST = "ordered", "minus label", "largest from the rest"
_STEPS = (ORDERED, MINUS_LABEL, LARGEST_FROM_THE_REST)
_DTYPES = ("uint8", "float16", "float32")

# Neighbouring bytes tell nothing of one another, so no literal contexts (lc); the checksum is in the file's name.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 20, "lc": 0, "pb": 0}]

DAMAGE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, lzma.LZMAError)
"""What may be raised on reading what is no whole result."""

Layout = dict[str, Any]
"""How one array was packed: its dtype, its shape and, where there are any, the steps taken."""


def pack(arrays: Mapping[str, np.ndarray], label: np.ndarray | None) -> tuple[dict[str, Layout], bytes]:
    """Each array's layout, and all arrays as one LZMA stream.

    Args:
        arrays: of type uint8, float16 or float32, any shape.
        label: the examples' classes, (N,), which `unpack` will be given too, or None.

    Raises:
        ValueError: for an array of another type.
    """
    layouts: dict[str, Layout] = {}
    parts = []
    known = [] if label is None else [label]
    for name, whole in arrays.items():
        array = whole
        _check_dtype(str(array.dtype))
        steps = []
        keys = _keys(known, array)
        if name == "prediction" and label is not None and _same_kind(array, label):
            array = array - label
            steps.append(MINUS_LABEL)
        if keys:
            array = array[np.lexsort(keys)]
            steps.append(ORDERED)
        layouts[name] = {"dtype": str(array.dtype), "shape": list(array.shape)}
        if name == "attention" and array.dtype == np.float16 and array.ndim == 2 and 2 <= array.shape[1] <= 256:
            array, largest = _without_largest(array)
            parts.append(largest.tobytes())
            steps.append(LARGEST_FROM_THE_REST)
        if steps:
            layouts[name]["steps"] = steps
        parts.append(_to_bytes(array))
        known.append(whole)
    return layouts, lzma.compress(b"".join(parts), check=lzma.CHECK_NONE, filters=_FILTERS)


def unpack(packed: bytes, layouts: Mapping[str, Layout], label: np.ndarray | None) -> dict[str, np.ndarray]:
    """The arrays that `pack` packed, read-only.

    Raises:
        One of DAMAGE: for what `pack` did not write.
    """
    raw = np.frombuffer(lzma.decompress(packed), np.uint8)
    arrays: dict[str, np.ndarray] = {}
    known = [] if label is None else [label]
    start = 0
    for name, layout in layouts.items():
        dtype, shape, steps = layout["dtype"], layout["shape"], layout.get("steps", [])
        _check_dtype(dtype)
        if not all(type(side) is int and side >= 0 for side in shape) or not set(steps) <= set(_STEPS):
            raise ValueError(f"array {name!r} of shape {shape}, made by {steps}")
        if LARGEST_FROM_THE_REST in steps:
            if dtype != "float16" or len(shape) != 2 or shape[1] < 2:
                raise ValueError(f"array {name!r} of shape {shape}, made by {steps}")
            largest = raw[start : start + shape[0]]
            start += shape[0]
        end = start + math.prod(shape) * np.dtype(dtype).itemsize
        if end > len(raw):  # before anything of that size is made
            raise ValueError(f"array {name!r} is longer than its file")
        array = _from_bytes(raw[start:end], dtype, shape)
        start = end
        if LARGEST_FROM_THE_REST in steps:
            array = _with_largest(array, largest)
        if ORDERED in steps:
            ordered = np.empty_like(array)
            ordered[np.lexsort(_keys(known, array))] = array
            array = ordered
        if MINUS_LABEL in steps:
            if label is None or not _same_kind(array, label):
                raise ValueError(f"array {name!r} does not fit its labels")
            array = array + label
        array.flags.writeable = False
        arrays[name] = array
        known.append(array)
    if start != len(raw):
        raise ValueError(f"{len(raw) - start} bytes too many")
    return arrays


def _keys(known: list[np.ndarray], array: np.ndarray) -> list[np.ndarray]:
    """What the rows of `array` are sorted by, the last first as `np.lexsort` wants it: bits, since NaN has no order."""
    fitting = [key for key in known if key.ndim == 1 and key.shape == array.shape[:1]]
    return [np.ascontiguousarray(key).view(f"u{key.itemsize}") for key in reversed(fitting)]


def _same_kind(prediction: np.ndarray, label: np.ndarray) -> bool:
    return prediction.shape == label.shape and prediction.dtype == label.dtype == np.uint8


def _to_bytes(array: np.ndarray) -> bytes:
    """Column by column, the numbers' last bytes, which hold sign and exponent, come first. Each further byte stands in
    the order of the byte before it: numbers of one exponent are alike in their next digits."""
    numbers = array.T.reshape(-1)
    planes = np.ascontiguousarray(numbers).view(np.uint8).reshape(-1, array.itemsize).T[::-1]
    parts = [planes[0]]
    parts += [plane[np.argsort(before, kind="stable")] for before, plane in itertools.pairwise(planes)]
    return b"".join(part.tobytes() for part in parts)


def _from_bytes(raw: np.ndarray, dtype: str, shape: list[int]) -> np.ndarray:
    stored = raw.reshape(np.dtype(dtype).itemsize, -1)
    planes = stored.copy()
    for i in range(1, len(planes)):
        planes[i, np.argsort(planes[i - 1], kind="stable")] = stored[i]
    numbers = np.ascontiguousarray(planes[::-1].T).reshape(-1).view(dtype)
    return numbers.reshape(shape[::-1]).T.copy(order="C")


def _without_largest(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (N, L) as bits: the last value has moved to where the largest was, and in its place stands by how much the
    largest differs from what the others say; sorted by where the largest was. And where it was, (N,) uint8."""
    largest = rows.argmax(1).astype(np.uint8)
    bits = rows.copy(order="C").view(np.uint16)
    i = np.arange(len(bits))
    taken = bits[i, largest]
    bits[i, largest] = bits[:, -1]
    difference = (taken - _from_the_rest(bits)).view(np.int16)
    bits[:, -1] = ((difference << 1) ^ (difference >> 15)).view(np.uint16)  # 0, -1, 1, -2, ... as 0, 1, 2, 3, ...
    return bits[np.argsort(largest, kind="stable")], largest


def _with_largest(rows: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """What `_without_largest` was given."""
    bits = np.empty_like(rows, np.uint16)
    bits[np.argsort(largest, kind="stable")] = rows.view(np.uint16)
    i = np.arange(len(bits))
    difference = (bits[:, -1] >> 1) ^ (0 - (bits[:, -1] & 1)).astype(np.uint16)
    taken = difference + _from_the_rest(bits)
    bits[:, -1] = bits[i, largest]
    bits[i, largest] = taken
    return bits.view(np.float16)


def _from_the_rest(bits: np.ndarray) -> np.ndarray:
    """The bits of 1 less all values of a row but the last, (N,) uint16: the same on every machine, since float64 adds
    up numbers of type float16 without rounding. Where infinities cancel, 0: their NaN has no bits of its own."""
    with np.errstate(invalid="ignore", over="ignore"):
        value = (1 - bits[:, :-1].view(np.float16).astype(np.float64).sum(1)).astype(np.float16)
    return np.where(np.isnan(value), np.float16(0), value).view(np.uint16)


def _check_dtype(dtype: str) -> None:
    if dtype not in _DTYPES:
        raise ValueError(f"array of type {dtype!r}; known: {', '.join(_DTYPES)}")
