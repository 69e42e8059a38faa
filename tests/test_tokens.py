"""Texts as rows of token ids: what a row keeps, what the vocabulary knows."""

import numpy as np
import pytest
import torch

from laya_nb.data import tokens


def encoded(train: list[str], test: list[str]) -> dict[str, np.ndarray]:
    return tokens.encode((train, np.arange(len(train))), (test, np.arange(len(test))))


def test_a_row_holds_the_last_tokens_and_then_padding() -> None:
    """Three texts: 2 3 4 5, 6 and 7 8."""
    ids, ends = np.array([2, 3, 4, 5, 6, 7, 8], dtype=np.uint16), np.array([4, 5, 7])
    cut = tokens.rows(ids, ends, 3)
    assert cut.dtype == torch.int32
    assert cut.tolist() == [[3, 4, 5], [6, 0, 0], [7, 8, 0]]
    assert tokens.rows(ids, ends, 5).tolist() == [[2, 3, 4, 5, 0], [6, 0, 0, 0, 0], [7, 8, 0, 0, 0]]
    assert tokens.rows(ids, ends, 1).tolist() == [[5], [6], [8]]
    with pytest.raises(ValueError, match="length must be at least 1, got 0"):
        tokens.rows(ids, ends, 0)


def test_the_most_frequent_words_come_first_and_unknown_ones_share_an_id() -> None:
    arrays = encoded(["b a b", "b a c", "<pad> !"], ["a d", ""])
    # By count, then by the alphabet; what a text writes as "<pad>" is an unknown word, not a gap.
    assert tokens.vocabulary(arrays) == ["<pad>", "<unk>", "b", "a", "!", "c"]
    assert arrays["train_tokens"].tolist() == [2, 3, 2, 2, 3, 5, 1, 4]
    assert arrays["train_ends"].tolist() == [3, 6, 8]
    assert arrays["test_tokens"].tolist() == [3, 1, 1]  # a text without a word is one unknown word
    assert arrays["test_labels"].tolist() == [0, 1]


def test_the_vocabulary_has_its_size_with_the_special_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "VOCABULARY_SIZE", 4)
    arrays = encoded(["b a b", "b a c"], ["c"])
    assert tokens.vocabulary(arrays) == ["<pad>", "<unk>", "b", "a"]
    assert arrays["train_tokens"].max() == 3


def test_examples_are_cut_to_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "LENGTH", 2)
    train, test = tokens.examples(encoded(["b a b", "b"], ["a"]))
    assert (train.x.tolist(), train.y.tolist()) == ([[3, 2], [2, 0]], [0, 1])
    assert (test.x.tolist(), test.y.tolist()) == ([[3, 0]], [0])
    assert (train.x.dtype, train.y.dtype) == (torch.int32, torch.int64)


def test_texts_come_in_an_order_of_their_own() -> None:
    texts = [("one", 0), ("two", 1), ("three", 2), ("two", 0)]
    ordered, labels = tokens.by_checksum(texts)
    assert (ordered, labels.tolist()) == tuple(map(list, zip(*sorted(texts, key=_order), strict=True)))
    again, same = tokens.by_checksum(reversed(texts))
    assert (again, same.tolist()) == (ordered, labels.tolist())
    assert ordered != sorted(ordered)
    assert labels.dtype == np.int64


def _order(example: tuple[str, int]) -> tuple[str, int]:
    return tokens.checksum(example[0]), example[1]
