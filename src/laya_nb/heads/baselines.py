"""What LAYA is compared with. Concat and ScalarMix: arXiv 2511.12723; the other controls are ours."""

import copy
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from laya_nb.heads.base import (
    Head,
    HeadOutput,
    Mixture,
    adapt,
    count_parameters,
    linear_adapters,
    mixture_of,
    split_adapters,
    weighted_sum,
)
from laya_nb.heads.laya import LAYAHead
from laya_nb.support.checks import check_integer


class LastLayerHead(Head):
    """The usual head: a linear layer on h_L. The other hidden states are checked and left unread."""

    def __init__(self, in_dims: Sequence[int], num_classes: int) -> None:
        super().__init__(in_dims, num_classes)
        self.classifier = nn.Linear(self.in_dims[-1], num_classes)

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        """h_1..h_L, h_i of shape (B, d_i), to logits (B, C); no attention."""
        self.check(hidden_states)
        return HeadOutput(self.classifier(hidden_states[-1]))


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

    @classmethod
    def check_settings(cls, **settings: Any) -> None:
        """The settings are those of the LAYA head whose size it takes."""
        LAYAHead.check_settings(**settings)

    @classmethod
    def from_settings(cls, in_dims: Sequence[int], num_classes: int, **settings: Any) -> Self:
        """The control for the LAYA head of these settings."""
        return cls(in_dims, num_classes, count_parameters(LAYAHead(in_dims, num_classes, **settings)))

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        """h_1..h_L, h_i of shape (B, d_i), to logits (B, C); no attention."""
        self.check(hidden_states)
        return HeadOutput(self.mlp(hidden_states[-1]))


class ConcatHead(Head):
    """Adapters, concatenation, a small MLP, a linear layer: all layers, and no weights over them.

    The paper does not give the MLP's size; ours is one layer of d_star units with GELU.
    """

    def __init__(self, in_dims: Sequence[int], num_classes: int, d_star: int = 96) -> None:
        super().__init__(in_dims, num_classes)
        self.check_settings(d_star=d_star)
        self.adapters = linear_adapters(self.in_dims, d_star)
        self.mlp = nn.Sequential(nn.Linear(len(self.in_dims) * d_star, d_star), nn.GELU())
        self.classifier = nn.Linear(d_star, num_classes)

    @classmethod
    def check_settings(cls, **settings: Any) -> None:
        """Raise a ValueError for a d_star that is no width."""
        check_integer("d_star", settings["d_star"])

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        """h_1..h_L, h_i of shape (B, d_i), to logits (B, C); no attention."""
        self.check(hidden_states)
        z = adapt(self.adapters, hidden_states)
        return HeadOutput(self.classifier(self.mlp(z.flatten(-2))))


class EqualMixHead(Head):
    """Adapters, then their plain mean: a mix of layers whose weights are fixed at 1/L."""

    def __init__(self, in_dims: Sequence[int], num_classes: int, d_star: int = 96) -> None:
        super().__init__(in_dims, num_classes)
        self.check_settings(d_star=d_star)
        self.adapters = linear_adapters(self.in_dims, d_star)
        self.classifier = nn.Linear(d_star, num_classes)

    @classmethod
    def check_settings(cls, **settings: Any) -> None:
        """Raise a ValueError for a d_star that is no width."""
        check_integer("d_star", settings["d_star"])

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        """h_1..h_L, h_i of shape (B, d_i), to logits (B, C), attention 1/L and scores 0, both (B, L)."""
        self.check(hidden_states)
        z = adapt(self.adapters, hidden_states)
        scores = z.new_zeros(z.shape[:-1])
        return HeadOutput(self.classifier(z.mean(dim=-2)), torch.softmax(scores, dim=-1), scores)

    def mixture(self, hidden_states: Sequence[Tensor]) -> Mixture:
        """logits = sum_i alpha_i (W z_i) + b, for ScalarMix too."""
        attention = self(hidden_states).attention
        assert attention is not None
        return mixture_of(attention, adapt(self.adapters, hidden_states), self.classifier)

    def split(self) -> tuple[nn.ModuleList, Head]:
        """The adapters, and the head for z_1..z_L."""
        return split_adapters(self, self.adapters, self.classifier.in_features)

    @torch.no_grad()
    def pruned(self, layers: Sequence[int], means: Sequence[Tensor]) -> "EqualMixHead":
        """The head without the other layers; the weights of those that stay keep their proportion."""
        smaller = copy.deepcopy(self)
        smaller.in_dims = tuple(self.in_dims[i] for i in layers)
        smaller.names = tuple(self.names[i] for i in layers)
        smaller.adapters = nn.ModuleList(copy.deepcopy(self.adapters[i]) for i in layers)
        return smaller


class ScalarMixHead(EqualMixHead):
    """Adapters, then one learned weight per layer, the same for every input (a softmax over L free scalars)."""

    def __init__(self, in_dims: Sequence[int], num_classes: int, d_star: int = 96) -> None:
        super().__init__(in_dims, num_classes, d_star)
        self.scores = nn.Parameter(torch.zeros(len(self.in_dims)))

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        """h_1..h_L, h_i of shape (B, d_i), to logits (B, C), attention and scores (B, L), equal in every row."""
        self.check(hidden_states)
        z = adapt(self.adapters, hidden_states)
        scores = self.scores.expand(*z.shape[:-2], -1)
        attention = torch.softmax(self.scores, dim=-1).expand(*z.shape[:-2], -1)
        return HeadOutput(self.classifier(weighted_sum(attention, z)), attention, scores)

    @torch.no_grad()
    def pruned(self, layers: Sequence[int], means: Sequence[Tensor]) -> "ScalarMixHead":
        """As `EqualMixHead.pruned`."""
        smaller = super().pruned(layers, means)
        assert isinstance(smaller, ScalarMixHead)
        smaller.scores = nn.Parameter(self.scores[list(layers)].clone())
        return smaller


class ConcatLinearHead(Head):
    """All layers side by side and one linear layer: a logistic regression on every hidden state at once."""

    def __init__(self, in_dims: Sequence[int], num_classes: int) -> None:
        super().__init__(in_dims, num_classes)
        self.classifier = nn.Linear(sum(self.in_dims), num_classes)

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        """h_1..h_L, h_i of shape (B, d_i), to logits (B, C); no attention."""
        self.check(hidden_states)
        return HeadOutput(self.classifier(torch.cat(list(hidden_states), dim=-1)))
