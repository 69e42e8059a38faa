"""The paper's backbone for Fashion-MNIST."""

import copy
from collections.abc import Sequence

from torch import Tensor, nn

from laya_nb.support.checks import check_integer, check_widths
from laya_nb.support.keras_defaults import LAYER_NORM_EPS


class MLP(nn.Module):
    """The paper's Fashion-MNIST backbone: Linear -> LayerNorm -> GELU for each hidden width.

    Args:
        in_dim: number of values an input has, after flattening.
        hidden_dims: widths d_1..d_L; the paper's are (512, 256, 128).
        tied: layers 2 to L are one layer applied again and again, so their widths must be equal, and equal to d_1.

    Raises:
        ValueError: for no hidden layer, tied layers of unequal width, or inputs that do not flatten to `in_dim` values.
    """

    def __init__(self, in_dim: int, hidden_dims: Sequence[int], tied: bool = False) -> None:
        super().__init__()
        check_integer("in_dim", in_dim)
        self.check_settings(hidden_dims, tied)
        self.in_dim = in_dim
        self.flatten = nn.Flatten()
        self.out_dims = tuple(hidden_dims)
        inputs = (in_dim, *hidden_dims[:-1])
        own = 2 if tied else len(hidden_dims)  # layers with weights of their own: tied, the first and the one repeated
        self.blocks = nn.ModuleList(map(_block, inputs[:own], hidden_dims[:own]))

    def first(self, count: int) -> "MLP":
        """The network that ends with its first `count` hidden states. The layers are the same, not copies."""
        shorter = copy.copy(self)
        shorter.out_dims = self.out_dims[:count]
        shorter._modules = {**self._modules, "blocks": self.blocks[:count]}
        return shorter

    @staticmethod
    def check_settings(hidden_dims: Sequence[int], tied: bool = False) -> None:
        """Raise a ValueError for no hidden layer, a width below 1, or tied layers of unequal width."""
        check_widths("hidden_dims", hidden_dims)
        if tied and len(set(hidden_dims)) > 1:
            raise ValueError(f"tied layers need equal widths, got {tuple(hidden_dims)}")

    def forward(self, x: Tensor) -> list[Tensor]:
        """Inputs (B, ...) of `in_dim` values each to [h_1 (B, d_1), ..., h_L (B, d_L)]."""
        h = self.flatten(x)
        if h.shape[-1] != self.in_dim:
            raise ValueError(f"expected inputs of {self.in_dim} values, got shape {tuple(x.shape)}")
        hidden_states = []
        for i in range(len(self.out_dims)):
            h = self.blocks[min(i, len(self.blocks) - 1)](h)
            hidden_states.append(h)
        return hidden_states


def _block(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.LayerNorm(width, eps=LAYER_NORM_EPS), nn.GELU())
