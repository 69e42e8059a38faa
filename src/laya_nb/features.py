"""Frozen features: the hidden states of a pretrained network, computed once, kept, and read as a data set.

Running the network takes minutes to hours. A head trains on its features in seconds, and so does a linear probe of one
layer: `LastLayerHead` on `Exposed(FrozenFeatures(...), view=("h3",))`.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor, nn

from laya_nb import data, paths, pretrained, text
from laya_nb.data import Dataset, Examples
from laya_nb.files import DataError, cached
from laya_nb.progress import bar
from laya_nb.training import default_device

Precision = Literal["float32", "bfloat16"]
SAME = 1e-6  # features that vary less than this share of their mean vary by rounding alone
RECORD_EVERY = 256  # examples: seconds of work, which is what a killed process loses


class FrozenFeatures(nn.Module):
    """A backbone without parameters: all layers' features, side by side in the input, taken apart again.

    Args:
        out_dims: widths d_1..d_L.

    Raises:
        ValueError: for no layer, or inputs of another width than the layers have together.
    """

    def __init__(self, out_dims: Sequence[int]) -> None:
        super().__init__()
        if not out_dims:
            raise ValueError("out_dims is empty: features come from at least one layer")
        self.out_dims = tuple(out_dims)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Inputs (B, d_1 + ... + d_L), or (M, B, d_1 + ... + d_L) of M stacked models, to float32 [h_1, ..., h_L]."""
        if x.shape[-1] != sum(self.out_dims):
            raise ValueError(f"expected features of widths {self.out_dims} side by side, got shape {tuple(x.shape)}")
        return [part.float() for part in x.split(self.out_dims, dim=-1)]


class Inputs(Protocol):
    """Examples that a network can be run on, batch by batch.

    `key` names them: a hash of the raw examples and of all that is done to them. `lengths` says how long each is; those
    of like length share a batch, so that there is little padding.
    """

    @property
    def key(self) -> str: ...

    @property
    def lengths(self) -> Sequence[int]: ...

    def batch(self, rows: Sequence[int]) -> Tensor | Mapping[str, Tensor]: ...


