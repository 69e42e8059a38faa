"""Files made once: written whole or not at all, checked when read, made by several processes at once."""

import multiprocessing
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from laya_nb.support.files import DataError, cached, check_sha256, sha256


def squares() -> Mapping[str, np.ndarray]:
    return {"squares": np.arange(10) ** 2, "names": np.array(["a", "b"])}


def test_arrays_are_made_once_and_read_as_maps(tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        arrays = cached(tmp_path / "kept", lambda: made.append(1) or squares())  # type: ignore[func-returns-value]
        assert arrays["squares"].tolist() == [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]
        assert isinstance(arrays["squares"], np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            arrays["squares"][0] = 1
    assert len(made) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]


@pytest.mark.parametrize("file", ["squares.npy", "manifest.json"])
@pytest.mark.parametrize("damage", [lambda whole: whole[:-1], lambda whole: whole[:-1] + b"\x7f", lambda whole: b""])
def test_a_damaged_file_is_made_anew(damage, file: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    cached(tmp_path / "kept", squares)
    path = tmp_path / "kept" / file
    path.write_bytes(damage(path.read_bytes()))
    assert cached(tmp_path / "kept", squares)["squares"][3] == 9


def test_objects_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        cached(tmp_path / "kept", lambda: {"objects": np.array([{}], dtype=object)})
    assert list(tmp_path.iterdir()) == []


def die_half_way(folder: Path) -> None:
    def make() -> Mapping[str, np.ndarray]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    cached(folder, make)


def test_a_killed_process_leaves_nothing_that_is_read(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=die_half_way, args=(tmp_path / "kept",))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "kept").exists()
    assert cached(tmp_path / "kept", squares)["squares"][3] == 9


def test_of_two_makers_the_first_wins(tmp_path: Path) -> None:
    def slow() -> Mapping[str, np.ndarray]:
        cached(tmp_path / "kept", squares)  # another process finishes meanwhile
        return {"squares": np.zeros(10)}

    assert cached(tmp_path / "kept", slow)["squares"][3] == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]


def test_checksums_name_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(DataError, match=r"file is missing; restore it"):
        check_sha256(path, "0" * 64, "advice")
    path.write_bytes(b"abc")
    check_sha256(path, sha256(path), "advice")
    with pytest.raises(
        DataError, match=r"file is damaged: 3 bytes with SHA-256 ba7816bf8f01…, expected 0{12}…; advice"
    ):
        check_sha256(path, "0" * 64, "advice")
