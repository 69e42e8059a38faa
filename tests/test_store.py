"""The store: whole or absent, never half; damage is set aside; nothing is ever unpickled."""

import errno
import hashlib
import json
import lzma
import math
import multiprocessing
import os
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from laya_nb.runs import Result, ResultStore, StoreError
from laya_nb.runs.store import frame, read_result
from laya_nb.support import paths

RUN = {"seed": 0, "head": "laya", "dataset": "toy", "protocol": {"batch_size": 8}}
NAME = "toy/laya-seed0-abc"


def result(fill: int = 0, size: int = 6, name: str = NAME, **arrays: np.ndarray) -> Result:
    """A small result; `fill` marks it, so that two of one name can be told apart."""
    whole: dict[str, np.ndarray] = {
        "label": np.zeros(size, np.uint8),
        "prediction": np.full(size, fill % 2, np.uint8),
        "attention": np.full((size, 2), 0.5, np.float16),
    }
    metrics, history = {"accuracy": fill / 7}, {"train_loss": [0.1, fill / 3]}
    return Result(name, RUN, metrics, history, {"commit": "none", "seconds": 1.5}, whole | arrays)


def noise(size: int) -> np.ndarray:
    """What no compression makes smaller."""
    return np.frombuffer(np.random.default_rng(0).bytes(size), np.uint8)


def same(a: Result | None, b: Result) -> bool:
    return a is not None and a.to_json() == b.to_json()


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results", published=False)


def files(store: ResultStore, *, binary: bool = False) -> set[str]:
    """The names of the files in a store, those of arrays and labels only where asked for."""
    found = {path.name for path in store.folder.rglob("*") if path.is_file()}
    return found if binary else {name for name in found if not name.endswith(".xz")}


def binary_file(path: Path, kind: str = "arrays") -> Path:
    """The binary file that a JSON file names."""
    return path.with_name(json.loads(path.read_text())["files"][kind])


# --- round trip

numbers = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)
arrays = st.sampled_from(["uint8", "float16", "float32"]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=3, min_side=0, max_side=5))
)


@settings(max_examples=60, deadline=None)
@given(
    metrics=st.dictionaries(st.text(max_size=5), numbers, max_size=3),
    history=st.dictionaries(st.text(max_size=5), st.lists(numbers, max_size=4), max_size=2),
    kept=st.dictionaries(st.text(max_size=5), arrays, max_size=3),
    seed=st.integers(0, 2**40),
)
def test_what_is_saved_is_what_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, metrics: Any, history: Any, kept: Any, seed: int
) -> None:
    """Every number to the last bit, every array with its type and shape, text in any script."""
    store = ResultStore(tmp_path_factory.mktemp("results"), published=False)
    saved = Result(NAME, RUN | {"seed": seed}, metrics, history, {"commit": "überall"}, kept)
    store.save(saved)
    loaded = store.load(NAME, saved.run)
    assert loaded is not None
    assert (loaded.run, loaded.metrics, loaded.history) == (saved.run, metrics, history)
    assert loaded.provenance == saved.provenance
    assert list(loaded.arrays) == list(kept)
    for name, array in kept.items():
        assert (loaded.arrays[name].dtype, loaded.arrays[name].shape) == (array.dtype, array.shape)
        assert loaded.arrays[name].tobytes() == array.tobytes()


def test_a_type_that_could_not_be_read_back_is_refused_at_once(store: ResultStore) -> None:
    with pytest.raises(ValueError, match=r"float64.*known: uint8, float16, float32"):
        store.save(result(confidence=np.zeros(3)))
    assert files(store) == set()


def test_what_is_not_there_is_none(store: ResultStore) -> None:
    assert store.load(NAME, RUN) is None
    assert not store.folder.exists()  # reading makes nothing


def test_saving_again_replaces(store: ResultStore) -> None:
    store.save(result(1))
    again = store.save(result(2))
    assert same(store.load(NAME, RUN), result(2))
    assert files(store) == {"laya-seed0-abc.json"}
    written = binary_file(again).stat().st_mtime_ns
    store.save(result(2))
    assert binary_file(again).stat().st_mtime_ns == written  # the same content is not written twice


