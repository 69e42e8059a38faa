"""Frozen networks that see: two whose weights come in a package, and any of timm's and torchvision's by name.

A name may carry options behind plus signs, in any order: "vit_s_saliency+112px+bf16". So what decides the features
stands in the name of a data set of features, and in the key of a run on it.

- "112px": the height and width of the network's input. Usual are 98 for "vit_s_saliency", 112 for "efficientnet_lite0",
  and for others what they were trained on.
- "bf16": the network in bfloat16. What is read of a ViT is averaged and kept in float32.
- "random": its weights are drawn anew, the same each time, by its library's initialisation.
- "alf", "blocks", "tokens", "stages": what is read, see `TAPS`.

A data set of features takes "l2" as well: `features.load`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from laya_nb.backbones.hidden_states import HiddenStates, Pool
from laya_nb.features import weights as packaged
from laya_nb.features.encoders import RANDOM, Encoder, Images
from laya_nb.support import seeds
from laya_nb.support.files import DataError

TAPS = {
    "alf": "CLS and AP of every block but the first, normalised in its middle (after attention, before the MLP), "
    "and of the last block after the final norm",
    "blocks": "of a ViT, CLS and AP after every block; of a convolutional network, AP after every block",
    "tokens": "of a ViT, every token after the final norm: CLS, then the patches, row by row",
    "stages": "of a convolutional network, AP after every stage",
}
"""What can be read of a network. CLS is token 0; AP is the mean of all others, or of all positions of a map.
A network without a class token shows AP alone, the mean of all tokens.

"alf" is what attentive layer fusion reads (arXiv 2601.09322): of a ViT of timm with 12 blocks the outputs of
`blocks.1.norm2` to `blocks.11.norm2`, counted from 0, and of `norm`. It is usual for ViTs, "stages" for the others.
"""

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""The mean and standard deviation of ImageNet's colours, in [0, 1]."""

WIDTHS: dict[str, tuple[int, ...]] = {
    "vit_s_saliency": (384,) * 24,
    "efficientnet_lite0": (16, 24, 40, 80, 112, 192, 320),
}
"""The widths of what is usually read of them."""

SIZES = {"vit_s_saliency": 98, "efficientnet_lite0": 112}
TORCHVISION = "torchvision."


@dataclass(frozen=True)
class Request:
    """An encoder's name, taken apart. None stands for what is usual for the network."""

    network: str
    size: int | None = None
    taps: str | None = None
    half: bool = False
    random: bool = False


class HalfImages(Images):
    """Images in bfloat16, for a network in bfloat16."""

    def batch(self, rows: Sequence[int]) -> Tensor:
        """(B, 3, height, width)."""
        return super().batch(rows).bfloat16()


@dataclass(frozen=True)
class Look:
    """How a network wants its images: height and width, whether it takes no others, and what is done to pixels."""

    size: int
    fixed: bool
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def images(self, pixels: Tensor, kind: type[Images] = Images) -> Images:
        """Pixels as a network's inputs: grey images get three equal channels, and all are resized.

        Raises:
            ValueError: for what is no square image (N, 1 or 3, H, H) with pixels in [0, 1].
        """
        if pixels.ndim != 4 or pixels.shape[1] not in (1, 3) or pixels.shape[2] != pixels.shape[3]:
            raise ValueError(
                f"images must be square, (N, 1 or 3, H, H), to become (N, 3, {self.size}, {self.size}); got "
                f"{tuple(pixels.shape)}: crop or pad them"
            )
        low, high = (pixels.min().item(), pixels.max().item()) if len(pixels) else (0, 0)
        if not pixels.is_floating_point() or not (low >= 0 and high <= 1):
            raise ValueError(f"pixels must lie in [0, 1], got {pixels.dtype} from {low:g} to {high:g}")
        return kind(pixels, (self.size, self.size), self.interpolation, self.mean, self.std)


class EveryToken(HiddenStates):
    """A backbone that shows every token of one layer: `forward` returns as many hidden states (B, width)."""

    kept_as = "float16"  # there are many

    def __init__(self, module: nn.Module, layer: str, *, example: Tensor, width: int) -> None:
        self.width = width  # `forward` needs it, and runs once in what follows
        super().__init__(module, [layer], example=example, pool=flat)
        self.names = tuple(f"{layer}:{token}" for token in range(len(self.out_dims)))

    def forward(self, x: Any) -> list[Tensor]:
        (tokens,) = super().forward(x)
        return list(tokens.split(self.width, dim=1))


def cls(h: Tensor, x: Any) -> Tensor:
    """Token 0 of h (B, T, d), in float32."""
    return h[:, 0].float().clone()  # not h itself: the next layer may work in place


def ap(h: Tensor, x: Any) -> Tensor:
    """The mean of all tokens of h (B, T, d) but token 0, in float32: registers are averaged in, as ALF does."""
    return h[:, 1:].float().mean(dim=1)


def flat(h: Tensor, x: Any) -> Tensor:
    """All tokens of h (B, T, d) side by side, in float32."""
    return h.flatten(1).float().clone()


