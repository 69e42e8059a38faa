"""Results that contradict themselves or another carrying-out of their run, with arrays and without."""

from dataclasses import replace

import numpy as np
import pytest

from laya_nb.runs import Result, Run
from laya_nb.runs.agreement import differences, inconsistencies
from laya_nb.training.config import FUSION

RUN = Run(dataset="fashion_mnist_sample")


def result() -> Result:
    label = np.array([0, 1, 0, 1], np.uint8)
    metrics = {"accuracy": 0.75, "macro_f1": 11 / 15, "validation_accuracy": 0.9, "best_epoch": 2, "epochs": 3}
    history = {"train_loss": [1.0, 0.5, 0.25], "validation_accuracy": [0.5, 0.9, 0.8]}
    arrays: dict[str, np.ndarray] = {
        "label": label,
        "prediction": np.array([0, 1, 0, 0], np.uint8),
        "attention": np.full((4, 2), 0.5, np.float16),
    }
    return Result(RUN.name, RUN.describe(), metrics, history, {}, arrays)


def scores_of(whole: Result) -> Result:
    """As a table of scores keeps it."""
    return replace(whole, arrays={})


def with_metrics(whole: Result, **metrics: float) -> Result:
    return replace(whole, metrics=whole.metrics | metrics)


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert inconsistencies(result()) == []
    assert inconsistencies(scores_of(result())) == []
    assert differences(result(), result()) == []
    assert differences(scores_of(result()), result()) == []


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        (replace(result(), name="another"), "its name"),
        (with_metrics(result(), best_epoch=1), "best epoch"),
        (with_metrics(result(), validation_accuracy=0.95), "best epoch"),
        (with_metrics(result(), epochs=4), "number of epochs"),
    ],
)
def test_name_and_history_are_checked_with_arrays_and_without(planted: Result, found: str) -> None:
    for one in (planted, scores_of(planted)):
        [problem] = inconsistencies(one)
        assert found in problem


def test_scores_are_checked_by_predictions_and_attention_by_its_sum() -> None:
    assert "accuracy is 0.8" in inconsistencies(with_metrics(result(), accuracy=0.8))[0]
    halves = result().arrays | {"attention": np.full((4, 2), 0.25, np.float16)}
    assert inconsistencies(replace(result(), arrays=halves)) == ["its attention does not sum to 1"]
    with pytest.raises(KeyError):  # arrays without predictions are no result of a run
        inconsistencies(replace(result(), arrays={"attention": halves["attention"]}))


def test_what_comes_out_otherwise_is_a_difference() -> None:
    other = replace(result(), history=result().history | {"train_loss": [1.01, 0.5, 0.25]})
    assert "training loss of epoch 1" in differences(scores_of(result()), other)[0]
    assert "test accuracy" in differences(scores_of(result()), with_metrics(result(), accuracy=0.7))[0]


@pytest.mark.parametrize(("loss", "agrees"), [(1.02, True), (1.04, False)])
def test_at_a_high_learning_rate_a_training_may_begin_otherwise(loss: float, agrees: bool) -> None:
    run = RUN.replace(protocol=replace(FUSION, learning_rate=1e-2))
    ours = replace(result(), name=run.name, run=run.describe())
    other = replace(ours, history=ours.history | {"train_loss": [loss, 0.5, 0.25]})
    assert (differences(ours, other) == []) == agrees


def test_without_patience_the_last_epoch_is_the_best_and_validated_alone() -> None:
    history = {"train_loss": [1.0, 0.5, 0.25], "validation_accuracy": [0.6]}
    searched = RUN.replace(protocol=replace(FUSION, validation=0.2))
    metrics = {"accuracy": 0.75, "macro_f1": 11 / 15, "validation_accuracy": 0.6, "best_epoch": 3, "epochs": 3}
    good = Result(searched.name, searched.describe(), metrics, history, {})
    assert inconsistencies(good) == []
    for wrong in ({"best_epoch": 2}, {"validation_accuracy": 0.7}, {"epochs": 4}):
        assert inconsistencies(with_metrics(good, **wrong)) != []
    final = RUN.replace(protocol=replace(FUSION, validation=0.0))
    del metrics["validation_accuracy"]
    whole = Result(final.name, final.describe(), metrics, history | {"validation_accuracy": []}, {})
    assert inconsistencies(whole) == []
    assert differences(whole, whole) == []
    assert inconsistencies(replace(whole, history=history)) != []