def test_labels_are_kept_once_and_read_once(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"toy/laya-seed{seed}-abc" for seed in range(3)]
    written = [store.save(result(seed, name=name)) for seed, name in enumerate(names)]
    [labels] = {binary_file(path, "labels") for path in written}
    reads: list[Path] = []
    read_bytes = Path.read_bytes

    def counting(path: Path) -> bytes:
        reads.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", counting)
    for seed, name in enumerate(names):
        assert same(store.load(name, RUN), result(seed, name=name))
    assert reads.count(labels) == 1
    other = store.save(result(5, name="toy/other", label=np.ones(6, np.uint8)))
    assert binary_file(other, "labels") != labels


def test_a_measurement_has_arrays_of_any_name_and_no_labels(store: ResultStore) -> None:
    norms = np.arange(12, dtype=np.float32).reshape(4, 3)
    value = Result("measurements/norms-v1/toy/run", RUN, {"mean": 1.5}, {}, {}, {"norms": norms})
    path = store.save(value)
    assert same(store.load(value.name, RUN), value)
    assert files(store, binary=True) == {path.name, binary_file(path).name}
    bare = Result("measurements/means-v1/toy/run", RUN, {"mean": 1.5}, {}, {})
    store.save(bare)
    assert store.load(bare.name, RUN) == bare


def test_the_json_file_is_lines_that_a_person_can_read(store: ResultStore) -> None:
    lines = store.save(result(1)).read_text().splitlines()
    parts = ["run", "metrics", "history", "provenance", "files", "arrays"]
    assert [line.split(":")[0].strip('"') for line in lines[1:-1]] == parts
    assert lines[2] == '"metrics":{"accuracy":0.14285714285714285},'


def test_published_results_are_read_and_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path / "book")
    ResultStore(tmp_path / "book" / "results", published=False).save(result(1))
    own = ResultStore(tmp_path / "own")
    assert same(own.load(NAME, RUN), result(1))
    own.save(result(2))
    assert same(own.load(NAME, RUN), result(1))
    assert same(ResultStore(tmp_path / "own", published=False).load(NAME, RUN), result(2))
    document = json.loads(result(1).to_json())
    noted = {f"results/{NAME}.json"} | {f"results/toy/{file}" for file in document["files"].values()}
    assert len(noted) == 3
    assert noted <= set(paths.published_files_read())


def test_attention_rows_sum_to_one_and_one_row_serves_all() -> None:
    one_row = result(1, attention=np.array([[0.25, 0.7504]], np.float16))
    assert one_row.attention.shape == (6, 2)
    np.testing.assert_allclose(one_row.attention.sum(1), 1, rtol=1e-15)
    assert not one_row.correct.any()
    assert result(2).correct.all()


def test_frame_has_one_row_a_run() -> None:
    other = Result("b", RUN | {"temperature": 2.0}, {"accuracy": 0.5}, {}, {"seconds": 3.0})
    table = frame([result(7), other])
    assert table["accuracy"].tolist() == [1.0, 0.5]
    assert table["seconds"].tolist() == [1.5, 3.0]
    assert table["batch_size"].tolist() == [8, 8]
    assert math.isnan(table["temperature"][0])


# --- damage


@pytest.mark.parametrize("which", ["json", "arrays"])
def test_a_file_cut_short_anywhere_is_set_aside_and_redone(which: str, store: ResultStore) -> None:
    path = store.save(result(1))
    text = path.read_text()
    cut = path if which == "json" else binary_file(path)
    whole = cut.read_bytes()
    for length in range(len(whole) - 1):  # the last byte of the JSON is a newline, and lacking it is no harm
        path.write_text(text)
        cut.write_bytes(whole[:length])
        with pytest.warns(UserWarning, match=r"laya-seed0-abc\.json is damaged .*set aside as laya-seed0-abc\.damaged"):
            assert store.load(NAME, RUN) is None
        assert files(store) == {"laya-seed0-abc.damaged"}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert store.load(NAME, RUN) is None  # reported once
    store.save(result(1))
    assert same(store.load(NAME, RUN), result(1))


