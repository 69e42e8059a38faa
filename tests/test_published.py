"""The committed results: each consistent, a few retrained and compared, and both checks able to fail."""

import dataclasses
import os

import numpy as np
import pytest
import recompute
import torch

from laya_nb.runs import checkpoints
from laya_nb import data
from laya_nb.data import images
from laya_nb.support import paths
from laya_nb.runs import Run, train_result
from laya_nb.runs import Result
from laya_nb.training import TrainingConfig, predict

RESULTS = recompute.published_results()
FULL_SET = os.environ.get("LAYA_NB_DATA")


def test_every_result_is_consistent() -> None:
    assert len(RESULTS) >= 50
    found = {result.name: recompute.inconsistencies(result) for result in RESULTS}
    assert not {name: problems for name, problems in found.items() if problems}


@pytest.mark.skipif(not FULL_SET, reason="needs the full Fashion-MNIST: point LAYA_NB_DATA at it")
def test_retrained_results_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """Drawn afresh each time, so that in the long run every result is retrained."""
    torch.set_num_threads(1)  # as published: on a machine of the same kind this gives the same bits
    seconds = float(os.environ.get("LAYA_NB_RECOMPUTE_SECONDS", "100"))
    for published in recompute.draw(RESULTS, seconds):
        again = recompute.retrain(published, seconds)
        with capsys.disabled():
            exact = np.array_equal(published.arrays["prediction"], again.arrays["prediction"])
            print(f"\nretrained {published.name}: {'the same predictions' if exact else 'within tolerance or not'}")
        assert recompute.differences(published, again) == []


def changed(result: Result, **metrics: float) -> Result:
    return dataclasses.replace(result, metrics=result.metrics | metrics)


def test_a_wrong_result_is_caught() -> None:
    """Planted: a better accuracy, another run's content, other predictions, a shortened history."""
    one, other = RESULTS[0], RESULTS[1]
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


def test_retraining_tells_runs_apart() -> None:
    """Planted: a result that is consistent in itself and came from another seed, or another learning rate."""
    run = Run(dataset="fashion_mnist_sample", protocol=TrainingConfig(max_epochs=3))
    honest = train_result(run)
    assert recompute.differences(honest, train_result(run)) == []
    slow = dataclasses.replace(honest, provenance=honest.provenance | {"seconds": 1000.0})
    begun = recompute.retrain(slow, seconds=700)
    assert begun.metrics["epochs"] == 2
    assert recompute.differences(slow, begun) == []
    for other in (
        dataclasses.replace(run, seed=1),
        dataclasses.replace(run, protocol=TrainingConfig(max_epochs=3, learning_rate=3.3e-4)),
    ):
        wrong = train_result(other)
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