def load(name: str, *, layers: Sequence[str] | None = None, pretrained: bool = True, **options: Any) -> Encoder:
    """An encoder of images, frozen, with its pretrained weights.

    Args:
        name: "vit_s_saliency", "efficientnet_lite0", a name of timm's ("vit_small_patch14_dinov2.lvd142m"), or one of
            torchvision's behind "torchvision." ("torchvision.resnet50"); with options, as the module's text says.
        layers: names of the network's own layers to read, or patterns, as `HiddenStates` takes them, in place of
            `TAPS`. No name of a data set of features carries them.
        pretrained: whether with weights; without, the network is untrained and needs no package of weights.
        options: for `timm.create_model` or `torchvision.models.get_model`: `depth=3`.

    Raises:
        ValueError: for an unknown network, option or layer, the message names the nearest; for taps that the network
            does not have, and a size that it cannot take.
        ImportError: where a package is missing; the message says what to install.
        DataError: for weights that are damaged or cannot be downloaded.
    """
    request = parse(name)
    pretrained = pretrained and not request.random
    # Weights that are drawn only to be replaced, or from a seed of their own: no caller's draws may change.
    with torch.random.fork_rng(devices=[], enabled=pretrained or request.random):
        if request.random:
            torch.manual_seed(seeds.stream_seed(0, "initialisation"))
        module, look = _network(request, pretrained, options)
    backbone = _backbone(request, module.requires_grad_(False).eval(), look, layers)
    kind = HalfImages if request.half else Images
    return Encoder(name, "images", backbone.eval(), lambda pixels: look.images(pixels, kind))


def widths(name: str) -> tuple[int, ...]:
    """The widths of what an encoder shows, from its architecture alone: no weights are read or downloaded.

    Raises:
        ValueError: as `load`.
        ImportError: where timm or torchvision is missing; not for one of `WIDTHS`.
    """
    plain = "+".join(part for part in name.split("+") if part not in ("bf16", RANDOM))
    return WIDTHS[plain] if plain in WIDTHS else _shown(name)[1]


def names(name: str) -> tuple[str, ...]:
    """What each of the things is that an encoder shows: "blocks.3.norm2:cls". Raises as `widths`."""
    return _shown(name)[0]