@pytest.mark.parametrize("which", ["json", "arrays"])
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_changed_byte_never_crashes_a_reader(
    tmp_path_factory: pytest.TempPathFactory, which: str, data: st.DataObject
) -> None:
    """Nor gives other arrays: their file's checksum finds any change."""
    store = ResultStore(tmp_path_factory.mktemp("results"), published=False)
    path = store.save(result(1))
    changed = path if which == "json" else binary_file(path)
    content = bytearray(changed.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    before, content[position] = content[position], data.draw(st.integers(0, 255))
    changed.write_bytes(bytes(content))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = store.load(NAME, RUN)
    assert bool(caught) == (loaded is None)
    if which == "arrays":
        assert (loaded is None) == (content[position] != before)
    if loaded is None:
        assert files(store) == {"laya-seed0-abc.damaged"} or "labels-" in str(caught[0].message)


def test_a_missing_binary_file_is_damage_not_absence(store: ResultStore) -> None:
    path = store.save(result(1))
    binary_file(path).unlink()
    with pytest.warns(UserWarning, match=r"laya-seed0-abc\.json is damaged .*is missing\), set aside"):
        assert store.load(NAME, RUN) is None


@pytest.mark.parametrize("harm", ["missing", "changed"])
def test_damaged_labels_do_not_set_aside_what_shares_them(harm: str, store: ResultStore) -> None:
    """One small file must not cost hundreds of runs: the next save makes them whole again."""
    path = store.save(result(1))
    labels = binary_file(path, "labels")
    labels.unlink() if harm == "missing" else labels.write_bytes(b"other")
    with pytest.warns(UserWarning, match=r"cannot be read: .*labels-.* is damaged or missing .* will be redone"):
        assert store.load(NAME, RUN) is None
    assert files(store) == {"laya-seed0-abc.json"}
    store.save(result(2, name="toy/another"))
    assert same(store.load(NAME, RUN), result(1))


def test_a_killed_process_leaves_no_half_result(store: ResultStore) -> None:
    """Killed between its two files, it leaves arrays that nothing names; they are in nobody's way."""
    path = store.save(result(1))
    path.unlink()
    assert store.load(NAME, RUN) is None
    store.save(result(1))
    assert same(store.load(NAME, RUN), result(1))


def test_reading_strictly_raises(store: ResultStore) -> None:
    path = store.save(result(1))
    assert same(read_result(NAME, store.folder.joinpath), result(1))
    binary_file(path).write_bytes(b"other")
    with pytest.raises(ValueError, match="another checksum than its name says"):
        read_result(NAME, store.folder.joinpath)
    with pytest.raises(FileNotFoundError):
        read_result("toy/absent", store.folder.joinpath)


def with_array(**changes: Any) -> str:
    document = json.loads(result().to_json())
    document["arrays"]["attention"] |= changes
    return json.dumps(document)


def with_files(**changes: Any) -> str:
    document = json.loads(result().to_json())
    document["files"] |= changes
    return json.dumps(document)


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[]",
        "{}",
        '{"run": 1}',
        json.dumps(json.loads(result().to_json()) | {"arrays": []}),
        json.dumps(json.loads(result().to_json()) | {"arrays": {"prediction": 5}}),
        json.dumps(json.loads(result().to_json()) | {"files": {}}),
        json.dumps(json.loads(result().to_json()) | {"files": 5}),
        json.dumps(json.loads(result().to_json()) | {"run": RUN | {"seed": 1}}),  # another run under this name
        with_files(arrays="../../etc/passwd"),
        with_files(arrays="nothing.xz"),
        with_files(arrays=5),
        with_files(arrays=json.loads(result().to_json())["files"]["labels"]),
        with_array(shape=[7]),
        with_array(shape=[6]),
        with_array(shape=[12, 1]),
        with_array(shape=[4, 3]),
        with_array(shape=[-6, -2]),
        with_array(shape=[6, 2.0]),
        with_array(shape="six"),
        with_array(shape=6),
        with_array(shape=[6, 10**30]),
        with_array(steps=["made up"]),
        with_array(steps=["minus label"]),
        with_array(steps=5),
        with_array(dtype="float32"),
        with_array(dtype="object"),
        with_array(dtype="O"),
        with_array(dtype="|O8"),
        with_array(dtype=["uint8"]),
        with_array(dtype="<U1"),
    ],
)
def test_a_file_that_is_no_result_is_set_aside(text: str, store: ResultStore) -> None:
    path = store.save(result())
    path.write_text(text)
    with pytest.warns(UserWarning, match="is damaged"):
        assert store.load(NAME, RUN) is None
    assert files(store) == {"laya-seed0-abc.damaged"}


