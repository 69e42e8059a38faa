"""One seed, several independent streams: what one of them draws cannot shift another."""

import hashlib
from typing import Literal

import numpy as np
import torch

Purpose = Literal["split", "initialisation", "batch order", "dropout"]


def stream_seed(seed: int, purpose: str) -> int:
    """The seed of one stream: a hash, since neighbouring seeds must not give related streams."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")
    return int.from_bytes(hashlib.sha256(f"{purpose}:{seed}".encode()).digest()[:8], "big") >> 1


def generator(seed: int, purpose: Purpose) -> torch.Generator:
    """A CPU generator for one purpose; drawing on the CPU gives a GPU run the same numbers."""
    return torch.Generator().manual_seed(stream_seed(seed, purpose))


def numpy_generator(seed: int, purpose: str) -> np.random.Generator:
    """NumPy's twin of `generator`, for streams that data sets name themselves."""
    return np.random.default_rng(stream_seed(seed, purpose))
