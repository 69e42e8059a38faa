"""Tensors in files: what was written comes back, and what was changed is named."""

from pathlib import Path

import pytest
import torch

from laya_nb.support import tensors
from laya_nb.support.files import DataError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    values = {"b": torch.arange(6.0).view(2, 3).T, "a": torch.tensor(1, dtype=torch.int64)}
    tensors.write(tmp_path / "file", values, {"z": 0.1 + 0.2, "a": [None, "text"]})
    return tmp_path / "file"


def test_what_was_written_comes_back(path: Path) -> None:
    found, notes = tensors.read(path, "advice")
    assert torch.equal(found["b"], torch.arange(6.0).view(2, 3).T)
    assert (found["a"].item(), found["a"].dtype) == (1, torch.int64)
    assert notes == tensors.read_notes(path, "advice") == {"a": [None, "text"], "z": 0.1 + 0.2}


def test_the_same_values_make_the_same_bytes(path: Path) -> None:
    found, notes = tensors.read(path, "advice")
    other = path.with_name("other")
    tensors.write(other, dict(reversed(found.items())), dict(reversed(notes.items())))
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("place", [0, 8, 40, -1])
def test_a_changed_byte_is_named(place: int, path: Path) -> None:
    """Of the header's length, of the header, of the notes, of a value."""
    whole = bytearray(path.read_bytes())
    whole[place] ^= 1
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"file is damaged.*; advice"):
        tensors.read(path, "advice")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"file is missing; advice"):
        tensors.read_notes(tmp_path / "file", "advice")
