"""The IMDB reviews: how they become rows, where they are looked for, what is refused."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from laya_nb import data
from laya_nb.data import Dataset, imdb, tokens
from laya_nb.data.dataset import Part
from laya_nb.support import files
from laya_nb.support.files import DataError

FULL = os.environ.get("LAYA_NB_DATA")
needs_full_set = pytest.mark.skipif(not FULL, reason="LAYA_NB_DATA is not set")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache folder, and rows of nine tokens."""
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tokens, "LENGTH", 9)
    data.load.cache_clear()
    yield tmp_path / "cache"
    data.load.cache_clear()


def write_parquet(folder: Path, part: Part, texts: list[str], labels: list[int]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / imdb.IMDB_FILES[part]
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "label": labels}), path)
    return path


# --- a handful of reviews in the hub's layout

TRAIN = ["Good, good film!<br /><br />Good.", "A bad film; bad acting", "<pad> <unk> good", '"']
TEST = ["a good <pad> surprise", "bad"]


@pytest.fixture
def reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of reviews that takes the place of the full set."""
    folder = tmp_path / "data" / "imdb"
    sums = {
        "train": files.sha256(write_parquet(folder, "train", TRAIN, [1, 0, 1, 0])),
        "test": files.sha256(write_parquet(folder, "test", TEST, [1, 0])),
    }
    monkeypatch.setattr(imdb, "IMDB_HUB", sums)
    monkeypatch.setenv("LAYA_NB_DATA", str(tmp_path / "data"))
    return folder


def said(dataset: Dataset) -> dict[str, int]:
    """What the rows of both parts say, with their labels."""
    words = imdb.vocabulary()
    return {
        " ".join(words[i] for i in row if i): label
        for part in (dataset.train, dataset.test)
        for row, label in zip(part.x.tolist(), part.y.tolist(), strict=True)
    }


@pytest.mark.usefixtures("reviews")
def test_reviews_become_ids_of_the_training_parts_words() -> None:
    dataset = imdb.imdb()
    assert (dataset.name, dataset.classes, dataset.source) == (
        "imdb",
        ("negative", "positive"),
        "from the folder LAYA_NB_DATA",
    )
    # Most frequent first, then by the alphabet; the test part's "surprise" has no say.
    expected = ["<pad>", "<unk>", "good", "bad", "film", "!", ",", ".", "a", "acting"]
    assert imdb.vocabulary() == expected
    assert dataset.train.x.shape == (4, 9)
    # What the reviews write as "<pad>" and "<unk>" are unknown words, and so is a review without any.
    assert said(dataset) == {
        "good , good film ! good .": 1,
        "a bad film bad acting": 0,
        "<unk> <unk> good": 1,
        "<unk>": 0,
        "a good <unk> <unk>": 1,
        "bad": 0,
    }


@pytest.mark.usefixtures("reviews")
def test_the_vocabulary_has_its_size_with_the_special_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "VOCABULARY_SIZE", 4)
    dataset = imdb.imdb()
    assert imdb.vocabulary() == ["<pad>", "<unk>", "good", "bad"]
    assert dataset.train.x.max() == 3


def test_every_copy_gives_the_same_rows(reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies differ in the order of their reviews; ours does not, and texts, labels and ids stand in it together."""
    first, texts = imdb.imdb(), imdb.reviews("train")[0]
    path = write_parquet(reviews, "train", TRAIN[::-1], [0, 1, 0, 1])
    monkeypatch.setitem(imdb.IMDB_HUB, "train", files.sha256(path))
    again = imdb.imdb()
    assert torch.equal(again.train.x, first.train.x)
    assert torch.equal(again.train.y, first.train.y)
    assert imdb.reviews("train")[0] == texts
    assert torch.equal(imdb.raw_imdb("train")[1], first.train.y)
    assert imdb.raw_imdb("train")[0] == texts
    assert imdb.reviews("train")[1].tolist() == first.train.y.tolist() == [[1, 0, 1, 0][TRAIN.index(t)] for t in texts]


def test_reviews_are_tokenised_once(reviews: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imdb.imdb()
    (kept,) = (own_cache / "data").iterdir()
    monkeypatch.setattr(tokens, "encode", None)
    monkeypatch.setattr(tokens, "LENGTH", 3)
    assert imdb.imdb().train.x.shape == (4, 3)  # another length asks for nothing new
    path = write_parquet(reviews, "train", TRAIN[:3], [1, 0, 1])
    monkeypatch.setitem(imdb.IMDB_HUB, "train", files.sha256(path))
    with pytest.raises(TypeError):  # other reviews do
        imdb.imdb()
    assert kept.is_dir()


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_damaged_file_is_an_error_not_a_detour(part: str, reviews: Path) -> None:
    path = reviews / imdb.IMDB_FILES[part]
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(DataError, match=rf"{path.name} is damaged: .* replace it"):
        imdb.imdb()


# --- the download


@pytest.mark.usefixtures("no_network")
def test_without_data_or_network_the_error_says_what_to_do(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYA_NB_DATA", str(tmp_path))
    monkeypatch.setattr(time, "sleep", lambda _: None)  # the hub's client waits and tries again, five times
    with pytest.raises(DataError, match=r"(?s)could not be had.*connect to the network, or point LAYA_NB_DATA at"):
        imdb.imdb()
    assert not list(own_cache.rglob("*.parquet"))


def test_a_download_is_checked(reviews: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def download(repo_id: str, filename: str, *, local_dir: Path, revision: str, **_: Any) -> str:
        assert (repo_id, len(revision)) == ("stanfordnlp/imdb", 40)
        path = Path(local_dir) / filename
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((reviews / path.name).read_bytes())
        return str(path)

    monkeypatch.delenv("LAYA_NB_DATA")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    dataset = imdb.imdb()
    assert (dataset.source, len(dataset.train.y)) == ("from the public hub", 4)
    kept = own_cache / "data" / "imdb" / "plain_text" / imdb.IMDB_FILES["test"]
    kept.write_bytes(b"too short")
    with pytest.raises(DataError, match=r"is damaged: 9 bytes .* delete it and load again"):
        imdb.imdb()
    kept.unlink()  # as told
    assert torch.equal(imdb.imdb().test.x, dataset.test.x)


# --- the full set


@needs_full_set
@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("part", ["train", "test"])
def test_the_full_set(part: Part) -> None:
    texts, labels = imdb.reviews(part)
    assert len(texts) == 25_000
    assert np.bincount(labels).tolist() == [12_500, 12_500]
    assert 5_900 < labels[:12_500].sum() < 6_600  # not sorted by label
    assert len(set(texts)) == {"train": 24_904, "test": 24_801}[part]  # the set is known to hold some reviews twice
