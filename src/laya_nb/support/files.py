"""Files that others made or that take long to make: checked before they are read, written whole or not at all."""

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

MANIFEST = "manifest.json"


class DataError(RuntimeError):
    """A data set that is missing, damaged or not what its name says."""


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, expected: str, advice: str) -> None:
    """Raise a DataError, which ends with the advice, unless the file is there and has that checksum."""
    if not path.is_file():
        raise DataError(f"{path} is missing; restore it")
    found = sha256(path)
    if found != expected:
        raise DataError(
            f"{path} is damaged: {path.stat().st_size} bytes with SHA-256 {found[:12]}…, expected {expected[:12]}…; "
            f"{advice}"
        )


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make a file beside `path`, then give it that name: it is there whole or not at all.

    Raises:
        OSError: if it cannot be written, a full disk for instance; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        write(unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        with suppress(OSError):  # what failed to write may fail to delete; the error must get out all the same
            unfinished.unlink(missing_ok=True)


def cached(folder: Path, make: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays in `folder`, as read-only memory maps; made and written first where they are missing or damaged.

    The folder appears whole, by one rename, so a killed process leaves nothing half-written, and of two processes that
    make it at once the first wins. Its name should hold a hash of all that decides the arrays.
    """
    if (found := read_sealed(folder)) is not None:
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    arrays = make()
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-", ignore_cleanup_errors=True) as made:
        unfinished = Path(made) / folder.name
        unfinished.mkdir()
        for name, array in arrays.items():
            np.save(unfinished / f"{name}.npy", array, allow_pickle=False)
        seal(unfinished, folder)
    return _read(folder)


def read_sealed(folder: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a folder that `seal` finished, as read-only memory maps. A damaged one is removed; then None."""
    try:
        return _read(folder)
    except (DataError, OSError, ValueError):
        shutil.rmtree(folder, ignore_errors=True)
        return None


def seal(unfinished: Path, folder: Path) -> None:
    """Note the checksums of the .npy files in a folder, then give it its final name. The first to come wins."""
    sums = {path.stem: sha256(path) for path in sorted(unfinished.glob("*.npy"))}
    (unfinished / MANIFEST).write_text(json.dumps(sums, indent=1, sort_keys=True))
    try:
        os.rename(unfinished, folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster
            raise


def _read(folder: Path) -> dict[str, np.ndarray]:
    sums: dict[str, str] = json.loads((folder / MANIFEST).read_text())
    for name, expected in sums.items():
        check_sha256(folder / f"{name}.npy", expected, "delete its folder")
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in sums}
