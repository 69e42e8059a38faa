"""The heads: parity with the published head, properties, and what they refuse."""

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from laya_nb.backbones import MLP, LayerSelection
from laya_nb.heads import (
    BENCHMARK_HEADS,
    HEAD_LABELS,
    HEADS,
    ConcatHead,
    ConcatLinearHead,
    DepthClassifier,
    EqualMixHead,
    Head,
    HeadOutput,
    LastLayerHead,
    LastLayerMLPHead,
    LAYAHead,
    ScalarMixHead,
    catalog,
    count_parameters,
)
from laya_nb.runs import Run, build_model

PARITY = np.load(Path(__file__).parent / "data" / "keras_parity.npz", allow_pickle=False)


def load_keras(linear: nn.Linear, name: str) -> None:
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(PARITY[f"{name}.kernel"]).T)
        linear.bias.copy_(torch.from_numpy(PARITY[f"{name}.bias"]))


@pytest.mark.parametrize("case", ["fmnist", "cifar", "imdb"])
def test_published_head_gives_the_same(case: str) -> None:
    """With the Keras head's weights: its probabilities and its attention, to 1e-5."""
    config = json.loads(str(PARITY[f"{case}/config"]))
    head = LAYAHead(
        config["dims"], config["num_classes"], config["d_star"], config["tau"], config["psi"], config["scorer_width"]
    )
    for i, adapter in enumerate(head.adapters, start=1):
        load_keras(adapter, f"{case}/adapter{i}")  # type: ignore[arg-type]
    for part, layers in (("psi", head.psi), ("scorer", head.scorer)):
        linears = [layer for layer in layers.children() if isinstance(layer, nn.Linear)]
        for i, linear in enumerate(linears, start=1):
            load_keras(linear, f"{case}/{part}{i}")
    load_keras(head.classifier, f"{case}/classifier")

    output = head([torch.from_numpy(PARITY[f"{case}/h{i}"]) for i in range(1, len(config["dims"]) + 1)])

    np.testing.assert_allclose(output.logits.softmax(1).detach(), PARITY[f"{case}/probs"], atol=1e-5)
    assert output.attention is not None
    np.testing.assert_allclose(output.attention.detach(), PARITY[f"{case}/alphas"], atol=1e-5)


def hidden(in_dims: list[int], batch: int = 4) -> list[Tensor]:
    return [torch.randn(batch, width, generator=torch.Generator().manual_seed(i)) for i, width in enumerate(in_dims)]


def all_heads(in_dims: list[int]) -> list[Head]:
    return [
        LAYAHead(in_dims, 3, d_star=5, temperature=0.7),
        LAYAHead(in_dims, 3, d_star=5, psi="mlp", scorer_width=4),
        LastLayerHead(in_dims, 3),
        LastLayerMLPHead(in_dims, 3, parameter_budget=200),
        ConcatHead(in_dims, 3, d_star=5),
        ScalarMixHead(in_dims, 3, d_star=5),
        EqualMixHead(in_dims, 3, d_star=5),
        ConcatLinearHead(in_dims, 3),
    ]


@settings(max_examples=25, deadline=None)
@given(in_dims=st.lists(st.integers(1, 9), min_size=1, max_size=5), batch=st.integers(1, 6))
def test_every_head_keeps_the_contract(in_dims: list[int], batch: int) -> None:
    """Shapes as stated; weights over layers are a distribution; one row does not depend on its neighbours."""
    for head in all_heads(in_dims):
        states = hidden(in_dims, batch)
        logits, attention, scores = head(states)
        assert logits.shape == (batch, 3)
        alone = head([h[:1] for h in states]).logits
        torch.testing.assert_close(alone, logits[:1], rtol=1e-4, atol=1e-5)
        if attention is not None:
            assert attention.shape == (batch, len(in_dims))
            assert (attention >= 0).all()
            torch.testing.assert_close(attention.sum(1), torch.ones(batch))
        assert (scores is None) == (attention is None)
        if scores is not None:
            temperature = getattr(head, "temperature", 1.0)
            torch.testing.assert_close(attention, torch.softmax(scores / temperature, dim=1), rtol=0, atol=0)
        assert head.names == tuple(f"h{i}" for i in range(1, len(in_dims) + 1))


