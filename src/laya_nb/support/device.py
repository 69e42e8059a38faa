"""Where models run."""

import torch


def resolve(device: torch.device | str | None) -> torch.device:
    """The given device; for None a GPU where there is one, else the CPU."""
    if device is not None:
        return torch.device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
