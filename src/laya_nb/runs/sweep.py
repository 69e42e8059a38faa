"""Many experiments: `sweep` reads from a store what is there and trains what is not."""

import os
import traceback
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import closing
from dataclasses import replace

from laya_nb.runs import checkpoints
from laya_nb.runs.run import Run
from laya_nb.runs.store import Result, ResultStore, Store
from laya_nb.runs.train import Trained, train_stacked
from laya_nb.runs.workers import process_pool
from laya_nb.support import device as devices
from laya_nb.support.progress import bar

# Runs trained together at most. On a CPU a larger stack outgrows the cache, and has more to lose when killed.
STACK = {"cpu": 8, "cuda": 32}

Outcome = tuple[Run, Trained | Exception]
Outcomes = Generator[Outcome, None, None]


class SweepError(RuntimeError):
    """Some runs of a sweep failed; all others are in the store."""


def sweep(
    runs: Iterable[Run], store: Store, executor: Executor | None = None, stack: int | None = None
) -> list[Result]:
    """The results of `runs`, in their order: read where the store has them, else trained and saved one by one.

    Models whose results go to a `ResultStore` stay in the reader's cache (`checkpoints`), for what may be measured on
    them later.

    Args:
        runs: duplicates are trained once.
        store: where results are looked for and saved: a `ResultStore`, or a `ScoreTable` for many runs of which only
            scores matter. This process alone writes.
        executor: any `concurrent.futures.Executor`. A dask cluster's is `client.get_executor()`. None trains here, or
            in as many processes as the variable LAYA_NB_PROCESSES says.
        stack: how many runs are trained together at most, where they differ in little enough (`Run.stacking_key`).
            None: 8 on a CPU, 32 on a GPU, and with an executor 1, so that a lost worker loses one run.

    Raises:
        SweepError: at the end, if runs failed; it describes each with its traceback.
        StoreError: at once, if a result cannot be saved: what follows could not be either.
    """
    runs = list(runs)
    results = {run: result for run in runs if (result := store.load(run.name, run.describe())) is not None}
    missing = [run for run in dict.fromkeys(runs) if run not in results]
    processes = int(os.environ.get("LAYA_NB_PROCESSES", "1"))
    if missing and executor is None and processes > 1:
        with process_pool(processes) as pool:
            return sweep(runs, store, pool, stack or fair_stack(len(missing), processes))
    failures: dict[str, list[Run]] = {}  # by traceback: a hundred runs may share one cause
    if missing:
        outcomes = _train_here(missing, stack) if executor is None else _train_on(executor, missing, stack or 1)
        with bar(total=len(missing), desc="runs", unit="run") as progress, closing(outcomes):
            for run, outcome in outcomes:
                if isinstance(outcome, Trained):
                    store.save(outcome.result)
                    if isinstance(store, ResultStore):
                        checkpoints.keep(run, outcome)
                        results[run] = outcome.result
                    else:  # as it will be read the next time
                        results[run] = replace(outcome.result, arrays={})
                else:
                    failures.setdefault("".join(traceback.format_exception(outcome)), []).append(run)
                progress.update()
    if failures:
        failed = sum(map(len, failures.values()))
        causes = ("\n".join([*map(str, group), cause]) for cause, group in failures.items())
        raise SweepError(
            f"{failed} of {len(missing)} runs failed; the other {len(missing) - failed} are saved\n\n"
            + "\n".join(causes)
        )
    return [results[run] for run in runs]


def fair_stack(runs: int, processes: int) -> int:
    """How many runs a stack should have so that every process gets work, and no stack outgrows the cache."""
    return max(1, min(STACK["cpu"], -(-runs // processes)))


def _stacks(runs: Sequence[Run], size: int) -> list[list[Run]]:
    """The runs in groups that can be trained together, each of at most `size`."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.stacking_key, []).append(run)
    return [group[i : i + size] for group in groups.values() for i in range(0, len(group), size)]


def _train_here(runs: Sequence[Run], stack: int | None) -> Outcomes:
    for group in _stacks(runs, stack or STACK[devices.resolve(None).type]):
        yield from train_stacked(group)


def _train_on(executor: Executor, runs: Sequence[Run], stack: int) -> Outcomes:
    futures = {executor.submit(_task, group): group for group in _stacks(runs, stack)}
    try:
        for future in as_completed(futures):
            try:
                yield from future.result()
            except Exception as error:  # a lost worker, say: reported at the end, and the others go on
                yield from ((run, error) for run in futures[future])
    finally:
        for future in futures:
            future.cancel()


def _task(runs: Sequence[Run]) -> list[Outcome]:
    """What a worker does: train one stack."""
    return list(train_stacked(runs))
