"""A sweep on a dask cluster: whole and right, also when a worker process dies in the middle of a run."""

# ruff: noqa: F401 (fixtures are imported and named as parameters)

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client, LocalCluster
from test_runs import (
    DIVERGES,
    TINY,
    CountingStore,
    numbers,
    one_thread,
    own_cache,
    train_result,
)

from laya_nb.runs import SweepError, sweep


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Two worker processes on this machine, which decide for themselves how many threads they take."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def wait_for(sign: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not sign():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_worker_that_is_killed_costs_time_alone(client: Client, tmp_path: Path) -> None:
    """SIGKILL in mid-run: that run is trained again on another worker, and all come out as from this process."""
    long = replace(TINY, protocol=replace(TINY.protocol, max_epochs=100, patience=100))
    short = [replace(TINY, seed=seed) for seed in range(3)]
    runs = [short[0], long, *short[1:]]
    client.run(train_result, TINY)  # imports and data, so that what runs below is training
    store = CountingStore(tmp_path)
    scheduler = client.cluster.scheduler
    pids = client.run(os.getpid)
    with ThreadPoolExecutor(1) as thread:
        swept = thread.submit(sweep, runs, store, client.get_executor())
        wait_for(lambda: len(store.saved) == len(short))  # so the long one runs, and has a hundred times as much to do
        executing = client.run(lambda dask_worker: [task.key for task in dask_worker.state.executing])
        [(victim, [key])] = [(worker, keys) for worker, keys in executing.items() if keys]
        os.kill(pids[victim], signal.SIGKILL)
        results = swept.result(timeout=90)

    assert [numbers(result) for result in results] == [numbers(train_result(run)) for run in runs]
    assert {result.provenance["threads"] for result in results} == {1}
    assert sorted(store.saved) == sorted(run.name for run in runs)
    course = [state for _, _, state, *_ in scheduler.story(key)]
    assert course.count("processing") == 2  # it was given to a worker once more


def test_a_failing_run_tells_its_cause_across_machines(client: Client, tmp_path: Path) -> None:
    store = CountingStore(tmp_path)
    with pytest.raises(SweepError, match=r"(?s)1 of 2 runs failed; the other 1 are saved.*NonFiniteLoss: the loss is"):
        sweep([DIVERGES, TINY], store, client.get_executor())
    assert store.saved == [TINY.name]
