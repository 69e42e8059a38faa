"""The book's own language model as a frozen encoder of texts."""

from typing import Any

from laya_nb.backbones import gpt
from laya_nb.backbones.hidden_states import HiddenStates
from laya_nb.data import corpus
from laya_nb.features.encoders import RANDOM, REVIEWS_GPT, Encoder, Texts
from laya_nb.support import paths
from laya_nb.support.files import DataError

_MAKE = "tools/train_language_model.py trains and publishes it"
_RESTORE = "restore it from the repository"


def load(random: bool = False) -> Encoder:
    """The published language model, "reviews_gpt", as `encoder` reads it.

    Args:
        random: with the weights that its training began with, seed 0's, in place of trained ones.

    Raises:
        DataError: while it is not published, and for a file that is damaged.
        ImportError: where transformers or tokenizers are missing.
    """
    path, tokenizer = (paths.published(f"{gpt.PUBLISHED}/{file}") for file in (gpt.MODEL, gpt.TOKENIZER))
    shape = _shape()
    model = gpt.build(shape, seed=0) if random else gpt.read(path, _RESTORE)
    return encoder(f"{REVIEWS_GPT}+{RANDOM}" if random else REVIEWS_GPT, model, tokenizer.read_text())


def encoder(name: str, model: Any, tokenizer: str) -> Encoder:
    """A language model, frozen, as an encoder of texts: the residual stream after each block, before the final norm,
    averaged over the tokens that are no padding.

    Args:
        name: what to call it.
        model: as `backbones.gpt.read` gives it, of a published model or of a checkpoint.
        tokenizer: its tokenizer as JSON. It puts an end of text before each text, as in training, and that token counts
            in the mean; a text is cut to what the model can read.
    """
    blocks = model.config.n_layer
    ready = corpus.tokenizer(tokenizer, model.config.n_positions)
    example = Texts(["An example."], ready).batch([0])
    backbone = HiddenStates(model.requires_grad_(False).eval(), ["transformer.h.*"], example=example, pool="mean")
    # What comes after the last block, a quarter of the work, is left out.
    return Encoder(name, "texts", backbone.first(blocks).eval(), lambda texts: Texts(texts, ready))


def widths() -> tuple[int, ...]:
    """The widths of the published model's blocks, without reading its weights. Raises a DataError as `load`."""
    shape = _shape()
    return (shape.width,) * shape.blocks


def names() -> tuple[str, ...]:
    """The names of the published model's blocks. Raises a DataError as `load`."""
    return tuple(f"transformer.h.{block}" for block in range(_shape().blocks))


def _shape() -> gpt.Shape:
    path = paths.published(f"{gpt.PUBLISHED}/{gpt.MODEL}")
    if not path.parent.is_dir():
        raise DataError(f"{REVIEWS_GPT!r} is not published yet: {_MAKE}")
    return gpt.read_shape(path, _RESTORE)