def test_a_binary_file_that_is_no_lzma_is_set_aside(store: ResultStore) -> None:
    """Its checksum is right, its content is not what `pack` writes."""
    for content in (b"", b"not packed", lzma.compress(b""), lzma.compress(bytes(1000)), lzma.compress(bytes(30))[:-5]):
        path = store.save(result())
        file = path.with_name(f"laya-seed0-abc.{hashlib.sha256(content).hexdigest()[:12]}.xz")
        file.write_bytes(content)
        path.write_text(with_files(arrays=file.name))
        with pytest.warns(UserWarning, match="is damaged"):
            assert store.load(NAME, RUN) is None


def test_objects_are_not_unpickled(store: ResultStore, tmp_path: Path) -> None:
    """An array of objects would be a pickle: it is neither written nor read, and what it would run does not run."""
    for array in (np.array([{}], dtype=object), np.array(["text"])):
        for name in ("label", "prediction"):
            with pytest.raises(ValueError, match="known: uint8"):
                store.save(replace(result(), arrays={name: array}))
    payload = lzma.compress(f"cposix\nsystem\n(S'touch {tmp_path}/sprung'\ntR.".encode())
    path = store.save(result())
    file = path.with_name(f"laya-seed0-abc.{hashlib.sha256(payload).hexdigest()[:12]}.xz")
    file.write_bytes(payload)
    document = json.loads(with_files(arrays=file.name))
    document["arrays"] = {"attention": {"dtype": "object", "shape": [1]}}
    path.write_text(json.dumps(document))
    with pytest.warns(UserWarning, match="array of type 'object'; known: uint8, float16, float32"):
        assert store.load(NAME, RUN) is None
    assert not (tmp_path / "sprung").exists()


# --- several processes


def save_often(folder: Path, fill: int, times: int) -> None:
    store = ResultStore(folder, published=False)
    for _ in range(times):
        store.save(result(fill, confidence=noise(50_000)))


def test_processes_that_save_the_same_run_leave_a_whole_file(store: ResultStore) -> None:
    """Two write, one reads meanwhile: every read finds one of the two results, whole."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=save_often, args=(store.folder, fill, 40)) for fill in (1, 2)]
    allowed = {result(fill, confidence=noise(50_000)).to_json() for fill in (1, 2)}
    for writer in writers:
        writer.start()
    reads = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a damaged file would warn
        while any(writer.is_alive() for writer in writers):
            if (found := store.load(NAME, RUN)) is not None:
                assert found.to_json() in allowed
                reads += 1
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert reads > 0
    assert files(store) == {"laya-seed0-abc.json"}


# --- a full disk


def check_failed_save(store: ResultStore, failing: Result, elsewhere: Path) -> None:
    earlier = result(1, name="toy/earlier")
    before = files(store)
    with pytest.raises(StoreError, match=r"No space left.*`result`; earlier ones are safe") as caught:
        store.save(failing)
    assert caught.value.result is failing
    assert files(store) == before  # no half file, under any name
    assert not [name for name in files(store, binary=True) if name.endswith(".tmp")]
    assert same(store.load("toy/earlier", RUN), earlier)
    saved = ResultStore(elsewhere, published=False)
    saved.save(caught.value.result)
    assert same(saved.load(failing.name, RUN), failing)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a file system needs Linux and root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing(tiny_disk: Path, tmp_path: Path) -> None:
    store = ResultStore(tiny_disk, published=False)
    store.save(result(1, name="toy/earlier"))
    check_failed_save(store, result(2, confidence=noise(100_000)), tmp_path / "elsewhere")


@pytest.mark.parametrize("nth", [1, 2], ids=["arrays", "json"])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_late_loses_nothing(
    call: str, nth: int, store: ResultStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems tell only at the end that there was no space; an older result of the name stays, too."""
    store.save(result(1, name="toy/earlier"))
    store.save(result(3))
    with monkeypatch.context() as patch:
        owner: Any = os if call == "fsync" else Path
        real = getattr(owner, call)
        calls = []

        def fail(*given: Any) -> Any:
            calls.append(given)
            if len(calls) < nth:
                return real(*given)
            patch.undo()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(owner, call, fail)
        check_failed_save(store, result(2), tmp_path / "elsewhere")
        assert len(calls) == nth
    assert same(store.load(NAME, RUN), result(3))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = ResultStore(tmp_path / "file" / "results", published=False)
    with pytest.raises(StoreError, match=r"file/results.*could not be written"):
        store.save(result())
