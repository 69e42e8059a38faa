"""Heads taken apart: the decomposition, ways of removal, attributions, and the tests of faithfulness."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from laya_nb.analysis import attribution, faithfulness, removal
from laya_nb.backbones import FrozenFeatures
from laya_nb.data import Examples
from laya_nb.heads import (
    AttentiveFusionHead,
    DepthClassifier,
    EqualMixHead,
    Head,
    HeadOutput,
    LastLayerHead,
    LAYAHead,
    LayerDropoutLAYAHead,
    Mixture,
    ScalarMixHead,
)

N, WIDTHS, CLASSES = 40, (6, 6, 8), 4


def states(n: int = N, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, width, generator=generator) for width in WIDTHS]


def heads() -> list[Head]:
    torch.manual_seed(0)
    fusion = AttentiveFusionHead(WIDTHS, CLASSES)
    fusion.norm.running_mean = torch.randn(8)
    fusion.norm.running_var = torch.rand(8) + 0.5
    mix = ScalarMixHead(WIDTHS, CLASSES, 5)
    mix.scores.data = torch.randn(3)
    made: list[Head] = [
        LAYAHead(WIDTHS, CLASSES, 5, temperature=0.3),
        LAYAHead(WIDTHS, CLASSES, 5, psi="mlp"),
        LayerDropoutLAYAHead(WIDTHS, CLASSES, 5),
        mix,
        EqualMixHead(WIDTHS, CLASSES, 5),
        fusion,
    ]
    for head in made:
        for parameter in head.parameters():
            if parameter.ndim == 1:  # biases and norms, which start at 0 and 1
                parameter.data += 0.3 * torch.randn_like(parameter)
    return [head.eval() for head in made]


HEADS = heads()
every_head = pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)


@every_head
@torch.no_grad()
def test_the_logits_are_a_sum_over_layers(head: Head) -> None:
    h = states()
    output, mixture = head(h), head.mixture(h)
    torch.testing.assert_close(mixture.logits(), output.logits)
    torch.testing.assert_close(mixture.weights.mean(dim=1), output.attention)
    assert mixture.values.shape == (N, mixture.weights.shape[1], 3, CLASSES)
    pair = attribution.pair_of_classes(output.logits)
    added = attribution.contributions(mixture, pair).sum(dim=1) + attribution.bias_margin(mixture, pair)
    torch.testing.assert_close(added, attribution.margin(output.logits, pair))
    assert (attribution.margin(output.logits, pair) >= 0).all()


@every_head
@torch.no_grad()
def test_a_head_in_two_steps_is_the_head(head: Head) -> None:
    adapters, rest = head.split()
    z = [adapter(h) for adapter, h in zip(adapters, states(), strict=True)]
    for found, expected in zip(rest(z)[:2], head(states())[:2], strict=True):
        torch.testing.assert_close(found, expected)
    for found, expected in zip(rest.mixture(z), head.mixture(states()), strict=True):
        torch.testing.assert_close(found, expected)
    assert rest.names == head.names
    assert head.in_dims == WIDTHS  # and stays whole
    torch.testing.assert_close(head(states()).logits, head.mixture(states()).logits())


@every_head
@torch.no_grad()
def test_a_masked_layer_has_no_weight_and_the_others_keep_their_proportion(head: Head) -> None:
    mixture = head.mixture(states())
    kept = torch.tensor([True, False, True]).expand(N, 3)
    weights = mixture.masked(kept)
    assert (weights[..., 1] == 0).all()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:2]))
    torch.testing.assert_close(weights[..., 0] * mixture.weights[..., 2], weights[..., 2] * mixture.weights[..., 0])
    assert (mixture.masked(torch.zeros(N, 3, dtype=torch.bool)) == 0).all()
    torch.testing.assert_close(mixture.masked(torch.ones(N, 3, dtype=torch.bool)), mixture.weights)


def test_a_kept_layer_gets_all_the_weight_even_if_its_own_has_underflowed() -> None:
    mixture = Mixture(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]]), torch.zeros(2))
    assert mixture.masked(torch.tensor([[False, True]])).tolist() == [[[0.0, 1.0]]]


def test_a_head_without_weights_says_which_heads_have_them() -> None:
    with pytest.raises(ValueError, match=r"LastLayerHead gives no weights.*LAYAHead, ScalarMixHead"):
        LastLayerHead(WIDTHS, CLASSES).mixture(states())


# --- ways of removal


@torch.no_grad()
def test_each_way_of_removal_shows_the_head_what_it_says() -> None:
    head, h, other = HEADS[0], states(), states(seed=1)
    kept = torch.tensor([True, False, True]).expand(N, 3)
    shown = head([h[0], torch.zeros_like(h[1]), h[2]])
    torch.testing.assert_close(
        removal.replaced(head, h, [torch.zeros_like(x) for x in h])(kept), shown.logits.softmax(1)
    )
    mean = other[1].mean(dim=0)
    shown = head([h[0], mean.expand_as(h[1]), h[2]])
    torch.testing.assert_close(removal.replaced(head, h, [x.mean(dim=0) for x in other])(kept), shown.logits.softmax(1))
    rows = torch.stack([torch.arange(N).flip(0), torch.arange(N).roll(1)], dim=1)
    shown_twice = [head([h[0], other[1][rows[:, k]], h[2]]).logits.softmax(1) for k in (0, 1)]
    found = removal.resampled(head, h, other, rows)(kept)
    torch.testing.assert_close(found, (shown_twice[0] + shown_twice[1]) / 2)
    everything = torch.ones(N, 3, dtype=torch.bool)
    for way in (removal.masked(head, h), removal.resampled(head, h, other, rows)):
        torch.testing.assert_close(way(everything), head(h).logits.softmax(1))


@torch.no_grad()
def test_the_total_effect_of_a_layer_takes_all_that_follows_from_it() -> None:
    head, h, other = HEADS[0], states(), states(seed=1)
    rows = torch.arange(N).flip(0).unsqueeze(1)
    swapped = removal.tail_swapped(head, h, other, rows)
    flipped = [x.flip(0) for x in other]
    torch.testing.assert_close(swapped[:, 0], head(flipped).logits.softmax(1))
    torch.testing.assert_close(swapped[:, 1], head([h[0], *flipped[1:]]).logits.softmax(1))
    torch.testing.assert_close(swapped[:, 2], head([*h[:2], flipped[2]]).logits.softmax(1))


def test_rows_are_drawn_from_the_same_group_where_there_is_one() -> None:
    groups, donors = torch.tensor([0, 1, 2]), torch.tensor([1, 0, 0, 1])
    rows = removal.draw_rows(groups, donors, 50, torch.Generator().manual_seed(0))
    assert set(rows[0].tolist()) == {1, 2}
    assert set(rows[1].tolist()) == {0, 3}
    assert set(rows[2].tolist()) == {0, 1, 2, 3}  # nobody is of group 2


def test_the_optimal_constant_costs_no_more_than_the_mean() -> None:
    head, h = HEADS[0], states(200)
    labels = head(h).logits.argmax(dim=1)
    constants = removal.optimal_constants(head, h, labels)
    cheaper = []
    for layer, constant in enumerate(constants):
        losses = [
            F.cross_entropy(head([*h[:layer], c.expand_as(h[layer]), *h[layer + 1 :]]).logits, labels).item()
            for c in (constant, h[layer].mean(dim=0))
        ]
        assert losses[0] <= losses[1]
        cheaper.append(losses[0] < losses[1] - 1e-3)
    assert any(cheaper)


# --- attributions


@given(seed=st.integers(0, 1000), layers=st.integers(1, 5))
def test_shapley_values_share_out_the_whole_value_and_ignore_dummies(seed: int, layers: int) -> None:
    game = torch.randn(2**layers, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    powers = 2 ** torch.arange(layers + 1)

    def value(kept: Tensor) -> Tensor:  # the last layer adds 3 to whatever is there
        return game[(kept[:, :layers] * powers[:layers]).sum(dim=1)] + 3.0 * kept[:, layers]

    found = attribution.shapley_values(value, 2, layers + 1)
    assert found.sum(dim=1).tolist() == pytest.approx([(game[-1] - game[0]).item() + 3] * 2)
    assert found[:, layers].tolist() == pytest.approx([3.0, 3.0])


def test_shapley_values_of_three_layers_by_hand() -> None:
    """Layers 1 and 2 say the same (1 for either or both), layer 3 says nothing."""

    def value(kept: Tensor) -> Tensor:
        return (kept[:, 0] | kept[:, 1]).double()

    assert attribution.shapley_values(value, 1, 3).tolist() == [pytest.approx([0.5, 0.5, 0.0])]


def test_many_layers_have_sampled_shapley_values_that_still_share_out_the_whole() -> None:
    weights = torch.arange(14, dtype=torch.float64)

    def value(kept: Tensor) -> Tensor:
        return (kept * weights).sum(dim=1) + 5 * kept[:, :2].all(dim=1)

    found = attribution.shapley_values(value, 1, 14, orders=200)[0]
    assert found.sum().item() == pytest.approx(float(weights.sum()) + 5)
    assert found[2:].tolist() == pytest.approx(weights[2:].tolist())  # additive: no chance in it
    assert found[0].item() == pytest.approx(2.5, abs=0.6)


@every_head
def test_integrated_gradients_are_complete(head: Head) -> None:
    head, h = head.double(), [x.double() for x in states()]
    pair = attribution.pair_of_classes(head(h).logits)
    baseline = [x.mean(dim=0) for x in h]
    found = attribution.integrated_gradients(head, h, baseline, pair, steps=64)
    at_baseline = head([b.expand_as(x) for b, x in zip(baseline, h, strict=True)]).logits
    expected = attribution.margin(head(h).logits, pair) - attribution.margin(at_baseline, pair)
    torch.testing.assert_close(found.sum(dim=1), expected, atol=1e-4, rtol=1e-4)
    head.float()


def test_gradient_times_input_of_a_linear_head_is_its_contribution() -> None:
    mix, h = HEADS[4], states()
    pair = attribution.pair_of_classes(mix(h).logits)
    bare = EqualMixHead(WIDTHS, CLASSES, 5)
    bare.load_state_dict(mix.state_dict())
    for adapter in bare.adapters:
        nn.init.zeros_(adapter.bias)  # type: ignore[arg-type]
    torch.testing.assert_close(
        attribution.gradient_times_input(bare, h, pair), attribution.contributions(bare.mixture(h), pair)
    )


def test_rank_agreement_is_kendalls_tau_b() -> None:
    from scipy.stats import kendalltau

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, (20, 6)), rng.integers(0, 4, (20, 6))
    found = attribution.rank_agreement(torch.tensor(a).double(), torch.tensor(b).double())
    expected = [kendalltau(x, y).statistic for x, y in zip(a, b, strict=True)]
    assert found.tolist() == pytest.approx(expected, nan_ok=True)


# --- the tests of faithfulness


class Planted(Head):
    """Three layers, each of which shows the class; layer `told` is weighed, and layer `used` alone has values."""

    def __init__(self, used: str) -> None:
        super().__init__((CLASSES,) * 3, CLASSES)
        self.used = used
        self.scale = nn.Parameter(torch.tensor(5.0))

    def forward(self, hidden_states: Any) -> HeadOutput:
        mixture = self.mixture(hidden_states)
        return HeadOutput(mixture.logits(), mixture.weights[:, 0])

    def mixture(self, hidden_states: Any) -> Mixture:
        h = torch.stack(list(hidden_states), dim=1)
        told = h.sum(dim=(1, 2)).gt(0).long()  # layer 0 or 1, by the input
        weights = 0.1 + 0.7 * F.one_hot(told, 3)
        size = torch.tensor([1.0, 1.0, 1.0] if self.used == "weighed" else [0.0, 0.0, 30.0]).expand(len(h), 3)
        return Mixture(weights[:, None].float(), (self.scale * size[..., None] * h)[:, None], torch.zeros(CLASSES))


def examples(n: int = 400, seed: int = 0) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, CLASSES, (n,), generator=generator)
    h = [F.one_hot(y, CLASSES) + 0.3 * torch.randn(n, CLASSES, generator=generator) - 0.25 for _ in range(3)]
    return Examples(torch.cat(h, dim=1), y)


def examine(head: Head, **settings: Any) -> faithfulness.Faithfulness:
    model = DepthClassifier(FrozenFeatures(head.in_dims), head)
    return faithfulness.examine(model, examples(seed=1), examples(seed=2), **settings)


def score(found: faithfulness.Faithfulness, ranking: str, way: str, what: str = "comprehensiveness") -> float:
    rows = found.rankings
    return rows.loc[(rows["ranking"] == ranking) & (rows["removal"] == way), what].item()


def test_weights_that_are_used_and_weights_that_are_not_are_told_apart() -> None:
    faithful, not_faithful = examine(Planted("weighed")), examine(Planted("the third"))
    for way in ("mean", "resampled"):
        assert score(faithful, "weight", way) > score(faithful, "random", way) + 0.02
        assert score(faithful, "weight", way) > score(faithful, "constant", way) + 0.02
        assert score(not_faithful, "weight", way) < score(not_faithful, "random", way) - 0.02
        assert score(not_faithful, "contribution", way) > score(not_faithful, "weight", way) + 0.1
        assert score(not_faithful, "contribution", way, "sufficiency") < score(
            not_faithful, "weight", way, "sufficiency"
        )
    assert faithful.numbers["same top: contribution"] > 0.9
    assert not_faithful.numbers["same top: contribution"] < 0.1
    assert not_faithful.layers["direct"].argmax() == 2
    assert not_faithful.layers["weight"].argmax() != 2
    assert list(faithful.layers.index) == ["h1", "h2", "h3"]


def test_the_total_effect_of_the_first_layer_is_that_of_all() -> None:
    found = examine(Planted("weighed"))
    assert found.layers["total"].is_monotonic_decreasing
    assert found.layers["total"].iloc[-1] == pytest.approx(found.layers["direct"].iloc[-1], abs=0.03)
    assert found.layers["total"].iloc[0] > found.layers["direct"].iloc[0] + 0.2


def test_zeros_are_not_nothing() -> None:
    """To a head whose adapters have biases, a layer of zeros says something."""
    torch.manual_seed(0)
    head = LAYAHead((CLASSES,) * 3, CLASSES, 5)
    for adapter in head.adapters:
        adapter.bias.data = torch.randn(5) * 3
    found = examine(head)
    assert abs(score(found, "weight", "zero") - score(found, "weight", "masked")) > 0.01


def test_all_rankings_ways_and_numbers_are_there_and_are_no_nan() -> None:
    found = examine(LayerDropoutLAYAHead((CLASSES,) * 3, CLASSES, 5))
    assert set(found.rankings["removal"]) == {*faithfulness.REMOVALS, "dropped"}
    assert found.rankings[["comprehensiveness", "sufficiency"]].notna().to_numpy().all()
    assert found.numbers["accuracy: own"] <= 1
    assert 0 <= found.numbers["permuted"] <= 1
    assert 0 <= found.numbers["adversary"] <= math.log(2)


def test_rankings_can_be_judged_by_some_ways_of_removal_alone() -> None:
    head = LayerDropoutLAYAHead((CLASSES,) * 3, CLASSES, 5)
    every, some = examine(head), examine(head, removals=["dropped", "zero"])
    assert set(some.rankings["removal"]) == {"dropped", "zero"}
    for way in ("dropped", "zero"):
        assert score(some, "shapley", way) == score(every, "shapley", way)
    assert dict(some.numbers) == dict(every.numbers)
    assert some.layers.equals(every.layers)
    with pytest.raises(ValueError, match="'dropped'"):
        examine(LAYAHead((CLASSES,) * 3, CLASSES, 5), removals=["dropped"])


def test_a_table_of_all_subsets_gives_what_the_way_itself_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    head = LAYAHead((CLASSES,) * 3, CLASSES, 5)
    looked_up = examine(head)
    monkeypatch.setattr(faithfulness, "TABULATED", 0)
    monkeypatch.setattr(faithfulness, "CUTS", 2)
    run = examine(head)
    columns = ["comprehensiveness", "sufficiency"]
    np.testing.assert_allclose(looked_up.rankings[columns], run.rankings[columns], atol=1e-5)


def test_constant_weights_are_no_better_than_their_own_mean() -> None:
    """For one weight per layer for all inputs, the constant ranking is the ranking by weight."""
    torch.manual_seed(0)
    mix = ScalarMixHead((CLASSES,) * 3, CLASSES, 5)
    mix.scores.data = torch.tensor([2.0, 0.0, 1.0])
    found = examine(mix)
    for way in faithfulness.REMOVALS:
        assert score(found, "weight", way) == pytest.approx(score(found, "constant", way), abs=1e-6)
        assert score(found, "weight", way) == pytest.approx(score(found, "class mean", way), abs=1e-6)
    assert found.numbers["accuracy: own"] == found.numbers["accuracy: constant"]


@torch.no_grad()
def test_an_adversary_stays_within_its_bound_and_finds_the_far_end_of_two_equal_layers() -> None:
    h = states()
    mixture = HEADS[0].mixture(h)
    weights, distance = faithfulness.adversarial_weights(mixture)
    moved = faithfulness.total_variation(mixture.logits().softmax(1), mixture.logits(weights).softmax(1))
    assert (moved <= faithfulness.ADVERSARY + 1e-6).all()
    torch.testing.assert_close(distance, faithfulness.jensen_shannon(mixture.weights, weights).mean(dim=1))
    same = Mixture(torch.tensor([[[1.0, 0.0]]]), torch.ones(1, 1, 2, 3), torch.zeros(3))
    weights, distance = faithfulness.adversarial_weights(same)
    assert weights.tolist() == [[[0.0, 1.0]]]
    assert distance.item() == pytest.approx(math.log(2))


def test_the_divergence_is_scipys() -> None:
    from scipy.spatial.distance import jensenshannon

    p, q = torch.rand(20, 5).double().softmax(-1), torch.rand(20, 5).double().softmax(-1)
    assert faithfulness.jensen_shannon(p, q).tolist() == pytest.approx(list(jensenshannon(p, q, axis=-1) ** 2))
    far = faithfulness.jensen_shannon(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    assert far.item() == pytest.approx(math.log(2))


def test_permuted_weights_move_nothing_where_layers_are_equal() -> None:
    weights = torch.tensor([[[0.7, 0.2, 0.1]]])
    equal = Mixture(weights, torch.ones(1, 1, 3, 2), torch.zeros(2))
    assert faithfulness._permuted(equal, equal.logits().softmax(1), 0) == pytest.approx(0)
    values = torch.tensor([[[[5.0, 0.0], [0.0, 5.0], [0.0, 5.0]]]])
    unequal = equal._replace(values=values)
    assert faithfulness._permuted(unequal, unequal.logits().softmax(1), 0) > 0.5


def test_a_single_layer_and_a_head_without_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="one layer alone"):
        faithfulness.examine(
            DepthClassifier(FrozenFeatures([12]), LAYAHead([12], CLASSES)).eval(), examples(), examples()
        )
    with pytest.raises(ValueError, match="gives no weights to layers"):
        examine(LastLayerHead((CLASSES,) * 3, CLASSES))


# --- layer dropout


def test_a_head_with_layer_dropout_reads_nothing_of_a_layer_that_is_left_out() -> None:
    head, h, other = LayerDropoutLAYAHead(WIDTHS, CLASSES, 5).eval(), states(), states(seed=1)
    kept = torch.tensor([True, False, True]).expand(N, 3)
    output = head(h, kept)
    assert torch.equal(output.logits, head([h[0], other[1], h[2]], kept).logits)
    assert (output.attention[:, 1] == 0).all()
    nothing = head(h, torch.zeros(N, 3, dtype=torch.bool))
    torch.testing.assert_close(nothing.logits, head.classifier.bias.expand(N, -1))
    plain = LAYAHead(WIDTHS, CLASSES, 5)
    plain.load_state_dict(head.state_dict())
    torch.testing.assert_close(head(h).logits, plain(h).logits)


def test_layer_dropout_draws_every_number_of_layers_equally_often() -> None:
    torch.manual_seed(0)
    kept = LayerDropoutLAYAHead._draw(torch.zeros(6000, 3, 1))
    counts = kept.sum(dim=1).bincount(minlength=4)
    assert counts[0] == 0
    assert (counts[1:] - 2000).abs().max() < 200
    assert (kept.float().mean(dim=0) - 2 / 3).abs().max() < 0.03
    head = LayerDropoutLAYAHead(WIDTHS, CLASSES, 5).train()
    assert (head(states()).attention == 0).any()
