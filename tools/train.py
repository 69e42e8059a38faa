"""Train the runs that the chapters publish, those that data/results lacks, with one process a core.

The model that chapter 1 shows is kept too, as a checkpoint.

usage: python tools/train.py   (needs the full data: LAYA_NB_DATA, or a network; safe to stop and start again)
"""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch

from laya_nb import checkpoints, paths
from laya_nb.runs import HEAD_DEFAULTS, Run, grid, sweep, train, worker_setup
from laya_nb.store import PUBLISHED_RESULTS, ResultStore

# One thread a process: two models at once on two cores take less time than one after the other on both.
THREADS = 1


def published_runs() -> list[Run]:
    """Seed by seed, so that a stop half way leaves whole pairs."""
    benchmark = grid(seed=range(10), head=list(HEAD_DEFAULTS))
    temperatures = grid(seed=range(5), temperature=[0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0])
    return benchmark + temperatures


def publish_checkpoint(run: Run) -> None:
    """Train a published run once more and keep the model, if it comes out as published."""
    path = paths.PUBLISHED / checkpoints.file_name(run)
    if path.exists():
        return
    torch.set_num_threads(THREADS)
    model, result = train(run)
    published = ResultStore(paths.PUBLISHED / PUBLISHED_RESULTS, published=False).load(run.name, run.describe())
    if published is None or not np.array_equal(published.arrays["prediction"], result.arrays["prediction"]):
        raise SystemExit(f"{run.name}: this machine trains another model than the published one; publish both from one")
    checkpoints.save(model, path)


def main() -> None:
    store = ResultStore(paths.PUBLISHED / PUBLISHED_RESULTS, published=False)
    with ProcessPoolExecutor(
        os.cpu_count(), multiprocessing.get_context("spawn"), worker_setup, (THREADS,)
    ) as executor:
        sweep(published_runs(), store, executor)
    publish_checkpoint(Run())  # chapter 1 shows it


if __name__ == "__main__":
    main()
