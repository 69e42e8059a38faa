"""Packing: the same bits come back whatever the arrays hold; what is packed is small; nothing else is taken for it."""

import lzma
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from laya_nb.runs.packing import DAMAGE, pack, unpack

dtypes = st.sampled_from(["uint8", "float16", "float32"])
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6)


def bits(dtype: str, shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Arrays of any bit pattern: every NaN, infinities, negative zeros, the smallest numbers."""
    unsigned = np.dtype(f"u{np.dtype(dtype).itemsize}")
    return hnp.arrays(unsigned, shape).map(lambda array: array.view(dtype))


def weights(n: int, layers: int) -> st.SearchStrategy[np.ndarray]:
    """Attention: rows that sum to 1, and rows that do not."""
    scores = hnp.arrays(np.float32, (n, layers), elements=st.floats(-20, 20, width=32))
    softmax = scores.map(lambda s: (np.exp(s) / np.exp(s).sum(1, keepdims=True)).astype(np.float16))
    return softmax | bits("float16", (n, layers))


@st.composite
def results(draw: st.DrawFn) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Arrays as results have them, with labels or without, and others beside them."""
    n = draw(st.integers(0, 9))
    label = draw(st.none() | hnp.arrays(np.uint8, n) | dtypes.flatmap(lambda d: shapes.flatmap(lambda s: bits(d, s))))
    arrays = {
        "prediction": draw(hnp.arrays(np.uint8, n) | bits("float16", (n,)) | bits("uint8", (n, 2))),
        "confidence": draw(bits("float16", (n,))),
        "attention": draw(st.integers(0, 4).flatmap(lambda layers: weights(n, layers) | bits("float16", (1, layers)))),
        "other": draw(dtypes.flatmap(lambda d: shapes.flatmap(lambda s: bits(d, s)))),
    }
    kept = draw(st.permutations(list(arrays)))[: draw(st.integers(0, 4))]
    return {name: arrays[name] for name in kept}, label


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return list(one) == list(other) and all(
        (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
        for a, b in zip(one.values(), other.values(), strict=True)
    )


@settings(max_examples=500, deadline=None)
@given(results())
def test_the_same_bits_come_back(result: tuple[dict[str, np.ndarray], np.ndarray | None]) -> None:
    arrays, label = result
    before = {name: array.copy() for name, array in arrays.items()}
    layouts, packed = pack(arrays, label)
    found = unpack(packed, layouts, label)
    assert same(found, before)
    assert same(arrays, before)  # what is packed is not changed
    assert not any(array.flags.writeable for array in found.values())


def test_columns_in_any_memory_order() -> None:
    attention = np.asfortranarray(np.random.default_rng(0).dirichlet(np.ones(3), 50).astype(np.float16))
    arrays = {"attention": attention[::-2]}
    layouts, packed = pack(arrays, None)
    assert same(unpack(packed, layouts, None), arrays)


def example() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Made-up results like real ones: 2,000 examples, 10 classes, 3 layers whose weights depend on the class."""
    random = np.random.default_rng(0)
    label = random.integers(0, 10, 2000).astype(np.uint8)
    wrong = random.random(2000) < 0.1
    prediction = np.where(wrong, random.integers(0, 10, 2000), label).astype(np.uint8)
    scores = random.normal(size=(2000, 3)) + random.normal(size=(10, 3))[label] * 3
    attention = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return {"prediction": prediction, "attention": attention.astype(np.float16)}, label


def test_every_step_pays() -> None:
    """Each of the three is taken, and leaves fewer bytes than plain LZMA of the same arrays."""
    arrays, label = example()
    layouts, packed = pack(arrays, label)
    assert layouts == {
        "prediction": {"dtype": "uint8", "shape": [2000], "steps": ["minus label", "ordered"]},
        "attention": {"dtype": "float16", "shape": [2000, 3], "steps": ["ordered", "largest from the rest"]},
    }
    plain = lzma.compress(b"".join(array.tobytes() for array in arrays.values()), preset=9)
    assert len(packed) < 0.75 * len(plain)
    assert len(packed) < len(pack(arrays, None)[1])
    under_another_name = {"prediction": arrays["prediction"], "weights": arrays["attention"]}
    assert len(packed) < 0.85 * len(pack(under_another_name, label)[1])


def test_the_same_arrays_give_the_same_bytes() -> None:
    """The files' names hold a hash of them: a run that is saved twice leaves one file."""
    assert pack(*example()) == pack(*example())


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.dtype(">f2"), np.bool_, object, "U3"])
def test_other_types_are_refused(dtype: Any) -> None:
    with pytest.raises(ValueError, match="known: uint8, float16, float32"):
        pack({"array": np.zeros(3, dtype)}, None)


def test_labels_that_do_not_fit_are_damage() -> None:
    arrays, label = example()
    layouts, packed = pack(arrays, label)
    for other in (None, label[:-1], label.reshape(2, -1), label.astype(np.float32)):
        with pytest.raises(DAMAGE):
            unpack(packed, layouts, other)


def test_too_few_and_too_many_bytes_are_damage() -> None:
    arrays, label = example()
    layouts, packed = pack(arrays, label)
    raw = lzma.decompress(packed)
    for content in (raw[:-1], raw + b"\0", b""):
        with pytest.raises(ValueError, match=r"longer than its file|bytes too many"):
            unpack(lzma.compress(content), layouts, label)