@cache  # every `Run` on an encoder's features asks for its widths, and to build an architecture takes a while
def _shown(name: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    request = parse(name)
    with torch.device("meta"):
        module, look = _network(request, False, {})
        backbone = _backbone(request, module.eval(), look, None)
    return backbone.names, backbone.out_dims


def parse(name: str) -> Request:
    """An encoder's name, taken apart.

    Raises:
        ValueError: for an option that is unknown, or given twice.
    """
    network, *options = name.split("+")
    found: dict[str, Any] = {}
    for option in options:
        size = re.fullmatch(r"([1-9]\d*)px", option)
        kind = "size" if size else "taps" if option in TAPS else {"bf16": "half", RANDOM: RANDOM}.get(option)
        if kind is None:
            known = [*TAPS, "bf16", RANDOM, "112px"]
            nearest = get_close_matches(option, known, n=2) or known
            raise ValueError(f"{name!r}: unknown option {option!r}; nearest: {', '.join(map(repr, nearest))}")
        if kind in found:
            raise ValueError(f"{name!r}: {option!r} stands beside another option of its kind")
        found[kind] = int(size[1]) if size else option
    return Request(network, found.get("size"), found.get("taps"), "half" in found, RANDOM in found)


# --- networks


def _network(request: Request, pretrained: bool, options: dict[str, Any]) -> tuple[Any, Look]:
    name, size = request.network, request.size or SIZES.get(request.network, 0)  # 0: what is usual
    if name.startswith(TORCHVISION):
        return _torchvision(name, size, pretrained, options)
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"{name} needs timm ({error}): pip install 'laya-nb[pretrained]'") from error

    if name == "vit_s_saliency":
        _fits(name, size, 14)
        model = timm.create_model("vit_small_patch14_dinov2", img_size=size, num_classes=0, **options)
        if pretrained:
            found = packaged.load(packaged.VIT_S_SALIENCY)
            # Positions are interpolated as in the package's graph, without timm's antialiasing.
            grid = timm.layers.resample_abs_pos_embed(found["pos_embed"], [size // 14] * 2, antialias=False)
            model.load_state_dict(found | {"pos_embed": grid})
        return model, Look(size, True, "bicubic", *IMAGENET)
    if name == "efficientnet_lite0":
        model = timm.create_model("tf_efficientnet_lite0", **options)  # "tf": padded as TensorFlow does
        if pretrained:
            model.load_state_dict(packaged.load(packaged.EFFICIENTNET_LITE0))
        return model, Look(size, False, "bicubic", (127 / 255,) * 3, (128 / 255,) * 3)
    return _timm(name, size, pretrained, options)


def _timm(name: str, size: int, pretrained: bool, options: dict[str, Any]) -> tuple[Any, Look]:
    import timm

    trained = timm.list_pretrained()
    if not timm.is_model(name) or ("." in name and name not in trained):
        raise ValueError(_unknown(name, [*SIZES, *timm.list_models(), *trained]))
    if pretrained and not timm.models.is_model_pretrained(name):
        raise ValueError(f"timm has no weights for {name!r}")
    config: Any = timm.get_pretrained_cfg(name)
    if size and config.fixed_input_size:
        options = {"img_size": size, **options}
    with _downloading(name):
        model: Any = timm.create_model(name, pretrained=pretrained, num_classes=0, **options)
    patches: Any = getattr(model, "patch_embed", None)
    if size and config.fixed_input_size and hasattr(patches, "patch_size"):
        _fits(name, size, patches.patch_size[0])
    found = timm.data.resolve_model_data_config(model)
    size = size or (getattr(patches, "img_size", None) or found["input_size"])[-1]
    return model, Look(size, config.fixed_input_size, found["interpolation"], found["mean"], found["std"])


def _torchvision(name: str, size: int, pretrained: bool, options: dict[str, Any]) -> tuple[Any, Look]:
    try:
        from torchvision import models
    except ImportError as error:
        raise ImportError(f"{name} needs torchvision ({error}): pip install 'laya-nb[chapters]'") from error

    known = models.list_models(module=models)
    own = name.removeprefix(TORCHVISION)
    if own not in known:
        raise ValueError(_unknown(name, [TORCHVISION + other for other in known]))
    best = models.get_model_weights(own).DEFAULT
    with _downloading(name):
        model = models.get_model(own, weights=best if pretrained else None, **options)
    fixed, transform = getattr(model, "image_size", None), best.transforms()
    if fixed and size and fixed != size:
        raise ValueError(f"{name} takes images of {fixed} px, not {size} px; timm's ViTs take other sizes")
    look = (transform.interpolation.value, tuple(transform.mean), tuple(transform.std))
    return model, Look(size or fixed or transform.crop_size[0], bool(fixed), *look)


@contextmanager
def _downloading(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"the weights of {name} could not be downloaded ({error}); connect to the network") from error


def _unknown(name: str, known: Sequence[str]) -> str:
    lists = (["minilm", "reviews_gpt", *SIZES], get_close_matches(name, known, n=3, cutoff=0.5))
    own, nearest = (", ".join(map(repr, names)) for names in lists)
    return f"unknown encoder {name!r}; known: {own}, timm's and torchvision's{nearest and f'; nearest: {nearest}'}"


def _fits(name: str, size: int, patch: int) -> None:
    if size % patch:
        near = [number * patch for number in (size // patch, size // patch + 1) if number]
        raise ValueError(f"{name} cuts images into patches of {patch} px: {size} px is no multiple; nearest: {near}")


# --- what is read of them


def _backbone(request: Request, module: Any, look: Look, layers: Sequence[str] | None) -> HiddenStates:
    dtype = torch.bfloat16 if request.half else torch.float32
    size = look.size if look.fixed else 97  # maps of 49, 25, 13, 7 or 4 px have not as many channels
    module, example = module.to(dtype), torch.zeros(1, 3, size, size, dtype=dtype)
    known = _taps(module)
    class_token = getattr(module, "cls_token", getattr(module, "class_token", None))
    pools: list[Pool] = [cls, ap] if "alf" in known and class_token is not None else ["mean"]
    if layers is not None:
        return HiddenStates(module, layers, example=example, pool=pools)
    taps = request.taps or next(iter(known), "stages")
    if taps not in known:
        has = f"it has {', '.join(map(repr, known))}" if known else "name the layers to read, layers=[...]"
        raise ValueError(f"{request.network!r} has no taps {taps!r}; {has}")
    if taps == "tokens":
        width = module.embed_dim if hasattr(module, "embed_dim") else module.hidden_dim
        return EveryToken(module, known[taps][0], example=example, width=width)
    return HiddenStates(module, known[taps], example=example, pool=pools)


def _taps(module: Any) -> dict[str, list[str]]:
    """The layers that `TAPS` mean in a network, what is usual first."""
    if hasattr(module, "blocks") and hasattr(module, "patch_embed"):  # a ViT of timm
        mid = [f"blocks.{i}.norm2" for i in range(1, len(module.blocks))]
        return {"alf": [*mid, "norm"], "blocks": ["blocks.*"], "tokens": ["norm"]}
    if hasattr(module, "encoder") and hasattr(module, "conv_proj"):  # a ViT of torchvision
        mid = [f"encoder.layers.{name}.ln_2" for name, _ in list(module.encoder.layers.named_children())[1:]]
        return {"alf": [*mid, "encoder.ln"], "blocks": ["encoder.layers.*"], "tokens": ["encoder.ln"]}
    if hasattr(module, "blocks") and hasattr(module, "conv_stem"):  # EfficientNet and its kin in timm
        return {"stages": ["blocks.*"], "blocks": ["blocks.*.*"]}
    if info := getattr(module, "feature_info", None):  # timm's other networks say where their stages end
        return {"stages": [stage["module"] for stage in info]}
    if hasattr(module, "layer4"):  # torchvision's ResNets
        return {"stages": ["layer1", "layer2", "layer3", "layer4"]}
    return {"stages": ["features.*"]} if hasattr(module, "features") else {}
