"""Does a result agree with itself, and with another carrying-out of the same run?"""

import math

import numpy as np

from laya_nb.runs.run import Run
from laya_nb.runs.store import Result
from laya_nb.training.predict import evaluate_labels

# Same machine and thread count: the same bits. Elsewhere sums are rounded in another order, and training amplifies
# that: the first epoch still agrees to the fourth digit, the end only as well as two draws of that chaos, which early
# stopping widens: an eight-layer network came out 1.6 points apart.
FIRST_LOSS_RELATIVE = 2e-3
# At high learning rates chaos is there within the first epoch: a fusion probe's loss came out 0.5 % apart on one thread
# and on two, and 1.2 % on two machines.
HIGH_LEARNING_RATE = 1e-2
FIRST_LOSS_RELATIVE_HIGH = 3e-2
FIRST_ACCURACY = 0.01
FINAL_ACCURACY = 0.025


def inconsistencies(result: Result) -> list[str]:
    """What in a result contradicts the rest of it. Of one from a table of scores, its name and history are checked."""
    found = []
    if Run.from_description(result.run).name != result.name:
        found.append("its name is not that of the run it describes")
    if result.arrays:
        labels, predictions = result.arrays["label"], result.arrays["prediction"]
        for metric, value in evaluate_labels(labels, predictions).items():
            if not math.isclose(result.metrics[metric], value, abs_tol=1e-9):
                found.append(f"{metric} is {result.metrics[metric]}, its predictions say {value}")
    protocol, epochs = Run.from_description(result.run).protocol, result.metrics["epochs"]
    accuracies = result.history["validation_accuracy"]
    # Without patience the last epoch is kept, and validated alone if any example was set aside.
    validated = epochs if protocol.patience is not None else int(protocol.validation > 0)
    best = int(np.argmax(accuracies)) + 1 if protocol.patience is not None and accuracies else epochs
    if len(accuracies) != validated or len(result.history["train_loss"]) != epochs:
        found.append("its history has another number of epochs than its metrics")
    elif (best, max(accuracies, default=None)) != (
        result.metrics["best_epoch"],
        result.metrics.get("validation_accuracy"),
    ):
        found.append("its best epoch is not the best of its history")
    if "attention" in result.arrays:
        sums = result.arrays["attention"].astype(float).sum(axis=1)
        if not np.allclose(sums, 1, atol=0.005):
            found.append("its attention does not sum to 1")
    return found


def differences(published: Result, again: Result) -> list[str]:
    """Where a retrained run departs from the published one by more than the tolerance.

    Of a run that was cut short, the first epoch is compared, which is the sharper test.
    """

    def first(result: Result, curve: str) -> float:
        return result.history[curve][0]

    found = []
    losses = first(published, "train_loss"), first(again, "train_loss")
    high = Run.from_description(published.run).protocol.learning_rate >= HIGH_LEARNING_RATE
    if not math.isclose(*losses, rel_tol=FIRST_LOSS_RELATIVE_HIGH if high else FIRST_LOSS_RELATIVE):
        found.append(f"training loss of epoch 1: published {losses[0]:.5f}, again {losses[1]:.5f}")
    results = (published, again)
    accuracies = {}
    if published.history["validation_accuracy"]:
        of_first = [first(result, "validation_accuracy") for result in results]
        accuracies["validation accuracy of epoch 1"] = (of_first, FIRST_ACCURACY)
    if published.run == again.run:
        accuracies["test accuracy"] = ([r.metrics["accuracy"] for r in results], FINAL_ACCURACY)
    for what, (values, tolerance) in accuracies.items():
        if abs(values[0] - values[1]) > tolerance:
            found.append(f"{what}: published {values[0]:.4f}, again {values[1]:.4f}")
    return found
