"""A LAYA head that knows every subset of the layers, since it was trained on all of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from laya_nb.heads.base import HeadOutput, adapt, weighted_sum
from laya_nb.heads.laya import LAYAHead


class LayerDropoutLAYAHead(LAYAHead):
    """LAYA trained with layer dropout: for each example a random part of the layers, from one to all of them.

    A layer that is left out gets no weight, and the scorer sees zeros in its place. To take a layer away from a usual
    head shows it what it never saw in training; here every subset is of a kind that training had. The number of layers
    that stay is drawn first, each as likely as the others, then which ones.
    """

    def forward(self, hidden_states: Sequence[Tensor], kept: Tensor | None = None) -> HeadOutput:
        """h_1..h_L, h_i of shape (B, d_i), to logits (B, C), attention and scores (B, L).

        Args:
            hidden_states: of all layers, those that do not count included.
            kept: (B, L), bool, the layers that count; where none does, the logits are the classifier's bias. By default
                all of them, and in training a random draw.
        """
        self.check(hidden_states)
        z = adapt(self.adapters, hidden_states)
        if kept is None:
            kept = self._draw(z) if self.training else z.new_ones(z.shape[:-1], dtype=torch.bool)
        scores = self.scorer((self.psi(z) * kept.unsqueeze(-1)).flatten(-2))
        scores = scores.masked_fill(~kept, -torch.inf)
        attention = torch.softmax(scores / self.temperature, dim=-1).nan_to_num(0.0)
        return HeadOutput(self.classifier(weighted_sum(attention, z)), attention, scores)

    @staticmethod
    def _draw(z: Tensor) -> Tensor:
        """For every example which layers stay, (B, L)."""
        batch, layers = z.shape[:2]
        rank = torch.rand(batch, layers, device=z.device).argsort(dim=1)
        return rank < torch.randint(1, layers + 1, (batch, 1), device=z.device)
