"""Sentences of installed documentation: balanced, giving nothing away, the same in every process."""

from pathlib import Path

import pytest
import torch

from laya_nb.data import docstrings, tokens


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path))


def test_docstrings_are_balanced_and_give_nothing_away() -> None:
    dataset, words = docstrings.docstrings(), docstrings.vocabulary()
    assert (dataset.train.x.shape, dataset.test.x.shape) == ((2000, tokens.LENGTH), (500, tokens.LENGTH))
    assert (dataset.train.y.sum() + dataset.test.y.sum()) == 1250
    assert 200 < dataset.test.y.sum() < 300
    assert dataset.train.x.max() == len(words) - 1 < tokens.VOCABULARY_SIZE
    assert (dataset.train.x[:, 0] > 0).all()
    assert not [word for word in words if "torch" in word or "numpy" in word or "tensor" in word or "array" in word]


def test_which_docstrings_are_chosen_is_the_same_in_every_process() -> None:
    """Sets of strings come in another order in each."""
    from_numpy, from_torch = docstrings._sentences()
    assert not set(from_numpy) & set(from_torch)
    for sentences in (from_numpy, from_torch):
        assert sentences == sorted(sentences, key=tokens.checksum)


def test_the_sentences_stand_in_the_order_of_the_rows() -> None:
    """What an encoder reads (`raw_docstrings`) is what the rows of ids say, text by text."""
    dataset, words = docstrings.docstrings(), docstrings.vocabulary()
    texts, labels = docstrings.raw_docstrings("test")
    assert torch.equal(labels, dataset.test.y)
    for row, text in zip(dataset.test.x[:50].tolist(), texts, strict=False):
        known = [words[i] for i in row if i > tokens.UNKNOWN]
        assert known
        assert all(word in text.lower() for word in known)
