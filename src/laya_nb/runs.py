"""Experiments, carried out: `train` does one, `sweep` reads from a store what is there and trains what is not."""

import ctypes
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import closing
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from laya_nb import data
from laya_nb.experiment import HEAD_LABELS, HEADS, Run, build_model, count_parameters, grid, input_size
from laya_nb.models import DepthClassifier
from laya_nb.paths import PUBLISHED
from laya_nb.progress import bar
from laya_nb.stacked import Member, fit_stacked
from laya_nb.store import Result, ResultStore
from laya_nb.training import Fit, default_device, evaluate, fit, layer_scores, predict

__all__ = [
    "HEADS", "HEAD_LABELS", "Run", "SweepError", "build_model", "count_parameters", "grid", "input_size", "sweep",
    "train", "train_stacked", "worker_setup",
]  # fmt: skip

# Runs trained together at most. On a CPU a larger stack outgrows the cache, and has more to lose when killed.
STACK = {"cpu": 8, "cuda": 32}
# Convolutions and recurrent layers fill a processor by themselves, and `stacked` knows neither.
STACKABLE = ("mlp", "frozen")

Outcomes = Generator[tuple[Run, Result | Exception], None, None]


def train(run: Run, device: torch.device | str | None = None) -> tuple[DepthClassifier, Result]:
    """Carry out one run: load, split, build, fit, measure on the test part.

    Raises:
        DataError: if the run's data set is not to be had. Another set never stands in for it here.
    """
    commit()
    dataset = _dataset(run)
    splits = dataset.split(run.seed, run.protocol.validation)
    device = torch.device(device) if device is not None else default_device()
    model = build_model(run, input_size(run, dataset.train.x), len(dataset.classes))
    fitted = fit(model, splits, seed=run.seed, protocol=run.protocol, device=device)
    return model, _result(run, model, fitted, dataset.test, device)


def train_result(run: Run) -> Result:
    """`train` without the model: what a worker process sends back."""
    return train(run)[1]


def train_stacked(runs: Sequence[Run], device: torch.device | str | None = None) -> Outcomes:
    """`train_result` of runs of one shape (`shape`) as one program; each one's result as soon as it is finished."""
    commit()
    waiting = list(runs)
    try:
        dataset = _dataset(runs[0])
        device = torch.device(device) if device is not None else default_device()
        inputs, classes = input_size(runs[0], dataset.train.x), len(dataset.classes)
        members = [Member(build_model(run, inputs, classes), run.seed, run.protocol) for run in runs]
        for number, outcome in fit_stacked(members, dataset, device=device):
            run, model = runs[number], members[number].model
            ended = (
                _result(run, model, outcome, dataset.test, device, stack=len(runs))
                if isinstance(outcome, Fit)
                else outcome
            )
            waiting.remove(run)
            yield run, ended
    except Exception as error:  # what stops the stack stops all that are left in it
        yield from ((run, error) for run in waiting)


def shape(run: Run) -> str:
    """Equal for runs that can be stacked: they differ in seed, temperature, learning rate and when they stop."""
    free = {"seed": None, "temperature": None}
    protocol = {"batch_size": run.protocol.batch_size, "validation": run.protocol.validation}
    return json.dumps(run.describe() | free | {"protocol": protocol}, sort_keys=True)


def _dataset(run: Run) -> data.Dataset:
    dataset = data.load(run.dataset)
    if dataset.name != run.dataset:
        raise data.DataError(
            f"this run is about {run.dataset!r}, and only {dataset.name!r} is here; connect to the network, point "
            f"LAYA_NB_DATA at the data, or describe the run with dataset={dataset.name!r}"
        )
    return dataset