@given(temperature=st.floats(0.05, 20))
@settings(max_examples=25, deadline=None)
def test_temperature_changes_attention_and_not_scores(temperature: float) -> None:
    """log alpha_1 / alpha_2 shrinks by tau; a high tau tends to uniform."""
    head = LAYAHead([4, 6], 3, d_star=5).double()
    states = [h.double() for h in hidden([4, 6])]
    at_one, scores = head(states)[1:]
    head.temperature = temperature
    at_tau, same_scores = head(states)[1:]
    assert torch.equal(scores, same_scores)
    torch.testing.assert_close(at_tau, torch.softmax(scores / temperature, dim=1))
    ratios = [torch.log(a[:, 0] / a[:, 1]) for a in (at_one, at_tau)]
    torch.testing.assert_close(ratios[0] / temperature, ratios[1])


def test_layas_equations() -> None:
    """Written out for one input: adapters, psi, scorer, softmax, a sum of the z (not of psi(z)), classifier."""
    torch.manual_seed(0)
    for psi in ("identity", "mlp"):
        head = LAYAHead([4, 6, 3], 5, d_star=7, temperature=0.4, psi=psi, scorer_width=9)
        states = hidden([4, 6, 3])
        z = [adapter(h) for adapter, h in zip(head.adapters, states, strict=True)]
        u = torch.cat([head.psi(one) for one in z], dim=1)
        s = head.scorer[2](nn.functional.gelu(head.scorer[0](u)))
        weights = (s / 0.4).exp() / (s / 0.4).exp().sum(1, keepdim=True)
        mixed = sum(weights[:, i : i + 1] * z[i] for i in range(3))
        output = head(states)
        torch.testing.assert_close(output.scores, s)
        torch.testing.assert_close(output.attention, weights)
        torch.testing.assert_close(output.logits, head.classifier(mixed))
        assert weights.std(dim=0).min() > 1e-3  # every input has its own


def test_the_baselines_equations() -> None:
    states = hidden([4, 6])
    last, concat, mix = LastLayerHead([4, 6], 3), ConcatHead([4, 6], 3, d_star=5), ScalarMixHead([4, 6], 3, d_star=5)
    control = LastLayerMLPHead([4, 6], 3, parameter_budget=50)
    assert torch.equal(last(states).logits, last.classifier(states[1]))
    one, two = control.mlp[0], control.mlp[2]
    torch.testing.assert_close(control(states).logits, two(nn.functional.gelu(one(states[1]))))
    z = torch.cat([adapter(h) for adapter, h in zip(concat.adapters, states, strict=True)], dim=1)
    torch.testing.assert_close(
        concat(states).logits,
        concat.classifier(nn.functional.gelu(concat.mlp[0](z))),
    )
    with torch.no_grad():
        mix.scores.copy_(torch.tensor([0.0, 1.5]))
    logits, attention, scores = mix(states)
    assert attention is not None
    assert scores is not None
    assert torch.equal(scores, torch.tensor([[0.0, 1.5]] * 4))
    assert torch.equal(attention, attention[:1].expand(4, 2))
    torch.testing.assert_close(attention[0], torch.tensor([0.0, 1.5]).softmax(0))
    z1, z2 = (adapter(h) for adapter, h in zip(mix.adapters.children(), states, strict=True))
    torch.testing.assert_close(logits, mix.classifier(attention[0, 0] * z1 + attention[0, 1] * z2))


def test_scores_tell_what_attention_has_lost() -> None:
    """In float32 the softmax of a score 104 temperatures below the largest is 0; its score is still there."""
    head = LAYAHead([4, 6], 3, d_star=5, temperature=0.01)
    last = head.scorer[2]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.0, -2.0]))
    output = head(hidden([4, 6]))
    assert torch.equal(output.attention, torch.tensor([[1.0, 0.0]] * 4))
    assert torch.equal(output.scores, torch.tensor([[0.0, -2.0]] * 4))


def test_one_layer_gets_all_the_attention() -> None:
    output = LAYAHead([6], 3, d_star=5)(hidden([6]))
    assert torch.equal(output.attention, torch.ones(4, 1))


def test_gradients_reach_every_parameter() -> None:
    for head in all_heads([4, 6, 8]):
        head(hidden([4, 6, 8])).logits.square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters()), type(head).__name__


