"""CIFAR-10, the original and the JPEG copy: where they come from, what is refused. Fashion-MNIST: test_data.py."""

import hashlib
import http.server
import io
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from laya_nb import data
from laya_nb.data import images
from laya_nb.support.files import DataError

FULL = os.environ.get("LAYA_NB_DATA")
needs_full_set = pytest.mark.skipif(not FULL, reason="LAYA_NB_DATA is not set")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path / "cache"))
    data.load.cache_clear()
    yield tmp_path / "cache"
    data.load.cache_clear()


@needs_full_set
def test_the_jpeg_copy_is_decoded_once_and_says_what_it_is(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = data.load("cifar10_jpeg")
    assert (dataset.name, dataset.source) == ("cifar10_jpeg", "JPEG copy from the folder LAYA_NB_DATA")
    for part, per_class in ((dataset.train, 5000), (dataset.test, 1000)):
        assert part.x.shape == (10 * per_class, 3, 32, 32)
        assert part.y.bincount().tolist() == [per_class] * 10
    assert dataset.train.x.mean(dim=(0, 2, 3)).abs().max() < 1e-4
    assert torch.allclose(dataset.train.x.std(dim=(0, 2, 3)), torch.ones(3), atol=1e-4)

    monkeypatch.setattr(images, "_parquet_images", None)  # a second decoding would fail
    data.load.cache_clear()
    assert torch.equal(data.load("cifar10_jpeg").test.x, dataset.test.x)


@needs_full_set
def test_a_damaged_parquet_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(shutil.copytree(Path(FULL or ".") / "cifar10", tmp_path / "data" / "cifar10"))
    file = folder / "test-00000-of-00001.parquet"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1])
    monkeypatch.setenv("LAYA_NB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(images, "_parquet_images", lambda path: (np.zeros(1), np.zeros(1)))  # the checksum comes first
    with pytest.raises(DataError, match=r"test-00000-of-00001\.parquet is damaged"):
        data.load("cifar10_jpeg")


def test_without_the_folder_the_copy_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAYA_NB_DATA", raising=False)
    with pytest.raises(DataError, match='use "cifar10", which is downloaded'):
        data.load("cifar10_jpeg")


def archive(folder: Path) -> Path:
    """An archive as CIFAR-10's binary version is, with two images a file. Channel by channel: red, green, blue."""
    path = folder / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for i, name in enumerate([f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]):
            image = np.concatenate([np.full(1024, value, np.uint8) for value in (10 * i, 100, 200)])
            rows = b"".join(bytes([label]) + image.tobytes() for label in (i, 9))
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            member.size = len(rows)
            tar.addfile(member, io.BytesIO(rows))
    return path


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of this test's own, which shows tmp_path."""
    monkeypatch.setenv("no_proxy", "*")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_the_original_is_downloaded_once_and_checked(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path)
    monkeypatch.setattr(images, "CIFAR10_URL", f"{server}/{path.name}")
    with pytest.raises(DataError, match="CIFAR-10 could not be had"):
        data.load("cifar10")  # not the archive that the checksum belongs to
    monkeypatch.setattr(images, "CIFAR10_MD5", hashlib.md5(path.read_bytes()).hexdigest())
    for _ in range(2):
        arrays = images.cached(images.paths.cache() / "data" / "cifar10", images._original)
        assert arrays["train_labels"].tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
        assert arrays["test_images"].shape == (2, 32, 32, 3)
        assert arrays["test_images"][0, 5, 7].tolist() == [50, 100, 200]
        path.unlink(missing_ok=True)  # the second time it comes from the cache
