"""Backbones: `forward(x)` returns the list of hidden states h_1..h_L, `out_dims` holds their widths."""

from collections.abc import Sequence

from torch import Tensor, nn

from laya_nb.conventions import LAYER_NORM_EPS


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
        _check_widths("in_dim", in_dim, hidden_dims)
        if tied and len(set(hidden_dims)) > 1:
            raise ValueError(f"tied layers need equal widths, got {tuple(hidden_dims)}")
        self.in_dim = in_dim
        self.flatten = nn.Flatten()
        self.out_dims = tuple(hidden_dims)
        before = (in_dim, *hidden_dims)[: 2 if tied else None]
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(inputs, width), nn.LayerNorm(width, eps=LAYER_NORM_EPS), nn.GELU())
            for inputs, width in zip(before, hidden_dims, strict=False)
        )

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
        _check_widths("in_channels", in_channels, hidden_dims)
        self.in_channels = in_channels
        self.out_dims = tuple(hidden_dims)
        channels = (in_channels, *hidden_dims[:-1])
        filters = (4 * in_channels, *hidden_dims[:-1])
        strides = (1, 4, *[2] * len(hidden_dims))[: len(hidden_dims)]
        self.stages = nn.ModuleList(map(_Stage, channels, filters, hidden_dims, strides))

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


class Exposed(nn.Module):
    """A backbone whose hidden states reach the head in another selection: some twice, some as noise.

    Args:
        backbone: any backbone.
        view: what the head gets, in order: "h3" is layer 3; "noise3" is layer 3 of another input, namely the next one
            in the batch. Noise made so has every statistic of the layer, knows nothing of the input, and passes no
            gradient back.

    Raises:
        ValueError: for an empty view, or an entry that names no layer.
    """

    def __init__(self, backbone: nn.Module, view: Sequence[str]) -> None:
        super().__init__()
        widths: tuple[int, ...] = backbone.out_dims  # type: ignore[assignment]
        known = [f"{kind}{i}" for i in range(1, len(widths) + 1) for kind in ("h", "noise")]
        for entry in view:
            if entry not in known:
                raise ValueError(f"unknown hidden state {entry!r}; known: {', '.join(known)}")
        if not view:
            raise ValueError(f"the head must see at least one hidden state; known: {', '.join(known)}")
        self.backbone = backbone
        self.noise = tuple(entry.startswith("noise") for entry in view)
        self.layers = tuple(int(entry.lstrip("hnoise")) - 1 for entry in view)
        self.out_dims = tuple(widths[i] for i in self.layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        hidden_states = self.backbone(x)
        return [
            hidden_states[i].detach().roll(1, dims=-2) if noise else hidden_states[i]
            for i, noise in zip(self.layers, self.noise, strict=True)
        ]


def _check_widths(name: str, inputs: int, hidden_dims: Sequence[int]) -> None:
    if not hidden_dims or any(type(width) is not int or width < 1 for width in (inputs, *hidden_dims)):
        raise ValueError(
            f"{name} and at least one hidden width must be integers of 1 or more, got {inputs!r} and {hidden_dims}"
        )