def test_the_control_has_layas_parameters() -> None:
    heads = ("laya", "last_layer_mlp")
    sizes = {name: count_parameters(build_model(Run(head=name), 784, 10).head) for name in heads}
    assert sizes["laya"] == 143_341  # the paper's 'about 143 k'
    assert abs(sizes["last_layer_mlp"] / sizes["laya"] - 1) < 0.001


@pytest.mark.parametrize(("budget", "width"), [(13, 1), (22, 1), (23, 2), (103, 10)])
def test_the_control_is_as_wide_as_its_budget_allows(budget: int, width: int) -> None:
    """d_L = 6, C = 3: a unit costs 6 + 1 + 3 parameters, and 3 biases come once."""
    head = LastLayerMLPHead([4, 6], 3, parameter_budget=budget)
    assert head.mlp[0].weight.shape == (width, 6)
    assert budget - 10 < count_parameters(head) <= budget


def test_a_budget_for_no_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="parameter_budget must be at least 13, got 12"):
        LastLayerMLPHead([4, 6], 3, parameter_budget=12)


def test_the_linear_controls_equations() -> None:
    """Equal weights are ScalarMix before it learns any; a linear layer on all states is a sum of one per state."""
    states = hidden([4, 6])
    equal, mix = EqualMixHead([4, 6], 3, d_star=5), ScalarMixHead([4, 6], 3, d_star=5)
    mix.load_state_dict({**equal.state_dict(), "scores": torch.zeros(2)})
    for a, b in zip(equal(states), mix(states), strict=True):
        torch.testing.assert_close(a, b)
    linear = ConcatLinearHead([4, 6], 3)
    first, second = linear.classifier.weight.split([4, 6], dim=1)
    summed = states[0] @ first.T + states[1] @ second.T + linear.classifier.bias
    torch.testing.assert_close(linear(states).logits, summed)


def test_sizes_are_the_papers_where_nothing_is_said() -> None:
    head = LAYAHead([4, 6], 3)
    assert head.adapters[1].weight.shape == (96, 6)
    assert head.scorer[0].weight.shape == (192, 192)  # 2 d* units, reading 2 layers of d* values
    assert (head.temperature, len(list(head.psi.parameters()))) == (1.0, 0)
    assert LAYAHead([4, 6], 3, d_star=5).scorer[0].weight.shape == (10, 10)
    assert LAYAHead([4, 6], 3, d_star=5, scorer_width=1).scorer[0].weight.shape == (1, 10)
    assert [type(layer) for layer in LAYAHead([4], 3, psi="mlp").psi.children()] == [nn.Linear, nn.GELU] * 2
    for head_class in (ConcatHead, ScalarMixHead, EqualMixHead):
        assert head_class([4, 6], 3).classifier.weight.shape == (3, 96)
    assert ConcatHead([4, 6], 3, d_star=5).mlp[0].weight.shape == (5, 10)
    assert torch.equal(ScalarMixHead([4, 6], 3).scores, torch.zeros(2))


# --- the catalog

WIDTHS = {name: [6, 6] if name == "fusion" else [4, 6] for name in HEADS}  # fusion wants them equal


@pytest.mark.parametrize("name", HEADS)
def test_a_heads_settings_are_its_constructors_keywords(name: str) -> None:
    """With the same defaults; the control's are those of the head whose size it takes."""
    entry = catalog.entry(name)
    told = LAYAHead if entry.head is LastLayerMLPHead else entry.head
    keywords = list(inspect.signature(told).parameters.values())[2:]  # after in_dims and num_classes
    assert {keyword.name: keyword.default for keyword in keywords} == dict(entry.settings)
    assert entry.label == HEAD_LABELS[name]


@pytest.mark.parametrize("name", HEADS)
def test_every_head_in_the_catalog_builds_and_keeps_its_word(name: str) -> None:
    entry = catalog.entry(name)
    entry.head.check_settings(**entry.settings)
    torch.manual_seed(0)
    head = entry.head.from_settings(WIDTHS[name], 3, **entry.settings)
    assert type(head) is entry.head
    assert (head.in_dims, head.num_classes) == (tuple(WIDTHS[name]), 3)
    states = hidden(WIDTHS[name])
    if isinstance(head, ScalarMixHead):
        with torch.no_grad():
            head.scores.copy_(torch.tensor([0.0, 1.0]))
    attention = head(states).attention
    differs = attention is not None and not torch.equal(attention, attention[:1].expand_as(attention))
    assert differs == entry.per_input


