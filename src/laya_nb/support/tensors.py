"""Named tensors in a file of safetensors: written whole or not at all, compared with their digest when read."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from laya_nb.support.files import DataError, write_whole

_NOTES, _DIGEST = "notes", "digest"  # what stands beside the tensors


def digest(tensors: Mapping[str, Tensor]) -> str:
    """A SHA-256 over names, types, shapes and values, whatever their order."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def write(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write tensors, and notes of plain values. The same of both make the same bytes."""
    own = {name: tensor.contiguous() for name, tensor in tensors.items()}
    # In one entry, since safetensors keeps no order of several.
    beside = json.dumps({_NOTES: notes, _DIGEST: _of_both(own, notes)}, sort_keys=True)
    write_whole(path, lambda unfinished: save_file(own, unfinished, {"laya_nb": beside}))


def read(path: Path, advice: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the notes that `write` wrote.

    Raises:
        DataError: for a file that is missing or damaged; it ends with the advice.
    """
    notes, written = _beside(path, advice)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is damaged ({error}); {advice}") from error
    if _of_both(tensors, notes) != written:
        raise DataError(f"{path} is damaged: its values are not those that were written; {advice}")
    return tensors, notes


def read_notes(path: Path, advice: str) -> dict[str, Any]:
    """The notes, without reading the tensors. Raises as `read`, for what can be seen so."""
    return _beside(path, advice)[0]


def _beside(path: Path, advice: str) -> tuple[dict[str, Any], str]:
    """The notes, and the digest that was written with them."""
    if not path.is_file():
        raise DataError(f"{path} is missing; {advice}")
    try:
        with safe_open(path, framework="pt") as file:
            found = json.loads(file.metadata()["laya_nb"])
        return found[_NOTES], found[_DIGEST]
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}); {advice}") from error


def _of_both(tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([digest(tensors), notes], sort_keys=True).encode()).hexdigest()
