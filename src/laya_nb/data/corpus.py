"""Texts as one long row of subword tokens: what a language model is trained on."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from laya_nb.data import imdb
from laya_nb.data.tokens import checksum
from laya_nb.support import paths
from laya_nb.support.checks import check_integer
from laya_nb.support.files import DataError, cached

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY_SIZE = 8192
"""Ids lie below it: the end of a text, the 256 bytes, and what the most frequent pairs became."""
END_OF_TEXT = "<|endoftext|>"
END = 0  # its id
HELD_OUT = 0.05
"""The share of texts that are set aside for validation."""
ENCODING = "1: byte-level pairs of the training texts; texts by checksum, none twice"  # part of the cache's key


@dataclass(frozen=True)
class Stream:
    """Texts one after another, as the ids of their tokens.

    An end of text stands before the first and after each, so that every token but that very first one is predicted.

    Attributes:
        tokens: (T,) uint16.
        texts: how many there are.
        size: their length in bytes of UTF-8, without the ends of text.
    """

    tokens: np.ndarray
    texts: int
    size: int

    @property
    def predicted(self) -> int:
        """How many tokens there are to predict."""
        return len(self.tokens) - 1

    def per_byte(self, per_token: float) -> float:
        """A mean loss over predicted tokens as a loss per byte of text, which no choice of tokens can change."""
        return per_token * self.predicted / self.size


@dataclass(frozen=True)
class Corpus:
    """A tokenizer, as JSON that `tokenizer` reads, and the texts that it was made from and for.

    `key` names the corpus: a hash of the texts and of all that is done to them.
    """

    name: str
    key: str
    tokenizer: str
    vocabulary_size: int
    train: Stream
    validation: Stream


@lru_cache(maxsize=1)
def reviews() -> Corpus:
    """The reviews of IMDB's training part, line breaks and all, as `data.imdb` gives them to encoders.

    Raises:
        DataError: for a file that is damaged or cannot be had.
    """
    return corpus("imdb", imdb.reviews("train")[0])


def corpus(name: str, texts: Sequence[str], vocabulary_size: int = VOCABULARY_SIZE) -> Corpus:
    """A corpus of any texts; a text that stands twice is taken once.

    The texts come in the order of their checksums, which is as good as random; which are held out, another checksum
    says. The tokenizer is made from the others alone. Made once, and then kept in the cache.

    Args:
        name: what the corpus is called.
        texts: to train and to validate on.
        vocabulary_size: at least 257: every byte and the end of text has an id.

    Raises:
        ValueError: for a smaller vocabulary.
        DataError: if there are too few texts to set some aside, or to make that many tokens.
    """
    check_integer("vocabulary_size", vocabulary_size, minimum=257)
    key = checksum(json.dumps([sorted(set(texts)), vocabulary_size, HELD_OUT, ENCODING]))[:16]
    arrays = cached(paths.cache() / "data" / f"corpus-{name}-{key}", lambda: _encoded(name, texts, vocabulary_size))
    parts = {
        part: Stream(arrays[f"{part}_tokens"], *map(int, arrays[f"{part}_sizes"])) for part in ("train", "validation")
    }
    return Corpus(name, key, arrays["tokenizer"].tobytes().decode(), vocabulary_size, **parts)


def split(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The texts to train on and those that are held out, each text once, in the order of their checksums."""
    ordered = sorted(set(texts), key=checksum)
    parts: tuple[list[str], list[str]] = ([], [])
    for text in ordered:
        # Of its own, so that a text stays on its side whatever other texts there are, and that samples of a data set,
        # which are taken in the order of checksums, have as many held-out texts as the whole.
        parts[int(checksum(f"held out? {text}")[:8], 16) < HELD_OUT * 16**8].append(text)
    return parts


def tokenizer(text: str, length: int | None = None) -> "Tokenizer":
    """A corpus' tokenizer. It puts an end of text before each text, as the stream does, and takes what a text says
    literally: "<|endoftext|>" in a text is thirteen characters.

    Args:
        text: the tokenizer as JSON.
        length: tokens after which a text is cut, the end of text before it counted; None: it is not.
    """
    from tokenizers import Tokenizer

    made = Tokenizer.from_str(text)
    made.encode_special_tokens = True
    if length is not None:
        made.enable_truncation(length)
    return made


def _encoded(name: str, texts: Sequence[str], vocabulary_size: int) -> dict[str, np.ndarray]:
    train, validation = split(texts)
    if not train or not validation:
        raise DataError(f"{name}: of {len(set(texts))} texts, {HELD_OUT:.0%} cannot be held out; more are needed")
    made = _trained(train, vocabulary_size)
    found = made.get_vocab_size()
    if found != vocabulary_size:
        raise DataError(f"{name}: its texts make {found} tokens, not {vocabulary_size}; lower vocabulary_size")
    arrays = {"tokenizer": np.frombuffer(made.to_str().encode(), dtype=np.uint8)}
    literal = tokenizer(made.to_str())
    for part, own in (("train", train), ("validation", validation)):
        encoded = (encoding.ids for encoding in _encode(literal, own))
        arrays[f"{part}_tokens"] = np.array([i for ids in encoded for i in ids] + [END], dtype=np.uint16)
        arrays[f"{part}_sizes"] = np.array([len(own), sum(len(text.encode()) for text in own)])
    return arrays


def _trained(texts: Sequence[str], vocabulary_size: int) -> "Tokenizer":
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    made.post_processor = processors.TemplateProcessing(single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, END)])
    return made


def _encode(literal: "Tokenizer", texts: Sequence[str], at_once: int = 1000) -> Iterator:
    """Encodings, made of some texts at a time: one of a review takes many times the memory of its ids."""
    for start in range(0, len(texts), at_once):
        yield from literal.encode_batch(texts[start : start + at_once])
