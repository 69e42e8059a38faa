"""The LAYA head (arXiv 2511.12723): attention over the layers of a network, computed for every input."""

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from laya_nb.heads.base import (
    Head,
    HeadOutput,
    Mixture,
    adapt,
    linear_adapters,
    mixture_of,
    split_adapters,
    weighted_sum,
)
from laya_nb.support.checks import check_choice, check_integer, check_positive


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

    may_differ: ClassVar[tuple[str, ...]] = ("temperature",)

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
        self.check_settings(d_star=d_star, temperature=temperature, psi=psi, scorer_width=scorer_width)
        self.temperature = float(temperature)
        self.adapters = linear_adapters(self.in_dims, d_star)
        self.psi = (
            nn.Identity()
            if psi == "identity"
            else nn.Sequential(nn.Linear(d_star, d_star), nn.GELU(), nn.Linear(d_star, d_star), nn.GELU())
        )
        layers, width = len(self.in_dims), 2 * d_star if scorer_width is None else scorer_width
        self.scorer = nn.Sequential(nn.Linear(layers * d_star, width), nn.GELU(), nn.Linear(width, layers))
        self.classifier = nn.Linear(d_star, num_classes)

    @classmethod
    def check_settings(cls, **settings: Any) -> None:
        """Raise a ValueError for a d_star, temperature, psi or scorer_width that makes no sense."""
        check_integer("d_star", settings["d_star"])
        check_positive("temperature", settings["temperature"])
        check_choice("psi", settings["psi"], ("identity", "mlp"))
        if settings["scorer_width"] is not None:
            check_integer("scorer_width", settings["scorer_width"])

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        """h_1..h_L, h_i of shape (B, d_i), to logits (B, C), attention (B, L) and scores s (B, L)."""
        z, attention, scores = self._weighed(hidden_states)
        return HeadOutput(self.classifier(weighted_sum(attention, z)), attention, scores)

    def mixture(self, hidden_states: Sequence[Tensor]) -> Mixture:
        """logits = sum_i alpha_i (W z_i) + b."""
        z, attention, _ = self._weighed(hidden_states)
        return mixture_of(attention, z, self.classifier)

    def split(self) -> tuple[nn.ModuleList, Head]:
        """The adapters, and the head for z_1..z_L."""
        return split_adapters(self, self.adapters, self.classifier.in_features)

    @torch.no_grad()
    def pruned(self, layers: Sequence[int], means: Sequence[Tensor]) -> "LAYAHead":
        """The head without the other layers: the scorer's bias takes in what it saw of them, at their mean."""
        d_star = self.classifier.in_features
        hidden, last = self.scorer[0], self.scorer[2]
        assert isinstance(hidden, nn.Linear)
        assert isinstance(last, nn.Linear)
        smaller = copy.deepcopy(self)
        smaller.in_dims = tuple(self.in_dims[i] for i in layers)
        smaller.names = tuple(self.names[i] for i in layers)
        smaller.adapters = nn.ModuleList(copy.deepcopy(self.adapters[i]) for i in layers)
        u = self.psi(adapt(self.adapters, [mean.unsqueeze(0) for mean in means])).squeeze(0)  # (L, d*)
        columns = hidden.weight.view(hidden.out_features, len(self.in_dims), d_star)
        gone = [i for i in range(len(self.in_dims)) if i not in layers]
        before, after = (
            nn.Linear(len(layers) * d_star, hidden.out_features),
            nn.Linear(hidden.out_features, len(layers)),
        )
        before.weight.copy_(columns[:, list(layers)].flatten(1))
        before.bias.copy_(hidden.bias + torch.einsum("kld,ld->k", columns[:, gone], u[gone]))
        after.weight.copy_(last.weight[list(layers)])
        after.bias.copy_(last.bias[list(layers)])
        smaller.scorer = nn.Sequential(before, nn.GELU(), after)
        return smaller

    def _weighed(self, hidden_states: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """z (B, L, d*), attention and scores (B, L)."""
        self.check(hidden_states)
        z = adapt(self.adapters, hidden_states)
        scores = self.scorer(self.psi(z).flatten(-2))
        return z, torch.softmax(scores / self.temperature, dim=-1), scores
