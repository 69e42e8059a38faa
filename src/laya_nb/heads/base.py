"""What all heads share. A head maps the hidden states of all layers of a backbone to `HeadOutput`."""

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from laya_nb.support.checks import check_integer


class HeadOutput(NamedTuple):
    """What a head returns for B inputs and L hidden states.

    `logits` (B, C). `attention` (B, L): weights over the hidden states, rows summing to 1, or None where a head has
    none. `scores` (B, L): what a softmax turned into the attention, before the temperature divides it, or None. In
    float32 attention is 0 for any score that lies 104 temperatures below the largest; the scores still tell it.
    """

    logits: Tensor
    attention: Tensor | None = None
    scores: Tensor | None = None


class Mixture(NamedTuple):
    """How the logits of a head come from the layers, exactly: sum_m sum_i weights_mi values_mi + bias.

    `weights` (B, M, L): of M attention heads (M is 1 but for `AttentiveFusionHead`), rows summing to 1. `values`
    (B, M, L, C): the logits that layer i would give to head m with all of its weight, before the bias. `bias` (C,).
    """

    weights: Tensor
    values: Tensor
    bias: Tensor

    def logits(self, weights: Tensor | None = None) -> Tensor:
        """The head's logits (B, C), or those that other weights (B, M, L) would give."""
        return torch.einsum("bml,bmlc->bc", self.weights if weights is None else weights, self.values) + self.bias

    def masked(self, kept: Tensor) -> Tensor:
        """The weights (B, M, L) when the layers outside `kept` (B, L), bool, get none and the others share it all, in
        their old proportion; all 0 where nothing is kept."""
        smallest = torch.finfo(self.weights.dtype).tiny  # a kept layer whose weight has underflowed must get some
        weights = self.weights.clamp(min=smallest) * kept.unsqueeze(-2)
        return weights / weights.sum(dim=-1, keepdim=True).clamp(min=smallest)


class Head(nn.Module):
    """Takes hidden states h_1..h_L, h_i of shape (B, d_i), and returns `HeadOutput`.

    Heads differ in nothing else, so an experiment can change the head and keep the rest.

    Args:
        in_dims: widths d_1..d_L.
        num_classes: C, at least 2.

    Attributes:
        names: what the attention weighs, one name per hidden state: "h1".."hL", or the backbone's own names (a layer
            may be read in several ways: `HiddenStates`).
    """

    ndim = 2  # of a hidden state: (B, d_i); heads stacked for training together take (M, B, d_i)
    may_differ: ClassVar[tuple[str, ...]] = ()
    """Float attributes in which heads that are trained as one stack may differ."""
    keras_initialisation: ClassVar[bool] = True
    """Whether a run draws its weights as the paper's Keras notebook does, or leaves them as PyTorch draws them."""

    def __init__(self, in_dims: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.in_dims = tuple(in_dims)
        self.num_classes = num_classes
        self.names = tuple(f"h{i}" for i in range(1, len(self.in_dims) + 1))
        if not self.in_dims:
            raise ValueError("in_dims is empty: a head needs the width of at least one layer")
        for width in self.in_dims:
            check_integer("every width in in_dims", width)
        check_integer("num_classes", num_classes, minimum=2)

    @classmethod
    def check_settings(cls, **settings: Any) -> None:
        """Raise a ValueError for a setting that `__init__` would refuse, without building anything."""

    @classmethod
    def from_settings(cls, in_dims: Sequence[int], num_classes: int, **settings: Any) -> Self:
        """The head with the settings that its line in `heads.catalog` lists."""
        return cls(in_dims, num_classes, **settings)

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

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        """Hidden states h_1..h_L, h_i of shape (B, d_i), to `HeadOutput`. Every head has its own.

        Raises:
            ValueError: for hidden states that do not fit (`check`).
        """
        raise NotImplementedError

    def mixture(self, hidden_states: Sequence[Tensor]) -> Mixture:
        """How the logits come from the layers. Heads that weigh layers have it, in evaluation mode.

        Raises:
            ValueError: from a head that weighs no layers.
        """
        raise ValueError(
            f"{type(self).__name__} gives no weights to layers, so there is nothing to take apart; LAYAHead, "
            "ScalarMixHead, EqualMixHead and AttentiveFusionHead do, and so does a head of yours with a `mixture`"
        )

    def split(self) -> tuple[nn.ModuleList, "Head"]:
        """What is done to each layer alone, and a head for what comes of it.

        The second on what the first makes of h_1..h_L gives what this head gives on h_1..h_L in evaluation mode.
        Whoever changes one layer again and again computes the others once. By default nothing is done to a layer alone.
        """
        return nn.ModuleList(nn.Identity() for _ in self.in_dims), self

    def pruned(self, layers: Sequence[int], means: Sequence[Tensor]) -> "Head":
        """A smaller head, trained no further, that reads some of the layers alone. Heads that weigh layers have it.

        Args:
            layers: which stay, from 0, in rising order.
            means: of every layer's hidden states, (d_i,): what the scorer goes on to see of those that are taken away.

        Raises:
            ValueError: from a head that weighs no layers.
        """
        raise ValueError(f"{type(self).__name__} gives no weights to layers: nothing says how to leave some out")


def linear_adapters(in_dims: Sequence[int], d_star: int) -> nn.ModuleList:
    """One linear layer per hidden state, to the common width d*."""
    return nn.ModuleList(nn.Linear(width, d_star) for width in in_dims)


def split_adapters(head: Head, adapters: nn.ModuleList, d_star: int) -> tuple[nn.ModuleList, Head]:
    """`Head.split` of a head that begins with linear adapters to d*."""
    rest = copy.copy(head)
    rest.__dict__["_modules"] = dict(head._modules)  # the copy shares the modules, not the dictionary of them
    rest.in_dims = (d_star,) * len(head.in_dims)
    rest.adapters = nn.ModuleList(nn.Identity() for _ in head.in_dims)
    return adapters, rest


def adapt(adapters: nn.ModuleList, hidden_states: Sequence[Tensor]) -> Tensor:
    """z_1..z_L as one tensor (B, L, d*)."""
    return torch.stack([adapter(h) for adapter, h in zip(adapters, hidden_states, strict=True)], dim=-2)


def weighted_sum(attention: Tensor, z: Tensor) -> Tensor:
    """sum_i alpha_i z_i: (B, L) and (B, L, d*) to (B, d*)."""
    return (attention.unsqueeze(-1) * z).sum(dim=-2)


def mixture_of(attention: Tensor, z: Tensor, classifier: nn.Linear) -> Mixture:
    """The mixture behind classifier(sum_i alpha_i z_i): attention (B, L), z (B, L, d*)."""
    return Mixture(attention.unsqueeze(-2), (z @ classifier.weight.T).unsqueeze(-3), classifier.bias)


def count_parameters(module: nn.Module) -> int:
    """How many numbers the module's parameters hold."""
    return sum(parameter.numel() for parameter in module.parameters())
