"""What parts of the package expect of one another, as types."""

from typing import Protocol

from torch import Tensor


class Backbone(Protocol):
    """A module that shows its hidden states.

    `out_dims` holds their widths d_1..d_L. A call maps inputs (B, ...) to [h_1 (B, d_1), ..., h_L (B, d_L)].
    """

    out_dims: tuple[int, ...]

    def __call__(self, x: Tensor) -> list[Tensor]: ...
