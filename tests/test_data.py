"""The data: where it is looked for, what is refused, how it is split."""

import gzip
import hashlib
import http.server
import io
import os
import pickle
import shutil
import socket
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from laya_nb import data
from laya_nb.data import DataError, Dataset, Examples, catalog, images
from laya_nb.data.images import FASHION_MNIST_CLASSES, FASHION_MNIST_FILES
from laya_nb.runs import ResultStore, Run, sweep
from laya_nb.support import paths

FULL = os.environ.get("LAYA_NB_DATA")
needs_full_set = pytest.mark.skipif(not FULL, reason="LAYA_NB_DATA is not set")
RAW = Path(FULL or ".") / "FashionMNIST" / "raw"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Every test with an empty cache folder, and none with what another test loaded."""
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path / "cache"))
    data.load.cache_clear()
    yield tmp_path / "cache"
    data.load.cache_clear()


@pytest.fixture
def raw_copy(tmp_path: Path) -> Path:
    """A folder for LAYA_NB_DATA whose files may be damaged."""
    return Path(shutil.copytree(RAW, tmp_path / "data" / "FashionMNIST" / "raw"))


# --- the embedded sample


def test_sample_is_balanced_and_in_range() -> None:
    sample = data.load("fashion_mnist_sample")
    for part, per_class in ((sample.train, 400), (sample.test, 100)):
        assert part.x.shape == (10 * per_class, 1, 28, 28)
        assert part.x.dtype == torch.float32
        assert part.y.dtype == torch.int64
        assert part.y.bincount().tolist() == [per_class] * 10
        assert (part.x.min(), part.x.max()) == (0, 1)
    assert str(sample) == "fashion_mnist_sample: 4,000 training and 1,000 test examples, embedded in the project"


@needs_full_set
def test_sample_is_the_full_set_at_its_indices() -> None:
    full, sample = data.load("fashion_mnist"), data.load("fashion_mnist_sample")
    assert (len(full.train.y), len(full.test.y)) == (60_000, 10_000)
    with np.load(paths.PUBLISHED / images.SAMPLE, allow_pickle=False) as file:
        for part in ("train", "test"):
            index = torch.from_numpy(file[f"{part}_index"]).long()
            assert len(index.unique()) == len(index)
            assert torch.equal(getattr(full, part).x[index], getattr(sample, part).x)
            assert torch.equal(getattr(full, part).y[index], getattr(sample, part).y)


@pytest.fixture(scope="module")
def sample_bytes() -> bytes:
    return (paths.PUBLISHED / images.SAMPLE).read_bytes()


def load_sample_from(content: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    (folder / images.SAMPLE).write_bytes(content)
    monkeypatch.setattr(paths, "PUBLISHED", folder)
    data.load.cache_clear()
    return data.load("fashion_mnist_sample")


@pytest.mark.parametrize("share", [0, 0.3, 0.9999])
def test_sample_cut_short_is_named(
    share: float, sample_bytes: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = sample_bytes[: int(share * len(sample_bytes))]
    with pytest.raises(DataError, match=rf"{images.SAMPLE}.*restore it from the repository"):
        load_sample_from(cut, tmp_path, monkeypatch)


@pytest.mark.parametrize("position", [8, 31, 160, 100_000, 700_000, 2_000_000, -300])
def test_sample_with_a_changed_byte_is_named(
    position: int, sample_bytes: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = bytearray(sample_bytes)
    changed[position] ^= 0xFF
    with pytest.raises(DataError, match=images.SAMPLE):
        load_sample_from(bytes(changed), tmp_path, monkeypatch)


def test_sample_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array of pickled objects is refused unread."""

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    buffer = io.BytesIO()
    np.savez(buffer, train_images=np.array([Trap()], dtype=object))
    with pytest.raises(DataError):
        load_sample_from(buffer.getvalue(), tmp_path, monkeypatch)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickle.dumps(Trap()))  # the trap does work
    assert (tmp_path / "sprung").exists()


# --- where the full set is looked for


def test_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown data set 'mnist'; known: 'fashion_mnist', 'fashion_mnist_sample'"):
        data.load("mnist")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("setting", [None, "nowhere"])
