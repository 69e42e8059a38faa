"""What the chapters on single layers read of probes and measures: best layers, regrets, and readers under shift."""

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from laya_nb import data
from laya_nb.analysis.layers import probe
from laya_nb.data import catalog
from laya_nb.runs import ResultStore, sweep
from laya_nb.runs.checkpoints import trained_models
from laya_nb.runs.heads_under_shift import heads_under_shift
from laya_nb.runs.layer_probes import few_labels, layer_probes, under_shift, ways_under_shift
from laya_nb.runs.layer_results import (
    ALL,
    BOOK,
    MEASURED_ON,
    OnTask,
    layer_results,
    regrets,
    tasks_that_gain,
    weights_by_layer,
    word_accuracy,
)
from laya_nb.runs.measurements import measure
from laya_nb.runs.run import Run
from laya_nb.runs.store import Result
from laya_nb.runs.train import model_for
from laya_nb.runs.trained_layers import trained_layers, untrained_layers
from laya_nb.training import TrainingConfig
from laya_nb.training.config import FUSION

ENCODER = "vit_tiny_patch16_224+32px+random"
rng = np.random.default_rng(0)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultStore:
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path))
    return ResultStore(tmp_path / "results", published=False)


def planted(accuracy: list[float], measures: dict[str, np.ndarray] | None = None, examples: int = 400) -> OnTask:
    """Layers that are right about the first examples of 20, in every 20: the halves agree about all of them."""
    right = np.stack([np.arange(examples) % 20 < 20 * a for a in accuracy])
    return OnTask("an encoder", "letters", measures or {}, right, right[0], 0.1)


def test_tasks_are_measured_on_inputs_of_their_kind() -> None:
    assert {of.partition("@")[0] for of in MEASURED_ON.values()} == {"question", "kind", "cifar10_jpeg", "world/count"}
    assert MEASURED_ON["world/shape"] == "world/count"
    assert MEASURED_ON["docs_length"] == "kind"
    assert "letters" not in MEASURED_ON


def test_results_are_those_of_probes_and_measures(store: ResultStore) -> None:
    (found,) = layer_results(ENCODER, ["world/colour@40"], store)
    assert (found.encoder, found.task) == (ENCODER, "world/colour")
    np.testing.assert_array_equal(found.right, layer_probes(ENCODER, "world/colour@40", store).arrays["right"])
    assert found.measures["dime"].shape == found.accuracy.shape == (12,)
    assert "cka" not in found.measures
    assert 1 / found.chance == len(catalog.load("world/colour@40").classes)
    (bare,) = layer_results(ENCODER, ["world/colour@40"], store, measures=False)
    assert not bare.measures


def test_best_last_and_the_way_from_guessing() -> None:
    found = planted([0.5, 0.9, 0.7])
    assert found.best == pytest.approx(0.9)
    assert found.above_last.mean() == pytest.approx(0.2)
    np.testing.assert_allclose(found.of_the_way, (np.array([0.5, 0.9, 0.7]) - 0.1) / 0.9)
    assert planted([0.05, 0.05, 0.05]).of_the_way.tolist() == [0, 0, 0]
    assert tasks_that_gain([found, planted([0.5, 0.7, 0.9]), planted([0.3, 0.3, 0.9])]) == {
        "best layer ahead": 1,
        "last layer ahead": 0,
        "not told apart": 2,
    }


def test_regrets_are_points_lost_by_each_choice() -> None:
    measures = {
        "dime": np.array([0.0, 1, 2, 3]),  # much of it is good: the last
        "curvature": np.array([3.0, 2, 1, 2]),  # little of it: the third
        "prompt_entropy": np.array([np.nan] * 4),  # not defined: it chooses nothing
    }
    found = planted([0.5, 0.9, 0.7, 0.6], measures)
    validated = np.array([[[0.5, 0.8, 0.8, 0.1], [0.9, 0, 0, 0]], [[np.nan] * 4] * 2])
    few = Result("", {"counts": [10, 50]}, {}, {}, {}, {"validated": validated})
    lost = regrets(found, few, {"LAYA": [np.array([0.1, 0.7, 0.1, 0.1]), np.array([0.9, 0, 0, 0.1])]})
    assert lost == pytest.approx(
        {ALL: 40, "last": 30, "middle": 0, "dime": 30, "curvature": 20, "10 labels": 25, "LAYA": 20}
    )


def test_a_layers_weight_is_the_sum_over_its_tokens() -> None:
    weight = np.arange(24.0) / np.arange(24).sum()
    result = Result("", {}, {}, {}, {}, {"label": np.zeros(3), "attention": np.tile(weight, (3, 1)).astype(np.float16)})
    np.testing.assert_allclose(weights_by_layer(ENCODER, result), weight.reshape(12, 2).sum(axis=1), rtol=1e-3)