def _result(
    run: Run, model: DepthClassifier, fitted: Fit, test: data.Examples, device: torch.device, stack: int = 1
) -> Result:
    predictions = predict(model, test.x)
    confidence = predictions.logits.softmax(dim=1).amax(dim=1)
    arrays: dict[str, np.ndarray] = {
        "label": test.y.numpy().astype(np.uint8),
        "prediction": predictions.labels.numpy().astype(np.uint8),
        "confidence": confidence.numpy().astype(np.float16),
    }
    # ScalarMix repeats one row; the full matrix is worth its bytes only where rows differ.
    if predictions.attention is not None:
        rows = predictions.attention if run.head == "laya" else predictions.attention[:1]
        arrays["attention"] = rows.numpy().astype(np.float16)
    metrics = evaluate(predictions, test.y) | {
        "validation_accuracy": fitted.validation_accuracy[fitted.best_epoch - 1],
        "best_epoch": fitted.best_epoch,
        "epochs": fitted.epochs,
        "parameters": count_parameters(model),
        "head_parameters": count_parameters(model.head),
    }
    if run.head == "laya":
        metrics["score_range"] = float(np.median(np.ptp(layer_scores(model, test.x).numpy(), axis=1)))
    history = {"train_loss": fitted.train_loss, "validation_accuracy": fitted.validation_accuracy}
    return Result(run.name, run.describe(), metrics, history, _provenance(fitted, device, stack), arrays)


def _provenance(fitted: Fit, device: torch.device, stack: int) -> dict[str, Any]:
    """Where the numbers came from: enough to tell why a recomputation may differ in the last digits."""
    return {
        "commit": commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
        "precision": "float32",
        "stack": stack,
        "seconds": round(fitted.seconds, 1),
    }


@lru_cache
def commit() -> str:
    """The checkout's commit, with a plus if the package differs from it; "unknown" for an installed package.

    Asked once a process, before its first training: that is the code which runs, whatever is committed meanwhile.
    """
    if PUBLISHED.name != "data":
        return "unknown"
    try:
        git = ["git", "-C", str(PUBLISHED.parent)]
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "src"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


class SweepError(RuntimeError):
    """Some runs of a sweep failed; all others are in the store."""


def sweep(runs: Iterable[Run], store: ResultStore, executor: Executor | None = None) -> list[Result]:
    """The results of `runs`, in their order: read where the store has them, else trained and saved one by one.

    Args:
        runs: duplicates are trained once.
        store: where results are looked for and saved. This process alone writes.
        executor: any `concurrent.futures.Executor`; each run is one task. A dask cluster's is `client.get_executor()`.
            None trains here, runs of one shape together (`train_stacked`).

    Raises:
        SweepError: at the end, if runs failed; it describes each with its traceback.
        StoreError: at once, if a result cannot be saved: what follows could not be either.
    """
    runs = list(runs)
    results = {run: result for run in runs if (result := store.load(run.name, run.describe())) is not None}
    missing = [run for run in dict.fromkeys(runs) if run not in results]
    failures: dict[str, list[Run]] = {}  # by traceback: a hundred runs may share one cause
    if missing:
        outcomes = _train_here(missing) if executor is None else _train_on(executor, missing)
        with bar(total=len(missing), desc="runs", unit="run") as progress, closing(outcomes):
            for run, outcome in outcomes:
                if isinstance(outcome, Result):
                    store.save(outcome)
                    results[run] = outcome
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


def _train_here(runs: Sequence[Run]) -> Outcomes:
    by_shape: dict[str, list[Run]] = {}
    for run in runs:
        by_shape.setdefault(shape(run), []).append(run)
    for group in by_shape.values():
        size = STACK[default_device().type]
        for stack in (group[i : i + size] for i in range(0, len(group), size)):
            if len(stack) > 1 and stack[0].backbone in STACKABLE:
                yield from train_stacked(stack)
            else:
                for run in stack:
                    yield run, _outcome(partial(train_result, run))


def _train_on(executor: Executor, runs: Sequence[Run]) -> Outcomes:
    futures = {executor.submit(train_result, run): run for run in runs}
    try:
        for future in as_completed(futures):
            yield futures[future], _outcome(future.result)
    finally:
        for future in futures:
            future.cancel()


def _outcome(result: Callable[[], Result]) -> Result | Exception:
    try:
        return result()
    except Exception as error:  # any failure of one run is reported at the end, and the others go on
        return error


def worker_setup(threads: int) -> None:
    """What a worker process does first: ProcessPoolExecutor(n, context, worker_setup, (1,)).

    It takes its share of threads, keeps the memory that it frees, and ends when the process that started it does: a
    worker whose sweep was killed would train on with nobody to save the result.
    """
    torch.set_num_threads(threads)
    _keep_freed_memory()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _keep_freed_memory() -> None:
    """glibc gives large blocks back to the system at once and asks for them anew: a third of an LSTM's step."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4  # their numbers in malloc.h
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_max, 0)


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
