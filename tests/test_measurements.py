"""Measurements: one value per run, function and version, kept as results are."""

# ruff: noqa: F401, F811 (fixtures are imported and named as parameters)

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_runs import TINY, CountingStore, one_thread, own_cache, store

from laya_nb.data import Dataset
from laya_nb.heads import DepthClassifier
from laya_nb.runs import ResultStore, checkpoints, measure, measurement, sweep, train
from laya_nb.support import paths
from laya_nb.training import predict

RUNS = [replace(TINY, seed=seed) for seed in range(2)]
CALLS: list[int] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


@measurement(version=1)
def mean_attention(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    CALLS.append(1)
    attention = predict(model, dataset.test.x).attention
    assert attention is not None
    return {"mean": attention.mean(dim=0).numpy(), "last": float(attention[:, -1].mean())}


def test_a_measurement_is_made_once_per_run(store: CountingStore) -> None:
    sweep(RUNS, store)
    values = measure(RUNS, mean_attention, store)
    assert len(CALLS) == 2
    for run, value in zip(RUNS, values, strict=True):
        expected = predict(train(run)[0], dataset_of(run).test.x).attention
        assert expected is not None
        np.testing.assert_allclose(value["mean"], expected.mean(dim=0), atol=1e-3)
        assert value["last"] == pytest.approx(value["mean"][-1], abs=1e-6)
    again = measure([RUNS[1], RUNS[0], RUNS[1]], mean_attention, store)
    assert len(CALLS) == 2  # read, also in another order and twice
    assert [value["last"] for value in again] == [values[i]["last"] for i in (1, 0, 1)]
    assert np.array_equal(again[0]["mean"], values[1]["mean"])
    measure([*RUNS, replace(TINY, seed=2)], mean_attention, store)
    assert len(CALLS) == 3


def dataset_of(run: Any) -> Dataset:
    from laya_nb import data

    return data.load(run.dataset)


def test_another_version_and_another_function_are_measured_anew(
    store: CountingStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure(RUNS[:1], mean_attention, store)
    measure(RUNS[:1], replace(mean_attention, version=2), store)
    assert len(CALLS) == 2

    @measurement(version=2)
    def other(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
        CALLS.append(1)
        return {"classes": model.head.num_classes}

    assert measure(RUNS[:1], other, store) == [{"classes": 10.0}]
    assert len(CALLS) == 3


def test_old_runs_need_no_training_where_a_checkpoint_is(
    store: CountingStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweep(RUNS, store)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "train_stacked", None)
        assert len(measure(RUNS, mean_attention, store)) == 2
    for run in RUNS:
        (paths.cache() / checkpoints.file_name(run)).unlink()
    assert len(measure(RUNS, mean_attention, store)) == 2  # and no model where the value is
    assert len(CALLS) == 2


def test_results_and_measurements_do_not_mix(store: CountingStore) -> None:
    measure(RUNS[:1], mean_attention, store)
    assert ResultStore(store.folder, published=False).load(RUNS[0].name, RUNS[0].describe()) is None


def test_a_function_that_is_no_measurement_is_named(store: CountingStore) -> None:
    def plain(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
        return {}

    with pytest.raises(ValueError, match=r"plain is no measurement: mark it with @measurement\(version=1\)"):
        measure(RUNS[:1], plain, store)  # type: ignore[arg-type]
