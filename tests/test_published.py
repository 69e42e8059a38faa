"""The committed results: whole, each consistent, a few retrained and compared, and all checks able to fail."""

import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import recompute
import torch

from laya_nb import data
from laya_nb.data import images
from laya_nb.runs import Result, Run, checkpoints, paper, train
from laya_nb.runs.store import PUBLISHED_RESULTS
from laya_nb.support import paths
from laya_nb.training import TrainingConfig, predict

FOLDER = paths.PUBLISHED / PUBLISHED_RESULTS
RESULTS = recompute.published_results()
ROWS = [result for result in RESULTS if not result.arrays]
FULL_SET = os.environ.get("LAYA_NB_DATA")


def test_every_result_is_consistent() -> None:
    assert len(RESULTS) >= 50
    found = {result.name: recompute.inconsistencies(result) for result in RESULTS}
    assert not {name: problems for name, problems in found.items() if problems}


def test_only_tables_hold_results_without_arrays() -> None:
    stored = [path for path in FOLDER.rglob("*.json") if "measurements" not in path.parts]
    whole = [result for result in RESULTS if {"label", "prediction", "confidence"} <= set(result.arrays)]
    assert len(whole) == len(stored) == len(RESULTS) - len(ROWS)


def test_the_table_of_the_papers_grid_is_whole() -> None:
    expected = [Run(seed=s, **setting) for setting in paper.grid_settings("fashion_mnist") for s in range(3)]
    found = recompute.read_table(FOLDER / "tables" / "paper_grid.jsonl")
    assert {row.name for row in found} == {run.name for run in expected}


def test_a_run_that_stands_twice_says_the_same_twice() -> None:
    stored = {result.name: result for result in RESULTS if result.arrays}
    twice = [row for row in ROWS if row.name in stored]
    assert twice
    for row in twice:
        assert row.scores() == stored[row.name].scores()


def surplus(folder: Path) -> set[str]:
    """Files below a folder of results that no result names."""
    named = {f"tables/{path.name}" for path in folder.glob("tables/*.jsonl")}
    for path in folder.rglob("*.json"):
        files = [path.name, *json.loads(path.read_text())["files"].values()]
        named |= {str(path.with_name(file).relative_to(folder)) for file in files}
    return {str(path.relative_to(folder)) for path in folder.rglob("[!.]*") if path.is_file()} - named


def test_every_file_belongs_to_a_result(tmp_path: Path) -> None:
    """Planted: a binary file that a retrained result has left behind, a damaged one set aside."""
    assert surplus(FOLDER) == set()
    one = next(FOLDER.glob("fashion_mnist/*.json"))
    binary = json.loads(one.read_text())["files"]["arrays"]
    for file in (one, one.with_name(binary)):
        shutil.copy(file, tmp_path)
    (tmp_path / "labels-000000000000.xz").touch()
    (tmp_path / "old.damaged").touch()
    assert surplus(tmp_path) == {"labels-000000000000.xz", "old.damaged"}


def test_the_readme_reads_a_file_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of NumPy in data/README.md give what the package gives."""
    text = (paths.PUBLISHED / "README.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(paths.PUBLISHED)
    found: dict[str, object] = {}
    exec(code, found)
    published = next(result for result in RESULTS if result.name in code)
    np.testing.assert_array_equal(found["label"], published.arrays["label"])
    np.testing.assert_array_equal(found["prediction"], published.arrays["prediction"])


@pytest.mark.skipif(not FULL_SET, reason="needs the full Fashion-MNIST: point LAYA_NB_DATA at it")
def test_retrained_results_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """Drawn afresh each time, so that in the long run every result is retrained."""
    torch.set_num_threads(1)  # as published: on a machine of the same kind this gives the same bits
    seconds = float(os.environ.get("LAYA_NB_RECOMPUTE_SECONDS", "100"))
    for published in recompute.draw(RESULTS, seconds):
        again = recompute.retrain(published, seconds)
        with capsys.disabled():
            losses = again.history["train_loss"]
            exact = losses == published.history["train_loss"][: len(losses)]
            print(f"\nretrained {published.name}: {'the same losses' if exact else 'within tolerance or not'}")
        assert recompute.differences(published, again) == []


def changed(result: Result, **metrics: float) -> Result:
    return dataclasses.replace(result, metrics=result.metrics | metrics)


def test_a_wrong_result_is_caught() -> None:
    """Planted: a better accuracy, another run's content, other predictions, a shortened history."""
    one, other = [result for result in RESULTS if "validation_accuracy" in result.metrics][:2]
    predictions = one.arrays["prediction"].copy()
    predictions[:5] = (predictions[:5] + 1) % 10
    for planted in (
        changed(one, accuracy=one.metrics["accuracy"] + 0.001),
        changed(one, validation_accuracy=one.metrics["validation_accuracy"] + 0.001),
        dataclasses.replace(one, run=other.run),
        dataclasses.replace(one, arrays=one.arrays | {"prediction": predictions}),
        dataclasses.replace(one, history={name: values[:-1] for name, values in one.history.items()}),
    ):
        assert recompute.inconsistencies(planted)


