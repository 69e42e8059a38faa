"""Heads under weights from outside: each by its own weights, and trained together as each would be alone."""

from dataclasses import replace

import pytest
import torch

from laya_nb.data import Dataset, Examples
from laya_nb.heads import EqualMixHead
from laya_nb.runs.given_weights import GivenWeightsHeads, accuracies_under, trained_under
from laya_nb.runs.new_heads import NEW_HEAD, accuracy, train_head
from laya_nb.training import NonFiniteLoss

WIDTHS, CLASSES = (8, 6), 3
LONGER = replace(NEW_HEAD, max_epochs=20, batch_size=50)


def states(examples: int = 600) -> Dataset:
    """Three classes that overlap, so that no head gets them all right."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2 * examples, sum(WIDTHS), generator=generator)
    y = (
        x @ torch.randn(sum(WIDTHS), CLASSES, generator=generator) + torch.randn(len(x), CLASSES, generator=generator)
    ).argmax(dim=1)
    part = slice(examples), slice(examples, None)
    return Dataset("drawn", "here", ("a", "b", "c"), *(Examples(x[rows], y[rows]) for rows in part))


def test_each_head_mixes_by_its_own_weights() -> None:
    torch.manual_seed(0)
    start = EqualMixHead(WIDTHS, CLASSES, d_star=5)
    torch.nn.init.normal_(start.adapters[0].get_parameter("bias"))
    heads = GivenWeightsHeads(start, heads=2)
    h, weights = [torch.randn(7, width) for width in WIDTHS], torch.rand(7, 2, 2)
    found = heads(torch.cat(h, dim=1), weights)
    z = [adapter(x) for adapter, x in zip(start.adapters, h, strict=True)]
    for m in range(2):
        mixed = weights[:, m, :1] * z[0] + weights[:, m, 1:] * z[1]
        torch.testing.assert_close(found[:, m], start.classifier(mixed))


def test_trained_together_they_are_what_each_is_alone() -> None:
    """Equal weights are what EqualMixHead has; random ones beside them, in any order, change nothing."""
    torch.manual_seed(0)
    learnt = states()
    alone = train_head(EqualMixHead(WIDTHS, CLASSES, d_star=5), learnt, 3, LONGER)
    with torch.no_grad():
        expected = alone(learnt.test.x).logits
    assert 0.6 < accuracy(expected, learnt.test.y) < 0.95
    equal = torch.full((600, 1, 2), 0.5)
    others = [torch.softmax(3 * torch.randn(600, 1, 2), dim=2) for _ in range(2)]
    for at, order in enumerate(([equal, *others], [others[1], equal, others[0]])):
        sets = torch.cat(order, dim=1)
        start = EqualMixHead(WIDTHS, CLASSES, d_star=5)
        heads = trained_under(learnt, sets, start, 3, LONGER)
        with torch.no_grad():
            found = heads(learnt.test.x, sets)
        torch.testing.assert_close(found[:, at], expected, atol=1e-3, rtol=1e-3)
        assert (found[:, 1 - at] - expected).abs().mean() > 0.1
        accuracies = accuracies_under(learnt, sets, sets, start, 3, LONGER)
        assert accuracies == pytest.approx([accuracy(found[:, m], learnt.test.y) for m in range(3)], abs=2 / 600)


def test_test_accuracy_is_under_the_weights_of_the_test_part() -> None:
    learnt, equal = states(), torch.full((600, 1, 2), 0.5)
    usual, other = (
        accuracies_under(learnt, equal, test, EqualMixHead(WIDTHS, CLASSES, d_star=5), 0, LONGER)[0]
        for test in (equal, torch.tensor([1.0, -1.0]).expand(600, 1, 2))
    )
    assert usual - other > 0.1


def test_a_loss_that_is_not_finite_ends_it() -> None:
    learnt, sets = states(), torch.full((600, 1, 2), torch.nan)
    with pytest.raises(NonFiniteLoss):
        accuracies_under(learnt, sets, sets, EqualMixHead(WIDTHS, CLASSES, d_star=5), seed=0)
