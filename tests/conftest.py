"""What several test files share: the rendered book, built once per run, and a machine without a network."""

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

# Two workers run at once, and so do the kernels they start: one thread each, or they wait for one another's threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test of ours is about its own duration, and a busy machine is slow at times.
settings.register_profile("book", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("book")

ROOT = Path(__file__).parents[1]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise socket.gaierror("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr(socket.socket, "connect", unreachable)


@dataclass(frozen=True)
class Book:
    """The rendered book: `html` is its root folder, `log` what the build said, `returncode` how it ended."""

    html: Path
    log: str
    returncode: int


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """The book as `make book` has left it, if it is made from exactly the files that stand here; else built anew."""
    import chapters

    if chapters.is_rendered():
        return Book(chapters.HTML, "", 0)
    base = tmp_path_factory.getbasetemp()
    # Under xdist each worker has a folder of its own below the run's; the first to come builds, the others wait for it.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    out, log, ended = shared / "book", shared / "book.log", shared / "book.returncode"
    with FileLock(shared / "book.lock"):
        if not ended.exists():
            with log.open("w") as stream:
                command = chapters.pages_command("--path-output", str(out))
                done = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT)
            ended.write_text(str(done.returncode))
    return Book(out / "_build" / "html", log.read_text(), int(ended.read_text()))
