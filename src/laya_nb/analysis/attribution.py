"""How much each layer counts for one prediction: attributions (N, L) of a trained head, to be compared.

What is explained is the margin: the logit of the predicted class less that of the second.

Integrated gradients, gradient times input and Shapley values were compared once with captum 0.9.0, which needs an older
numpy than this project: on three heads, with h_1..h_L as a tuple of inputs, they agree to 1e-7, values being about 0.3.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from laya_nb.analysis.removal import States
from laya_nb.heads import Head, Mixture

EXACT = 12  # layers up to which Shapley values are exact: they need 2^L outputs of the head


def pair_of_classes(logits: Tensor) -> Tensor:
    """The predicted class and the second, (N, 2), of logits (N, C)."""
    return logits.topk(2, dim=1).indices


def margin(logits: Tensor, pair: Tensor) -> Tensor:
    """The logit of the first class of each pair less that of the second, (N,)."""
    first, second = logits.gather(1, pair).unbind(dim=1)
    return first - second


def contributions(mixture: Mixture, pair: Tensor) -> Tensor:
    """What each layer adds to the margin, exactly: alpha_i (W z_i), first class less second, (N, L).

    Their sum is the margin less that of the bias (`bias_margin`).
    """
    by_layer = torch.einsum("bml,bmlc->blc", mixture.weights, mixture.values)
    first, second = (by_layer.gather(2, pair[:, None, k, None].expand(-1, by_layer.shape[1], 1)) for k in (0, 1))
    return (first - second).squeeze(2)


def bias_margin(mixture: Mixture, pair: Tensor) -> Tensor:
    """What the bias adds to the margin, (N,)."""
    return margin(mixture.bias.expand(len(pair), -1), pair)


def gradient_times_input(head: Head, states: States, pair: Tensor) -> Tensor:
    """The margin's gradient with respect to h_i, times h_i, summed over its values, (N, L)."""
    gradients = _gradients(head, states, pair)
    return torch.stack([(g * h).sum(dim=1) for g, h in zip(gradients, states, strict=True)], dim=1)


def integrated_gradients(head: Head, states: States, baseline: States, pair: Tensor, steps: int = 32) -> Tensor:
    """Integrated gradients (arXiv 1703.01365) of the margin on (h_1..h_L) as one input, summed over values, (N, L).

    The integral from the baseline to the hidden states is by Gauss-Legendre quadrature. Its sum over layers is the
    margin at the states less that at the baseline, up to the error of the quadrature.

    Args:
        head: in evaluation mode.
        states: h_1..h_L, (N, d_i).
        baseline: for every layer one vector (d_i,), the mean over training examples, say.
        pair: the classes of the margin, (N, 2).
        steps: of the quadrature.
    """
    points, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros(len(pair), len(states), dtype=states[0].dtype, device=states[0].device)
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        at = [b + float(point) * (h - b) for h, b in zip(states, baseline, strict=True)]
        gradients = _gradients(head, at, pair)
        parts = [(g * (h - b)).sum(dim=1) for g, h, b in zip(gradients, states, baseline, strict=True)]
        total += float(weight) * torch.stack(parts, dim=1)
    return total


def shapley_values(
    value: Callable[[Tensor], Tensor], examples: int, layers: int, orders: int = 100, seed: int = 0
) -> Tensor:
    """Shapley values of layers, (N, L): each one's mean effect on the value when it joins the others in random order.

    They sum to the value of all layers less that of none. Up to 12 layers they are exact, from all 2^L subsets; for
    more, means over random orders.

    Args:
        value: from `kept` (N, L), bool, to one number for each example, (N,). A probability, say.
        examples: N.
        layers: L.
        orders: how many random orders are drawn for more than 12 layers.
        seed: of these.
    """
    if layers > EXACT:
        return _sampled_shapley(value, examples, layers, orders, seed)
    subsets = all_subsets(layers)
    values = torch.stack([value(subset.expand(examples, layers)) for subset in subsets])
    sizes = subsets.sum(dim=1)
    found = values.new_zeros(examples, layers)
    for layer in range(layers):
        without = (~subsets[:, layer]).nonzero().flatten()
        gain = values[without + 2**layer] - values[without]
        weight = [1 / (layers * math.comb(layers - 1, int(size))) for size in sizes[without]]
        found[:, layer] = gain.T @ torch.tensor(weight, dtype=gain.dtype, device=gain.device)
    return found


def all_subsets(layers: int) -> Tensor:
    """Every subset of L layers, (2^L, L), bool; row r holds layer i where bit i of r is set."""
    return (torch.arange(2**layers).unsqueeze(1) >> torch.arange(layers)) % 2 == 1


def _sampled_shapley(value: Callable[[Tensor], Tensor], examples: int, layers: int, orders: int, seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    nothing = torch.zeros(examples, layers, dtype=torch.bool)
    empty = value(nothing)
    found = empty.new_zeros(examples, layers)
    for _ in range(orders):
        kept, before = nothing.clone(), empty
        for layer in rng.permutation(layers):
            kept[:, layer] = True
            now = value(kept)
            found[:, layer] += (now - before) / orders
            before = now
    return found


def rank_agreement(a: Tensor, b: Tensor) -> Tensor:
    """Kendall's tau-b between two attributions of each example, (N, L) both, (N,); NaN where one has no order."""
    i, j = torch.triu_indices(a.shape[1], a.shape[1], offset=1)
    first, second = (torch.sign(values[:, i] - values[:, j]).double() for values in (a, b))
    return (first * second).sum(dim=1) / (first.abs().sum(dim=1) * second.abs().sum(dim=1)).sqrt()


def _gradients(head: Head, states: States, pair: Tensor) -> tuple[Tensor, ...]:
    with torch.enable_grad():
        inputs = [h.detach().requires_grad_() for h in states]
        # A head may leave layers unread: their gradient is 0.
        return torch.autograd.grad(margin(head(inputs).logits, pair).sum(), inputs, materialize_grads=True)
