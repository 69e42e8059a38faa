"""Text as rows of token ids: the IMDB reviews, and a small set of sentences that every machine has.

torchtext gives the tokeniser and the vocabulary. It is archived; 0.6.0, the last version in pure Python, works beside
any torch. It is imported here, where it is used, and nowhere else.
"""

import hashlib
import inspect
import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from laya_nb import paths
from laya_nb.data import Dataset, Examples
from laya_nb.files import DataError, cached, check_sha256, sha256

Part = Literal["train", "test"]

PADDING, UNKNOWN = 0, 1
VOCABULARY_SIZE = 20_000
"""Ids lie below it. The paper's size, counted with the two special ids."""
LENGTH = 200
"""Tokens of a review that are kept. The paper does not say; with 128, validation accuracy was two points lower."""

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
_ENCODING = "1: torchtext 0.6.0, basic_english; rows by checksum"  # part of the cache's key: change it with the code


# --- IMDB


def reviews(part: Part) -> tuple[list[str], np.ndarray]:
    """The texts of IMDB's training or test part, and their labels (N,) int64: 0 negative, 1 positive.

    The files are sorted by label, and every copy sorts them in its own way. Here they stand in the order of their
    checksums, which is as good as random, and the same for every copy; `imdb` has them in this order, too.

    Raises:
        DataError: for a file that is damaged or cannot be had.
    """
    return _reviews(_imdb_file(part)[0])


def imdb(length: int = LENGTH) -> Dataset:
    """The Large Movie Review Dataset as token ids: x (N, length) int32, padded with 0 at the end.

    Of a longer review the last `length` tokens are kept, as Keras' pad_sequences does. The vocabulary is that of all
    25,000 training reviews, those included that a seed later sets aside for validation; the test part has no say.
    Looks in LAYA_NB_DATA/imdb, then downloads from the public hub. Tokenised once, and then kept in the cache.

    Raises:
        ValueError: for a length below 1.
        DataError: for a file that is damaged or cannot be had.
    """
    arrays, source = _imdb_arrays()
    return Dataset("imdb", source, ("negative", "positive"), *_examples(arrays, length))


def _imdb_arrays() -> tuple[dict[str, np.ndarray], str]:
    """Both parts as one long row of tokens each, with where each review ends; the words; where they came from."""
    (train, source), (test, _) = _imdb_file("train"), _imdb_file("test")
    decides = json.dumps([sha256(train), sha256(test), VOCABULARY_SIZE, _ENCODING])
    folder = paths.cache() / "data" / f"imdb-{_checksum(decides)[:12]}"
    return cached(folder, lambda: _encoded(_reviews(train), _reviews(test))), source


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
    return _by_checksum(zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True))


# --- tokens


def _by_checksum(examples: Iterable[tuple[str, int]]) -> tuple[list[str], np.ndarray]:
    """Texts and labels, in an order that depends on nothing else, and says nothing of them."""
    ordered = sorted(examples, key=lambda example: (_checksum(example[0]), example[1]))
    return [text for text, _ in ordered], np.array([label for _, label in ordered], dtype=np.int64)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def vocabulary(name: Literal["imdb", "docstrings"]) -> list[str]:
    """The words of a data set by their ids: `[words[i] for i in row if i]` is what a row of it says.

    Raises:
        ValueError: for a data set that is no text.
        DataError: for a file that is damaged or cannot be had.
    """
    if name == "imdb":
        return _imdb_arrays()[0]["words"].tobytes().decode().split("\n")
    if name == "docstrings":
        return _docstring_arrays()["words"].tobytes().decode().split("\n")
    raise ValueError(f"{name!r} is no text; known: 'imdb', 'docstrings'")


def _encoded(train: tuple[list[str], np.ndarray], test: tuple[list[str], np.ndarray]) -> dict[str, np.ndarray]:
    """Texts as token ids: the most frequent words of the training part get the ids from 2 on."""
    from torchtext.data.utils import get_tokenizer
    from torchtext.vocab import Vocab

    tokenise = get_tokenizer("basic_english")
    tokens = {"train": [tokenise(text) for text in train[0]], "test": [tokenise(text) for text in test[0]]}
    counts = Counter(word for text in tokens["train"] for word in text)
    words = Vocab(counts, max_size=VOCABULARY_SIZE - 2, specials=["<pad>", Vocab.UNK]).itos
    # Not the vocabulary's own look-up: a text that says "<pad>" has an unknown word there, and no gap.
    ids = {word: i for i, word in enumerate(words) if i > UNKNOWN}
    arrays = {"words": np.frombuffer("\n".join(words).encode(), dtype=np.uint8)}
    for part, (_, labels) in (("train", train), ("test", test)):
        # A text without a word is one unknown word: padding alone has no hidden state.
        encoded = [[ids.get(word, UNKNOWN) for word in text] or [UNKNOWN] for text in tokens[part]]
        arrays[f"{part}_tokens"] = np.array([i for text in encoded for i in text], dtype=np.uint16)
        arrays[f"{part}_ends"] = np.cumsum([len(text) for text in encoded])
        arrays[f"{part}_labels"] = labels
    return arrays