def extract(
    backbone: nn.Module,
    inputs: Inputs,
    folder: Path,
    *,
    dtype: Precision = "float32",
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> Tensor:
    """All layers' features of all inputs, side by side: (N, d_1 + ... + d_L), as a memory map.

    They are kept in a folder beside the given one, whose name ends in a hash of inputs, weights, layers and precision.
    The next call reads them there, after comparing a checksum. A killed process leaves what it did, the next one goes
    on from there, and the result is the same to the bit. A second process waits for the first.

    Args:
        backbone: its `forward` returns hidden states (B, d_i), its `out_dims` tells their widths, as `HiddenStates`.
        inputs: what to run it on.
        folder: where to keep the features; its parent may be missing.
        dtype: as which the features are kept. bfloat16 takes half the space and keeps 8 bits of precision.
        batch_size: examples a batch; changes the features by rounding only.
        device: where the network runs; a GPU where there is one, by default.

    Raises:
        DataError: for features that are not finite; the message names the example.
        OSError: if the disk is too full.
    """
    if dtype not in ("float32", "bfloat16"):
        raise ValueError(f"dtype must be 'float32' or 'bfloat16', got {dtype!r}")
    folder = folder.with_name(f"{folder.name}-{_key(backbone, inputs, dtype)}")
    unfinished = folder.with_name(f".{folder.name}-by-{batch_size}")  # another batch size rounds otherwise
    folder.parent.mkdir(parents=True, exist_ok=True)

    def make() -> dict[str, np.ndarray]:
        place = torch.device(device) if device is not None else default_device()
        return {"features": _run(backbone, inputs, unfinished, dtype, batch_size, place)}

    with FileLock(folder.with_name(f".{folder.name}.lock")):  # a killed process lets it go
        cached(folder, make)
        for path in folder.parent.iterdir():  # what this process began with, and what killed ones left
            if path.name.startswith(f".{folder.name}-"):
                shutil.rmtree(path)
    # Copy on write: the file stays as it is whatever is done to the tensor, and torch takes no read-only arrays.
    features = torch.from_numpy(np.load(folder / "features.npy", mmap_mode="c", allow_pickle=False))
    return features.view(torch.bfloat16) if dtype == "bfloat16" else features


def _key(backbone: nn.Module, inputs: Inputs, dtype: str) -> str:
    """A hash of all that decides the features."""
    pool = getattr(backbone, "pool", None)
    if callable(pool):
        pool = f"{pool.__module__}.{pool.__qualname__}"
        if "<" in pool:
            raise ValueError(f"pool must have a name that tells it from others, got {pool}; define it in a module")
    layers = getattr(backbone, "layers", None)
    digest = hashlib.sha256(json.dumps([inputs.key, layers, pool, backbone.out_dims, dtype]).encode())
    for name, weight in sorted(backbone.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _run(
    backbone: nn.Module,
    inputs: Inputs,
    folder: Path,
    dtype: Precision,
    batch_size: int,
    device: torch.device,
) -> np.ndarray:
    """Run the network on what is not yet done; all features, as a map of a file in `folder`."""
    lengths = inputs.lengths
    # Longest first: what does not fit into memory shows at once, and the time left is not guessed too short.
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    shape = (len(order), sum(backbone.out_dims))  # type: ignore[arg-type]
    features, done = _resume(folder, shape, np.dtype(np.uint16 if dtype == "bfloat16" else np.float32))
    backbone.to(device).eval()
    with (
        torch.no_grad(),  # not inference mode: what a network makes in its first pass, it may keep
        bar(total=len(order), initial=done, desc="features", unit="example") as progress,
    ):
        for start in range(done, len(order), batch_size):
            rows = order[start : start + batch_size]
            x = inputs.batch(rows)
            x = x.to(device) if isinstance(x, Tensor) else {name: part.to(device) for name, part in x.items()}
            states = torch.cat([h.float() for h in backbone(x)], dim=1).cpu()
            if not (finite := states.isfinite().all(dim=1)).all():
                raise DataError(f"the features of example {rows[int(finite.int().argmin())]} are not all finite")
            features[rows] = states.bfloat16().view(torch.uint16) if dtype == "bfloat16" else states
            progress.update(len(rows))
            end = start + len(rows)
            if end // RECORD_EVERY > start // RECORD_EVERY or end == len(order):
                _record(folder, features, end)
    return features


def _resume(folder: Path, shape: tuple[int, int], dtype: np.dtype) -> tuple[np.memmap, int]:
    """The file that another process began, and how many examples it did; else a new file, and 0."""
    path = folder / "features.npy"
    try:
        size = path.stat().st_size  # before NumPy fills up a file that is too short
        features = np.lib.format.open_memmap(path, mode="r+")
        if (features.shape, features.dtype, features.offset + features.nbytes) == (shape, dtype, size):
            return features, int((folder / "done").read_text())
    except (OSError, ValueError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    needed = 2 * shape[0] * shape[1] * dtype.itemsize  # this file, and the one that it becomes
    if (free := shutil.disk_usage(folder).free) < needed:
        raise OSError(f"the features need {needed / 1e6:,.0f} MB of disk, {free / 1e6:,.0f} MB are free in {folder}")
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape), 0


def _record(folder: Path, features: np.memmap, done: int) -> None:
    """Say how many examples are done, once they are on disk."""
    features.flush()
    unfinished = folder / "done.unfinished"
    unfinished.write_text(str(done))
    os.replace(unfinished, folder / "done")


@lru_cache(maxsize=2)
def load(dataset: str, encoder: str) -> Dataset:
    """The features that a frozen encoder has of a data set, as a data set called "dataset/encoder".

    Each feature is scaled to mean 0 and standard deviation 1 over the training part, because layers differ in scale,
    and a probe of a layer with small values would learn slowly. One that never varies becomes 0.

    Args:
        dataset: a name that `data.load` knows: texts or images, whichever the encoder reads.
        encoder: one of `pretrained.WIDTHS`. `FrozenFeatures` of these widths takes its features apart.

    Raises:
        ValueError: for an unknown name, or an encoder that cannot read the data set.
        DataError: for data or weights that are damaged or cannot be had.
    """
    whole = data.load(dataset)
    train, test = _standardised(load_part(dataset, encoder, "train"), load_part(dataset, encoder, "test"))
    parts = Examples(train, whole.train.y), Examples(test, whole.test.y)
    return Dataset(f"{whole.name}/{encoder}", f"{whole.source}, through {encoder}", whole.classes, *parts)


def load_part(dataset: str, encoder: str, part: Literal["train", "test"]) -> Tensor:
    """The features (N, d_1 + ... + d_L) of the training or the test part: two processes can make one each."""
    network = pretrained.load(encoder)
    whole = data.load(dataset)
    if (whole.train.x.ndim == 4) != (network.reads == "images"):
        raise ValueError(f"{encoder!r} reads {network.reads}, and {dataset!r} holds none")
    raw = _pixels(whole, part) if network.reads == "images" else _texts(whole, part)
    folder = paths.cache() / "features" / whole.name / f"{encoder}-{part}"
    return extract(network.backbone, network.prepare(raw), folder)


def _standardised(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    std, mean = torch.std_mean(train.float(), dim=0, correction=0)
    std[std <= SAME * mean.abs()] = torch.inf
    return (train - mean).div_(std), (test - mean).div_(std)


def _texts(encoded: Dataset, part: Literal["train", "test"]) -> list[str]:
    """What a data set of token ids was made of, in its order."""
    sources = {"imdb": text.reviews, "docstrings": text.sentences}
    texts, labels = sources[encoded.name](part)
    if not torch.equal(torch.from_numpy(labels), getattr(encoded, part).y):
        raise DataError(f"{encoded.name}, {part} part: the texts are not in the order of the labels")
    return texts


def _pixels(images: Dataset, part: Literal["train", "test"]) -> Tensor:
    """Pixels in [0, 1]. Data sets scale them in their own ways; black and white, which all of them hold, tell how."""
    low, high = (f(images.train.x, dim=(0, 2, 3), keepdim=True) for f in (torch.amin, torch.amax))
    return (getattr(images, part).x - low) / (high - low)
