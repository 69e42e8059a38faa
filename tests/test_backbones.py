"""The backbones: what they compute, and what the head gets to see of it."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from laya_nb.backbones import MLP, DepthwiseCNN, LayerSelection

x = torch.rand(6, 12, generator=torch.Generator().manual_seed(0))


def test_tied_layers_are_one_layer_applied_again() -> None:
    backbone = MLP(12, (5, 5, 5), tied=True)
    h1, h2, h3 = backbone(x)
    first, again = backbone.blocks
    assert torch.equal(h1, first(x))
    assert torch.equal(h2, again(h1))
    assert torch.equal(h3, again(h2))
    assert len(list(backbone.parameters())) == 8  # two layers, each a Linear and a LayerNorm


def test_tied_layers_need_equal_widths() -> None:
    with pytest.raises(ValueError, match=r"tied layers need equal widths, got \(5, 4\)"):
        MLP(12, (5, 4), tied=True)


def test_a_copy_is_equal_and_noise_is_another_inputs_state() -> None:
    backbone = MLP(12, (5, 4, 3))
    true = backbone(x)
    exposed = LayerSelection(backbone, ["noise1", "h3", "h3", "h2"])
    noise, *shown = exposed(x)
    assert exposed.out_dims == (5, 3, 3, 4)
    for state, layer in zip(shown, (2, 2, 1), strict=True):
        assert torch.equal(state, true[layer])
    assert torch.equal(noise, true[0][[5, 0, 1, 2, 3, 4]])  # so every statistic of the layer is the same


def test_noise_tells_nothing_and_teaches_nothing() -> None:
    """The noise shown for an input does not change with that input, and no gradient comes back through it."""
    exposed = LayerSelection(MLP(12, (5, 4)), ["noise1", "noise2"])
    other = x.clone()
    other[2] += 1.0
    for before, after in zip(exposed(x), exposed(other), strict=True):
        assert torch.equal(before[2], after[2])
        assert not torch.equal(before[3], after[3])
    assert not any(state.requires_grad for state in exposed(x))


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (["h1", "h4"], "unknown hidden state 'h4'; known: h1, noise1, h2, noise2"),
        (["h0"], "unknown hidden state 'h0'"),
        (["noise"], "unknown hidden state 'noise'"),
        ([], "the head must see at least one hidden state"),
    ],
)
def test_a_view_names_what_it_does_not_know(view: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LayerSelection(MLP(12, (5, 4)), view)


def test_a_stage_is_what_channels_first_operations_make_it() -> None:
    """Depthwise and pointwise convolution, LayerNorm over channels, GELU, means over positions: written out."""
    cnn = DepthwiseCNN(3, (4, 6, 5))
    images = torch.rand(2, 3, 16, 12)
    h, expected = images, []
    stage: Any
    for i, stage in enumerate(cnn.stages):
        depthwise, pointwise, norm = stage.depthwise, stage.pointwise, stage.norm
        h = F.conv2d(h, depthwise.weight, stride=(1, 4, 2)[i], padding=2, groups=h.shape[1])
        h = F.conv2d(h, pointwise.weight[:, :, None, None], pointwise.bias)
        mean, variance = h.mean(dim=1, keepdim=True), h.var(dim=1, keepdim=True, correction=0)
        h = (h - mean) / (variance + norm.eps).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]
        h = F.gelu(h)
        expected.append(h.mean(dim=(2, 3)))
    assert h.shape == (2, 5, 2, 2)  # 16 x 12, then 4 x 3
    assert cnn.out_dims == (4, 6, 5)
    for state, wanted in zip(cnn(images), expected, strict=True):
        assert torch.allclose(state, wanted, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (3, 16, 16), (2, 16, 16, 3)])
def test_a_cnn_names_the_images_it_cannot_take(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected images of shape \(B, 3, H, W\), got"):
        DepthwiseCNN(3, (4, 4))(torch.zeros(shape))
