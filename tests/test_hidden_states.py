"""Hidden states tapped by layer name: on real architectures, and in every way a module is run, copied or closed."""

import copy
import io
import threading
from collections.abc import Callable
from typing import Any, Literal

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models
from transformers import BertConfig, BertModel

from laya_nb.backbones import HiddenStates, LayerSelection
from laya_nb.heads import DepthClassifier, LAYAHead


def images(size: int) -> Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def tiny_bert() -> BertModel:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32)
    return BertModel(config).eval()


def tokens(padding: int = 0) -> dict[str, Tensor]:
    """Two texts, of 7 and of 4 tokens; the second one's padding is made of the given token."""
    ids = torch.arange(14).view(2, 7)
    ids[1, 4:] = padding
    return {"input_ids": ids, "attention_mask": torch.tensor([[1] * 7, [1] * 4 + [0] * 3])}


def conv_net() -> nn.Sequential:
    """Three maps (B, 4, 6, 6), batch statistics, dropout, activations in place."""
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
    body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Dropout(0.5))
    return nn.Sequential(stem, body, nn.Conv2d(4, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def classifier(backbone: HiddenStates) -> Any:
    torch.manual_seed(1)
    return DepthClassifier(backbone, LAYAHead(backbone.out_dims, num_classes=3, d_star=8))


def hooks(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) for part in module.modules())


# --- real architectures -------------------------------------------------------------------------------------------

Case = tuple[Callable[[], nn.Module], str, Any, tuple[int, ...]]
ARCHITECTURES: dict[str, Case] = {
    "resnet18": (models.resnet18, "layer*", images(64), (64, 128, 256, 512)),
    "vit_b_16": (lambda: models.vit_b_16(image_size=32), "encoder.layers.*", images(32), (768,) * 12),
    "convnext_tiny": (models.convnext_tiny, "features.*", images(64), (96, 96, 192, 192, 384, 384, 768, 768)),
    "swin_t": (models.swin_t, "features.*", images(64), (96, 96, 192, 192, 384, 384, 768, 768)),  # channels last
    "efficientnet_b0": (
        models.efficientnet_b0,
        "features.*",
        images(48),
        (32, 16, 24, 40, 80, 112, 192, 320, 1280),
    ),
    "timm": (lambda: timm.create_model("vit_tiny_patch16_224", img_size=32), "blocks.*", images(32), (192,) * 12),
    "transformers": (tiny_bert, "encoder.layer.*", tokens(), (16,) * 3),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_laya_trains_on(name: str) -> None:
    make, layers, x, widths = ARCHITECTURES[name]
    torch.manual_seed(0)
    backbone = HiddenStates(make(), [layers], example=x)
    assert backbone.out_dims == widths
    model = classifier(backbone).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = model.head.scorer[0].weight.clone()
    logits, attention, _ = model(x)
    F.cross_entropy(logits, torch.tensor([0, 2])).backward()
    optimizer.step()
    assert attention.shape == (2, len(widths))
    torch.testing.assert_close(attention.sum(dim=1), torch.ones(2))
    assert all(adapter.weight.grad.any() for adapter in model.head.adapters)
    first = backbone.module.get_submodule(backbone.layers[0])
    assert any(p.grad is not None and p.grad.any() for p in first.parameters())
    assert not torch.equal(model.head.scorer[0].weight, before)


def test_values_are_those_of_a_forward_pass_written_by_hand() -> None:
    torch.manual_seed(0)
    net, x = models.resnet18().eval(), images(64)
    found = HiddenStates(net, ["layer*"], example=x)(x)
    h = net.maxpool(net.relu(net.bn1(net.conv1(x))))
    for layer, state in zip((net.layer1, net.layer2, net.layer3, net.layer4), found, strict=True):
        h = layer(h)
        torch.testing.assert_close(state, h.mean(dim=(2, 3)), rtol=0, atol=0)


# --- which layers -------------------------------------------------------------------------------------------------


def test_patterns_keep_their_order_and_stop_at_dots() -> None:
    blocks = nn.Sequential(*(nn.Linear(2, 2) for _ in range(14)))
    net = nn.ModuleDict({"a": nn.Linear(2, 2), "blocks": blocks})
    net.forward = lambda x: blocks(net["a"](x))
    layers = HiddenStates(net, ["blocks.?3", "*", "blocks.*", "a"], example=torch.ones(1, 2)).layers
    assert layers == ("blocks.13", "a", "blocks", *(f"blocks.{i}" for i in range(13)))


class Heap(nn.Module):
    """A layer that runs twice, one that never runs, a container, and outputs of all kinds."""

    def __init__(self, output: Any = None) -> None:
        super().__init__()
        self.shared, self.unused = nn.Linear(4, 4), nn.Linear(4, 4)
        self.parts = nn.ModuleList([nn.Identity()])
        self.output = output

    def forward(self, x: Tensor) -> Tensor:
        self.parts[0](x) if self.output is None else None
        return self.shared(self.shared(x))


class Returns(nn.Module):
    """A module with one layer, which returns whatever it is told to."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.output = output

    def forward(self, x: Tensor, attention_mask: Tensor | None = None) -> Any:
        return self.layer(self.output)


def test_of_a_layer_that_runs_twice_the_last_run_counts() -> None:
    net, x = Heap(), torch.rand(3, 4)
    assert torch.equal(HiddenStates(net, ["shared"], example=x)(x)[0], net.shared(net.shared(x)))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["share"], r"no layer is called 'share'; nearest: 'shared'"),
        (["parts.9*"], r"no layer is called 'parts.9\*'; nearest: 'parts.0', 'parts'"),
        ([], "layers is empty"),
        (["shared", "unused"], "layer 'unused' did not run in the forward pass$"),
        (["parts"], r"layer 'parts' did not run in the forward pass; .* try 'parts\.\*'"),
    ],
)
def test_unknown_and_unused_layers_are_named(layers: list[str], message: str) -> None:
    net = Heap()
    with pytest.raises(ValueError, match=message):
        HiddenStates(net, layers, example=torch.rand(3, 4))
    assert hooks(net) == 0


# --- pooling ------------------------------------------------------------------------------------------------------


def test_padding_changes_nothing() -> None:
    """The control: without a mask, the same padding does change the states."""
    net = tiny_bert()
    pools: list[Literal["mean", "last"]] = ["mean", "last"]
    for pool in pools:
        backbone = HiddenStates(net, ["encoder.layer.*"], example=tokens(), pool=pool)
        for a, b in zip(backbone(tokens(padding=0)), backbone(tokens(padding=9)), strict=True):
            torch.testing.assert_close(a, b)
        first, second = (backbone({"input_ids": tokens(padding)["input_ids"]})[0][1] for padding in (0, 9))
        assert not torch.allclose(first, second, atol=1e-3)


def test_pooling_of_tokens() -> None:
    h = torch.rand(3, 5, 2)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 1, 1]])
    h[1, 3] = torch.nan  # padding may hold anything
    x = {"x": torch.rand(3, 1), "attention_mask": mask}

    def pooled(pool: Any, output: Any = h) -> Tensor:
        return HiddenStates(Returns(output), ["layer"], example=x, pool=pool)(x)[0]

    torch.testing.assert_close(pooled("mean"), torch.stack([h[0].mean(0), h[1, :2].mean(0), h[2, 3:].mean(0)]))
    assert torch.equal(pooled("last"), torch.stack([h[0, 4], h[1, 1], h[2, 4]]))
    assert torch.equal(pooled("cls"), h[:, 0])
    assert torch.equal(pooled(lambda h, x: h[:, 2] * x["x"]), h[:, 2] * x["x"])
    assert torch.equal(pooled("cls", (None, {"first": h, "second": h + 1})), h[:, 0])  # the first tensor counts


@pytest.mark.parametrize(
    ("shape", "first", "width"),
    [
        ((2, 5, 7, 7), True, 5),
        ((2, 7, 7, 5), False, 5),
        ((2, 5, 1, 1), True, 5),
        ((2, 1, 1, 5), False, 5),
        ((2, 3, 5), False, 5),
        ((2, 5), False, 5),
    ],
)
def test_where_channels_are(shape: tuple[int, ...], first: bool, width: int) -> None:
    output = torch.rand(shape)
    state = HiddenStates(Returns(output), ["layer"], example=torch.rand(2, 1))(torch.rand(2, 1))[0]
    expected = output if output.ndim == 2 else output.flatten(2).mean(2) if first else output.flatten(1, -2).mean(1)
    assert state.shape == (2, width)
    torch.testing.assert_close(state, expected)


def test_what_the_example_told_of_channels_holds_for_all_sizes() -> None:
    """Seen alone, the second map would say nothing: all its sizes are equal."""
    net = Returns(torch.rand(2, 5, 7, 7))
    backbone = HiddenStates(net, ["layer"], example=torch.rand(2, 1))
    net.output = torch.rand(2, 5, 5, 5)
    torch.testing.assert_close(backbone(torch.rand(2, 1))[0], net.output.mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("output", "options", "message"),
    [
        (torch.rand(2, 5, 6, 7), {}, r"'layer': \(2, 5, 6, 7\) does not tell channels from positions"),
        (torch.rand(2, 6, 6, 6), {}, r"'layer': \(2, 6, 6, 6\) does not tell channels from positions"),
        (torch.rand(2, 3, 4, 4, 4), {}, r"'layer': \(2, 3, 4, 4, 4\) does not tell .* or a pool function"),
        (torch.rand(2, 3, 6, 6), {"pool": "cls"}, r"'layer': pool 'cls' cannot take an output \(2, 3, 6, 6\)"),
        (torch.rand(2), {}, r"'layer': pool 'mean' cannot take an output \(2,\)"),
        (torch.rand(3, 2, 4), {}, r"'layer': output \(3, 2, 4\) is not of the batch's 2 examples"),
        ("text", {}, "'layer' returned no tensor but str"),
        (torch.rand(2, 3, 4), {"pool": lambda h, x: h}, r"'layer': pool must return \(2, d\) for \(2, 3, 4\), got"),
        (
            torch.rand(2, 3),
            {"pool": "max"},
            "pool must be 'mean', 'cls', 'last', a function or a list of these, got 'max'",
        ),
        (torch.rand(2, 3), {"pool": ["mean", 3]}, "pool must be .* a list of these, got 3"),
        (torch.rand(2, 3), {"pool": []}, "pool is empty: name at least one way"),
        (torch.rand(2, 3), {"pool": ["cls", "mean", "cls"]}, "pool has two ways called 'cls'"),
        (torch.rand(2, 3, 4), {"pool": ["mean", lambda h, x: h]}, r"'layer': pool must return \(2, d\)"),
        (torch.rand(2, 3, 6, 6), {"pool": ["mean", "last"]}, r"'layer': pool 'last' cannot take an output"),
    ],
)
def test_what_cannot_be_pooled_is_named(output: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HiddenStates(Returns(output), ["layer"], example=torch.rand(2, 1), **options)


def test_a_mask_must_fit_the_tokens() -> None:
    x = {"x": torch.rand(2, 1), "attention_mask": torch.ones(2, 4)}
    with pytest.raises(ValueError, match=r"layer 'layer': 3 tokens, but attention_mask is \(2, 4\)"):
        HiddenStates(Returns(torch.rand(2, 3, 5)), ["layer"], example=x)


@pytest.mark.parametrize("pool", ["mean", "cls", "last"])
def test_a_layer_that_works_in_place_does_not_reach_back(pool: Any) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True))
    for x in (torch.randn(5, 3), torch.randn(5, 2, 3)):
        plain = net[0](x)
        expected = plain if x.ndim == 2 else plain.mean(1) if pool == "mean" else plain[:, 0 if pool == "cls" else -1]
        assert expected.min() < 0
        torch.testing.assert_close(HiddenStates(net, ["0"], example=x, pool=pool)(x)[0], expected)


# --- several pools ------------------------------------------------------------------------------------------------


def middle(h: Tensor, x: Any) -> Tensor:
    """A pool of our own: the token in the middle."""
    return h[:, h.shape[1] // 2]


def test_one_layer_may_be_read_in_several_ways() -> None:
    """One hidden state per pool, ordered by layer, then by pool; each is what its pool alone gives."""
    net, x, layers = tiny_bert(), tokens(), ["encoder.layer.0", "encoder.layer.2"]
    pools: list[Any] = ["cls", "mean", middle, "last"]
    together = HiddenStates(net, layers, example=x, pool=pools)
    alone = [HiddenStates(net, layers, example=x, pool=pool) for pool in pools]
    assert together.layers == tuple(layers)
    assert together.out_dims == (16,) * 8
    assert together.names == tuple(f"{layer}:{way}" for layer in layers for way in ("cls", "mean", "middle", "last"))
    expected = [backbone(x)[i] for i in range(2) for backbone in alone]
    for state, wanted in zip(together(x), expected, strict=True):
        assert torch.equal(state, wanted)
    assert all(backbone.names == backbone.layers == tuple(layers) for backbone in alone)
    assert HiddenStates(net, layers, example=x, pool=["mean"]).names == tuple(layers)


def test_a_head_knows_what_it_weighs() -> None:
    """Layer and kind of token, and a selection of these: LayerSelection counts hidden states, whatever their pool."""
    x = tokens()
    backbone = HiddenStates(tiny_bert(), ["encoder.layer.*"], example=x, pool=["cls", "mean"])
    model = classifier(backbone).train()
    logits, attention, scores = model(x)
    assert attention.shape == scores.shape == (2, 6)
    assert model.head.names == backbone.names
    assert backbone.names[2:4] == ("encoder.layer.1:cls", "encoder.layer.1:mean")
    logits.sum().backward()
    assert all(adapter.weight.grad.any() for adapter in model.head.adapters)
    shown = LayerSelection(backbone, ["h4", "noise1"])
    fourth, noise = shown(x)
    states = backbone.eval()(x)
    assert shown.out_dims == (16, 16)
    assert torch.equal(LayerSelection(backbone.eval(), ["h4"])(x)[0], states[3])
    assert fourth.shape == noise.shape == (2, 16)
    assert DepthClassifier(shown, LAYAHead(shown.out_dims, 3)).head.names == ("h4", "noise1")


def test_pools_of_other_widths_and_in_place_layers() -> None:
    """What a pool returns decides the width; a layer that works in place reaches none of them."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True))
    x = torch.randn(5, 2, 3)

    def both(h: Tensor, x: Any) -> Tensor:
        return h.flatten(1).clone()

    backbone = HiddenStates(net, ["0", "1"], example=x, pool=["last", both])
    assert backbone.out_dims == (4, 8, 4, 8)
    assert backbone.names == ("0:last", "0:both", "1:last", "1:both")
    plain = net[0](x)
    assert plain.min() < 0
    for state, wanted in zip(backbone(x)[:2], (plain[:, -1], plain.flatten(1)), strict=True):
        torch.testing.assert_close(state, wanted)


# --- the module stays what it was ---------------------------------------------------------------------------------


def test_making_and_closing_leave_no_trace() -> None:
    net, x = conv_net().train(), images(8)
    net[1].eval()  # its dropout; the batch statistics are in training
    before = copy.deepcopy(net.state_dict())
    modes = [part.training for part in net.modules()]
    with HiddenStates(net, ["?"], example=x) as backbone:
        assert hooks(net) == len(backbone.layers) == 6
        assert list(backbone.state_dict()) == [f"module.{name}" for name in before]
    assert [part.training for part in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert hooks(net) == 0
    with pytest.raises(RuntimeError, match="closed"):
        backbone(x)


def test_a_frozen_module_makes_no_graph_and_stands_still() -> None:
    x = images(8)
    net = conv_net().requires_grad_(False)
    backbone = HiddenStates(net, ["0", "1"], example=x)
    model = classifier(backbone).train()
    before = copy.deepcopy(net.state_dict())
    first, again = (backbone(x) for _ in range(2))
    assert not any(state.requires_grad for state in first)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))  # no dropout
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())  # no batch statistics
    model(x).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in model.head.parameters())
    net[1].requires_grad_(True)
    assert model.train().backbone.module.training


