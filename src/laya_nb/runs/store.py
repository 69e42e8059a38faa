"""Finished runs on disk: one JSON file a run, whole or absent."""

import base64
import json
import os
import secrets
import warnings
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from laya_nb.support import paths

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED_RESULTS = "results"
_DTYPES = ("uint8", "float16", "float32")


class StoreError(RuntimeError):
    """A result that could not be written. It is not lost: `result` holds it."""

    def __init__(self, message: str, result: "Result") -> None:
        super().__init__(message)
        self.result = result


@dataclass(frozen=True)
class Result:
    """What a run gave.

    `metrics` are single numbers; `history` is per epoch; `provenance` says where the numbers came from; `arrays` are
    per test example: label, prediction, confidence (N,), attention (N, L), or (1, L) where one row serves all.
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

    def to_json(self) -> str:
        document = {
            "run": self.run,
            "metrics": self.metrics,
            "history": self.history,
            "provenance": self.provenance,
            "arrays": {name: _encode(array) for name, array in self.arrays.items()},
        }
        return json.dumps(document, indent=1) + "\n"

    @classmethod
    def from_json(cls, name: str, text: str) -> "Result":
        """Raises ValueError, KeyError, TypeError or AttributeError for text that is no whole result."""
        document = json.loads(text)
        arrays = {key: _decode(value) for key, value in document["arrays"].items()}
        return cls(name, document["run"], document["metrics"], document["history"], document["provenance"], arrays)


class ResultStore:
    """A folder of results, read together with those that the book publishes.

    Processes may share it: a file is written under another name and then renamed, so it is there whole or not at all.

    Args:
        folder: where new results go; made when the first one comes. None: `results` in the cache folder.
        published: also read the book's own results.
    """

    def __init__(self, folder: Path | str | None = None, *, published: bool = True) -> None:
        self.folder = Path(folder) if folder is not None else paths.cache() / "results"
        self.published = published

    def load(self, name: str, run: dict[str, Any]) -> Result | None:
        """The result of that name, or None. A damaged file is set aside with a warning, so that the run is redone."""
        for path in self._places(name):
            try:
                result = Result.from_json(name, path.read_text())
                if result.run != run:
                    raise ValueError("it describes another run")
                return result
            except FileNotFoundError:
                continue
            except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
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
        text = result.to_json()
        path = self.folder / f"{result.name}.json"
        unfinished = path.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError as error:
            with suppress(OSError):  # what failed to write may fail to delete; the result must get out all the same
                unfinished.unlink()
            raise StoreError(
                f"{path} could not be written ({error.strerror or error}); the finished run is in this exception's "
                "`result`; earlier ones are safe. Free some space or choose another folder, then save it again",
                result,
            ) from error
        return path

    def _places(self, name: str) -> list[Path]:
        file = f"{name}.json"
        own = self.folder / file
        return [paths.published(f"{PUBLISHED_RESULTS}/{file}"), own] if self.published else [own]


def frame(results: Iterable[Result]) -> "pd.DataFrame":
    """One row a run: its settings, metrics and seconds; settings that a run does not have are missing values."""
    import pandas as pd

    rows = []
    for result in results:
        protocol = result.run["protocol"]
        settings = {key: value for key, value in result.run.items() if key != "protocol"}
        rows.append({**settings, **protocol, **result.metrics, "seconds": result.provenance["seconds"]})
    return pd.DataFrame(rows)


def _encode(array: np.ndarray) -> dict[str, Any]:
    _check_dtype(str(array.dtype))
    packed = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
    return {"dtype": str(array.dtype), "shape": list(array.shape), "zlib": packed}


def _decode(value: dict[str, Any]) -> np.ndarray:
    _check_dtype(value["dtype"])
    raw = zlib.decompress(base64.b64decode(value["zlib"], validate=True))
    return np.frombuffer(raw, dtype=value["dtype"]).reshape(value["shape"])


def _check_dtype(dtype: str) -> None:
    if dtype not in _DTYPES:
        raise ValueError(f"array of type {dtype!r}; known: {', '.join(_DTYPES)}")
