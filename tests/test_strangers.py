"""Strangers on a data set's own scale, classes that are left out, and labels that are wrong."""

import os

import pytest
import torch
from torch import Tensor

from laya_nb import data
from laya_nb.data import Dataset, Examples, docstrings, imdb, strangers, tasks
from laya_nb.data.catalog import entry

needs_full_set = pytest.mark.skipif(not os.environ.get("LAYA_NB_DATA"), reason="LAYA_NB_DATA is not set")


def rows(x: Tensor) -> set[bytes]:
    """Pictures with values in [0, 1], as bytes."""
    return {row.numpy().tobytes() for row in (x * 255).round().to(torch.uint8)}


def test_noise_and_reversed_pictures_of_the_sample() -> None:
    own = data.load("fashion_mnist_sample").test.x
    for kind in ("noise", "reversed"):
        x = strangers.strangers("fashion_mnist_sample", kind, 60)
        assert (x.shape, x.dtype) == ((60, 1, 28, 28), own.dtype)
        assert 0 <= x.min() < 0.01
        assert 0.99 < x.max() <= 1
        assert torch.equal(strangers.strangers("fashion_mnist_sample", kind, 20), x[:20])
        assert len(rows(x)) == 60
    assert rows(1 - strangers.strangers("fashion_mnist_sample", "reversed", 60)) < rows(own)
    assert len(strangers.strangers("fashion_mnist_sample", "reversed", 5000)) == 1000  # it has no more
    assert strangers.strangers("fashion_mnist_sample", "noise", 200).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("dataset", "kind", "count", "message"),
    [
        ("imdb/minilm", "docstrings", 5, "dataset must be 'fashion_mnist' or .* or 'imdb', got 'imdb/minilm'"),
        ("fashion_mnist", "grey", 5, "'fashion_mnist' must be 'letters' or 'noise' or 'reversed', got 'grey'"),
        ("fashion_mnist_sample", "noise", 0, "count must be an integer of at least 1, got 0"),
    ],
)
def test_what_there_is_not_is_refused(dataset: str, kind: str, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        strangers.strangers(dataset, kind, count)


@needs_full_set
def test_letters_are_of_all_kinds() -> None:
    x = strangers.strangers("fashion_mnist_sample", "letters", 500)
    letters, y = tasks.raw_letters("test")
    number = dict(zip((row.numpy().tobytes() for row in letters), y.tolist(), strict=True))
    assert len({number[row.numpy().tobytes()] for row in x}) == 26


@needs_full_set
def test_colours_are_scaled_as_the_data_set_is() -> None:
    own = data.load("cifar10_jpeg").test.x
    raw = entry("cifar10_jpeg").raw("test")[0]
    assert isinstance(raw, Tensor)
    torch.testing.assert_close(strangers._scaled(raw[:200], raw, own), own[:200], atol=1e-5, rtol=0)
    black, white = (strangers._scaled(torch.full((1, 3, 1, 1), v), raw, own) for v in (0.0, 1.0))

    def pixels(kind: str) -> Tensor:
        x = strangers.strangers("cifar10_jpeg", kind, 40)
        assert (x.shape, x.dtype) == ((40, 3, 32, 32), own.dtype)
        return (x - black) / (white - black)

    grey = pixels("grey")
    torch.testing.assert_close(grey, grey[:, :1].expand_as(grey), atol=1e-5, rtol=0)
    garments = pixels("fashion_mnist in colour")
    brightest = garments.amax(dim=1, keepdim=True)
    hue = (garments * brightest).sum(dim=(2, 3), keepdim=True) / brightest.square().sum(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(garments, hue * brightest, atol=1e-5, rtol=0)  # one in each picture
    assert hue.std(dim=0).min() > 0.1  # and many in all
    assert hue.amax(dim=1).min() > 0.999
    assert 0.1 < garments.mean() < 0.4


@needs_full_set
def test_sentences_say_the_same_in_the_vocabulary_of_the_reviews() -> None:
    x, own = strangers.strangers("imdb", "docstrings", 3000), data.load("imdb").test.x
    assert (x.shape[1:], x.dtype) == (own.shape[1:], own.dtype)
    assert len(x) == len(docstrings.docstrings().train.x)
    words, known = docstrings.vocabulary(), imdb.vocabulary()
    there, sentences = set(known[2:]), docstrings.docstrings().train.x.tolist()
    expected = {tuple(words[i] if words[i] in there else "?" for i in row if i) for row in sentences}
    assert {tuple("?" if i == 1 else known[i] for i in row if i) for row in x[:50].tolist()} <= expected


def toy() -> Dataset:
    y = torch.arange(2000) % 5
    x = torch.stack([y.float(), torch.arange(2000.0)], dim=1)
    return Dataset("toy", "made here", tuple("abcde"), Examples(x[:1500], y[:1500]), Examples(x[1500:], y[1500:]))


def test_classes_are_left_out_and_the_others_numbered_anew() -> None:
    left, strange = strangers.held_out(toy(), [3, 0])
    assert left.classes == ("b", "c", "e")
    assert left.name == "toy without 0, 3"
    for part, n in ((left.train, 900), (left.test, 300)):
        assert torch.equal(part.x[:, 0], torch.tensor([1.0, 2.0, 4.0])[part.y])
        assert len(part.y) == n
    assert strange[:, 0].unique().tolist() == [0, 3]
    assert (len(strange), strange[:, 1].min()) == (200, 1500)  # of the test part


@pytest.mark.parametrize("classes", [[], [5], [-1], [0, 1, 2, 3], [True]])
def test_classes_that_cannot_be_left_out_are_refused(classes: list[int]) -> None:
    with pytest.raises(ValueError, match=r"at least one and at most 3 of 0\.\.4, got \["):
        strangers.held_out(toy(), classes)


def test_the_labels_that_were_flipped_are_known_and_all_are_wrong() -> None:
    whole = toy()
    noisy, flipped = strangers.flipped_labels(whole, 0.2, seed=1)
    assert flipped.sum() == 300
    assert torch.equal(noisy.train.y != whole.train.y, flipped)
    steps = (noisy.train.y - whole.train.y)[flipped] % 5
    assert steps.bincount(minlength=5)[1:].min() > 50  # each other class is as likely
    assert (whole.train.y[flipped].bincount(minlength=5) > 40).all()
    assert torch.equal(noisy.train.x, whole.train.x)
    assert torch.equal(noisy.test.y, whole.test.y)
    assert noisy.name == "toy, 20 % of labels flipped, seed 1"
    assert torch.equal(strangers.flipped_labels(whole, 0.2, seed=1)[1], flipped)
    assert not torch.equal(strangers.flipped_labels(whole, 0.2, seed=2)[1], flipped)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1e-9])
def test_a_share_that_flips_nothing_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share must be above 0, below 1, and meet an example of 1500"):
        strangers.flipped_labels(toy(), share, seed=0)