def test_two_on_one_module_do_not_disturb_each_other() -> None:
    net, x = conv_net().eval(), images(8)
    first, second = (HiddenStates(net, layers, example=x) for layers in (["0", "2"], ["2", "1"]))
    assert torch.equal(first(x)[1], second(x)[0])
    net(x[:1])  # a pass of the module's own is no one's: a batch of another size would be refused
    first.close()
    assert len(second(x)) == 2


# --- every way to run it ------------------------------------------------------------------------------------------


def test_a_copy_taps_itself() -> None:
    x = images(8)
    model = classifier(HiddenStates(conv_net(), ["0", "1"], example=x)).eval()
    expected = model(x).logits
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for twin in (copy.deepcopy(model), torch.load(file, weights_only=False)):
        assert torch.equal(twin(x).logits, expected)
        with torch.no_grad():
            twin.backbone.module[0][0].bias.add_(1.0)
        assert not torch.allclose(twin(x).logits, expected)
        twin.backbone.close()
        assert hooks(twin) == 0
        assert torch.equal(model(x).logits, expected)


class Rendezvous(nn.Module):
    """Waits until as many threads have come here as there are to be."""

    barrier = threading.Barrier(2, timeout=20)

    def forward(self, x: Tensor) -> Tensor:
        if threading.current_thread() is not threading.main_thread():
            self.barrier.wait()
        return x


