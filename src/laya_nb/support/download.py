"""The published results, for an installed package: they are not in it, and are downloaded when a chapter asks.

They come as the archive of the repository at the package's own commit or version, in one request. Every file is
compared with the checksum that the package carries.
"""

import json
import os
import shutil
import tempfile
import urllib.request
import zipfile
from functools import lru_cache
from importlib import metadata
from pathlib import Path, PurePosixPath

from filelock import FileLock

from laya_nb.support import paths
from laya_nb.support.files import DataError, sha256

MANIFEST = "SHA256SUMS"  # of the published results and encoders: "CHECKSUM  NAME" per line, names below the folder
TIMEOUT = 60  # seconds without a byte


@lru_cache
def checksums() -> dict[str, str]:
    """The published results by name, with their SHA-256, as the package knows them."""
    lines = (paths.PUBLISHED / MANIFEST).read_text().splitlines()
    return {name: checksum for checksum, name in (line.split(maxsplit=1) for line in lines)}


def folder() -> Path:
    """Where the published results are, downloaded first where they are not yet in the cache.

    Raises:
        DataError: if they cannot be downloaded, or are not what the package expects.
    """
    target = paths.cache() / "published" / sha256(paths.PUBLISHED / MANIFEST)[:16]
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):  # a second process waits for the first
        if not target.is_dir():
            address = archive_address()
            try:
                with tempfile.TemporaryDirectory(dir=target.parent) as unfinished:
                    _download(address, Path(unfinished))
                    os.rename(Path(unfinished, "data"), target)
            except (OSError, zipfile.BadZipFile) as error:
                raise DataError(
                    f"the published results could not be downloaded from {address} ({error}); connect to the network, "
                    "or work in a checkout of the repository, which holds them"
                ) from error
    return target


def archive_address() -> str:
    """Where the archive is: LAYA_NB_ARCHIVE, else the repository's, at the commit or version that is installed."""
    if given := os.environ.get("LAYA_NB_ARCHIVE"):
        return given
    installed = metadata.distribution("laya-nb")
    urls = dict(line.split(", ", 1) for line in installed.metadata.get_all("Project-URL") or [])
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    commit = origin.get("vcs_info", {}).get("commit_id")
    return f"{urls['Repository']}/archive/{commit or f'v{installed.version}'}.zip"


def _download(address: str, unfinished: Path) -> None:
    """Fill unfinished/data with the published results of an archive, each checked."""
    archive = unfinished / "archive.zip"
    with urllib.request.urlopen(address, timeout=TIMEOUT) as source, archive.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    with zipfile.ZipFile(archive) as zipped:
        # An archive of a repository holds everything below one folder, named after its version.
        members = {"/".join(PurePosixPath(name).parts[1:]): name for name in zipped.namelist()}
        for name, expected in checksums().items():
            place = unfinished / "data" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if f"data/{name}" not in members:
                raise DataError(f"{address} lacks data/{name}: it belongs to another version of the package")
            with zipped.open(members[f"data/{name}"]) as source, place.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            if sha256(place) != expected:
                raise DataError(f"{address}: data/{name} is damaged, or belongs to another version of the package")
