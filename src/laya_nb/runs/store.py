"""Finished runs on disk: a JSON file per run that a person can read, its arrays in a binary file beside it.

The binary files' names hold a checksum of their content. So they are written first, can be overwritten by nothing but
the same content, and are never moved or deleted here: a JSON file, renamed to its name last, finds what it names.
"""

import hashlib
import json
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from laya_nb.runs import packing
from laya_nb.support import paths
from laya_nb.support.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED_RESULTS = "results"
_FILE = re.compile(r"[^/\\\0]*[.-]([0-9a-f]{12})\.xz")
_LABELS = re.compile(r"labels-[0-9a-f]{12}\.xz")


class StoreError(RuntimeError):
    """A result that could not be written. It is not lost: `result` holds it."""

    def __init__(self, message: str, result: "Result") -> None:
        super().__init__(message)
        self.result = result


class LabelsError(ValueError):
    """The labels that a result shares with others are damaged or missing; its own files may be whole."""


@dataclass(frozen=True)
class Result:
    """What a run gave.

    `metrics` are single numbers; `history` is per epoch; `provenance` says where the numbers came from; `arrays` are
    per test example: label, prediction, confidence (N,), attention (N, L), or (1, L) where one row serves all. A
    result from a table of scores has no arrays.
    """

    name: str
    run: dict[str, Any]
    metrics: dict[str, float]
    history: dict[str, list[float]]
    provenance: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def attention(self) -> np.ndarray:
        """Weights over layers (N, L) as float64, rows summing to 1 (they are kept as float16)."""
        rows = self.arrays["attention"].astype(np.float64)
        rows = np.broadcast_to(rows, (len(self.arrays["label"]), rows.shape[1]))
        return rows / rows.sum(axis=1, keepdims=True)

    @property
    def correct(self) -> np.ndarray:
        """Whether each test example was predicted right, (N,) bool."""
        return self.arrays["prediction"] == self.arrays["label"]

    def scores(self) -> dict[str, Any]:
        """All but the name and the arrays, as plain values."""
        return {"run": self.run, "metrics": self.metrics, "history": self.history, "provenance": self.provenance}

    def to_json(self) -> str:
        """The text of its JSON file. Equal texts mean equal results: they name their arrays' checksums."""
        return self.to_files()[0]

    def to_files(self) -> tuple[str, dict[str, bytes]]:
        """The text of its JSON file, and the binary files that this names: {file name: content}.

        The array called "label" has a file of its own, which all results with the same labels share.

        Raises:
            ValueError: for an array of a type that could not be read back.
        """
        label = self.arrays.get("label")
        rest = {name: array for name, array in self.arrays.items() if name != "label"}
        layouts: dict[str, Any] = dict.fromkeys(self.arrays)  # in their order
        names, files = {}, {}
        for kind, stem, arrays in (
            ("labels", "labels-", {} if label is None else {"label": label}),
            ("arrays", f"{PurePosixPath(self.name).name}.", rest),
        ):
            if arrays:
                packed, content = packing.pack(arrays, None if kind == "labels" else label)
                layouts |= packed
                names[kind] = f"{stem}{_checksum(content)}.xz"
                files[names[kind]] = content
        document = self.scores() | {"files": names, "arrays": layouts}
        lines = (f'"{key}":{json.dumps(value, separators=(",", ":"))}' for key, value in document.items())
        return "{\n" + ",\n".join(lines) + "\n}\n", files


class Store(Protocol):
    """Where `sweep` looks for results and saves them: a `ResultStore`, or a `ScoreTable` of scores alone."""

    def load(self, name: str, run: dict[str, Any]) -> Result | None:
        """The result of that name and run, or None."""

    def save(self, result: Result) -> Path:
        """Write one result, whole or not at all, and return where. Raises a StoreError if it cannot be written."""


