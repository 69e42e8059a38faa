"""Sentences from the documentation of installed packages: a real text data set that every machine has."""

import inspect
import json
import re
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from laya_nb.data import tokens
from laya_nb.data.dataset import Dataset, Part
from laya_nb.support import paths
from laya_nb.support.files import cached

PER_LIBRARY = 1250
_NOT_PROSE = re.compile(r">>>|\.\. |::|---|===|:math:|\|")
_MARKUP = re.compile(r":\w+:|[`*]")
_SENTENCE = re.compile(r"[A-Z][^{}\[\]=<>]*\.")
_LABEL = re.compile(r"^(\w+ )?\w+: ")  # "Keyword args: ..."
_GIVEAWAY = re.compile(r"\S*(torch|numpy|tensor|array|\bnp\b)\S*", re.IGNORECASE)


def docstrings() -> Dataset:
    """Sentences from the documentation of the installed NumPy and PyTorch: which of the two is a sentence from?

    A real text set that needs no network, for live cells and tests: 2,000 training and 500 test sentences, half of
    them from each, encoded as `imdb` is, with a vocabulary of their own. Words that name the library or its arrays
    are taken out, and so are sentences that both have. It changes with the installed versions, so a figure measured
    on it holds for those alone.
    """
    source = f"from the documentation of NumPy {np.__version__} and PyTorch {torch.__version__}"
    return Dataset("docstrings", source, ("NumPy", "PyTorch"), *tokens.examples(_docstring_arrays()))


def vocabulary() -> list[str]:
    """The words by their ids: `[words[i] for i in row if i]` is what a row of `docstrings().train.x` says."""
    return tokens.vocabulary(_docstring_arrays())


def _docstring_arrays() -> dict[str, np.ndarray]:
    decides = json.dumps([np.__version__, torch.__version__, PER_LIBRARY, tokens.VOCABULARY_SIZE, tokens.ENCODING])
    return cached(paths.cache() / "data" / f"docstrings-{tokens.checksum(decides)[:12]}", _encoded_sentences)


def sentences(part: Part) -> tuple[list[str], np.ndarray]:
    """The sentences of `docstrings`, in its order, and their labels (N,) int64: 0 NumPy, 1 PyTorch."""
    texts, labels = tokens.by_checksum((text, label) for label, found in enumerate(_sentences()) for text in found)
    held_out = len(texts) // 5
    return (texts[held_out:], labels[held_out:]) if part == "train" else (texts[:held_out], labels[:held_out])


def raw_docstrings(part: Part) -> tuple[list[str], Tensor]:
    """The sentences and labels (N,) of a part, in the order of `docstrings`."""
    texts, labels = sentences(part)
    return texts, torch.from_numpy(labels)


def _encoded_sentences() -> dict[str, np.ndarray]:
    return tokens.encode(sentences("train"), sentences("test"))


@lru_cache
def _sentences() -> list[list[str]]:
    """As many from each library, and none in both."""
    numpy_parts = [np, np.ndarray, np.linalg, np.fft, np.random, np.random.Generator, np.ma, np.polynomial.Polynomial]
    torch_parts = [torch, torch.Tensor, torch.nn, torch.nn.functional, torch.linalg, torch.fft, torch.special]
    a, b = ({s for text in _docstrings(parts) for s in prose(text, _GIVEAWAY)} for parts in (numpy_parts, torch_parts))
    own = [sorted(a - b, key=tokens.checksum), sorted(b - a, key=tokens.checksum)]
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


def prose(docstring: str, without: re.Pattern[str] | None = None, minimum: int = 6) -> Iterator[str]:
    """The sentences of its paragraphs, without markup and `without` some words: those of `minimum` to 40 words."""
    for paragraph in inspect.cleandoc(docstring).split("\n\n"):
        if not _NOT_PROSE.search(paragraph):
            for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(_MARKUP.sub("", paragraph).split())):
                plain = _LABEL.sub("", sentence)
                plain = plain if without is None else " ".join(without.sub("", plain).split())
                if _SENTENCE.fullmatch(sentence) and minimum <= len(plain.split()) <= 40:
                    yield plain
