"""Texts as subword tokens: nothing lost, nothing on both sides, the same in every process."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laya_nb.data import corpus, docstrings
from laya_nb.support.files import DataError


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> corpus.Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYA_NB_CACHE", str(tmp_path_factory.mktemp("cache")))
        return corpus.corpus("docstrings", docstrings.sentences("train")[0], 600)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return docstrings.sentences("train")[0]


def test_the_streams_say_the_texts(sentences: corpus.Corpus, texts: list[str]) -> None:
    """Taken apart at the ends of text, decoded: each text once, on one side, and as many bytes as it was said to be."""
    made = corpus.tokenizer(sentences.tokenizer)
    found = []
    for stream in (sentences.train, sentences.validation):
        said = made.decode(stream.tokens.tolist(), skip_special_tokens=False).split(corpus.END_OF_TEXT)
        assert (said[0], said[-1]) == ("", "")
        assert len(said) - 2 == stream.texts
        assert sum(len(text.encode()) for text in said) == stream.size
        found.append(said[1:-1])
    assert tuple(found) == corpus.split(texts)
    assert sorted(found[0] + found[1]) == sorted(set(texts))
    assert 0.03 < len(found[1]) / len(set(texts)) < 0.07


def test_a_text_stays_on_its_side(texts: list[str]) -> None:
    """Whatever other texts there are, in whatever order, and however often it stands."""
    train, held_out = corpus.split(texts)
    fewer = corpus.split([*held_out[::2], *texts[:500], *texts[:500]])
    assert set(fewer[0]) <= set(train)
    assert set(fewer[1]) <= set(held_out)
    assert len(fewer[1]) == len(set(fewer[1])) >= len(held_out[::2])


@given(text=st.text() | st.sampled_from([corpus.END_OF_TEXT, f"a {corpus.END_OF_TEXT} b", " a", "\u00a0\n\n  x"]))
def test_every_text_comes_back(text: str, sentences: corpus.Corpus) -> None:
    made = corpus.tokenizer(sentences.tokenizer)
    ids = made.encode(text).ids
    assert ids[0] == corpus.END
    assert corpus.END not in ids[1:]  # what a text says of an end of text is no end
    assert made.decode(ids[1:], skip_special_tokens=False) == text


def test_a_text_is_cut_with_its_end_of_text_counted(sentences: corpus.Corpus) -> None:
    whole = corpus.tokenizer(sentences.tokenizer).encode("Returns a view of the array. " * 20).ids
    assert corpus.tokenizer(sentences.tokenizer, 16).encode("Returns a view of the array. " * 20).ids == whole[:16]


def test_losses_per_byte_and_per_token_are_one_total(sentences: corpus.Corpus) -> None:
    stream = sentences.validation
    assert stream.predicted == len(stream.tokens) - 1
    assert stream.per_byte(2.5) * stream.size == pytest.approx(2.5 * stream.predicted)


def test_another_process_makes_the_same_tokens(sentences: corpus.Corpus, tmp_path: Path) -> None:
    """Hash maps come in another order in each."""
    code = (
        "import hashlib; from laya_nb.data import corpus, docstrings; "
        "made = corpus.corpus('docstrings', docstrings.sentences('train')[0][::-1], 600); "
        "print(made.key, hashlib.sha256(made.tokenizer.encode() + made.train.tokens.tobytes()).hexdigest())"
    )
    environment = os.environ | {"LAYA_NB_CACHE": str(tmp_path), "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    both = hashlib.sha256(sentences.tokenizer.encode() + sentences.train.tokens.tobytes()).hexdigest()
    assert done.stdout.split() == [sentences.key, both]


@pytest.mark.parametrize(
    ("texts", "size", "error", "message"),
    [
        (["one text"], 300, DataError, "of 1 texts, 5% cannot be held out"),
        ([f"{i} a" for i in range(200)], 900, DataError, r"make \d+ tokens, not 900; lower vocabulary_size"),
        (["one text"], 256, ValueError, "vocabulary_size must be an integer of at least 257, got 256"),
    ],
)
def test_what_makes_no_corpus_is_named(
    texts: list[str],
    size: int,
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path))
    with pytest.raises(error, match=message):
        corpus.corpus("small", texts, size)
