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

from laya_nb.support import paths
from laya_nb.runs import Run, train_result
from laya_nb.runs import PUBLISHED_RESULTS, Result
from laya_nb.training import evaluate_labels


def published_results(folder: Path | None = None) -> list[Result]:
    """Every published result, read strictly: a damaged file is an error here."""
    root = folder or paths.PUBLISHED / PUBLISHED_RESULTS
    files = sorted(root.rglob("*.json"))
    return [Result.from_json(str(path.relative_to(root).with_suffix("")), path.read_text()) for path in files]


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
