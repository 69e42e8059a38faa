"""Tables of scores: lines whole or not there, processes append in turn, `sweep` works with them as with a store."""

import errno
import json
import multiprocessing
import os
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from laya_nb.runs import Result, Run, StoreError, sweep
from laya_nb.runs.scores import ScoreTable, read_table
from laya_nb.runs.store import Store
from laya_nb.support import paths
from laya_nb.training import TrainingConfig

RUN = {"seed": 0, "head": "laya", "dataset": "toy", "protocol": {"batch_size": 8}}
NAME = "toy/laya-seed0-abc"


def result(fill: int = 0, name: str = NAME, **arrays: np.ndarray) -> Result:
    metrics, history = {"accuracy": fill / 7}, {"train_loss": [0.1, fill / 3]}
    return Result(name, RUN, metrics, history, {"commit": "überall\u2028", "seconds": 1.5}, arrays)


@pytest.fixture
def table(tmp_path: Path) -> ScoreTable:
    return ScoreTable("search", tmp_path / "results", published=False)


def test_what_is_saved_is_what_is_loaded_without_arrays(table: ScoreTable) -> None:
    assert table.load(NAME, RUN) is None
    assert not table.folder.exists()  # reading makes nothing
    path = table.save(result(1, label=np.zeros(3, np.uint8)))
    assert path == table.folder / "tables" / "search.jsonl"
    assert table.load(NAME, RUN) == result(1)
    table.save(result(2, name="toy/other"))
    assert (table.load(NAME, RUN), table.load("toy/other", RUN)) == (result(1), result(2, name="toy/other"))
    assert read_table(path) == [result(1), result(2, name="toy/other")]
    assert len(path.read_bytes().split(b"\n")) == 3


def test_a_later_line_counts(table: ScoreTable) -> None:
    table.save(result(1))
    table.save(result(2))
    assert table.load(NAME, RUN) == result(2)
    assert read_table(table.path) == [result(2)]


def test_a_reader_may_change_what_it_is_given(table: ScoreTable) -> None:
    table.save(result(1))
    first = table.load(NAME, RUN)
    assert first is not None
    first.metrics["accuracy"] = 0.0
    assert table.load(NAME, RUN) == result(1)


def test_the_published_table_is_read_first_and_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path / "book")
    ScoreTable("noted", tmp_path / "book" / "results", published=False).save(result(1))
    own = ScoreTable("noted", tmp_path / "own")
    own.save(result(2))
    own.save(result(3, name="toy/mine"))
    assert own.load(NAME, RUN) == result(1)
    assert own.load("toy/mine", RUN) == result(3, name="toy/mine")
    assert ScoreTable("noted", tmp_path / "own", published=False).load(NAME, RUN) == result(2)
    assert "results/tables/noted.jsonl" in paths.published_files_read()


def test_it_reads_again_only_what_has_changed(table: ScoreTable, monkeypatch: pytest.MonkeyPatch) -> None:
    table.save(result(1))
    reads: list[Path] = []
    read_bytes = Path.read_bytes

    def counting(path: Path) -> bytes:
        reads.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", counting)
    for _ in range(3):
        assert table.load(NAME, RUN) == result(1)
    assert len(reads) == 1
    table.save(result(2))
    assert table.load(NAME, RUN) == result(2)
    assert len(reads) == 2


# --- damage


def test_a_last_line_cut_short_anywhere_is_passed_over_and_repaired(table: ScoreTable) -> None:
    table.save(result(1))
    one = table.path.read_bytes()
    table.save(result(2, name="toy/other"))
    both = table.path.read_bytes()
    for length in range(len(one) + 1, len(both) - 1):
        table.path.write_bytes(both[:length])
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a killed process is no damage
            assert table.load(NAME, RUN) == result(1)
            assert table.load("toy/other", RUN) is None
        table.save(result(3, name="toy/other"))
        assert read_table(table.path) == [result(1), result(3, name="toy/other")]


def test_a_whole_last_line_without_its_newline_is_kept(table: ScoreTable) -> None:
    table.save(result(1))
    table.path.write_bytes(table.path.read_bytes()[:-1])  # as some editors leave it
    assert table.load(NAME, RUN) == result(1)
    table.save(result(2, name="toy/other"))
    assert read_table(table.path) == [result(1), result(2, name="toy/other")]


