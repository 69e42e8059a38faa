"""How well the last few tokens predict the next: the baseline of a language model."""

from dataclasses import dataclass

import numpy as np

from laya_nb.support.checks import check_integer

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts of an order that has too few n-grams to tell its own."""


@dataclass(frozen=True)
class _Order:
    """The n-grams of one length, each with a number: its place in `keys`, which ascend.

    A key is the number of its context, the n-gram without its last token, times the size of the vocabulary, plus that
    token. `counts` are discounted already; `totals` and `left` belong to contexts: the sum of their n-grams' counts,
    and the share of it that discounting has left for the shorter context.
    """

    keys: np.ndarray
    counts: np.ndarray
    totals: np.ndarray
    left: np.ndarray


class KneserNey:
    """Interpolated n-grams with modified Kneser-Ney discounts (Chen and Goodman 1999).

    p(w | h) = (c(hw) - D) / c(h) + left(h) p(w | h'), where h' is h without its first token. Of the longest n-grams c
    is how often they occur; of shorter ones, how many different tokens stand before them. D depends on whether c is 1,
    2 or more, and is told from how many n-grams have counts of 1 to 4. Below single tokens all are equally likely. A
    context that never occurred leaves all to the shorter one. The tokens are one row: a context may begin in the text
    before.

    Args:
        tokens: to count, (T,) ids of at least 0.
        order: n, tokens in the longest n-gram.
        vocabulary_size: ids lie below it.

    Raises:
        ValueError: for fewer tokens than n, or ids out of range.
    """

    def __init__(self, tokens: np.ndarray, order: int, vocabulary_size: int) -> None:
        check_integer("order", order)
        check_integer("vocabulary_size", vocabulary_size)
        self.vocabulary_size = vocabulary_size
        tokens = self._checked(tokens)
        if len(tokens) < order:
            raise ValueError(f"{len(tokens)} tokens have no {order}-gram")
        found, suffixes = self._counted(tokens, order)
        self._orders: list[_Order] = []
        contexts = 1  # the empty one
        for length, (keys, counts) in enumerate(found, start=1):
            if length < order:  # how many n-grams, one longer, end in each: they differ in their first token alone
                counts = np.bincount(suffixes[length], minlength=len(keys))
            self._orders.append(self._discounted(keys, counts, contexts))
            contexts = len(keys)

    def probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """The probability of each token but the first, given those before it: (T - 1,) float64."""
        tokens = self._checked(tokens)
        found = np.full(len(tokens), 1 / self.vocabulary_size)
        numbers = np.zeros(len(tokens), dtype=np.int64)  # of the context of each token, none yet; -1: it never occurred
        for one in self._orders:
            keys = numbers * self.vocabulary_size + tokens
            places = np.minimum(np.searchsorted(one.keys, keys), len(one.keys) - 1)
            known, seen = numbers >= 0, one.keys[places] == keys
            found[known] *= one.left[numbers[known]]
            found[seen] += one.counts[places[seen]] / one.totals[numbers[seen]]
            numbers = np.concatenate([[-1], np.where(seen, places, -1)[:-1]])  # of the contexts, now one longer
        return found[1:]

    def loss(self, tokens: np.ndarray) -> float:
        """The mean of -log p over all tokens but the first."""
        return float(-np.log(self.probabilities(tokens)).mean())

    def _checked(self, tokens: np.ndarray) -> np.ndarray:
        tokens = np.asarray(tokens)
        if tokens.ndim != 1 or not len(tokens) or tokens.min() < 0 or tokens.max() >= self.vocabulary_size:
            raise ValueError(f"tokens must be a row of ids from 0 to {self.vocabulary_size - 1}")
        return tokens.astype(np.int64)

    def _counted(self, tokens: np.ndarray, order: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[np.ndarray]]:
        """Per length the n-grams' keys and how often each occurs; and each one's suffix among those one shorter."""
        found, suffixes = [], []
        numbers = np.zeros(len(tokens) + 1, dtype=np.int64)  # of the n-gram that ends before each token
        for length in range(1, order + 1):
            keys = numbers[:-1] * self.vocabulary_size + tokens[length - 1 :]
            unique, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
            found.append((unique, counts))
            suffixes.append(numbers[1:][first])
            numbers = inverse
        return found, suffixes

    def _discounted(self, keys: np.ndarray, counts: np.ndarray, contexts: int) -> _Order:
        discounts = np.array([0.0, *_discounts(counts)])[np.minimum(counts, 3)]
        context = keys // self.vocabulary_size
        totals = np.bincount(context, weights=counts, minlength=contexts)
        taken = np.bincount(context, weights=discounts, minlength=contexts)
        left = np.divide(taken, totals, out=np.ones(contexts), where=totals > 0)
        return _Order(keys, counts - discounts, np.maximum(totals, 1), left)


def _discounts(counts: np.ndarray) -> tuple[float, float, float]:
    """What to take off counts of 1, of 2, and of 3 or more."""
    n1, n2, n3, n4 = (int((counts == count).sum()) for count in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return FALLBACK
    share = n1 / (n1 + 2 * n2)
    found = (1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3)
    return found if all(0 < one <= count for count, one in enumerate(found, start=1)) else FALLBACK
