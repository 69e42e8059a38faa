"""Is a published result what its run gives? Look at it, then train it again and compare.

usage: python tools/recompute.py [SECONDS]   (retrains runs drawn at random, about that many seconds' worth)

Runs on a frozen network's features are left out: the features alone take an hour.
"""

import random
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from laya_nb.runs import Run
from laya_nb.runs.agreement import differences, inconsistencies
from laya_nb.runs.scores import read_table
from laya_nb.runs.store import PUBLISHED_RESULTS, Result, read_result
from laya_nb.runs.train import train
from laya_nb.support import paths


def published_results(folder: Path | None = None) -> list[Result]:
    """Every published result, those with arrays first, then the rows of tables, which have none.

    Read strictly: a damaged file is an error here. Measurements are left out; they are no runs.
    """
    root = folder or paths.PUBLISHED / PUBLISHED_RESULTS
    names = [str(path.relative_to(root).with_suffix("")) for path in sorted(root.rglob("*.json"))]
    stored = [read_result(name, root.joinpath) for name in names if not name.startswith("measurements/")]
    return stored + [row for path in sorted(root.glob("tables/*.jsonl")) for row in read_table(path)]


def retrain(published: Result, seconds: float) -> Result:
    """The run again. Of one that took longer than `seconds`, the epochs that fit into them, one at least."""
    run = Run.from_description(published.run)
    share = seconds / published.provenance["seconds"]
    if share < 1:
        epochs = max(1, int(share * published.metrics["epochs"]))
        run = replace(run, protocol=replace(run.protocol, max_epochs=epochs))
    return train(run)[1]


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
