"""Pruned classifiers: what is cut off, what it costs, and in which order."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from laya_nb.analysis import pruning, removal
from laya_nb.analysis.attribution import all_subsets
from laya_nb.backbones import MLP, BiLSTM, DepthwiseCNN, FrozenFeatures, HiddenStates
from laya_nb.data import Dataset, Examples
from laya_nb.heads import (
    AttentiveFusionHead,
    DepthClassifier,
    EqualMixHead,
    Head,
    LastLayerHead,
    LAYAHead,
    ScalarMixHead,
)
from laya_nb.heads.base import count_parameters
from laya_nb.runs import Run, new_heads
from laya_nb.runs import pruning as measured

X = torch.randn(60, 10, generator=torch.Generator().manual_seed(0))
CLASSES = 4


def model(make: Callable[..., Head] = LAYAHead, depth: int = 4, **settings: Any) -> DepthClassifier:
    torch.manual_seed(0)
    backbone = MLP(10, (8,) * depth)
    head = make(backbone.out_dims, CLASSES, **settings)
    for parameter in head.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.3 * torch.randn_like(parameter)
    return DepthClassifier(backbone, head).eval()


@pytest.mark.parametrize("psi", ["identity", "mlp"])
@torch.no_grad()
def test_a_pruned_laya_head_sees_the_layers_that_are_gone_at_their_mean(psi: str) -> None:
    whole = model(d_star=5, psi=psi)
    smaller = pruning.prune(whole, [1, 3], X)
    h = whole.backbone(X)
    shown = [x if i in (0, 2) else x.mean(dim=0).expand_as(x) for i, x in enumerate(h)]
    mixture = whole.head.mixture(shown)
    kept = torch.tensor([True, False, True, False]).expand(len(X), 4)
    torch.testing.assert_close(smaller(X).logits, mixture.logits(mixture.masked(kept)), atol=1e-5, rtol=1e-5)
    assert smaller.head.names == ("h1", "h3")
    assert smaller.head.in_dims == (8, 8)
    assert count_parameters(smaller.head) < count_parameters(whole.head)


@pytest.mark.parametrize("make", [ScalarMixHead, EqualMixHead, AttentiveFusionHead])
@torch.no_grad()
def test_other_heads_lose_layers_as_the_mask_says(make: Any) -> None:
    whole = model(make)
    if isinstance(whole.head, ScalarMixHead):
        whole.head.scores.data = torch.tensor([1.0, -1.0, 0.5, 2.0])
    kept = torch.tensor([False, True, True, False]).expand(len(X), 4)
    expected = removal.masked(whole.head, whole.backbone(X))(kept)
    torch.testing.assert_close(pruning.prune(whole, ["h3", "h2"], X)(X).logits.softmax(1), expected)


@torch.no_grad()
def test_nothing_changes_if_every_layer_stays() -> None:
    whole = model()
    torch.testing.assert_close(pruning.prune(whole, [1, 2, 3, 4], X)(X).logits, whole(X).logits)


BACKBONES: dict[str, tuple[Any, Tensor]] = {
    "mlp": (MLP(10, (8, 6, 4)), X),
    "tied": (MLP(10, (8, 8, 8), tied=True), X),
    "cnn": (DepthwiseCNN(1, (4, 6, 8)), torch.rand(3, 1, 8, 8)),
    "bilstm": (BiLSTM(30, (3, 4, 5)).eval(), torch.randint(1, 30, (5, 7))),
    "frozen": (FrozenFeatures((4, 3, 3)), X),
    "any": (
        HiddenStates(nn.Sequential(nn.Linear(10, 8), nn.Linear(8, 6), nn.Linear(6, 4)), ["*"], example=X[:2]),
        X,
    ),
}


@pytest.mark.parametrize("name", BACKBONES)
@torch.no_grad()
def test_a_backbone_can_end_early(name: str) -> None:
    backbone, x = BACKBONES[name]
    whole = backbone(x)
    for count in (1, 2, 3):
        shorter = backbone.first(count)
        assert shorter.out_dims == backbone.out_dims[:count]
        states = shorter(x)
        assert len(states) == count
        for a, b in zip(states, whole, strict=False):
            torch.testing.assert_close(a, b)
    assert len(backbone(x)) == len(whole) == 3  # it is left whole


def test_what_is_behind_the_last_layer_is_not_run() -> None:
    class Counting(nn.Linear):
        runs = 0

        def forward(self, x: Tensor) -> Tensor:
            Counting.runs += 1
            return super().forward(x)

    layers = HiddenStates(nn.Sequential(*(Counting(10, 10) for _ in range(5))), ["*"], example=X[:2])
    Counting.runs = 0
    layers.first(2)(X)
    assert Counting.runs == 2
    pooled = HiddenStates(nn.Sequential(nn.Linear(10, 8), nn.Linear(8, 6)), ["*"], example=X[:2], pool=["mean", "cls"])
    assert pooled.first(3).out_dims == (8, 8, 6)
    assert len(pooled.first(3)(X)) == 3


def test_a_suffix_saves_the_backbone_and_a_middle_layer_does_not() -> None:
    whole = model()
    costs = {kept: pruning.multiply_adds(pruning.prune(whole, kept, X), X[:1]) for kept in ((1,), (4,), (1, 4))}
    backbone = 10 * 8 + 3 * 8 * 8
    assert pruning.multiply_adds(whole, X[:1]) == backbone + 4 * 8 * 96 + 4 * 96 * 192 + 192 * 4 + 96 * 4
    assert costs[(4,)] - costs[(1,)] == 3 * 8 * 8
    assert costs[(4,)] == backbone + 8 * 96 + 96 * 192 + 192 + 96 * 4
    assert costs[(1,)] < costs[(4,)] < costs[(1, 4)]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "no layer would be left; name at least one of h1, h2, h3, h4"),
        ([5], "there is no layer 5; layers are 1 to 4, or h1, h2, h3, h4"),
        ([0], "there is no layer 0"),
        (["h9"], "there is no layer 'h9'"),
    ],
)
def test_layers_that_do_not_exist_are_refused(layers: list[int | str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pruning.prune(model(), layers, X)


def test_a_head_without_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="LastLayerHead gives no weights to layers"):
        pruning.prune(model(LastLayerHead), [1], X)


def test_block_influence_is_one_less_the_cosine_and_needs_equal_widths() -> None:
    a = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    found = pruning.block_influence([a, 3 * a, a.flip(1), torch.zeros(2, 3)])
    assert found[1:3].tolist() == pytest.approx([0.0, 1.0], abs=1e-6)
    assert found.isnan().tolist() == [True, False, False, True]


def test_the_lowest_score_goes_first_and_what_has_none_stays_longest() -> None:
    assert pruning.removal_order([0.3, math.nan, 0.1, 0.2]) == [2, 3, 0, 1]
    assert pruning.removal_order(np.array([1.0, 0.5, 0.5])) == [1, 2, 0]


def test_scores_of_layers_are_what_they_say() -> None:
    whole = model(ScalarMixHead)
    assert isinstance(whole.head, ScalarMixHead)
    whole.head.scores.data = torch.tensor([0.0, 1.0, 2.0, 3.0])
    found = pruning.layer_scores(whole, X)
    assert found["weight"].tolist() == pytest.approx(torch.arange(4.0).softmax(0).tolist())
    assert list(found.index) == ["h1", "h2", "h3", "h4"]
    assert (found["contribution"] >= 0).all()
    probabilities = whole(X).logits.softmax(1).amax(dim=1).mean().item()
    nothing = whole.head.classifier.bias.softmax(0)[whole(X).logits.argmax(1)].mean().item()
    assert found["shapley"].sum() == pytest.approx(probabilities - nothing, abs=1e-5)


# --- what the chapter measures


def test_orders_pass_nested_subsets_and_the_best_of_each_size_is_found() -> None:
    rows = measured.nested([2, 0, 1])
    assert all_subsets(3)[rows].tolist() == [[True, True, True], [True, True, False], [False, True, False]]
    accuracy = np.zeros(8)
    accuracy[[0b111, 0b101, 0b010]] = 0.1, 0.9, 0.5
    assert measured.best_rows(accuracy, 3) == [0b111, 0b101, 0b010]


def small_dataset(n: int = 4000) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, CLASSES, (2 * n,), generator=generator)
    x = torch.eye(10)[y] * 2 + 0.5 * torch.randn(2 * n, 10, generator=generator)
    names = tuple("abcd")
    return Dataset("toy", "made here", names, Examples(x[:n], y[:n]), Examples(x[n:], y[n:]))


def test_every_subset_is_judged_and_a_new_head_learns_from_what_is_left() -> None:
    values = measured.pruning(model(depth=3, d_star=64), small_dataset())
    chance, retrained = values["as_it_is"], values["retrained"]
    assert np.isnan(chance[0])
    assert np.isnan(retrained[0])
    assert (retrained[1:] > 0.4).all()  # four classes; an untrained head guesses, a new one learns
    assert retrained[-1] > chance[-1] + 0.2
    assert values["score/weight"].sum() == pytest.approx(1, abs=1e-5)
    cost = measured.prefix_cost(model(depth=3, d_star=5), small_dataset())
    assert (np.diff(cost["multiply_adds"]) > 0).all()
    assert (np.diff(cost["parameters"]) > 0).all()
    assert (cost["ms_1"] > 0).all()
    assert cost["batch"] == 256


def test_along_an_order_accuracies_are_those_of_its_subsets() -> None:
    whole, data = model(depth=4, d_star=64), small_dataset()
    every, along = measured.pruning(whole, data), measured.pruning_orders(whole, data)
    names = ["score/weight", "score/contribution", "score/shapley", "random/0", "random/1"]
    assert [name for name in along if not name.startswith("as_it_is")] == names
    assert along["score/weight"].sum() == pytest.approx(1, abs=1e-5)
    orders = {name: pruning.removal_order(along[name]) for name in names} | {"deepest first": [3, 2, 1, 0]}
    for name, order in orders.items():
        np.testing.assert_array_equal(along[f"as_it_is/{name}"], every["as_it_is"][measured.nested(order)])


def test_fewer_hidden_states_are_read_in_their_own_order() -> None:
    run = Run(dataset="fashion_mnist_sample", hidden_dims=(8, 8, 8, 8))
    assert measured.fewer(run, [1, 3, 2, 0], 2) == run.replace(view=["h1", "h3"])


def test_hidden_states_are_computed_once_and_can_be_selected() -> None:
    whole, dataset = model(depth=3), small_dataset()
    states = new_heads.hidden_dataset(whole, dataset, train=100)
    assert states.train.x.shape == (100, 24)
    rows = new_heads.some_rows(4000, 100)
    torch.testing.assert_close(states.train.x[:, 8:16], whole.backbone(dataset.train.x[rows])[1])
    part = new_heads.select(states, (8, 8, 8), [0, 2])
    torch.testing.assert_close(part.test.x, states.test.x[:, [*range(8), *range(16, 24)]])
    assert torch.equal(part.test.y, dataset.test.y)


def test_new_heads_over_a_frozen_network_differ_from_run_to_run() -> None:
    """Their hidden states are the same in all runs; those of trained backbones are not."""
    torch.manual_seed(0)
    frozen = [DepthClassifier(FrozenFeatures((8, 8)), LAYAHead((8, 8), CLASSES, 5)) for _ in range(2)]
    first, second = (new_heads.head_seed(one) for one in frozen)
    assert first != second
    assert new_heads.head_seed(frozen[0]) == first
    assert new_heads.head_seed(model(depth=3)) == new_heads.head_seed(model(depth=2)) == 0
    assert new_heads.own_seed(model(depth=3)) != 0


def test_examples_are_drawn_from_every_class_whatever_the_order_of_the_data() -> None:
    """CIFAR-10's go through the classes in turn: every second example has half of the classes."""
    in_turn, in_blocks = torch.arange(10_000) % 10, torch.arange(10_000) // 1000
    for y in (in_turn, in_blocks):
        for rows in (new_heads.some_rows(10_000, 1000), measured.judged_rows(10_000), measured._halves(10_000)[0]):
            assert (y[rows].bincount(minlength=10) / len(rows) - 0.1).abs().max() < 0.03
    assert set(measured._halves(11)[0].tolist()).isdisjoint(measured._halves(11)[1].tolist())
    assert new_heads.some_rows(5, 100).tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(new_heads.some_rows(10_000, 10), new_heads.some_rows(10_000, 10))
