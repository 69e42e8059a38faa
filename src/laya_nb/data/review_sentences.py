"""Single sentences of the IMDB reviews, and where in their review they stand."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from laya_nb.data import imdb, tokens
from laya_nb.data.dataset import Part
from laya_nb.support import paths
from laya_nb.support.files import cached

PLACES = ("opening", "middle", "closing")
MOST = 60_000
"""Sentences of a part that are kept, of about 185,000: more than any task needs."""
READING = "1"  # part of the cache's key: change it with the code
SHORTEST, LONGEST = 6, 40  # words
_BETWEEN = re.compile(r"(?<=[.!?])(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\b[A-Z]\.)\s+(?=[A-Z])")
_PLAIN = re.compile(r"[A-Z][A-Za-z0-9 ,;'/%-]*[.!?]")  # no brackets, no quotations, one mark, and that at the end
_SENTENCES = 5  # a review with fewer has no opening and no closing


class Sentence(NamedTuple):
    """A sentence, and its place in its review: the first one, the last one, or another."""

    text: str
    place: str


def sentences(part: Part) -> list[Sentence]:
    """60,000 plain sentences of 6 to 40 words of a part's reviews, in the order of their checksums, each text once.

    The parts are those of the reviews, which share no film. A sentence that both parts have is in the training part.

    Raises:
        DataError: for a file of reviews that is damaged or cannot be had.
    """
    return _kept(part, tokens.checksum(json.dumps([*imdb.checksums(), READING]))[:12])


@lru_cache(maxsize=2)
def _kept(part: Part, key: str) -> list[Sentence]:
    arrays = cached(paths.cache() / "data" / f"review_sentences-{key}", _read)
    texts = arrays[f"{part}_texts"].tobytes().decode().split("\n")
    return [Sentence(text, PLACES[place]) for text, place in zip(texts, arrays[f"{part}_places"], strict=True)]


def _read() -> dict[str, np.ndarray]:
    arrays, seen = {}, set[str]()
    parts: tuple[Part, ...] = ("train", "test")
    for part in parts:
        found = {text: place for review in imdb.reviews(part)[0] for text, place in _plain(review) if text not in seen}
        kept = sorted(found, key=tokens.checksum)[:MOST]
        arrays[f"{part}_texts"] = np.frombuffer("\n".join(kept).encode(), dtype=np.uint8)
        arrays[f"{part}_places"] = np.array([PLACES.index(found[text]) for text in kept], dtype=np.uint8)
        seen.update(found)
    return arrays


def _plain(review: str) -> Iterator[Sentence]:
    found = _BETWEEN.split(" ".join(review.replace("<br />", " ").split()))
    for i, text in enumerate(found):
        if _PLAIN.fullmatch(text) and SHORTEST <= len(text.split()) <= LONGEST:
            at_end = {0: "opening", len(found) - 1: "closing"} if len(found) >= _SENTENCES else {}
            yield Sentence(text, at_end.get(i, "middle"))
