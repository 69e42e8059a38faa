"""An installed package downloads the published results: once, whole, checked."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from laya_nb.data import DataError
from laya_nb.support import download, paths

FILES = {"results/a/one.json": b"{}", "results/a/one.xz": b"numbers"}


def archive(files: dict[str, bytes], root: str = "laya-nb-abc123") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped:
        zipped.writestr(f"{root}/README.md", "not wanted")
        for name, content in files.items():
            zipped.writestr(f"{root}/data/{name}", content)
    return made.getvalue()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package without its results, which knows their checksums; the archive's place."""
    package = tmp_path / "package"
    package.mkdir()
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in FILES.items()]
    (package / download.MANIFEST).write_text("\n".join(lines) + "\n")
    (package / "there.txt").write_text("in the package")
    place = tmp_path / "archive.zip"
    monkeypatch.setattr(paths, "IS_CHECKOUT", False)
    monkeypatch.setattr(paths, "PUBLISHED", package)
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LAYA_NB_ARCHIVE", place.as_uri())
    download.checksums.cache_clear()
    yield place
    download.checksums.cache_clear()


def test_results_are_downloaded_once(installed: Path) -> None:
    installed.write_bytes(archive(FILES))
    assert paths.published("results/a/one.xz").read_bytes() == b"numbers"
    installed.unlink()
    assert paths.published("results/a/one.json").read_bytes() == b"{}"
    assert "results/a/one.json" in paths.published_files_read()


def test_what_needs_no_download_asks_for_none(installed: Path) -> None:
    """There is no archive: a file of the package, and a run that was never published."""
    assert paths.published("there.txt").read_text() == "in the package"
    assert not paths.published("results/a/mine.json").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "could not be downloaded from .*archive.zip .*connect to the network"),
        (b"no archive", "could not be downloaded"),
        (archive(FILES)[:-30], "could not be downloaded"),
        (archive({"results/a/one.json": b"{}"}), "lacks data/results/a/one.xz: it belongs to another version"),
        (archive(FILES | {"results/a/one.xz": b"other"}), "data/results/a/one.xz is damaged"),
    ],
)
def test_what_is_not_whole_is_named_and_not_kept(installed: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        installed.write_bytes(content)
    with pytest.raises(DataError, match=message):
        paths.published("results/a/one.xz")
    installed.write_bytes(archive(FILES))
    assert paths.published("results/a/one.xz").read_bytes() == b"numbers"


REPOSITORY = "https://example.org/laya"


class Installed:
    version = "0.2.0"

    def __init__(self, origin: dict[str, Any] | None) -> None:
        self.origin = origin
        self.metadata = self

    def get_all(self, name: str) -> list[str]:
        return [f"Repository, {REPOSITORY}"] if name == "Project-URL" else []

    def read_text(self, name: str) -> str | None:
        return json.dumps(self.origin) if self.origin and name == "direct_url.json" else None


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        (None, f"{REPOSITORY}/archive/v0.2.0.zip"),
        ({"url": REPOSITORY, "vcs_info": {"vcs": "git", "commit_id": "abc"}}, f"{REPOSITORY}/archive/abc.zip"),
        ({"url": "file:///a/laya.whl", "archive_info": {}}, f"{REPOSITORY}/archive/v0.2.0.zip"),
    ],
)
def test_the_archive_is_that_of_what_is_installed(
    origin: dict[str, Any] | None, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAYA_NB_ARCHIVE", raising=False)
    monkeypatch.setattr(metadata, "distribution", lambda name: Installed(origin))
    assert download.archive_address() == address
