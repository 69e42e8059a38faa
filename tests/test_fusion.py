"""ALF's probe: the fast form against the formula written out, what it cannot see, its size, and what it refuses."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from laya_nb.backbones import MLP
from laya_nb.heads import DepthClassifier, HeadOutput, LAYAHead, count_parameters
from laya_nb.heads.fusion import AttentiveFusionHead


def drawn(head: AttentiveFusionHead, seed: int = 0) -> AttentiveFusionHead:
    """The head in float64 and evaluation mode, all its numbers drawn: no weight is 1, no bias and no mean is 0."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in head.double().eval().state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.3)
            if tensor.ndim == 2:  # matrices around 0: attention is neither even nor all on one token
                tensor.sub_(0.8)
    return head


def fusion(tokens: int = 3, width: int = 6, heads: int | None = 2, dropout: float = 0.0) -> AttentiveFusionHead:
    return drawn(AttentiveFusionHead([width] * tokens, 4, heads, dropout))


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain(head: AttentiveFusionHead, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and attention (B, M, T), as the paper has them: keys and values of every token, head by head."""

    def layer_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * norm.weight + norm.bias

    q = head.query if head.free_query else layer_norm(head.norm_q, head.query) @ head.w_q.weight.T
    k = layer_norm(head.norm_k, tokens) @ head.w_k.weight.T
    v = layer_norm(head.norm_v, tokens) @ head.w_v.weight.T
    heads = mask.shape[1]
    width = 2 * (tokens.shape[2] // heads)
    attention, mixed = [], []
    for m in range(heads):
        part = slice(m * width, (m + 1) * width)
        attention.append(((k[..., part] * q[part]).sum(-1) / math.sqrt(width)).softmax(-1))
        mixed.append((mask[:, m, :, None] * attention[-1][..., None] * v[..., part]).sum(1))
    h = torch.cat(mixed, dim=1) @ head.w_o.weight.T + head.w_o.bias
    mean, variance = head.norm.running_mean, head.norm.running_var
    if head.training:
        mean, variance = h.mean(0), h.var(0, correction=0)
    assert mean is not None
    assert variance is not None
    h = (h - mean) / (variance + 1e-5).sqrt() * head.norm.weight + head.norm.bias
    return h @ head.classifier.weight.T + head.classifier.bias, torch.stack(attention, dim=1)


class Masked(nn.Module):
    """Dropout with its mask given: it takes the place of the head's own."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.mask = mask

    def forward(self, attention: Tensor) -> Tensor:
        return attention * self.mask


@settings(max_examples=60)
@given(data=st.data(), mode=st.sampled_from(["eval", "training", "dropout"]), free_query=st.booleans())
def test_the_fast_form_is_the_formula(data: st.DataObject, mode: str, free_query: bool) -> None:
    """Logits, attention, and the gradients of every parameter and of the tokens. M need not divide d."""
    width, count, batch = (data.draw(st.integers(*limits)) for limits in ((2, 9), (1, 6), (2, 5)))
    heads = data.draw(st.integers(1, width))
    head = drawn(AttentiveFusionHead([width] * count, 4, heads, free_query=free_query), seed=count)
    head.train(mode != "eval")
    mask = torch.ones(batch, heads, count, dtype=torch.float64)
    if mode == "dropout":
        mask = (normal(*mask.shape, seed=2) > -0.5).double() / 0.7
    head.dropout = Masked(mask)  # type: ignore[assignment]
    tokens, weights = normal(batch, count, width).requires_grad_(), normal(batch, 4, seed=3)
    inputs = [*head.parameters(), tokens]

    output = head(list(tokens.unbind(1)))
    logits, attention = plain(head, tokens, mask)

    torch.testing.assert_close(output.logits, logits, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(output.attention, attention.mean(1))
    found = torch.autograd.grad((output.logits * weights).sum() + output.attention.square().sum(), inputs)
    expected = torch.autograd.grad((logits * weights).sum() + attention.mean(1).square().sum(), inputs)
    names = [*(name for name, _ in head.named_parameters()), "tokens"]
    close = [torch.allclose(a, b, rtol=1e-6, atol=1e-8) for a, b in zip(found, expected, strict=True)]
    assert all(close), [name for name, right in zip(names, close, strict=True) if not right]


def test_the_public_definition_in_numpy() -> None:
    """arXiv 2601.09322, one input and one head at a time, in evaluation mode. Width 7 and 3 heads: 4 numbers each."""
    tokens, width, heads = 5, 7, 3
    head = fusion(tokens, width, heads)
    w = {name: tensor.numpy() for name, tensor in head.state_dict().items()}
    x = normal(4, tokens, width).numpy()

    def norm(name: str, h: np.ndarray) -> np.ndarray:
        return (h - h.mean()) / np.sqrt(h.var() + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]

    logits, attention = np.zeros((4, 4)), np.zeros((4, heads, tokens))
    for row, states in enumerate(x):
        mixed = np.zeros(heads * 4)
        for m in range(heads):
            slices = {name: w[f"w_{name}.weight"][4 * m : 4 * m + 4] for name in "qkv"}
            q = slices["q"] @ norm("norm_q", w["query"])
            scores = np.array([q @ (slices["k"] @ norm("norm_k", h)) for h in states]) / 2  # the root of 4
            attention[row, m] = np.exp(scores) / np.exp(scores).sum()
            for a, h in zip(attention[row, m], states, strict=True):
                mixed[4 * m : 4 * m + 4] += a * (slices["v"] @ norm("norm_v", h))
        h = w["w_o.weight"] @ mixed + w["w_o.bias"]
        h = (h - w["norm.running_mean"]) / np.sqrt(w["norm.running_var"] + 1e-5)
        logits[row] = w["classifier.weight"] @ (h * w["norm.weight"] + w["norm.bias"]) + w["classifier.bias"]

    output = head(list(torch.from_numpy(x).unbind(1)))
    np.testing.assert_allclose(output.logits.detach(), logits, rtol=1e-10)
    np.testing.assert_allclose(output.attention.detach(), attention.mean(1), rtol=1e-10)
    by_head = head.attention_by_head(list(torch.from_numpy(x).unbind(1)))
    np.testing.assert_allclose(by_head.detach(), attention, rtol=1e-10)
    assert output.scores is None
    assert attention.std(axis=(0, 1)).min() > 0.01  # every input and every head has its own


def test_query_and_keys_collapse_to_one_vector_per_head() -> None:
    """Scores of a normalised token by W_Q, W_K and both affine LayerNorms; by d + 1 numbers a head."""
    head = fusion(4, 7, 3)
    vectors, constants = head.collapsed()
    assert (vectors.shape, constants.shape) == ((3, 7), (3,))
    tokens = normal(50, 7)
    normalised = nn.functional.layer_norm(tokens, (7,))
    q = head.w_q(head.norm_q(head.query)).view(3, 4)
    k = head.w_k(head.norm_k(tokens)).view(50, 3, 4)
    torch.testing.assert_close(normalised @ vectors.T + constants, (k * q).sum(-1) / 2)


def test_the_order_of_the_tokens_is_not_seen() -> None:
    """LAYA's scorer reads all layers side by side, and does see it."""
    order = [2, 0, 3, 1]
    states = list(normal(4, 5, 6).unbind(0))
    swapped = [states[i] for i in order]
    head = fusion(4)
    before, after = head(states), head(swapped)
    torch.testing.assert_close(after.logits, before.logits)
    torch.testing.assert_close(after.attention, before.attention[:, order])
    laya = LAYAHead([6] * 4, 4, d_star=5).double()
    assert (laya(swapped).logits - laya(states).logits).abs().min() > 1e-4


@pytest.mark.parametrize("training", [False, True])
def test_attention_is_a_distribution_before_dropout(training: bool) -> None:
    head, states = fusion(5, dropout=0.9).train(training), list(normal(5, 7, 6).unbind(0))
    by_head, mean = head.attention_by_head(states), head(states).attention
    assert (by_head.shape, mean.shape) == ((7, 2, 5), (7, 5))
    torch.testing.assert_close(by_head.sum(-1), torch.ones(7, 2).double())
    torch.testing.assert_close(mean.sum(-1), torch.ones(7).double())
    torch.testing.assert_close(mean, by_head.mean(1))
    assert (by_head > 0).all()


def test_dropout_falls_on_the_attention_in_training_alone() -> None:
    head, states = fusion(5, dropout=0.25), list(normal(5, 40, 6).unbind(0))
    without = fusion(5)
    torch.testing.assert_close(head(states).logits, without(states).logits, rtol=0, atol=0)
    seen: list[Tensor] = []
    head.dropout.register_forward_hook(lambda _, inputs, output: seen.extend([*inputs, output]))
    head.train()
    logits = head(states).logits
    attention, used = seen
    torch.testing.assert_close(attention, head.attention_by_head(states))
    kept = used != 0
    assert 0.65 < kept.double().mean() < 0.85
    mask = kept / 0.75
    torch.testing.assert_close(used, attention * mask)
    torch.testing.assert_close(logits, plain(head, torch.stack(states, 1), mask)[0])


@pytest.mark.parametrize(
    ("training", "dropout", "idle"),
    [
        (False, 0.0, {"norm_k.bias"}),
        (True, 0.5, {"norm_k.bias", "w_o.bias"}),
        (True, 0.0, {"norm_k.bias", "w_o.bias", "norm_v.bias"}),
    ],
)
def test_every_parameter_learns_but_the_biases_that_cancel(training: bool, dropout: float, idle: set[str]) -> None:
    torch.manual_seed(0)
    head = fusion(dropout=dropout).train(training)
    (head(list(normal(3, 9, 6).unbind(0))).logits * normal(9, 4, seed=3)).sum().backward()
    sizes = {name: p.grad.abs().max().item() for name, p in head.named_parameters() if p.grad is not None}
    assert len(sizes) == len(list(head.parameters()))
    assert {name for name, size in sizes.items() if size < 1e-10} == idle
    assert min(size for name, size in sizes.items() if name not in idle) > 1e-5


def test_an_input_does_not_depend_on_its_neighbours_in_evaluation() -> None:
    head, states = fusion(), list(normal(3, 5, 6).unbind(0))
    together, alone = head(states), head([h[:1] for h in states])
    assert alone.logits.shape == (1, 4)
    torch.testing.assert_close(alone.logits, together.logits[:1])
    torch.testing.assert_close(alone.attention, together.attention[:1])


@pytest.mark.parametrize(("classes", "parameters"), [(10, 4_733_962), (100, 4_803_172), (1000, 5_495_272)])
def test_sizes_for_vit_b(classes: int, parameters: int) -> None:
    """However many heads, as long as their number divides d: fusion 24, all tokens 8, CLS and mean patch 2."""
    heads = [AttentiveFusionHead([768] * 24, classes), AttentiveFusionHead([768] * 197, classes, 8)]
    heads.append(AttentiveFusionHead([768] * 2, classes))
    assert [head.num_heads for head in heads] == [24, 8, 2]
    assert [count_parameters(head) for head in heads] == [parameters] * 3


def test_a_free_query_takes_the_place_of_w_q() -> None:
    """Its size for ViT-B; and with the vector that W_Q gives, the same head."""
    free = AttentiveFusionHead([768] * 24, 10, free_query=True)
    assert count_parameters(free) - count_parameters(free.classifier) == 3_545_856
    head, free = fusion(4, 7, 3), AttentiveFusionHead([7] * 4, 4, 3, free_query=True).double().eval()
    w = head.state_dict()
    w["query"] = head.w_q(head.norm_q(head.query)).detach()
    free.load_state_dict({name: value for name, value in w.items() if name in free.state_dict()})
    states = list(normal(4, 5, 7).unbind(0))
    torch.testing.assert_close(free(states).logits, head(states).logits)


def test_narrow_hidden_states_are_filled_up_with_zeros() -> None:
    narrow = drawn(AttentiveFusionHead([3, 6, 4], 4, 2))
    states = [normal(5, width) for width in (3, 6, 4)]
    filled = [torch.cat([h, torch.zeros(5, 6 - h.shape[1]).double()], dim=1) for h in states]
    for a, b in zip(narrow(states)[:2], fusion(3, 6, 2)(filled)[:2], strict=True):
        torch.testing.assert_close(a, b)


def test_the_size_for_vit_l_where_48_heads_do_not_divide_1024() -> None:
    head = AttentiveFusionHead([1024] * 48, 10)
    assert head.w_v.weight.shape == (2016, 1024)
    assert count_parameters(head) - count_parameters(head.classifier) == 8_267_776


def test_what_it_starts_from() -> None:
    torch.manual_seed(0)
    head = AttentiveFusionHead([512], 2)
    assert head.query.std().item() == pytest.approx(0.02, rel=0.1)
    assert abs(head.query.mean().item()) < 0.003
    assert {name for name, _ in head.named_children()} == {
        "norm_q", "norm_k", "norm_v", "w_q", "w_k", "w_v", "dropout", "w_o", "norm", "classifier",
    }  # fmt: skip
    assert all(linear.bias is None for linear in (head.w_q, head.w_k, head.w_v))
    assert (head.dropout.p, head.num_heads, head.names) == (0.0, 1, ("h1",))


def test_it_serves_a_classifier() -> None:
    backbone = MLP(12, (6, 6, 6))
    model = DepthClassifier(backbone, AttentiveFusionHead(backbone.out_dims, 4)).eval()
    output = model(torch.rand(7, 12))
    assert isinstance(output, HeadOutput)
    assert [None if part is None else tuple(part.shape) for part in output] == [(7, 4), (7, 3), None]


ONE_TO_SIX = "num_heads must be an integer from 1 to the width 6, got 7"
RATE = "attention_dropout must be a number of at least 0 and below 1, got"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_dims": []}, "in_dims is empty"),
        ({"num_heads": 0}, "num_heads must be an integer of at least 1, got 0"),
        ({"num_heads": 2.0}, "num_heads must be an integer of at least 1, got 2.0"),
        ({"num_heads": 7}, ONE_TO_SIX),
        ({"in_dims": [6] * 7}, rf"{ONE_TO_SIX} \(None: one per hidden state\)"),
        ({"attention_dropout": 1}, f"{RATE} 1"),
        ({"attention_dropout": -0.1}, f"{RATE} -0.1"),
        ({"attention_dropout": float("nan")}, f"{RATE} nan"),
        ({"attention_dropout": True}, f"{RATE} True"),
        ({"attention_dropout": "0.1"}, f"{RATE} '0.1'"),
        ({"free_query": 1}, "free_query must be True or False, got 1"),
    ],
)
def test_settings_that_make_no_sense(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AttentiveFusionHead(**{"in_dims": [6, 6], "num_classes": 4, **arguments})


def test_the_extremes_are_settings() -> None:
    for heads in (1, 6):
        assert AttentiveFusionHead([6], 4, heads, 0.999).num_heads == heads


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ([torch.zeros(2, 6)], "expected 2 hidden states, got 1"),
        (
            [torch.zeros(2, 6), torch.zeros(3, 6)],
            r"hidden state 2 must have shape \(B, 6\), one B for all, got \(3, 6\)",
        ),
        ([torch.zeros(2, 6, 1), torch.zeros(2, 6)], r"hidden state 1 must have shape \(B, 6\)"),
        ([torch.zeros(2, 6), torch.zeros(2, 6).double()], "hidden state 2 is torch.float64"),
    ],
)
def test_wrong_hidden_states(states: list[Tensor], message: str) -> None:
    head = AttentiveFusionHead([6, 6], 4)
    for call in (head, head.attention_by_head):
        with pytest.raises(ValueError, match=message):
            call(states)