def test_without_data_or_network_the_sample_stands_in_and_says_so(
    setting: str | None, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting is None:
        monkeypatch.delenv("LAYA_NB_DATA", raising=False)
    else:
        monkeypatch.setenv("LAYA_NB_DATA", str(tmp_path / setting))
    before = socket.getdefaulttimeout()
    with pytest.warns(UserWarning, match=r"(?s)using the embedded sample instead.*LAYA_NB_DATA"):
        dataset = data.load("fashion_mnist")
    assert dataset.name == "fashion_mnist_sample"
    assert list((own_cache / "data").iterdir()) == []  # no half download stays
    assert socket.getdefaulttimeout() == before


@needs_full_set
@pytest.mark.usefixtures("no_network")
def test_the_named_folder_comes_first() -> None:
    dataset = data.load("fashion_mnist")
    assert (dataset.name, dataset.source) == ("fashion_mnist", "from the folder LAYA_NB_DATA")
    assert dataset.train.y.bincount().tolist() == [6000] * 10


@needs_full_set
@pytest.mark.usefixtures("no_network")
def test_the_named_folder_damaged_is_an_error_not_a_detour(raw_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYA_NB_DATA", str(raw_copy.parents[1]))
    for file in FASHION_MNIST_FILES:
        path = raw_copy / file
        whole = path.read_bytes()
        for damaged in (whole[: len(whole) // 2], b"", whole[:-1] + b"\xff"):
            path.write_bytes(damaged)
            with pytest.raises(DataError, match=rf"{file} is damaged: {len(damaged)} bytes"):
                data.load("fashion_mnist")
        path.unlink()
        with pytest.raises(DataError, match=f"{file} is missing"):
            data.load("fashion_mnist")
        path.write_bytes(whole)
    assert data.load("fashion_mnist").name == "fashion_mnist"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """torchvision's download, from a server of this test's own: a folder of the four archives."""
    from torchvision.datasets import FashionMNIST

    folder = tmp_path / "mirror"
    folder.mkdir()
    for file in FASHION_MNIST_FILES:
        (folder / f"{file}.gz").write_bytes(gzip.compress((RAW / file).read_bytes(), 1))
    sums = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in sorted(folder.iterdir())]
    monkeypatch.setattr(FashionMNIST, "resources", sums)
    monkeypatch.delenv("LAYA_NB_DATA")
    monkeypatch.setenv("no_proxy", "*")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """torchvision hangs up on its first request, unread."""

    with Server(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        monkeypatch.setattr(FashionMNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder
        server.shutdown()


@needs_full_set
def test_download_is_checked_kept_and_mended(mirror: Path, own_cache: Path, request: pytest.FixtureRequest) -> None:
    archive = mirror / "t10k-labels-idx1-ubyte.gz"
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-100])
    with pytest.warns(UserWarning, match="using the embedded sample instead"):
        assert data.load("fashion_mnist").name == "fashion_mnist_sample"
    assert list((own_cache / "data").iterdir()) == []

    archive.write_bytes(whole)
    data.load.cache_clear()
    dataset = data.load("fashion_mnist")
    assert (dataset.name, dataset.source) == ("fashion_mnist", "from torchvision's download")
    kept = own_cache / "data" / "FashionMNIST" / "raw"
    assert {path.name for path in kept.iterdir()} == set(FASHION_MNIST_FILES)

    damaged = kept / "t10k-labels-idx1-ubyte"
    damaged.write_bytes(b"too short")
    data.load.cache_clear()
    with pytest.raises(DataError, match="delete it and load again"):
        data.load("fashion_mnist")
    damaged.unlink()  # as told
    assert data.load("fashion_mnist").name == "fashion_mnist"

    request.getfixturevalue("no_network")
    data.load.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data.load("fashion_mnist").name == "fashion_mnist"  # the cache's copy asks no network


# --- what a data set must be


def examples_of(labels: list[int]) -> Examples:
    return Examples(torch.zeros(len(labels), 1, 28, 28), torch.tensor(labels, dtype=torch.int64))


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (examples_of([]), "there are no examples"),
        (examples_of([4, 4, 4]), "all labels are 4; at least two classes are needed"),
        (examples_of([0, 10]), r"labels must lie in 0\.\.9, found 0\.\.10"),
        (examples_of([-1, 9]), r"labels must lie in 0\.\.9, found -1\.\.9"),
        (Examples(torch.zeros(3, 1), torch.tensor([0, 1])), "3 inputs but 2 labels"),
        (Examples(torch.zeros(2, 1), torch.tensor([0.0, 1.0])), r"labels must be int64, got torch\.float32"),
    ],
)
def test_bad_examples_are_refused(examples: Examples, message: str) -> None:
    good = examples_of([0, 1])
    for part, train, test in (("training", examples, good), ("test", good, examples)):
        with pytest.raises(DataError, match=f"mine, {part} part: {message}"):
            Dataset("mine", "made here", FASHION_MNIST_CLASSES, train, test)


# --- the catalog


@pytest.mark.parametrize("name", ["fashion_mnist_sample", "docstrings"])
def test_raw_inputs_are_in_the_order_of_the_labels(name: str) -> None:
    entry, dataset = catalog.entry(name), data.load(name)
    for part, examples in (("train", dataset.train), ("test", dataset.test)):
        raw, labels = entry.raw(part)  # type: ignore[arg-type]
        assert torch.equal(labels, examples.y)
        assert len(raw) == len(labels)
        if entry.kind == "images":
            assert isinstance(raw, Tensor)
            assert (raw.min(), raw.max()) == (0, 1)
        else:
            assert all(isinstance(text, str) for text in raw)


@needs_full_set
@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10_jpeg"])
def test_raw_images_are_pixels_in_the_order_of_the_labels(name: str) -> None:
    entry, dataset = catalog.entry(name), data.load(name)
    raw, labels = entry.raw("test")
    assert isinstance(raw, Tensor)
    assert torch.equal(labels, dataset.test.y)
    assert (raw.min(), raw.max()) == (0, 1)
    for i in (0, 7):  # the data set's own scaling is one line per channel
        for channel, seen in zip(raw[i], dataset.test.x[i], strict=True):
            assert torch.corrcoef(torch.stack([channel.flatten(), seen.flatten()]))[0, 1] > 0.999


def test_every_entry_says_what_its_inputs_are() -> None:
    from laya_nb.runs.catalog import BACKBONES
    from laya_nb.runs.paper import CHOICE

    for name in catalog.CATALOG:
        entry = catalog.entry(name)
        assert BACKBONES[entry.backbone].reads == entry.kind
        assert entry.benchmark in CHOICE


def test_a_task_with_its_number_of_pictures_is_a_data_set() -> None:
    found = data.load("world/shape@30")
    assert (found.name, len(found.classes)) == ("world/shape@30", 5)
    assert [len(part.y) for part in (found.train, found.test)] == [30, 30]
    entry = catalog.entry("world/shape@30")
    for part, examples in (("train", found.train), ("test", found.test)):
        raw, labels = entry.raw(part)  # type: ignore[arg-type]
        assert isinstance(raw, Tensor)
        assert torch.equal(raw, examples.x)
        assert torch.equal(labels, examples.y)
    other = catalog.entry("world/count@30")
    assert (entry.inputs, other.inputs) == ("world@30", "world@30")  # one network's pass serves both
    assert torch.equal(other.raw("test")[0], found.test.x)  # type: ignore[arg-type]


def test_a_data_set_with_a_number_is_a_balanced_part_of_it() -> None:
    """Its first examples of each class, in their order."""
    whole, found = data.load("docstrings"), data.load("docstrings@301")
    assert found.name == "docstrings@301"
    for part in ("train", "test"):
        examples, of = getattr(found, part), getattr(whole, part)
        assert examples.y.bincount().tolist() == [151, 150]
        zeros = iter((of.y == 0).nonzero().flatten()[:151].tolist())
        ones = iter((of.y == 1).nonzero().flatten()[:150].tolist())
        rows = torch.tensor(sorted([*zeros, *ones]))
        assert torch.equal(examples.x, of.x[rows])
        raw, labels = catalog.entry("docstrings@301").raw(part)
        texts = catalog.entry("docstrings").raw(part)[0]
        assert raw == [texts[row] for row in rows]
        assert torch.equal(labels, examples.y)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "unknown data set 'nothing'; known: 'fashion_mnist', .*, and tasks as cifar10_jpeg, .*@2000"),
        ("letters", "unknown data set 'letters'"),
        ("letters@", "unknown data set 'letters@'"),
        ("letters@0", "unknown data set 'letters@0'"),
        ("nothing@5", "unknown data set 'nothing'"),
        ("docstrings@501", "'docstrings@501': there are 500 examples in a part"),
        ("docstrings@499", "'docstrings@499': a class has too few examples for balanced classes"),
        ("world/count@3", "examples of 'world' must be an integer of at least 9, got 3"),
    ],
)
def test_a_data_set_that_is_not_there_is_named(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.load(name)


# --- splits


def numbered(count: int) -> Dataset:
    """A data set whose inputs are the numbers 0, 1, 2, ..."""
    examples = Examples(torch.arange(float(count)).unsqueeze(1), torch.arange(count) % 2)
    return Dataset("numbered", "made here", ("even", "odd"), examples, examples)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(4, 200), share=st.floats(0.2, 0.8), seed=st.integers(0, 2**32))
