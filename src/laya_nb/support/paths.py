"""Where files are: those that the book publishes, and those that a reader makes."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parents[1]

IS_CHECKOUT = (_CHECKOUT / "data" / "README.md").is_file()
"""Whether the package is imported from a checkout of its repository, not from an installation."""

PUBLISHED = _CHECKOUT / "data" if IS_CHECKOUT else _PACKAGE / "_data"
"""The sample, the finished runs and the checkpoints: `data/` of a checkout, or its copy in an installed package."""

_read: set[str] = set()


def published(name: str) -> Path:
    """The path of a published file, noted as read: a chapter's outputs are as fresh as the files it read."""
    _read.add(name)
    return PUBLISHED / name


def published_files_read() -> list[str]:
    """The published files that this process has asked for, by their names under `PUBLISHED`."""
    return sorted(_read)


def cache() -> Path:
    """Where downloads and a reader's own results go: LAYA_NB_CACHE, else ~/.cache/laya_nb."""
    return Path(os.environ.get("LAYA_NB_CACHE") or Path.home() / ".cache" / "laya_nb")
