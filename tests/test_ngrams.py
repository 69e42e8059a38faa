"""Interpolated Kneser-Ney: probabilities that can be computed by hand, and that sum to 1."""

from fractions import Fraction as F

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laya_nb.analysis import ngrams
from laya_nb.analysis.ngrams import KneserNey

A, B, C = 0, 1, 2


def test_bigrams_by_hand() -> None:
    """a b a b a c a: too few n-grams to tell discounts, so 1/2, 1 and 3/2 are taken off counts of 1, 2 and 3.

    Bigrams: ab twice, ba twice, ac once, ca once; a stands before others three times, two different ones. Before a
    stand b and c, before b and c stands a: counts of single tokens are 2, 1, 1. These leave (1 + 1/2 + 1/2) / 4 to the
    uniform 1/3, so p(a) = (2 - 1) / 4 + 1/6 = 5/12, p(b) = p(c) = 1/8 + 1/6 = 7/24.
    """
    model = KneserNey(np.array([A, B, A, B, A, C, A]), 2, 3)
    after_a = [F(1, 3) + F(1, 2) * F(7, 24), F(1, 6) + F(1, 2) * F(7, 24)]  # b, c; (1 + 1/2) / 3 is left
    after_b = F(1, 2) + F(1, 2) * F(5, 12)  # a
    expected = [after_a[0], after_b, after_a[1]]
    np.testing.assert_allclose(model.probabilities(np.array([A, B, A, C])), [float(p) for p in expected], rtol=1e-12)


def test_an_unseen_context_leaves_all_to_the_shorter_one() -> None:
    """a b a, of four tokens: a and b stand behind one other each, so half is left to the uniform 1/4."""
    found = KneserNey(np.array([A, B, A]), 2, 4).probabilities(np.array([C, A, C]))
    np.testing.assert_allclose(found, [1 / 4 + 1 / 8, 1 / 2 * 1 / 8], rtol=1e-12)


def test_discounts_are_told_from_counts_of_counts() -> None:
    """Eight n-grams that occur once, four twice, two three times, one four times: Y = 1/2."""
    counts = np.repeat([1, 2, 3, 4], [8, 4, 2, 1])
    assert ngrams._discounts(counts) == pytest.approx((1 - 0.5, 2 - 3 * 0.5 * 2 / 4, 3 - 4 * 0.5 * 1 / 2))
    assert ngrams._discounts(np.repeat([1, 3], 5)) == ngrams.FALLBACK


@given(tokens=st.lists(st.integers(0, 4), min_size=8, max_size=80), order=st.integers(1, 5), data=st.data())
def test_probabilities_sum_to_one(tokens: list[int], order: int, data: st.DataObject) -> None:
    """After every context, seen or not; id 5 never occurs at all."""
    model = KneserNey(np.array(tokens), order, 6)
    context = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=6))
    found = [model.probabilities(np.array([*context, token]))[-1] for token in range(6)]
    assert min(found) > 0
    assert sum(found) == pytest.approx(1, abs=1e-12)


def test_longer_contexts_predict_what_they_decide() -> None:
    """A row in which two tokens decide the next, and one does not: two bits a token without a context that helps."""
    rng = np.random.default_rng(0)
    row = list(rng.integers(0, 4, 2))
    for noise in rng.random(6000):
        row.append((row[-1] + 2 * row[-2] + int(noise < 0.1)) % 4)  # 10 % are one higher
    tokens = np.array(row)
    losses = [KneserNey(tokens[:5000], order, 4).loss(tokens[5000:]) for order in (1, 2, 3, 5)]
    entropy = -0.9 * np.log(0.9) - 0.1 * np.log(0.1)
    assert losses[0] == pytest.approx(np.log(4), abs=0.01)
    assert losses[2] == pytest.approx(entropy, abs=0.03)
    assert losses[3] < losses[2] + 0.05


@pytest.mark.parametrize("tokens", [[], [0, 3], [-1, 0], [[0, 1]]])
def test_what_is_no_row_of_ids_is_refused(tokens: list) -> None:
    with pytest.raises(ValueError, match="tokens must be a row of ids from 0 to 2"):
        KneserNey(np.array(tokens, dtype=int), 1, 3)


def test_too_few_tokens_are_named() -> None:
    with pytest.raises(ValueError, match="2 tokens have no 3-gram"):
        KneserNey(np.array([0, 1]), 3, 2)