def test_split_parts_the_training_set_and_nothing_is_lost(count: int, share: float, seed: int) -> None:
    dataset = numbered(count)
    train, validation = dataset.split(seed, share)
    assert len(validation.y) == round(count * share)
    assert sorted(torch.cat([train.x, validation.x]).flatten().tolist()) == list(range(count))
    for part in (train, validation):
        assert torch.equal(part.x.flatten().long() % 2, part.y)  # labels moved with their inputs
    kept, held_out = dataset.split_indices(seed, share)
    assert torch.equal(dataset.train.x[kept], train.x)
    assert torch.equal(dataset.train.x[held_out], validation.x)


def test_split_depends_on_the_seed_alone() -> None:
    def held_out(seed: int) -> Tensor:
        return numbered(100).split(seed).validation.x

    first = held_out(0)
    torch.manual_seed(99)  # the global stream has no say
    assert torch.equal(held_out(0), first)
    assert not torch.equal(held_out(1), first)


@pytest.mark.parametrize("share", [1, 0.001, -0.5, 2])
def test_split_must_leave_both_parts(share: float) -> None:
    with pytest.raises(ValueError, match="validation must leave both parts non-empty, got a share of"):
        numbered(100).split(0, share)


def test_the_samples_rows_lead_to_its_images_results_on_the_full_set() -> None:
    """The labels that a published result has in these rows are the sample's, in its order."""
    rows = images.sample_test_rows()
    assert len(set(rows.tolist())) == len(rows) == 1000
    (result,) = sweep([Run(seed=0)], ResultStore())
    assert result.arrays["label"][rows].tolist() == data.load("fashion_mnist_sample").test.y.tolist()
