"""The IMDB reviews: where their files are looked for, and how they become rows of token ids."""

import json
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from laya_nb.data import tokens
from laya_nb.data.dataset import Dataset, Part
from laya_nb.support import paths
from laya_nb.support.files import DataError, cached, check_sha256, sha256

IMDB_FILES = {"train": "train-00000-of-00001.parquet", "test": "test-00000-of-00001.parquet"}
IMDB_REVISION = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"
IMDB_HUB = {
    "train": "db47d16b5c297cc0dd625e519c81319c24c9149e70e8496de5475f6fa928342c",
    "test": "b52e26e2f872d282ffac460bf9770b25ac6f102cda0e6ca7158df98c94e8b3da",
}
# A second copy, with other bytes. In it four reviews of each part, those that we found, are not of films but of apps.
IMDB_COPY = {
    "train": "ba73cbb897b6b21b73d3984b8354a5b1664caedd832e5c5d901dc815b4dfc189",
    "test": "5f7382b3c8d5ec06b4beaf0fbf1e745993a5e5923bb3cb10cf8116ddf97a58a9",
}


def reviews(part: Part) -> tuple[list[str], np.ndarray]:
    """The texts of IMDB's training or test part, and their labels (N,) int64: 0 negative, 1 positive.

    The files are sorted by label, and every copy sorts them in its own way. Here they stand in the order of their
    checksums, which is as good as random, and the same for every copy; `imdb` has them in this order, too.

    Raises:
        DataError: for a file that is damaged or cannot be had.
    """
    return _reviews(_imdb_file(part)[0])


def checksums() -> tuple[str, str]:
    """Of the files of both parts: they name the copy that `reviews` reads. Raises as `reviews`."""
    return sha256(_imdb_file("train")[0]), sha256(_imdb_file("test")[0])


def source() -> str:
    """Where the reviews come from. Raises as `reviews`."""
    return _imdb_file("train")[1]


def raw_imdb(part: Part) -> tuple[list[str], Tensor]:
    """The texts and labels (N,) of a part, in the order of `imdb`."""
    texts, labels = reviews(part)
    return texts, torch.from_numpy(labels)


def imdb() -> Dataset:
    """The Large Movie Review Dataset as token ids: x (N, 200) int32, padded with 0 at the end.

    Of a longer review the last 200 tokens are kept, as Keras' pad_sequences does. The vocabulary is that of all 25,000
    training reviews, those included that a seed later sets aside for validation; the test part has no say. Looks in
    LAYA_NB_DATA/imdb, then downloads from the public hub. Tokenised once, and then kept in the cache.

    Raises:
        DataError: for a file that is damaged or cannot be had.
    """
    arrays, source = _imdb_arrays()
    return Dataset("imdb", source, ("negative", "positive"), *tokens.examples(arrays))


def vocabulary() -> list[str]:
    """The words by their ids: `[words[i] for i in row if i]` is what a row of `imdb().train.x` says."""
    return tokens.vocabulary(_imdb_arrays()[0])


def _imdb_arrays() -> tuple[dict[str, np.ndarray], str]:
    """Both parts as one long row of tokens each, with where each review ends; the words; where they came from."""
    (train, source), (test, _) = _imdb_file("train"), _imdb_file("test")
    decides = json.dumps([sha256(train), sha256(test), tokens.VOCABULARY_SIZE, tokens.ENCODING])
    folder = paths.cache() / "data" / f"imdb-{tokens.checksum(decides)[:12]}"
    return cached(folder, lambda: tokens.encode(_reviews(train), _reviews(test))), source


def _imdb_file(part: Part) -> tuple[Path, str]:
    """One part's file, checked, and where it came from."""
    folder = os.environ.get("LAYA_NB_DATA")
    if folder and (path := Path(folder) / "imdb" / IMDB_FILES[part]).is_file():
        if sha256(path) == IMDB_COPY[part]:
            return path, "from the folder LAYA_NB_DATA, a copy with 8 of 50,000 reviews replaced by reviews of apps"
        check_sha256(path, IMDB_HUB[part], "replace it")
        return path, "from the folder LAYA_NB_DATA"
    path = _downloaded(part)
    check_sha256(path, IMDB_HUB[part], "delete it and load again")
    return path, "from the public hub"


def _downloaded(part: Part) -> Path:
    """The cache's copy, downloaded first if it is not there: it appears whole or not at all."""
    from huggingface_hub import hf_hub_download

    try:
        found = hf_hub_download(
            "stanfordnlp/imdb",
            f"plain_text/{IMDB_FILES[part]}",
            repo_type="dataset",
            revision=IMDB_REVISION,
            local_dir=paths.cache() / "data" / "imdb",
            token=False,  # nobody needs to be known for it
        )
    except OSError as error:
        raise DataError(
            f"the IMDB reviews could not be had ({error}); connect to the network, or point LAYA_NB_DATA at a folder "
            f"that holds imdb/{IMDB_FILES['train']} and imdb/{IMDB_FILES['test']}"
        ) from error
    return Path(found)


def _reviews(path: Path) -> tuple[list[str], np.ndarray]:
    from pyarrow.parquet import read_table

    table = read_table(path, columns=["text", "label"])
    return tokens.by_checksum(zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True))
