"""The heads: parity with the published head, properties, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from laya_nb.heads import ConcatHead, Head, LastLayerHead, LastLayerMLPHead, LAYAHead, ScalarMixHead
from laya_nb.runs import HEADS, Run, build_model, count_parameters

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
    ]


@settings(max_examples=25, deadline=None)
@given(in_dims=st.lists(st.integers(1, 9), min_size=1, max_size=5), batch=st.integers(1, 6))
def test_every_head_keeps_the_contract(in_dims: list[int], batch: int) -> None:
    """Shapes as stated; weights over layers are a distribution; one row does not depend on its neighbours."""
    for head in all_heads(in_dims):
        states = hidden(in_dims, batch)
        logits, attention = head(states)
        assert logits.shape == (batch, 3)
        alone = head([h[:1] for h in states]).logits
        torch.testing.assert_close(alone, logits[:1], rtol=1e-4, atol=1e-5)
        if attention is not None:
            assert attention.shape == (batch, len(in_dims))
            assert (attention >= 0).all()
            torch.testing.assert_close(attention.sum(1), torch.ones(batch))


@given(temperature=st.floats(0.05, 20))
@settings(max_examples=25, deadline=None)
def test_temperature_divides_the_scores(temperature: float) -> None:
    """log alpha_1 / alpha_2 shrinks by tau; a high tau tends to uniform."""
    head = LAYAHead([4, 6], 3, d_star=5).double()
    states = [h.double() for h in hidden([4, 6])]
    at_one = head(states).attention
    head.temperature = temperature
    at_tau = head(states).attention
    ratios = [torch.log(a[:, 0] / a[:, 1]) for a in (at_one, at_tau)]
    torch.testing.assert_close(ratios[0] / temperature, ratios[1])


def test_one_layer_gets_all_the_attention() -> None:
    output = LAYAHead([6], 3, d_star=5)(hidden([6]))
    assert torch.equal(output.attention, torch.ones(4, 1))


def test_gradients_reach_every_parameter() -> None:
    for head in all_heads([4, 6, 8]):
        head(hidden([4, 6, 8])).logits.square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters()), type(head).__name__


def test_the_control_has_layas_parameters() -> None:
    sizes = {name: count_parameters(build_model(Run(head=name), 784, 10).head) for name in HEADS}
    assert sizes["laya"] == 143_341  # the paper's 'about 143 k'
    assert abs(sizes["last_layer_mlp"] / sizes["laya"] - 1) < 0.001


def test_one_seed_gives_one_backbone_whatever_the_head() -> None:
    backbones = [build_model(Run(head=name, seed=3), 784, 10).backbone.state_dict() for name in HEADS]
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
        ({"num_classes": 1}, "num_classes"),
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
    logits, attention = head([h])
    assert attention is not None
    assert torch.equal(attention, torch.ones(4, 1, dtype=torch.float64))
    assert torch.equal(logits, classifier(adapter(h)))
    torch.testing.assert_close(logits, plain(h))
    logits.square().sum().backward()
    unused = [*head.scorer.parameters(), *head.psi.parameters()]
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in unused)
