"""Probes of single layers: with all labels, with few, on inputs that were made worse, and on other data."""

from pathlib import Path

import numpy as np
import pytest
import torch

from laya_nb import features
from laya_nb.analysis.layers import probe
from laya_nb.data import catalog
from laya_nb.data.corruptions import STRENGTHS, STROKES, redraw
from laya_nb.features import encoders
from laya_nb.runs import ResultStore
from laya_nb.runs.layer_probes import (
    balanced_rows,
    corrupted,
    corruptions,
    elsewhere,
    few_labels,
    layer_probes,
    under_shift,
)

ENCODER, DATA = "vit_tiny_patch16_224+32px+random", "world/colour@40"
WIDTH, DEPTH = 192, 12


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultStore:
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path))
    return ResultStore(tmp_path / "results", published=False)


def layer(data: str, part: str, number: int) -> np.ndarray:
    """The mean over a layer's patch tokens."""
    found = features.load_part(data, ENCODER, part).numpy()  # type: ignore[arg-type]
    start = (2 * number + 1) * WIDTH
    return found[:, start : start + WIDTH]


def truth(data: str, part: str) -> np.ndarray:
    return catalog.entry(data).raw(part)[1].numpy()  # type: ignore[arg-type]


def test_each_layer_has_its_probe(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    found = layer_probes(ENCODER, DATA, store)
    assert found.arrays["right"].shape == (DEPTH, 40)
    assert found.arrays["all"].shape == (40,)
    for number in (0, 7):
        fitted = probe().fit(layer(DATA, "train", number), truth(DATA, "train"))
        right = fitted.predict(layer(DATA, "test", number)) == truth(DATA, "test")
        np.testing.assert_array_equal(found.arrays["right"][number], right)
    monkeypatch.setattr("laya_nb.features.encoders.load", None)
    np.testing.assert_array_equal(layer_probes(ENCODER, DATA, store).arrays["right"], found.arrays["right"])


def test_few_labels_are_balanced_and_judged_on_all_test_examples(store: ResultStore) -> None:
    found = few_labels(ENCODER, DATA, store, counts=(6, 30), draws=2).arrays
    classes = len(np.unique(truth(DATA, "train")))
    assert found["validated"].shape == found["accuracy"].shape == (2, 2, DEPTH)
    assert np.isnan(found["validated"][0]).all() == (2 * classes > 6)
    assert ((found["accuracy"][1] * 40) % 1 < 1e-4).all()
    assert ((found["validated"][1] * 30).round(4) % 1 < 1e-3).all()
    assert (found["accuracy"][1, 0] != found["accuracy"][1, 1]).any()  # other examples in each draw


def test_balanced_rows() -> None:
    y = np.array([0] * 10 + [1] * 5 + [2] * 4)
    for seed in range(5):
        rows = balanced_rows(y, 10, np.random.default_rng(seed))
        assert len(set(rows)) == 10
        assert sorted(np.bincount(y[rows])) == [3, 3, 4]
    with pytest.raises(ValueError, match="15 labels need 5 examples of each class, one has 4"):
        balanced_rows(y, 15, np.random.default_rng(0))


def test_inputs_get_worse_and_the_clean_ones_are_those_of_layer_probes(store: ResultStore) -> None:
    found = under_shift(ENCODER, DATA, store, examples=10).arrays
    names = ("noise", "blur", "contrast", "brightness", "rotation", "pixelation", "jpeg")
    shapes = {"clean": (DEPTH + 1, 10), **dict.fromkeys(names, (5, DEPTH + 1, 10))}
    assert {name: values.shape for name, values in found.items()} == shapes
    clean = layer_probes(ENCODER, DATA, store).arrays
    np.testing.assert_array_equal(found["clean"][:-1], clean["right"][:, :10])
    np.testing.assert_array_equal(found["clean"][-1], clean["all"][:10])
    assert any((found[name][4] != found["clean"]).any() for name in found)


def test_letters_are_drawn_otherwise() -> None:
    network = encoders.load(ENCODER)
    assert corruptions(network, "letters@60") == list(STROKES)
    assert corruptions(network, DATA) == list(STRENGTHS)
    x = torch.rand(2, 1, 28, 28)
    drawn = corrupted(x, "slant", 2)
    assert isinstance(drawn, torch.Tensor)
    assert torch.equal(drawn, redraw(x, "slant", 2))


def test_another_data_set_is_judged_by_the_probes_of_the_first(store: ResultStore) -> None:
    other = "world/colour@60"
    found = elsewhere(ENCODER, DATA, other, store).arrays["right"]
    assert found.shape == (DEPTH + 1, 60)
    fitted = probe().fit(layer(DATA, "train", 3), truth(DATA, "train"))
    np.testing.assert_array_equal(found[3], fitted.predict(layer(other, "test", 3)) == truth(other, "test"))
    same = elsewhere(ENCODER, DATA, DATA, store).arrays["right"]
    np.testing.assert_array_equal(same[:-1], layer_probes(ENCODER, DATA, store).arrays["right"])
