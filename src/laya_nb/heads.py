"""Output heads: what a classifier does with the hidden states of all its layers.

Every head takes a sequence of hidden states h_1..h_L, h_i of shape (B, d_i), and returns `HeadOutput`. They differ
in nothing else, so an experiment can change the head and keep the rest. `LAYAHead` is the subject; the others are its
rivals. Source of LAYA, Concat and ScalarMix: arXiv 2511.12723. `LastLayerMLPHead` is ours.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn


class HeadOutput(NamedTuple):
    """Logits (B, C), and weights over layers (B, L) with rows that sum to 1, or None where a head has none."""

    logits: Tensor
    attention: Tensor | None


class Head(nn.Module):
    """What all heads share: the widths they were built for, and the check of what they are given."""

    ndim = 2  # of a hidden state: (B, d_i); heads stacked for training together take (M, B, d_i)

    def __init__(self, in_dims: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.in_dims = tuple(in_dims)
        self.num_classes = num_classes
        if not self.in_dims:
            raise ValueError("in_dims is empty: a head needs the width of at least one layer")
        for width in self.in_dims:
            _check_count("every width in in_dims", width)
        _check_count("num_classes", num_classes, minimum=2)

    def check(self, hidden_states: Sequence[Tensor]) -> None:
        """Raise a ValueError that names the first layer whose hidden state this head cannot take."""
        if len(hidden_states) != len(self.in_dims):
            raise ValueError(f"expected {len(self.in_dims)} hidden states, got {len(hidden_states)}")
        weight = next(self.parameters())
        batch = hidden_states[0].shape[:-1]
        for i, (h, width) in enumerate(zip(hidden_states, self.in_dims, strict=True), start=1):
            if h.ndim != self.ndim or h.shape[-1] != width or h.shape[:-1] != batch:
                raise ValueError(f"hidden state {i} must have shape (B, {width}), one B for all, got {tuple(h.shape)}")
            if h.dtype != weight.dtype and not torch.is_autocast_enabled(h.device.type):
                raise ValueError(f"hidden state {i} is {h.dtype}, the head's weights are {weight.dtype}")
            if h.device != weight.device:
                raise ValueError(f"hidden state {i} is on {h.device}, the head is on {weight.device}")


class LAYAHead(Head):
    """LAYA: attention over layers, scored for each input from all layers together.

    z_i = g_i(h_i); u_i = psi(z_i); s = scorer(concat(u_1..u_L)); alpha = softmax(s / temperature);
    logits = W sum_i alpha_i z_i + b. The sum takes the z, not the u (arXiv 2511.12723, method section and released
    notebook).

    Args:
        in_dims: widths d_1..d_L of the hidden states.
        num_classes: C.
        d_star: the common width d* that the adapters map to.
        temperature: tau > 0; above 1 flattens the attention, below 1 sharpens it.
        psi: "identity", or "mlp" for a shared d* -> d* -> d* transform with GELU after both layers.
        scorer_width: hidden width of the scorer; None means 2 * d_star.

    Raises:
        ValueError: for a size, temperature or psi that makes no sense, or hidden states that do not fit.
    """

    def __init__(
        self,
        in_dims: Sequence[int],
        num_classes: int,
        d_star: int = 96,
        temperature: float = 1.0,
        psi: Literal["identity", "mlp"] = "identity",
        scorer_width: int | None = None,
    ) -> None:
        super().__init__(in_dims, num_classes)
        _check_count("d_star", d_star)
        width = 2 * d_star if scorer_width is None else scorer_width
        _check_count("scorer_width", width)
        if not is_positive(temperature):
            raise ValueError(f"temperature must be a finite number above 0, got {temperature!r}")
        if psi not in ("identity", "mlp"):
            raise ValueError(f"psi must be 'identity' or 'mlp', got {psi!r}")

        self.temperature = float(temperature)
        self.adapters = _adapters(self.in_dims, d_star)
        self.psi = (
            nn.Identity()
            if psi == "identity"
            else nn.Sequential(nn.Linear(d_star, d_star), nn.GELU(), nn.Linear(d_star, d_star), nn.GELU())
        )
        layers = len(self.in_dims)
        self.scorer = nn.Sequential(nn.Linear(layers * d_star, width), nn.GELU(), nn.Linear(width, layers))
        self.classifier = nn.Linear(d_star, num_classes)

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        self.check(hidden_states)
        z = _adapted(self.adapters, hidden_states)
        scores = self.scorer(self.psi(z).flatten(-2))
        attention = torch.softmax(scores / self.temperature, dim=-1)
        return HeadOutput(self.classifier(_weighted_sum(attention, z)), attention)


class LastLayerHead(Head):
    """The usual head: a linear layer on h_L. The other hidden states are checked and left unread."""

    def __init__(self, in_dims: Sequence[int], num_classes: int) -> None:
        super().__init__(in_dims, num_classes)
        self.classifier = nn.Linear(self.in_dims[-1], num_classes)

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        self.check(hidden_states)
        return HeadOutput(self.classifier(hidden_states[-1]), None)


class LastLayerMLPHead(Head):
    """The capacity-matched control: h_L -> Linear -> GELU -> Linear, as wide as `parameter_budget` allows.

    It has the parameters of a LAYA head and sees the last layer alone, so it tells what the layers add from what the
    parameters add. The paper has no such control.

    Raises:
        ValueError: if the budget is too small for one hidden unit.
    """

    def __init__(self, in_dims: Sequence[int], num_classes: int, parameter_budget: int) -> None:
        super().__init__(in_dims, num_classes)
        last = self.in_dims[-1]
        per_unit = last + 1 + num_classes
        width = (parameter_budget - num_classes) // per_unit
        if width < 1:
            raise ValueError(f"parameter_budget must be at least {per_unit + num_classes}, got {parameter_budget!r}")
        self.mlp = nn.Sequential(nn.Linear(last, width), nn.GELU(), nn.Linear(width, num_classes))

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        self.check(hidden_states)
        return HeadOutput(self.mlp(hidden_states[-1]), None)


class ConcatHead(Head):
    """Adapters, concatenation, a small MLP, a linear layer: all layers, and no weights over them.

    The paper does not give the MLP's size; ours is one layer of d_star units with GELU.
    """

    def __init__(self, in_dims: Sequence[int], num_classes: int, d_star: int = 96) -> None:
        super().__init__(in_dims, num_classes)
        _check_count("d_star", d_star)
        self.adapters = _adapters(self.in_dims, d_star)
        self.mlp = nn.Sequential(nn.Linear(len(self.in_dims) * d_star, d_star), nn.GELU())
        self.classifier = nn.Linear(d_star, num_classes)

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        self.check(hidden_states)
        z = _adapted(self.adapters, hidden_states)
        return HeadOutput(self.classifier(self.mlp(z.flatten(-2))), None)


class ScalarMixHead(Head):
    """Adapters, then one learned weight a layer, the same for every input (a softmax over L free scalars)."""

    def __init__(self, in_dims: Sequence[int], num_classes: int, d_star: int = 96) -> None:
        super().__init__(in_dims, num_classes)
        _check_count("d_star", d_star)
        self.adapters = _adapters(self.in_dims, d_star)
        self.scores = nn.Parameter(torch.zeros(len(self.in_dims)))
        self.classifier = nn.Linear(d_star, num_classes)

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        self.check(hidden_states)
        z = _adapted(self.adapters, hidden_states)
        attention = torch.softmax(self.scores, dim=-1).expand(*z.shape[:-2], -1)
        return HeadOutput(self.classifier(_weighted_sum(attention, z)), attention)


def _adapters(in_dims: Sequence[int], d_star: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(width, d_star) for width in in_dims)


def _adapted(adapters: nn.ModuleList, hidden_states: Sequence[Tensor]) -> Tensor:
    """z_1..z_L as one tensor (B, L, d*)."""
    return torch.stack([adapter(h) for adapter, h in zip(adapters, hidden_states, strict=True)], dim=-2)


def _weighted_sum(attention: Tensor, z: Tensor) -> Tensor:
    """sum_i alpha_i z_i: (B, L) and (B, L, d*) to (B, d*)."""
    return (attention.unsqueeze(-1) * z).sum(dim=-2)


def is_positive(value: object) -> bool:
    """Whether `value` is a finite number above 0: no text that looks like one, no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _check_count(name: str, value: int, minimum: int = 1) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")
