"""What the released Keras notebook sets without saying so, and PyTorch sets otherwise. Stated here and nowhere else.

Source: the notebook released with LAYA (arXiv 2511.12723) and the Keras defaults that it relies on.
"""

import torch
from torch import nn

LAYER_NORM_EPS = 1e-3  # PyTorch: 1e-5
ADAM_EPS = 1e-7  # PyTorch: 1e-8
PADDING = 0  # the token id that masks: pad_sequences writes it, an Embedding with mask_zero leaves it out


def glorot_(module: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw the layers of `module` anew, in place.

    Linear layers and convolutions: Glorot-uniform weights, biases of zero. Embeddings: uniform in [-0.05, 0.05], zero
    for padding. LSTMs: Glorot-uniform input weights, orthogonal recurrent weights, biases of zero, and of 1 for the
    forget gate. Layers are visited in the order in which they were registered, so a backbone that comes before its
    head gets the same weights whatever the head.
    """
    for layer in module.modules():
        match layer:
            case nn.Linear() | nn.Conv2d():
                nn.init.xavier_uniform_(layer.weight, generator=generator)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            case nn.Embedding():
                nn.init.uniform_(layer.weight, -0.05, 0.05, generator=generator)
                if layer.padding_idx is not None:
                    nn.init.zeros_(layer.weight[layer.padding_idx])
            case nn.LSTM():
                _keras_lstm_(layer, generator)


def _keras_lstm_(layer: nn.LSTM, generator: torch.Generator | None) -> None:
    for name, weight in layer.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.xavier_uniform_(weight, generator=generator)
        elif name.startswith("weight_hh"):
            nn.init.orthogonal_(weight, generator=generator)
        else:
            nn.init.zeros_(weight)
            if name.startswith("bias_ih"):  # PyTorch adds two biases; the second of the four gates is the forget gate
                nn.init.ones_(weight[layer.hidden_size : 2 * layer.hidden_size])