def _examples(arrays: dict[str, np.ndarray], length: int) -> Iterator[Examples]:
    for part in ("train", "test"):
        x = rows(arrays[f"{part}_tokens"], arrays[f"{part}_ends"], length)
        yield Examples(x, torch.tensor(arrays[f"{part}_labels"]))


def rows(tokens: np.ndarray, ends: np.ndarray, length: int) -> torch.Tensor:
    """Texts that follow one another in `tokens`, text i up to ends[i], as ids (N, length) int32.

    The last `length` tokens of each, with padding after them.
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length!r}")
    kept = np.minimum(np.diff(ends, prepend=0), length)
    place = np.arange(length)
    inside = place < kept[:, None]
    source = np.where(inside, (ends - kept)[:, None] + place, 0)
    return torch.from_numpy(np.where(inside, tokens[source], PADDING).astype(np.int32))


# --- docstrings

PER_LIBRARY = 1250
_NOT_PROSE = re.compile(r">>>|\.\. |::|---|===|:math:|\|")
_MARKUP = re.compile(r":\w+:|[`*]")
_SENTENCE = re.compile(r"[A-Z][^{}\[\]=<>]*\.")
_LABEL = re.compile(r"^(\w+ )?\w+: ")  # "Keyword args: ..."
_GIVEAWAY = re.compile(r"\S*(torch|numpy|tensor|array|\bnp\b)\S*", re.IGNORECASE)


def docstrings(length: int = LENGTH) -> Dataset:
    """Sentences from the documentation of the installed NumPy and PyTorch: which of the two is a sentence from?

    A real text set that needs no network, for live cells and tests: 2,000 training and 500 test sentences, half of
    them from each, encoded as `imdb` is, with a vocabulary of their own. Words that name the library or its arrays
    are taken out, and so are sentences that both have. It changes with the installed versions, so a figure measured
    on it holds for those alone.
    """
    source = f"from the documentation of NumPy {np.__version__} and PyTorch {torch.__version__}"
    return Dataset("docstrings", source, ("NumPy", "PyTorch"), *_examples(_docstring_arrays(), length))


def _docstring_arrays() -> dict[str, np.ndarray]:
    decides = json.dumps([np.__version__, torch.__version__, PER_LIBRARY, VOCABULARY_SIZE, _ENCODING])
    return cached(paths.cache() / "data" / f"docstrings-{_checksum(decides)[:12]}", _encoded_sentences)


def sentences(part: Part) -> tuple[list[str], np.ndarray]:
    """The sentences of `docstrings`, in its order, and their labels (N,) int64: 0 NumPy, 1 PyTorch."""
    texts, labels = _by_checksum((text, label) for label, found in enumerate(_sentences()) for text in found)
    held_out = len(texts) // 5
    return (texts[held_out:], labels[held_out:]) if part == "train" else (texts[:held_out], labels[:held_out])


def _encoded_sentences() -> dict[str, np.ndarray]:
    return _encoded(sentences("train"), sentences("test"))


@lru_cache
def _sentences() -> list[list[str]]:
    """As many from each library, and none in both."""
    numpy_parts = [np, np.ndarray, np.linalg, np.fft, np.random, np.random.Generator, np.ma, np.polynomial.Polynomial]
    torch_parts = [torch, torch.Tensor, torch.nn, torch.nn.functional, torch.linalg, torch.fft, torch.special]
    a, b = ({s for text in _docstrings(parts) for s in _prose(text)} for parts in (numpy_parts, torch_parts))
    own = [sorted(a - b, key=_checksum), sorted(b - a, key=_checksum)]
    count = min(PER_LIBRARY, *map(len, own))
    return [sentences[:count] for sentences in own]


def _docstrings(namespaces: Iterable[object]) -> Iterator[str]:
    """What the public functions and classes of some modules and classes say of themselves."""
    for namespace in namespaces:
        for name in dir(namespace):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # some names are deprecated
                member = getattr(namespace, name, None)
            if not name.startswith("_") and callable(member) and isinstance(member.__doc__, str):
                yield member.__doc__


def _prose(docstring: str) -> Iterator[str]:
    """The sentences of its paragraphs, without markup and words that give the library away."""
    for paragraph in inspect.cleandoc(docstring).split("\n\n"):
        if not _NOT_PROSE.search(paragraph):
            for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(_MARKUP.sub("", paragraph).split())):
                plain = " ".join(_GIVEAWAY.sub("", _LABEL.sub("", sentence)).split())
                if _SENTENCE.fullmatch(sentence) and 6 <= len(plain.split()) <= 40:
                    yield plain
