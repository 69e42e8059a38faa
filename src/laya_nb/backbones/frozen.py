"""The backbone of a frozen network: features that were computed before, taken apart into layers."""

from collections.abc import Sequence

from torch import Tensor, nn

from laya_nb.support.checks import check_widths


class FrozenFeatures(nn.Module):
    """A backbone without parameters: all layers' features, side by side in the input, taken apart again.

    Args:
        out_dims: widths d_1..d_L.

    Raises:
        ValueError: for no layer, or inputs of another width than the layers have together.
    """

    def __init__(self, out_dims: Sequence[int]) -> None:
        super().__init__()
        check_widths("out_dims", out_dims)
        self.widths = self.out_dims = tuple(out_dims)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Inputs (B, d_1 + ... + d_L), or (M, B, d_1 + ... + d_L) of M stacked models, to float32 [h_1, ..., h_L]."""
        if x.shape[-1] != sum(self.widths):
            raise ValueError(f"expected features of widths {self.widths} side by side, got shape {tuple(x.shape)}")
        return [part.float() for part in x.split(self.widths, dim=-1)[: len(self.out_dims)]]

    def first(self, count: int) -> "FrozenFeatures":
        """The first `count` layers of the same inputs, which still hold all of them."""
        shorter = FrozenFeatures(self.widths)
        shorter.out_dims = self.widths[:count]
        return shorter