def test_a_wrong_row_of_a_table_is_caught() -> None:
    """Planted: the same, as far as a row without predictions can show it; and none where nothing is planted."""
    one, other = ROWS[0], ROWS[1]
    assert recompute.inconsistencies(one) == []
    for planted in (
        changed(one, validation_accuracy=one.metrics["validation_accuracy"] + 0.001),
        changed(one, best_epoch=one.metrics["best_epoch"] + 1),
        dataclasses.replace(one, run=other.run),
        dataclasses.replace(one, history={name: values[:-1] for name, values in one.history.items()}),
    ):
        assert recompute.inconsistencies(planted)
    assert recompute.differences(one, changed(one, accuracy=one.metrics["accuracy"] + 0.03))


def test_measurements_are_no_results_of_runs(tmp_path: Path) -> None:
    for folder in (tmp_path / "fashion_mnist", tmp_path / "measurements" / "norms-v1" / "fashion_mnist"):
        shutil.copytree(FOLDER / "fashion_mnist", folder, ignore=shutil.ignore_patterns("[!l]*", "la[!b]*seed1*"))
    names = [result.name for result in recompute.published_results(tmp_path)]
    assert names
    assert all(name.startswith("fashion_mnist/") for name in names)


def test_retraining_tells_runs_apart() -> None:
    """Planted: a result that is consistent in itself and came from another seed, or another learning rate."""
    run = Run(dataset="fashion_mnist_sample", protocol=TrainingConfig(max_epochs=3))
    honest = train(run)[1]
    assert recompute.differences(honest, train(run)[1]) == []
    slow = dataclasses.replace(honest, provenance=honest.provenance | {"seconds": 1000.0})
    begun = recompute.retrain(slow, seconds=700)
    assert begun.metrics["epochs"] == 2
    assert recompute.differences(slow, begun) == []
    for other in (
        dataclasses.replace(run, seed=1),
        dataclasses.replace(run, protocol=TrainingConfig(max_epochs=3, learning_rate=3.3e-4)),
    ):
        wrong = train(other)[1]
        assert recompute.differences(honest, wrong)
        slow = dataclasses.replace(wrong, provenance=wrong.provenance | {"seconds": 1000.0})
        assert recompute.differences(honest, recompute.retrain(slow, seconds=10))


def test_the_checkpoint_is_the_published_run() -> None:
    """On the sample's test images, the checkpoint predicts and attends as its result says of the full test set."""
    run = Run()
    assert paths.published(checkpoints.file_name(run)).is_file()
    published = next(result for result in RESULTS if result.name == run.name)
    with np.load(paths.published(images.SAMPLE), allow_pickle=False) as file:
        index = file["test_index"]
    found = predict(checkpoints.trained_model(run), data.load("fashion_mnist_sample").test.x)
    assert (found.labels.numpy() == published.arrays["prediction"][index]).mean() > 0.995
    assert found.attention is not None
    np.testing.assert_allclose(found.attention, published.attention[index], atol=0.01)