@pytest.mark.parametrize("line", [b"{", b"[]", b"5", b'{"name": 5}', b"\xff", b'{"name": "a"}', b""])
def test_a_damaged_line_is_reported_once_and_costs_only_itself(line: bytes, table: ScoreTable) -> None:
    table.save(result(1))
    table.path.write_bytes(line + b"\n" + table.path.read_bytes())
    with pytest.warns(UserWarning, match=r"search\.jsonl, line 1 is damaged .* redone"):
        assert table.load(NAME, RUN) == result(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert table.load("toy/absent", RUN) is None
    with pytest.raises(ValueError, match=r"search\.jsonl, line 1 is damaged|invalid start byte"):
        read_table(table.path)
    table.save(result(2))
    with pytest.warns(UserWarning, match="line 1 is damaged"):  # the file has changed and is read anew
        assert table.load(NAME, RUN) == result(2)


def test_a_line_about_another_run_is_not_taken_for_this_one(table: ScoreTable) -> None:
    table.save(result(1))
    with pytest.warns(UserWarning, match="describes another run"):
        assert table.load(NAME, RUN | {"seed": 1}) is None


# --- several processes


def save_many(folder: Path, first: int, count: int) -> None:
    table = ScoreTable("search", folder, published=False)
    for i in range(first, first + count):
        table.save(result(i, name=f"toy/run{i}"))


def test_processes_append_at_once(table: ScoreTable) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=save_many, args=(table.folder, first, 60)) for first in (0, 60)]
    for writer in writers:
        writer.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a reader never sees half a line but the last
        while any(writer.is_alive() for writer in writers):
            table.load("toy/run0", RUN)
            time.sleep(0.01)
    assert [writer.exitcode for writer in writers] == [0, 0]
    found = {row.name: row for row in read_table(table.path)}
    assert found == {f"toy/run{i}": result(i, name=f"toy/run{i}") for i in range(120)}


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_scores
print("ready", flush=True)
test_scores.save_many(Path(sys.argv[2]), 0, 10**6)
"""


def test_a_killed_process_costs_one_line(table: ScoreTable) -> None:
    """It lets the lock go, and others append after it."""
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(table.folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    while not table.path.exists() or table.path.stat().st_size < 2000:
        time.sleep(0.01)
    process.kill()
    process.wait()
    process.stdout.close()
    table.save(result(1, name="toy/after"))
    rows = read_table(table.path)
    assert [row.name for row in rows] == [f"toy/run{i}" for i in range(len(rows) - 1)] + ["toy/after"]


# --- a full disk


@pytest.mark.parametrize("call", ["fsync", "mkdir"])
def test_a_write_that_fails_loses_nothing(call: str, table: ScoreTable, monkeypatch: pytest.MonkeyPatch) -> None:
    table.save(result(1))
    failing = result(2, name="toy/other")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os if call == "fsync" else Path, call, fail)
        with pytest.raises(StoreError, match=r"No space left.*`result`; earlier ones are safe") as caught:
            table.save(failing)
    assert caught.value.result is failing
    assert table.load(NAME, RUN) == result(1)
    table.save(caught.value.result)
    assert table.load("toy/other", RUN) == failing


# --- with sweep

TINY = Run(
    dataset="fashion_mnist_sample",
    hidden_dims=(16, 8),
    d_star=4,
    protocol=TrainingConfig(batch_size=500, max_epochs=1, learning_rate=3e-3),
)


def test_sweep_takes_a_table_for_a_store(table: ScoreTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path / "cache"))
    runs = [replace(TINY, seed=seed) for seed in range(2)]
    store: Store = table
    trained = sweep(runs, store)
    written = table.path.read_text()
    assert [json.loads(line)["name"] for line in written.splitlines()] == [run.name for run in runs]
    again = sweep(runs, store)
    assert table.path.read_text() == written
    assert [found.scores() for found in again] == [found.scores() for found in trained]
    assert not any(found.arrays for found in again)
