"""Texts as rows of token ids.

torchtext gives the tokeniser and the vocabulary. It is archived; 0.6.0, the last version in pure Python, works beside
any torch. It is imported here, where it is used, and nowhere else.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from laya_nb.data.dataset import Examples
from laya_nb.support.keras_defaults import PADDING

UNKNOWN = 1
VOCABULARY_SIZE = 20_000
"""Ids lie below it. The paper's size, counted with the two special ids."""
LENGTH = 200
"""Tokens of a review that are kept. The paper does not say; with 128, validation accuracy was two points lower."""
ENCODING = "1: torchtext 0.6.0, basic_english; rows by checksum"  # part of caches' keys: change it with the code


def by_checksum(examples: Iterable[tuple[str, int]]) -> tuple[list[str], np.ndarray]:
    """Texts and labels, in an order that depends on nothing else, and says nothing of them."""
    ordered = sorted(examples, key=lambda example: (checksum(example[0]), example[1]))
    return [text for text, _ in ordered], np.array([label for _, label in ordered], dtype=np.int64)


def checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def encode(train: tuple[list[str], np.ndarray], test: tuple[list[str], np.ndarray]) -> dict[str, np.ndarray]:
    """Texts and labels of both parts as arrays of token ids, which `examples` and `vocabulary` read.

    The most frequent words of the training part get the ids from 2 on.
    """
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


def vocabulary(arrays: dict[str, np.ndarray]) -> list[str]:
    """The words of a data set that `encode` made, by their ids: `[words[i] for i in row if i]` is what a row says."""
    return arrays["words"].tobytes().decode().split("\n")


def examples(arrays: dict[str, np.ndarray]) -> Iterator[Examples]:
    """The training and the test part of what `encode` made: ids (N, `LENGTH`) int32 and labels (N,) int64."""
    for part in ("train", "test"):
        x = rows(arrays[f"{part}_tokens"], arrays[f"{part}_ends"], LENGTH)
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