@pytest.mark.parametrize("name", [name for name in HEADS if catalog.entry(name).stackable])
def test_a_stackable_head_serves_hidden_states_of_many_models(name: str) -> None:
    """(M, B, d_i): each model's rows come out as they would alone. Where weights differ by model: test_stacked."""
    entry = catalog.entry(name)
    torch.manual_seed(0)
    head = entry.head.from_settings([4, 6], 3, **entry.settings)
    first, second = hidden([4, 6]), [h.flip(0) for h in hidden([4, 6])]
    expected = [head(first), head(second)]
    head.ndim = 3
    together = head([torch.stack(pair) for pair in zip(first, second, strict=True)])
    for found, *alone in zip(together, *expected, strict=True):
        if found is not None:
            torch.testing.assert_close(found, torch.stack(alone))


def test_the_control_takes_the_size_of_the_laya_head_with_its_settings() -> None:
    for told in ({"d_star": 7}, {"d_star": 7, "psi": "mlp"}, {"d_star": 7, "scorer_width": 40}):
        settings = dict(catalog.entry("laya").settings) | told
        budget = count_parameters(LAYAHead([4, 6], 3, **settings))
        found = count_parameters(LastLayerMLPHead.from_settings([4, 6], 3, **settings))
        assert budget - 10 < found <= budget


REFUSED: list[tuple[str, Any, str]] = [
    ("d_star", 0, "d_star must be an integer of at least 1, got 0"),
    ("d_star", True, "d_star must be an integer of at least 1, got True"),
    ("d_star", 2.0, "d_star must be"),
    ("temperature", 0, "temperature must be a finite number above 0, got 0"),
    ("temperature", float("inf"), "temperature must be a finite number above 0, got inf"),
    ("temperature", "1", "temperature must be"),
    ("temperature", True, "temperature must be"),
    ("psi", "relu", "psi must be 'identity' or 'mlp', got 'relu'"),
    ("scorer_width", 0, "scorer_width must be an integer of at least 1, got 0"),
    ("scorer_width", 2.5, "scorer_width must be"),
    ("num_heads", 0, "num_heads must be an integer of at least 1, got 0"),
    ("attention_dropout", 1, "attention_dropout must be a number of at least 0 and below 1, got 1"),
]


@pytest.mark.parametrize(
    ("name", "setting", "value", "message"),
    [(name, *case) for name in HEADS for case in REFUSED if case[0] in catalog.entry(name).settings],
)
def test_a_setting_is_refused_before_and_while_building(name: str, setting: str, value: Any, message: str) -> None:
    entry = catalog.entry(name)
    settings = dict(entry.settings) | {setting: value}
    with pytest.raises(ValueError, match=message):
        entry.head.check_settings(**settings)
    with pytest.raises(ValueError, match=message):
        entry.head.from_settings(WIDTHS[name], 3, **settings)


def test_the_smallest_settings_are_settings() -> None:
    LAYAHead.check_settings(d_star=1, temperature=1e-6, psi="mlp", scorer_width=1)
    LAYAHead.check_settings(d_star=1, temperature=3, psi="identity", scorer_width=None)
    assert LAYAHead([1], 2, d_star=1, scorer_width=1)([torch.zeros(1, 1)]).logits.shape == (1, 2)


def test_the_published_benchmarks_heads_are_fixed() -> None:
    """A head that comes later enlarges none of them: change this list only with all published results."""
    assert BENCHMARK_HEADS == ("last_layer", "last_layer_mlp", "concat", "scalar_mix", "laya")
    assert set(BENCHMARK_HEADS) <= set(HEADS)


def test_an_unknown_head_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown head 'alf'; known: last_layer, last_layer_mlp"):
        catalog.entry("alf")


def test_what_may_differ_in_a_stack_is_an_attribute() -> None:
    assert LAYAHead.may_differ == ("temperature",)
    for name in HEADS:
        entry = catalog.entry(name)
        head = entry.head.from_settings(WIDTHS[name], 3, **entry.settings)
        assert all(isinstance(getattr(head, attribute), float) for attribute in entry.head.may_differ)


# --- the classifier


