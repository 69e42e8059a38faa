"""Is a published result what its run gives? Look at it, then train it again and compare.

usage: python tools/recompute.py [SECONDS]   (retrains runs drawn at random, about that many seconds' worth)

Runs on a frozen network's features are left out: the features alone take an hour.
"""

import math
import random
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from laya_nb import paths
from laya_nb.runs import Run, train_result
from laya_nb.store import PUBLISHED_RESULTS, Result
from laya_nb.training import evaluate_labels

# Same machine and thread count: the same bits. Elsewhere sums are rounded in another order, and training amplifies
# that: the first epoch still agrees to the fourth digit, the end only as well as two draws of that chaos.
FIRST_LOSS_RELATIVE = 2e-3
FIRST_ACCURACY = 0.01
FINAL_ACCURACY = 0.015


def published_results(folder: Path | None = None) -> list[Result]:
    """Every published result, read strictly: a damaged file is an error here."""
    root = folder or paths.PUBLISHED / PUBLISHED_RESULTS
    files = sorted(root.rglob("*.json"))
    return [Result.from_json(str(path.relative_to(root).with_suffix("")), path.read_text()) for path in files]


def inconsistencies(result: Result) -> list[str]:
    """What in a result contradicts the rest of it."""
    found = []
    if Run.from_description(result.run).name != result.name:
        found.append("its name is not that of the run it describes")
    labels, predictions = result.arrays["label"], result.arrays["prediction"]
    for metric, value in evaluate_labels(labels, predictions).items():
        if not math.isclose(result.metrics[metric], value, abs_tol=1e-9):
            found.append(f"{metric} is {result.metrics[metric]}, its predictions say {value}")
    accuracies = result.history["validation_accuracy"]
    if len(accuracies) != result.metrics["epochs"] or len(result.history["train_loss"]) != result.metrics["epochs"]:
        found.append("its history has another number of epochs than its metrics")
    elif (int(np.argmax(accuracies)) + 1, max(accuracies)) != (
        result.metrics["best_epoch"],
        result.metrics["validation_accuracy"],
    ):
        found.append("its best epoch is not the best of its history")
    if "attention" in result.arrays:
        sums = result.arrays["attention"].astype(float).sum(axis=1)
        if not np.allclose(sums, 1, atol=0.005):
            found.append("its attention does not sum to 1")
    return found


def differences(published: Result, again: Result) -> list[str]:
    """Where a retrained run departs from the published one by more than the tolerance.

    Of a run that was cut short (`retrain`), the first epoch is compared, which is the sharper test.
    """

    def first(result: Result, curve: str) -> float:
        return result.history[curve][0]

    found = []
    losses = first(published, "train_loss"), first(again, "train_loss")
    if not math.isclose(*losses, rel_tol=FIRST_LOSS_RELATIVE):
        found.append(f"training loss of epoch 1: published {losses[0]:.5f}, again {losses[1]:.5f}")
    results = (published, again)
    accuracies = {
        "validation accuracy of epoch 1": ([first(r, "validation_accuracy") for r in results], FIRST_ACCURACY)
    }
    if published.run == again.run:
        accuracies["test accuracy"] = ([r.metrics["accuracy"] for r in results], FINAL_ACCURACY)
    for what, (values, tolerance) in accuracies.items():
        if abs(values[0] - values[1]) > tolerance:
            found.append(f"{what}: published {values[0]:.4f}, again {values[1]:.4f}")
    return found


def retrain(published: Result, seconds: float) -> Result:
    """The run again. Of one that took longer than `seconds`, the epochs that fit into them, one at least."""
    run = Run.from_description(published.run)
    share = seconds / published.provenance["seconds"]
    if share < 1:
        epochs = max(1, int(share * published.metrics["epochs"]))
        run = replace(run, protocol=replace(run.protocol, max_epochs=epochs))
    return train_result(run)


def draw(results: Iterable[Result], seconds: float) -> list[Result]:
    """Results in random order, as many as can be trained in `seconds`, one at least."""
    pool = [result for result in results if Run.from_description(result.run).backbone != "frozen"]
    random.SystemRandom().shuffle(pool)
    drawn: list[Result] = []
    spent = 0.0
    for result in pool:
        cost = result.provenance["seconds"]
        if not drawn or spent + cost <= seconds:
            drawn.append(result)
            spent += cost
    return drawn


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 120.0
    failed = False
    for result in draw(published_results(), seconds):
        found = inconsistencies(result) + differences(result, retrain(result, seconds))
        failed |= bool(found)
        print(f"{result.name}: {'; '.join(found) or 'as published'}", flush=True)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
