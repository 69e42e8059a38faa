"""Checkpoints: kept by a sweep, read back to the bit, trained again where absent, and compared with what is stored."""

# ruff: noqa: F401, F811 (fixtures are imported and named as parameters)

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_runs import TINY, CountingStore, one_thread, own_cache, store

from laya_nb.data import DataError
from laya_nb.heads import DepthClassifier
from laya_nb.runs import Run, checkpoints, sweep, train, trained_model, trained_models
from laya_nb.runs.train import Trained
from laya_nb.support import paths


def same(one: DepthClassifier, other: DepthClassifier) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def test_a_sweep_keeps_its_models(store: CountingStore) -> None:
    sweep([TINY], store)
    expected = train(TINY)[0]
    path = paths.cache() / checkpoints.file_name(TINY)
    written = path.stat().st_mtime_ns
    loaded = trained_model(TINY, store)
    assert same(loaded, expected)
    assert not loaded.training
    assert path.stat().st_mtime_ns == written  # read, not trained again


def test_models_that_are_absent_are_trained_again_together(store: CountingStore) -> None:
    runs = [replace(TINY, seed=seed) for seed in range(2)]
    results = sweep(runs, store)
    for run in runs:
        (paths.cache() / checkpoints.file_name(run)).unlink()
    models = list(trained_models([*runs, runs[0]], store))
    assert same(models[0], models[2])
    assert not same(models[0], models[1])
    assert len(store.saved) == 2  # results are as they were
    assert len(results) == 2
    assert all((paths.cache() / checkpoints.file_name(run)).is_file() for run in runs)


def test_a_model_that_comes_out_otherwise_is_refused(store: CountingStore) -> None:
    """Planted: the stored result has a training loss and a test accuracy that this run does not give."""
    result = sweep([TINY], store)[0]
    (paths.cache() / checkpoints.file_name(TINY)).unlink()
    better = result.metrics | {"accuracy": result.metrics["accuracy"] + 0.1}
    store.save(replace(result, metrics=better, history=result.history | {"train_loss": [9.9]}))
    with pytest.raises(checkpoints.DisagreementError, match=r"(?s)trained again: training loss .* test accuracy"):
        trained_model(TINY, store)
    assert not (paths.cache() / checkpoints.file_name(TINY)).exists()


@pytest.mark.parametrize("damage", ["cut", "another model", "no sizes"])
def test_a_damaged_checkpoint_is_named(store: CountingStore, damage: str) -> None:
    path = paths.cache() / checkpoints.file_name(TINY)
    model, result = train(TINY.replace(d_star=5) if damage == "another model" else TINY)
    checkpoints.keep(TINY, Trained(result, model, 784))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage == "no sizes":
        from safetensors.torch import save_file

        save_file(model.state_dict(), path)
    with pytest.raises(DataError, match=f"{path.name} is damaged"):
        trained_model(TINY, store)


def test_a_failed_training_is_told(store: CountingStore) -> None:
    diverges = Run(
        dataset=TINY.dataset, hidden_dims=(8,), d_star=4, protocol=replace(TINY.protocol, learning_rate=1e30)
    )
    with pytest.raises(RuntimeError, match="the loss is nan"):
        trained_model(diverges, store)


def test_a_checkpoint_appears_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model, result = train(TINY)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.keep(TINY, Trained(result, model, 784), tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
