"""Text as token ids: what a row keeps, what the vocabulary knows, where the reviews are looked for."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from laya_nb.support import files
from laya_nb.data import tokens
from laya_nb.data import Dataset
from laya_nb.support.files import DataError

FULL = os.environ.get("LAYA_NB_DATA")
needs_full_set = pytest.mark.skipif(not FULL, reason="LAYA_NB_DATA is not set")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_parquet(folder: Path, part: str, texts: list[str], labels: list[int]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / text.IMDB_FILES[part]
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "label": labels}), path)
    return path


# --- rows


def test_a_row_holds_the_last_tokens_and_then_padding() -> None:
    """Three texts: 2 3 4 5, 6 and 7 8."""
    tokens, ends = np.array([2, 3, 4, 5, 6, 7, 8], dtype=np.uint16), np.array([4, 5, 7])
    cut = text.rows(tokens, ends, 3)
    assert cut.dtype == torch.int32
    assert cut.tolist() == [[3, 4, 5], [6, 0, 0], [7, 8, 0]]
    assert text.rows(tokens, ends, 5).tolist() == [[2, 3, 4, 5, 0], [6, 0, 0, 0, 0], [7, 8, 0, 0, 0]]
    with pytest.raises(ValueError, match="length must be at least 1, got 0"):
        text.rows(tokens, ends, 0)


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
    monkeypatch.setattr(text, "IMDB_HUB", sums)
    monkeypatch.setenv("LAYA_NB_DATA", str(tmp_path / "data"))
    return folder


def said(dataset: Dataset, name: Any = "imdb") -> dict[str, int]:
    """What the rows of both parts say, with their labels."""
    words = text.vocabulary(name)
    return {
        " ".join(words[i] for i in row if i): label
        for part in (dataset.train, dataset.test)
        for row, label in zip(part.x.tolist(), part.y.tolist(), strict=True)
    }


@pytest.mark.usefixtures("reviews")
def test_reviews_become_ids_of_the_training_parts_words() -> None:
    dataset = text.imdb(9)
    assert (dataset.name, dataset.classes, dataset.source) == (
        "imdb",
        ("negative", "positive"),
        "from the folder LAYA_NB_DATA",
    )
    # Most frequent first, then by the alphabet; the test part's "surprise" has no say.
    expected = ["<pad>", "<unk>", "good", "bad", "film", "!", ",", ".", "a", "acting"]
    assert text.vocabulary("imdb") == expected
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
    monkeypatch.setattr(text, "VOCABULARY_SIZE", 4)
    dataset = text.imdb(9)
    assert text.vocabulary("imdb") == ["<pad>", "<unk>", "good", "bad"]
    assert dataset.train.x.max() == 3


def test_every_copy_gives_the_same_rows(reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies differ in the order of their reviews; ours does not, and texts, labels and ids stand in it together."""
    first, texts = text.imdb(9), text.reviews("train")[0]
    path = write_parquet(reviews, "train", TRAIN[::-1], [0, 1, 0, 1])
    monkeypatch.setitem(text.IMDB_HUB, "train", files.sha256(path))
    again = text.imdb(9)
    assert torch.equal(again.train.x, first.train.x)
    assert torch.equal(again.train.y, first.train.y)
    assert text.reviews("train")[0] == texts
    assert text.reviews("train")[1].tolist() == first.train.y.tolist() == [[1, 0, 1, 0][TRAIN.index(t)] for t in texts]


def test_reviews_are_tokenised_once(reviews: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text.imdb(9)
    (kept,) = (own_cache / "data").iterdir()
    monkeypatch.setattr(text, "_encoded", None)
    assert text.imdb(3).train.x.shape == (4, 3)  # another length asks for nothing new
    path = write_parquet(reviews, "train", TRAIN[:3], [1, 0, 1])
    monkeypatch.setitem(text.IMDB_HUB, "train", files.sha256(path))
    with pytest.raises(TypeError):  # other reviews do
        text.imdb(9)
    assert kept.is_dir()


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_damaged_file_is_an_error_not_a_detour(part: str, reviews: Path) -> None:
    path = reviews / text.IMDB_FILES[part]
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(DataError, match=rf"{path.name} is damaged: .* replace it"):
        text.imdb()


# --- the download


@pytest.mark.usefixtures("no_network")
def test_without_data_or_network_the_error_says_what_to_do(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYA_NB_DATA", str(tmp_path))
    monkeypatch.setattr(time, "sleep", lambda _: None)  # the hub's client waits and tries again, five times
    with pytest.raises(DataError, match=r"(?s)could not be had.*connect to the network, or point LAYA_NB_DATA at"):
        text.imdb()
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
    dataset = text.imdb(9)
    assert (dataset.source, len(dataset.train.y)) == ("from the public hub", 4)
    kept = own_cache / "data" / "imdb" / "plain_text" / text.IMDB_FILES["test"]
    kept.write_bytes(b"too short")
    with pytest.raises(DataError, match=r"is damaged: 9 bytes .* delete it and load again"):
        text.imdb(9)
    kept.unlink()  # as told
    assert torch.equal(text.imdb(9).test.x, dataset.test.x)


# --- the full set


@needs_full_set
@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("part", ["train", "test"])
def test_the_full_set(part: text.Part) -> None:
    texts, labels = text.reviews(part)
    assert len(texts) == 25_000
    assert np.bincount(labels).tolist() == [12_500, 12_500]
    assert 5_900 < labels[:12_500].sum() < 6_600  # not sorted by label
    assert len(set(texts)) == {"train": 24_904, "test": 24_801}[part]  # the set is known to hold some reviews twice


# --- docstrings


def test_docstrings_are_balanced_and_give_nothing_away() -> None:
    dataset, words = text.docstrings(60), text.vocabulary("docstrings")
    assert (dataset.train.x.shape, dataset.test.x.shape) == ((2000, 60), (500, 60))
    assert (dataset.train.y.sum() + dataset.test.y.sum()) == 1250
    assert 200 < dataset.test.y.sum() < 300
    assert dataset.train.x.max() == len(words) - 1 < text.VOCABULARY_SIZE
    assert (dataset.train.x[:, 0] > 0).all()
    assert not [word for word in words if "torch" in word or "numpy" in word or "tensor" in word or "array" in word]


def test_which_docstrings_are_chosen_is_the_same_in_every_process() -> None:
    """Sets of strings come in another order in each."""
    from_numpy, from_torch = text._sentences()
    assert not set(from_numpy) & set(from_torch)
    for sentences in (from_numpy, from_torch):
        assert sentences == sorted(sentences, key=text._checksum)


def test_only_text_has_a_vocabulary() -> None:
    with pytest.raises(ValueError, match="'cifar10' is no text; known: 'imdb', 'docstrings'"):
        text.vocabulary("cifar10")  # type: ignore[arg-type]