class ResultStore:
    """A folder of results, read together with those that the book publishes.

    Processes may share it: a file is written under another name and then renamed, so it is there whole or not at all.

    Args:
        folder: where new results go; made when the first one comes. None: `paths.results()`.
        published: also read the book's own results.
    """

    def __init__(self, folder: Path | str | None = None, *, published: bool = True) -> None:
        self.folder = Path(folder) if folder is not None else paths.results()
        self.published = published

    def load(self, name: str, run: dict[str, Any]) -> Result | None:
        """The result of that name, or None. A damaged one is set aside with a warning, so that the run is redone.

        Damaged labels are no reason to set aside all the results that share them: the next `save` writes them anew.
        """
        for place in self._places():
            try:
                result = read_result(name, place)
                if result.run != run:
                    raise ValueError("it describes another run")
                return result
            except FileNotFoundError:
                continue
            except LabelsError as error:
                warnings.warn(f"{place(f'{name}.json')} cannot be read: {error}", stacklevel=2)
            except packing.DAMAGE as error:
                path = place(f"{name}.json")
                aside = path.with_suffix(".damaged")
                try:
                    path.replace(aside)
                    note = f"set aside as {aside.name}"
                except OSError:
                    note = "left where it is"
                warnings.warn(f"{path} is damaged ({error}), {note}: the run will be redone", stacklevel=2)
        return None

    def save(self, result: Result) -> Path:
        """Write one result, whole or not at all.

        Raises:
            StoreError: if it cannot be written, a full disk for instance; the exception holds the result.
            ValueError: for an array of a type that could not be read back.
        """
        text, files = result.to_files()
        path = self.folder / f"{result.name}.json"
        try:
            for name, content in files.items():
                write_missing(path.with_name(name), content)
            write_whole(path, lambda unfinished: unfinished.write_text(text))
        except OSError as error:
            raise StoreError(
                f"{path} could not be written ({error.strerror or error}); the finished run is in this exception's "
                "`result`; earlier ones are safe. Free some space or choose another folder, then save it again",
                result,
            ) from error
        return path

    def _places(self) -> list[Callable[[str], Path]]:
        """Where a file of a result may be, by its name below the folder of results."""
        places: list[Callable[[str], Path]] = [self.folder.joinpath]
        if self.published:
            places.insert(0, lambda file: paths.published(f"{PUBLISHED_RESULTS}/{file}"))
        return places


def read_result(name: str, place: Callable[[str], Path]) -> Result:
    """Read one result strictly.

    Args:
        name: the result's name.
        place: where a file is, by its name below the folder of results.

    Raises:
        FileNotFoundError: if there is none.
        LabelsError: if the labels that it shares are damaged or missing.
        One of packing.DAMAGE: if it is otherwise not whole.
    """
    document = json.loads(place(f"{name}.json").read_text())
    files, layouts = document["files"], document["arrays"]
    own = {key: layout for key, layout in layouts.items() if key != "label"}
    found: dict[str, np.ndarray] = {}
    if "label" in layouts:
        if _LABELS.fullmatch(files["labels"]) is None:  # no save would mend that
            raise ValueError(f"{files['labels']!r} is no name of a file of labels")
        path = place(str(PurePosixPath(name).with_name(files["labels"])))
        try:
            content = _read_labels(path)
        except (OSError, ValueError) as error:
            raise LabelsError(
                f"{path} is damaged or missing ({error}); restore it, or the run will be redone"
            ) from error
        found |= packing.unpack(content, {"label": layouts["label"]}, None)
    if own:
        path = place(str(PurePosixPath(name).with_name(files["arrays"])))
        try:
            content = _read_checked(path)
        except FileNotFoundError as error:  # for the caller, that would mean that there is no such result
            raise ValueError(f"{path.name} is missing") from error
        found |= packing.unpack(content, own, found.get("label"))
    arrays = {key: found[key] for key in layouts}
    return Result(name, document["run"], document["metrics"], document["history"], document["provenance"], arrays)


def write_missing(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, unless it is there with that very content."""
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        pass
    write_whole(path, lambda unfinished: unfinished.write_bytes(content))


def frame(results: Iterable[Result]) -> "pd.DataFrame":
    """One row per run: its settings, metrics and seconds; settings that a run does not have are missing values."""
    import pandas as pd

    rows = []
    for result in results:
        protocol = result.run["protocol"]
        settings = {key: value for key, value in result.run.items() if key != "protocol"}
        rows.append({**settings, **protocol, **result.metrics, "seconds": result.provenance["seconds"]})
    return pd.DataFrame(rows)


def _checksum(content: bytes) -> str:
    """The first 12 hexadecimal digits of a content's SHA-256: enough to find damage and to tell files apart."""
    return hashlib.sha256(content).hexdigest()[:12]


def _read_checked(path: Path) -> bytes:
    """The content of a file whose name holds its checksum. Raises ValueError if it is another."""
    match = _FILE.fullmatch(path.name)
    content = path.read_bytes()
    if match is None or _checksum(content) != match[1]:
        raise ValueError(f"{path.name} has another checksum than its name says")
    return content


@lru_cache(maxsize=32)
def _read_labels(path: Path) -> bytes:
    """As `_read_checked`, once per process: hundreds of results share the file, and its name decides its content."""
    return _read_checked(path)
