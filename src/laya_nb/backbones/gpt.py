"""A small causal transformer, Transformers' GPT-2: made, kept in half precision, and read again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from laya_nb.support import seeds, tensors
from laya_nb.support.checks import check_integer

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

PUBLISHED = "encoders/reviews_gpt"
"""Where the book's own language model stands below the published folder."""
MODEL, TOKENIZER, CARD = "model.safetensors", "tokenizer.json", "README.md"  # its files
_SHAPE = "shape"  # among the notes of a file


@dataclass(frozen=True)
class Shape:
    """What decides the sizes of a network's weights.

    Args:
        blocks: attention and MLP each.
        width: of the residual stream; the MLPs are four times as wide.
        heads: of the attention in each block; they share the width.
        context: positions, the most tokens that it reads at once.
        vocabulary_size: tokens that it knows.
    """

    blocks: int = 8
    width: int = 256
    heads: int = 4
    context: int = 256
    vocabulary_size: int = 8192

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            check_integer(name, value)
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, got {self.width} and {self.heads}")


def build(shape: Shape, seed: int) -> "GPT2LMHeadModel":
    """An untrained network, as Transformers initialises it, from the seed's own stream; no caller's draws change.

    Input and output embeddings are the same weights. There is no dropout: a network of this size, trained for a few
    passes, learns too little by heart to need it. What is kept of it is float32.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=shape.vocabulary_size,
        n_positions=shape.context,
        n_embd=shape.width,
        n_layer=shape.blocks,
        n_head=shape.heads,
        activation_function="gelu_pytorch_tanh",  # GPT-2's own, in one kernel
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        resid_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.stream_seed(seed, "initialisation"))
        return GPT2LMHeadModel(config)


def weights(model: "GPT2LMHeadModel") -> dict[str, Tensor]:
    """Its weights by name, those that are shared once: the very tensors, no copies."""
    return {name: parameter.data for name, parameter in model.named_parameters()}


def keep(model: "GPT2LMHeadModel", shape: Shape, path: Path, notes: Mapping[str, Any]) -> None:
    """Write a network in half precision, whole or not at all, with its shape and some notes."""
    half = {name: weight.half() for name, weight in weights(model).items()}
    tensors.write(path, half, {**notes, _SHAPE: asdict(shape)})


def read(path: Path, advice: str) -> "GPT2LMHeadModel":
    """A network that `keep` wrote, in float32 and evaluation mode.

    Raises:
        DataError: for a file that is missing or damaged; it ends with the advice.
    """
    found, notes = tensors.read(path, advice)
    model = build(Shape(**notes[_SHAPE]), seed=0)
    load_weights(model, {name: weight.float() for name, weight in found.items()})
    return model.eval()


def read_shape(path: Path, advice: str) -> Shape:
    """The shape of a network that `keep` wrote, without reading its weights. Raises as `read`."""
    return Shape(**tensors.read_notes(path, advice)[_SHAPE])


@torch.no_grad()
def load_weights(model: "GPT2LMHeadModel", found: Mapping[str, Tensor]) -> None:
    """Copy weights by name, as `weights` gives them, into a network.

    Raises:
        KeyError: for one that is missing.
    """
    for name, weight in weights(model).items():
        weight.copy_(found[name])
