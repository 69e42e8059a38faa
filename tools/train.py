"""Train the runs that the chapters publish, those that data/results lacks, with one process a core.

usage: python tools/train.py   (needs the full data: LAYA_NB_DATA, or a network; safe to stop and start again)
"""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import torch

from laya_nb import paths
from laya_nb.runs import HEAD_DEFAULTS, Run, grid, sweep
from laya_nb.store import PUBLISHED_RESULTS, ResultStore

# One thread a process: two models at once on two cores take less time than one after the other on both.
THREADS = 1


def published_runs() -> list[Run]:
    """Seed by seed, so that a stop half way leaves whole pairs."""
    return grid(seed=range(10), head=list(HEAD_DEFAULTS))


def main() -> None:
    store = ResultStore(paths.PUBLISHED / PUBLISHED_RESULTS, published=False)
    with ProcessPoolExecutor(
        os.cpu_count(), multiprocessing.get_context("spawn"), torch.set_num_threads, (THREADS,)
    ) as executor:
        sweep(published_runs(), store, executor)


if __name__ == "__main__":
    main()
