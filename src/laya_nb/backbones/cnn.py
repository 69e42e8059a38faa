"""The paper's backbone for CIFAR-10."""

import copy
from collections.abc import Sequence

from torch import Tensor, nn

from laya_nb.support.checks import check_integer, check_widths
from laya_nb.support.keras_defaults import LAYER_NORM_EPS


class DepthwiseCNN(nn.Module):
    """The paper's CIFAR-10 backbone: depthwise and pointwise convolution -> LayerNorm over channels -> GELU, per stage.

    The second stage divides height and width by four, every later one by two. A hidden state is the mean of its stage's
    map over positions. The paper leaves channels, kernels and strides open; our kernels are 5 x 5, with four filters
    for each channel of the image and one for each channel of a map.

    Args:
        in_channels: of the images.
        hidden_dims: channels d_1..d_L of the stages.

    Raises:
        ValueError: for no stage, or images of another shape than (B, in_channels, H, W).
    """

    def __init__(self, in_channels: int, hidden_dims: Sequence[int]) -> None:
        super().__init__()
        check_integer("in_channels", in_channels)
        check_widths("hidden_dims", hidden_dims)
        self.in_channels = in_channels
        self.out_dims = tuple(hidden_dims)
        channels = (in_channels, *hidden_dims[:-1])
        filters = (4 * in_channels, *hidden_dims[:-1])
        strides = (1, 4, *[2] * len(hidden_dims))[: len(hidden_dims)]
        self.stages = nn.ModuleList(map(_Stage, channels, filters, hidden_dims, strides))

    def first(self, count: int) -> "DepthwiseCNN":
        """The network that ends with its first `count` hidden states. The stages are the same, not copies."""
        shorter = copy.copy(self)
        shorter.out_dims = self.out_dims[:count]
        shorter._modules = {**self._modules, "stages": self.stages[:count]}
        return shorter

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images (B, in_channels, H, W) to [h_1 (B, d_1), ..., h_L (B, d_L)]."""
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"expected images of shape (B, {self.in_channels}, H, W), got {tuple(x.shape)}")
        h = x.permute(0, 2, 3, 1).contiguous()
        hidden_states = []
        for stage in self.stages:
            h = stage(h)
            hidden_states.append(h.mean(dim=(1, 2)))
        return hidden_states


class _Stage(nn.Module):
    """Maps (B, H, W, channels): channels last, so that LayerNorm and the pointwise convolution, a linear layer, find a
    position's values side by side. That takes half the time of channels first."""

    def __init__(self, channels: int, filters: int, width: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, filters, 5, stride, padding=2, groups=channels, bias=False)
        self.pointwise = nn.Linear(filters, width)
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.activation = nn.GELU()

    def forward(self, h: Tensor) -> Tensor:
        h = self.depthwise(h.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.activation(self.norm(self.pointwise(h)))
