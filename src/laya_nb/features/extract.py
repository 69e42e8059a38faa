"""The hidden states of a frozen network on many inputs: computed once, kept on disk, resumable."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor, nn

from laya_nb.support import device as devices
from laya_nb.support.files import DataError, read_sealed, seal
from laya_nb.support.progress import bar

RECORD_EVERY = 256  # examples: seconds of work, which is what a killed process loses


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
    batch_size: int = 32,
    device: torch.device | str | None = None,
) -> Tensor:
    """All layers' features of all inputs, side by side: (N, d_1 + ... + d_L), as a memory map.

    They are float32, or what the backbone's `kept_as` says: half precision where there is much to keep.

    They are kept in a folder beside the given one, whose name ends in a hash of inputs, weights and layers.
    The next call reads them there, after comparing a checksum. A killed process leaves what it did, the next one goes
    on from there, and the result is the same to the bit. A second process waits for the first.

    Args:
        backbone: its `forward` returns hidden states (B, d_i), its `out_dims` tells their widths, as `HiddenStates`.
        inputs: what to run it on.
        folder: where to keep the features; its parent may be missing.
        batch_size: examples a batch; changes the features by rounding only.
        device: where the network runs; a GPU where there is one, by default.

    Raises:
        DataError: for features that are not finite; the message names the example.
        OSError: if the disk is too full.
    """
    folder = folder.with_name(f"{folder.name}-{_key(backbone, inputs)}")
    unfinished = folder.with_name(f".{folder.name}-by-{batch_size}")  # another batch size rounds otherwise
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):  # a killed process lets it go
        if read_sealed(folder) is None:
            _run(backbone, inputs, unfinished, batch_size, devices.resolve(device))
            seal(unfinished, folder)
        for path in folder.parent.iterdir():  # what killed processes left, begun with another batch size
            if path.name.startswith(f".{folder.name}-"):
                shutil.rmtree(path)
    # Copy on write: the file stays as it is whatever is done to the tensor, and torch takes no read-only arrays.
    return torch.from_numpy(np.load(folder / "features.npy", mmap_mode="c", allow_pickle=False))


def _key(backbone: nn.Module, inputs: Inputs) -> str:
    """A hash of all that decides the features."""
    pool = getattr(backbone, "pool", None)
    pool = [_pool_name(one) for one in pool] if isinstance(pool, list | tuple) else _pool_name(pool)
    layers = getattr(backbone, "layers", None)
    kept_as = str(_kept_as(backbone))
    digest = hashlib.sha256(json.dumps([inputs.key, layers, pool, backbone.out_dims, kept_as]).encode())
    for name, weight in sorted(backbone.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _kept_as(backbone: nn.Module) -> np.dtype:
    return np.dtype(getattr(backbone, "kept_as", "float32"))


def _pool_name(pool: object) -> object:
    if not callable(pool):
        return pool
    name = f"{pool.__module__}.{pool.__qualname__}"  # type: ignore[attr-defined]
    if "<" in name:
        raise ValueError(f"pool must have a name that tells it from others, got {name}; define it in a module")
    return name


def _run(backbone: nn.Module, inputs: Inputs, folder: Path, batch_size: int, device: torch.device) -> None:
    """Run the network on what is not yet done, into a file in `folder`."""
    lengths = inputs.lengths
    # Longest first: what does not fit into memory shows at once, and the time left is not guessed too short.
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    shape = (len(order), sum(backbone.out_dims))  # type: ignore[arg-type]
    features, done = _resume(folder, shape, _kept_as(backbone))
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
            with np.errstate(over="ignore"):  # an overflow is infinite, and found below
                kept = states.numpy().astype(features.dtype)
            if not (finite := np.isfinite(kept).all(axis=1)).all():
                raise DataError(f"the features of example {rows[int(finite.argmin())]} are not all finite")
            features[rows] = kept
            progress.update(len(rows))
            end = start + len(rows)
            if end // RECORD_EVERY > start // RECORD_EVERY or end == len(order):
                _record(folder, features, end)


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
    needed = shape[0] * shape[1] * dtype.itemsize
    if (free := shutil.disk_usage(folder).free) < needed:
        raise OSError(f"the features need {needed / 1e6:,.0f} MB of disk, {free / 1e6:,.0f} MB are free in {folder}")
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape), 0


def _record(folder: Path, features: np.memmap, done: int) -> None:
    """Say how many examples are done, once they are on disk."""
    features.flush()
    unfinished = folder / "done.unfinished"
    unfinished.write_text(str(done))
    os.replace(unfinished, folder / "done")
