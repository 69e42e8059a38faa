"""Backbones: `forward(x)` returns the list of hidden states h_1..h_L, `out_dims` holds their widths."""

from collections.abc import Sequence

from torch import Tensor, nn

from laya_nb.conventions import LAYER_NORM_EPS


class MLP(nn.Module):
    """The paper's Fashion-MNIST backbone: Linear -> LayerNorm -> GELU for each hidden width.

    Args:
        in_dim: number of values an input has, after flattening.
        hidden_dims: widths d_1..d_L; the paper's are (512, 256, 128).

    Raises:
        ValueError: for no hidden layer, or inputs that do not flatten to `in_dim` values.
    """

    def __init__(self, in_dim: int, hidden_dims: Sequence[int]) -> None:
        super().__init__()
        if not hidden_dims or any(type(width) is not int or width < 1 for width in (in_dim, *hidden_dims)):
            raise ValueError(
                f"in_dim and at least one hidden width must be integers of 1 or more, got {in_dim!r} and {hidden_dims}"
            )
        self.in_dim = in_dim
        self.out_dims = tuple(hidden_dims)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(before, width), nn.LayerNorm(width, eps=LAYER_NORM_EPS), nn.GELU())
            for before, width in zip((in_dim, *hidden_dims), hidden_dims, strict=False)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Inputs (B, ...) of `in_dim` values each to [h_1 (B, d_1), ..., h_L (B, d_L)]."""
        h = x.flatten(1)
        if h.shape[1] != self.in_dim:
            raise ValueError(f"expected inputs of {self.in_dim} values, got shape {tuple(x.shape)}")
        hidden_states = []
        for block in self.blocks:
            h = block(h)
            hidden_states.append(h)
        return hidden_states
