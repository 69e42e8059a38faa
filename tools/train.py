"""Train the runs that the chapters publish, those that data/results lacks, with one process a core.

The model that chapter 1 shows is kept too, as a checkpoint.

usage: python tools/train.py   (needs the full data: LAYA_NB_DATA, or a network; safe to stop and start again)
"""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch

from laya_nb.runs import checkpoints, paper
from laya_nb.support import paths
from laya_nb.features import encoders
from laya_nb.runs import HEADS, Run, grid, sweep, train, worker_setup
from laya_nb.runs import PUBLISHED_RESULTS, ResultStore
from laya_nb.training import TrainingConfig

# One thread a process: two models at once on two cores take less time than one after the other on both.
THREADS = 1


def published_runs() -> list[Run]:
    """What the chapters read, each once. Seed by seed, so that a stop half way leaves whole pairs."""
    chapters = [
        grid(seed=range(10), head=HEADS),  # 02 and 03
        grid(seed=range(5), temperature=[0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 4.0, 10.0]),  # 04
        depth_runs(range(5)),  # 06
        redundancy_runs(range(5)),  # 07
        grid(seed=range(20), head=["laya", "scalar_mix"]),  # 08
        grid(seed=range(5), d_star=[8, 32, 96, 256, 512, 1024], scorer_width=[192]),  # 05
        [Run(seed=seed, **setting) for seed in range(3) for setting in paper.grid_settings("fashion_mnist")],  # 05
    ]
    benchmarks = [
        benchmark_runs("cifar10_jpeg", range(5)),  # 09
        grid(dataset=["cifar10_jpeg"], seed=range(5), protocol=[TrainingConfig(learning_rate=3e-4)]),  # 09
        benchmark_runs("imdb", range(5)),  # 10
        frozen_runs("imdb/minilm", range(5)),  # 11
    ]
    return list(dict.fromkeys(run for runs in chapters + benchmarks for run in runs))


def benchmark_runs(dataset: str, seeds: Sequence[int]) -> list[Run]:
    """All heads on the data set's own backbone, at the upper end of the paper's learning rates."""
    return grid(dataset=[dataset], seed=seeds, head=HEADS, protocol=[TrainingConfig(learning_rate=1e-3)])


def frozen_runs(dataset: str, seeds: Sequence[int]) -> list[Run]:
    """On an encoder's features: all heads, a linear probe of every layer, LAYA with weights ever more alike."""
    protocol = TrainingConfig(learning_rate=1e-3)
    views = [(f"h{i}",) for i in range(1, len(encoders.WIDTHS[dataset.partition("/")[2]]) + 1)]
    common = {"dataset": [dataset], "seed": seeds, "protocol": [protocol]}
    probes = grid(head=["last_layer"], view=views, **common)
    evened_out = grid(psi=["identity"], temperature=[1.3, 5.0, 20.0, 80.0], **common)
    return grid(head=HEADS, **common) + probes + evened_out


def depth_runs(seeds: Sequence[int]) -> list[Run]:
    """One to eight hidden layers, all as wide as the last layer of the paper's backbone."""
    return grid(seed=seeds, hidden_dims=[(128,) * layers for layers in (1, 2, 3, 4, 6, 8)], head=["last_layer", "laya"])


def redundancy_runs(seeds: Sequence[int]) -> list[Run]:
    """Layers made redundant: one layer repeated, layers shown twice, layers replaced by noise."""
    views = [
        ("h1", "h2", "h3", "h3"), ("h1", "h1", "h2", "h3"), ("h3", "h3", "h3"),
        ("noise1", "h2", "h3"), ("h1", "h2", "noise3"), ("noise1", "noise2", "h3"),
    ]  # fmt: skip
    tied = grid(seed=seeds, hidden_dims=[(128,) * 4, (128,) * 8], tied=[True])
    return grid(seed=seeds, view=views) + tied + grid(seed=seeds, temperature=[100.0])


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