def test_replicas_that_run_at_once_keep_their_states_apart() -> None:
    """What DataParallel does: copies that share their hooks, each in a thread, here in lockstep."""

    def replica(module: nn.Module) -> nn.Module:
        twin = module._replicate_for_data_parallel()
        twin._parameters = dict(module._parameters)
        twin._modules = {name: replica(child) for name, child in module.named_children()}
        return twin

    net = nn.Sequential(nn.Linear(3, 4), Rendezvous(), nn.Linear(4, 5), Rendezvous())
    inputs = torch.rand(2, 6, 3)
    backbone = HiddenStates(net, ["0", "2"], example=inputs[0])
    for modules in ([replica(backbone), replica(backbone)], [backbone, backbone]):  # or one model, two threads
        found: dict[int, list[Tensor]] = {}

        def work(i: int, module: nn.Module, found: dict[int, list[Tensor]] = found) -> None:
            found[i] = module(inputs[i])

        threads = [threading.Thread(target=work, args=(i, module)) for i, module in enumerate(modules)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i, x in enumerate(inputs):
            assert all(torch.equal(a, b) for a, b in zip(found[i], backbone(x), strict=True))


def test_autocast() -> None:
    x = images(8)
    model = classifier(HiddenStates(conv_net(), ["0", "1"], example=x)).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states, (logits, attention, _) = model.backbone(x), model(x)
        logits.sum().backward()
    assert states[1].dtype == torch.bfloat16
    torch.testing.assert_close(attention, model(x).attention, rtol=0, atol=0.02, check_dtype=False)
    assert model.backbone.module[0][0].weight.grad.dtype == torch.float32


def test_compiled_as_one_graph_it_gives_the_same() -> None:
    x = images(8)
    model = classifier(HiddenStates(conv_net(), ["0", "1"], example=x)).eval()
    for a, b in zip(torch.compile(model, backend="eager", fullgraph=True)(x), model(x), strict=True):
        assert torch.equal(a, b)