def test_words_know_the_library(store: ResultStore) -> None:
    found = word_accuracy("library@700", store)
    assert 2 / 7 < found < 1
    assert word_accuracy("library@700", store) == found


def test_ways_to_read_layers_of_worse_inputs() -> None:
    clean = np.zeros((4, 40), dtype=np.uint8)  # three layers and the probe of all
    clean[1], clean[3, :30] = 1, 1
    noise = np.zeros((5, 4, 40), dtype=np.uint8)
    noise[:, 0], noise[:, 2, :20], noise[:, 3, :10] = 1, 1, 1
    ways = ways_under_shift({"clean": clean, "noise": noise, "blur": noise})
    assert {way: of.shape for way, of in ways.items()} == dict.fromkeys(ways, (2, 6))
    expected = {
        "last layer": [0, 0.5],
        "best layer on clean examples": [1, 0],
        "best layer on 20 such examples": [1, 1],
        "best layer at this strength": [1, 1],
        "all layers, one probe": [0.75, 0.25],
    }
    assert {way: of[0, [0, 5]].tolist() for way, of in ways.items()} == expected


def test_heads_see_the_same_worse_inputs(store: ResultStore, tmp_path: Path) -> None:
    """A linear head on the last layer, whose guesses on clean inputs are those of its own run."""
    data = "world/colour@40"
    protocol = replace(FUSION, min_steps=1, max_epochs=1, validation=0.0)
    run = Run(head="last_layer", dataset=f"{data}/{ENCODER}+l2", protocol=protocol)
    (found,) = measure([run], heads_under_shift, store)
    probes = under_shift(ENCODER, data, store).arrays
    assert set(found) == set(probes)
    assert found["noise"].shape == (5, 40)
    (result,) = sweep([run], store)
    np.testing.assert_array_equal(found["clean"], result.correct)
    standardised = Run(head="last_layer", dataset=f"{data}/{ENCODER}", protocol=protocol)
    with pytest.raises(ValueError, match=r"length 1, got 'world/colour@40/.*add '\+l2'"):
        measure([standardised], heads_under_shift, store)


def test_few_labels_feed_regrets(store: ResultStore) -> None:
    data = "world/colour@40"
    few = few_labels(ENCODER, data, store, counts=(30,), draws=2)
    (found,) = layer_results(ENCODER, [data], store)
    lost = regrets(found, few)
    assert {"last", "middle", "30 labels", "dime"} <= set(lost)


def test_layers_of_a_network_trained_for_the_task(store: ResultStore) -> None:
    protocol = TrainingConfig(max_epochs=1)
    run = Run(dataset="fashion_mnist_sample", head="last_layer", hidden_dims=[32, 8], protocol=protocol)
    (found,) = measure([run], trained_layers, store)
    assert found["right"].shape == (2, 1000)
    assert found["right"].mean() > 0.5
    assert found["lidar"].shape == found["cka_last"].shape == (2,)
    assert found["cka_last"][1] == pytest.approx(1)
    model = next(trained_models([run], store))
    h = model.backbone(data.load("fashion_mnist_sample").train.x[:2000])[1].detach().numpy()
    test = data.load("fashion_mnist_sample").test
    fitted = probe().fit(h, data.load("fashion_mnist_sample").train.y[:2000])
    guesses = fitted.predict(model.backbone(test.x)[1].detach().numpy())
    np.testing.assert_array_equal(found["right"][1], guesses == test.y.numpy())
    before = untrained_layers(run, store).arrays
    assert set(before) == set(found)
    fresh = probe().fit(*_layer_before(run, "train")).predict(_layer_before(run, "test")[0])
    np.testing.assert_array_equal(before["right"][1], fresh == test.y.numpy())
    assert before["right"].mean() < found["right"].mean()


def _layer_before(run: Run, part: str) -> tuple[np.ndarray, np.ndarray]:
    of = data.load(run.dataset)
    x, y = getattr(of, part)
    with torch.no_grad():
        return model_for(run, of).backbone(x[:2000])[1].numpy(), y[:2000].numpy()


@pytest.mark.parametrize("chapter", ["layer_by_layer", "choosing_a_layer"])
def test_what_a_recommendation_quotes_is_what_the_chapters_measure(chapter: str) -> None:
    source = (Path(__file__).parents[1] / "book" / f"{chapter}.py").read_text()

    def parameter(name: str) -> Any:
        return ast.literal_eval(re.search(rf"^{name}: [^=]* = ([^#\n]*)", source, re.M)[1])  # type: ignore[index]

    for kind, prefix in (("texts", "text"), ("images", "image")):
        datasets = [f"{task}@{parameter(f'{prefix}_examples')}" for task in parameter(f"{prefix}_tasks")]
        assert dict.fromkeys(parameter(f"{prefix}_encoders"), datasets) == BOOK[kind]
