"""Where files are: those that the book publishes, and those that a reader makes."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parents[1]

IS_CHECKOUT = (_CHECKOUT / "data" / "README.md").is_file()
"""Whether the package is imported from a checkout of its repository, not from an installation."""

PUBLISHED = _CHECKOUT / "data" if IS_CHECKOUT else _PACKAGE / "_data"
"""The sample, the finished runs, the findings, the checkpoints and the language model: `data/` of a checkout. An
installed package has a copy without the finished runs and the language model, which `published` has downloaded."""

_read: set[str] = set()


def published(name: str) -> Path:
    """The path of a published file, noted as read: a chapter's outputs are as fresh as the files it read.

    Raises:
        DataError: in an installed package, for a finished run that cannot be downloaded.
    """
    _read.add(name)
    path = PUBLISHED / name
    if IS_CHECKOUT or path.exists():
        return path
    from laya_nb.support import download  # it imports this module

    return download.folder() / name if name in download.checksums() else path


def published_files_read() -> list[str]:
    """The published files that this process has asked for, by their names under `PUBLISHED`."""
    return sorted(_read)


def results() -> Path:
    """Where a reader's own results go: LAYA_NB_RESULTS, else `results` in the cache folder."""
    return Path(os.environ.get("LAYA_NB_RESULTS") or cache() / "results")


def cache() -> Path:
    """Where downloads and a reader's own results go: LAYA_NB_CACHE, else ~/.cache/laya_nb."""
    return Path(os.environ.get("LAYA_NB_CACHE") or Path.home() / ".cache" / "laya_nb")
