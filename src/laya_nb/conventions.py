"""What the released Keras notebook sets without saying so, and PyTorch sets otherwise. Stated here and nowhere else.

Source: the notebook released with LAYA (arXiv 2511.12723) and the Keras defaults that it relies on.
"""

import torch
from torch import nn

LAYER_NORM_EPS = 1e-3  # PyTorch: 1e-5
ADAM_EPS = 1e-7  # PyTorch: 1e-8


def glorot_(module: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw every linear layer of `module` anew, in place: Glorot-uniform weights, biases of zero.

    Layers are visited in the order in which they were registered, so a backbone that comes before its head gets the
    same weights whatever the head.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