def test_a_classifier_is_its_head_on_its_backbone() -> None:
    backbone = MLP(12, (5, 4))
    head = LAYAHead(backbone.out_dims, 3, d_star=6)
    model = DepthClassifier(backbone, head)
    x = torch.rand(7, 12)
    for found, expected in zip(model(x), head(backbone(x)), strict=True):
        assert torch.equal(found, expected)
    assert isinstance(model(x), HeadOutput)
    assert head.names == ("h1", "h2")
    selection = LayerSelection(backbone, ["h2", "noise1"])
    assert DepthClassifier(selection, LAYAHead(selection.out_dims, 3)).head.names == ("h2", "noise1")


def test_a_classifier_refuses_a_head_of_other_widths() -> None:
    with pytest.raises(ValueError, match=r"the backbone's widths are \(5, 4\), the head expects \(4, 5\)"):
        DepthClassifier(MLP(12, (5, 4)), LastLayerHead([4, 5], 3))


def test_only_heads_have_a_forward() -> None:
    with pytest.raises(NotImplementedError):
        Head([4], 2)([torch.zeros(1, 4)])


def test_parameters_are_counted() -> None:
    assert count_parameters(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2, bias=False))) == 24


def test_one_seed_gives_one_backbone_whatever_the_head() -> None:
    runs = [Run(head=name, seed=3, hidden_dims=(16, 16)) for name in HEADS]
    backbones = [build_model(run, 784, 10).get_submodule("backbone").state_dict() for run in runs]
    for other in backbones[1:]:
        assert all(torch.equal(backbones[0][name], other[name]) for name in other)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf")])
def test_temperature_must_make_sense(value: float) -> None:
    with pytest.raises(ValueError, match="temperature must be a finite number above 0"):
        LAYAHead([4], 2, temperature=value)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ([torch.zeros(2, 4)], "expected 2 hidden states, got 1"),
        ([torch.zeros(2, 4), torch.zeros(2, 5)], r"hidden state 2 must have shape \(B, 6\)"),
        ([torch.zeros(2, 4), torch.zeros(3, 6)], "hidden state 2 must have shape"),
        ([torch.zeros(2, 4, 1), torch.zeros(2, 6)], "hidden state 1 must have shape"),
        ([torch.zeros(2, 4), torch.zeros(2, 6).double()], "hidden state 2 is torch.float64"),
        ([torch.zeros(2, 4, device="meta"), torch.zeros(2, 6)], "hidden state 1 is on meta"),
    ],
)
def test_wrong_hidden_states_are_named(states: list[Tensor], message: str) -> None:
    for head in all_heads([4, 6]):
        with pytest.raises(ValueError, match=message):
            head(states)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_dims": []}, "in_dims is empty"),
        ({"in_dims": [4, 0]}, "every width in in_dims"),
        ({"in_dims": [4, 6.0]}, "every width in in_dims must be an integer of at least 1, got 6.0"),
        ({"num_classes": 1}, "num_classes must be an integer of at least 2, got 1"),
        ({"d_star": 0}, "d_star"),
        ({"scorer_width": 2.5}, "scorer_width"),
        ({"psi": "relu"}, "psi must be 'identity' or 'mlp'"),
    ],
)
def test_wrong_sizes_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LAYAHead(**({"in_dims": [4, 6], "num_classes": 3} | arguments))


@pytest.mark.parametrize("psi", ["identity", "mlp"])
def test_with_one_layer_laya_is_a_plain_head(psi: str) -> None:
    """L = 1: the weight is 1 whatever the scorer says, and adapter and classifier make one linear layer."""
    head = LAYAHead([7], num_classes=3, d_star=5, temperature=0.3, psi=psi).double()  # type: ignore[arg-type]
    adapter, classifier = head.adapters[0], head.classifier
    plain = nn.Linear(7, 3).double()
    with torch.no_grad():
        plain.weight.copy_(classifier.weight @ adapter.weight)  # type: ignore[operator]
        plain.bias.copy_(classifier.weight @ adapter.bias + classifier.bias)  # type: ignore[operator]
    h = torch.randn(4, 7, dtype=torch.float64)
    logits, attention, _ = head([h])
    assert attention is not None
    assert torch.equal(attention, torch.ones(4, 1, dtype=torch.float64))
    assert torch.equal(logits, classifier(adapter(h)))
    torch.testing.assert_close(logits, plain(h))
    logits.square().sum().backward()
    unused = [*head.scorer.parameters(), *head.psi.parameters()]
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in unused)
