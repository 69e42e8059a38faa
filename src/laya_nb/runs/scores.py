"""Many runs of which only the scores matter: one line each in one file, without arrays."""

import json
import os
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from laya_nb.runs.store import PUBLISHED_RESULTS, Result, StoreError
from laya_nb.support import paths


class ScoreTable:
    """A table of scores, read together with the one of the same name that the book publishes.

    It takes a `ResultStore`'s place in `sweep(runs, ScoreTable("paper_grid"))` for a search over hundreds of settings:
    a result is one line of about 1 kB. Its arrays are not kept.

    Processes may share a table: they append in turn, and what a killed process left half-written is cut off.

    Args:
        name: of the table, a file name without its suffix.
        folder: of results, in which it stands as `tables/NAME.jsonl`. None: `paths.results()`.
        published: also read the book's table of that name.
    """

    def __init__(self, name: str, folder: Path | str | None = None, *, published: bool = True) -> None:
        self.name = name
        self.folder = Path(folder) if folder is not None else paths.results()
        self.published = published

    @property
    def path(self) -> Path:
        """The file that new lines go to."""
        return self.folder / "tables" / f"{self.name}.jsonl"

    def load(self, name: str, run: dict[str, Any]) -> Result | None:
        """The result of that name, without arrays, or None. A damaged line is passed over with a warning, so that the
        run is redone."""
        places = [self.path]
        if self.published:
            places.insert(0, paths.published(f"{PUBLISHED_RESULTS}/tables/{self.name}.jsonl"))
        for path in places:
            line = lines(path).get(name)
            if line is None:
                continue
            result = result_of(line)
            if result.run == run:
                return result
            warnings.warn(f"{path}: the line of {name} describes another run; it will be redone", stacklevel=2)
        return None

    def save(self, result: Result) -> Path:
        """Append one result's scores, whole or not at all; a later line of the same name counts.

        Raises:
            StoreError: if it cannot be written, a full disk for instance; the exception holds the result.
        """
        line = json.dumps({"name": result.name, **result.scores()}, separators=(",", ":")) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(f".{self.path.name}.lock")):  # a killed process lets it go
                _append(self.path, line.encode())
        except OSError as error:
            raise StoreError(
                f"{self.path} could not be written ({error.strerror or error}); the finished run is in this "
                "exception's `result`; earlier ones are safe. Free some space or choose another folder, then save it "
                "again",
                result,
            ) from error
        return self.path


def read_table(path: Path) -> list[Result]:
    """Every result of a table, without arrays, in the order of their lines. Raises ValueError for a damaged line."""
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            result = result_of(line)
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f"{path}, line {number} is damaged ({error})") from error
        found[result.name] = result
    return list(found.values())


def result_of(line: str) -> Result:
    """The result that one line of a table holds. Raises ValueError, LookupError or TypeError if it holds none."""
    document = json.loads(line)
    if not isinstance(document["name"], str):
        raise TypeError(f"a result's name is {document['name']!r}")
    return Result(*(document[part] for part in ("name", "run", "metrics", "history", "provenance")))


def lines(path: Path) -> dict[str, str]:
    """The lines of a table by their results' names; none where there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return {}
    return _lines(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=8)
def _lines(path: Path, mtime_ns: int, size: int) -> dict[str, str]:
    """As `lines`; read anew when the file has changed. Lines are kept as text: a caller may change what it is given."""
    content = path.read_bytes()
    found = {}
    for number, line in enumerate(content.splitlines(), 1):
        try:
            text = line.decode()
            found[result_of(text).name] = text
        except (ValueError, LookupError, TypeError) as error:
            torn = number == content.count(b"\n") + 1  # a last line that was not finished is no damage
            if not torn:
                warnings.warn(f"{path}, line {number} is damaged ({error}): the run will be redone", stacklevel=4)
    return found


def _append(path: Path, line: bytes) -> None:
    """Add a line to a file, after cutting off what a killed process or a full disk left half-written at its end."""
    with path.open("ab+") as file:
        file.seek(0)
        before, newline, last = file.read().rpartition(b"\n")
        if last:
            try:
                result_of(last.decode())  # whole: only its newline is missing, an editor may have taken it
                line = b"\n" + line
            except (ValueError, LookupError, TypeError):
                file.truncate(len(before + newline))
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
