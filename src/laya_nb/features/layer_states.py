"""What every layer of a frozen network makes of the same inputs: vectors, tokens measured, and views of the inputs."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from laya_nb.analysis.layers import of_rows, of_tokens, of_views, tokens_measured
from laya_nb.backbones.hidden_states import HiddenStates
from laya_nb.data.views import image_views, text_views
from laya_nb.features.encoders import Encoder
from laya_nb.features.extract import Inputs, extract
from laya_nb.support.threads import side_by_side

MEASURED = 3  # numbers that `tokens_measured` gives


@dataclass(frozen=True)
class LayerStates:
    """All layers of a network on N examples.

    Attributes:
        names: of the L hidden states.
        rows: of each, its vectors (N, d_i).
        tokens: of each, what `tokens_measured` gives of each example's tokens, (N, 3); None where the layer gives one
            vector for an example, or a map of positions.
        views: for the number of a hidden state, Q views of the examples, (N, Q, d_i); None where there are none.
    """

    names: tuple[str, ...]
    rows: tuple[Tensor, ...]
    tokens: tuple[Tensor | None, ...]
    views: Callable[[int], Tensor] | None


@dataclass(frozen=True)
class AsTheyAre:
    """Examples for a network that takes them as they are, stacked along the first axis."""

    x: Tensor

    @property
    def key(self) -> str:
        described = f"{self.x.dtype} {tuple(self.x.shape)}"
        return hashlib.sha256(described.encode() + self.x.contiguous().numpy().tobytes()).hexdigest()

    @property
    def lengths(self) -> Sequence[int]:
        return [1] * len(self.x)

    def batch(self, rows: Sequence[int]) -> Tensor:
        return self.x[list(rows)]


def layer_states(
    network: Encoder | nn.Module, examples: Sequence[str] | Tensor, folder: Path, views: int = 0, seed: int = 0
) -> LayerStates:
    """The layers of a network on examples, and on views of them.

    Texts have views by `text_views`; images, for an encoder that reads images or a network that takes (N, 1 or 3, H, W)
    in [0, 1], by `image_views`.

    Args:
        network: an encoder, or any module that gives a list of hidden states (B, d_i) and has their `out_dims`.
        examples: texts or images for an encoder, a tensor with N examples for a module.
        folder: where what is computed is kept, and looked for (`extract`).
        views: Q, how many views of each example; 0: none.
        seed: of the views.

    Raises:
        ValueError: for views of what is neither texts nor images.
        DataError: from `extract`.
    """
    prepare: Callable[[Any], Inputs] = network.prepare if isinstance(network, Encoder) else AsTheyAre
    backbone = network.backbone if isinstance(network, Encoder) else network
    inputs = prepare(examples)
    names, places, reader = tuple(f"h{i}" for i in range(1, len(_widths(backbone)) + 1)), None, backbone
    if isinstance(backbone, HiddenStates):
        names, pools = backbone.names, len(backbone.names) // len(backbone.layers)
        reader = backbone.read_also(measured_tokens, inputs.batch([0]))
        places = [i for i in range(len(reader.out_dims)) if i % (pools + 1) == pools]
    found = _pieces(extract(reader, inputs, folder), _widths(reader))
    tokens = [found[place] for place in places] if places else []
    rows = [piece for place, piece in enumerate(found) if not places or place not in places]
    of_layer = [tokens[i * len(tokens) // len(rows)] if tokens else None for i in range(len(rows))]
    shown = [None if one is None or (one < 0).all() else one for one in of_layer]
    viewed = [
        _pieces(extract(backbone, prepare(_view(examples, view, seed)), folder), _widths(backbone))
        for view in range(views)
    ]
    stacked = (lambda i: torch.stack([pieces[i] for pieces in viewed], dim=1)) if views else None
    return LayerStates(names, tuple(rows), tuple(shown), stacked)


def measures(states: LayerStates, i: int) -> dict[str, float]:
    """All that `analysis.layers` says of hidden state i; what needs tokens or views is there where these are."""
    tokens = states.tokens[i]
    found = of_rows(states.rows[i], states.rows[-1]) | ({} if tokens is None else of_tokens(tokens))
    return found | (of_views(states.views(i)) if states.views else {})


def measured_tokens(h: Tensor, x: Any) -> Tensor:
    """`tokens_measured` for the tokens of each example, (B, 3), as a pool of `HiddenStates`.

    Those of texts have an order, those of images none. -1 throughout for a layer without tokens.
    """
    if h.ndim != 3:
        return h.new_full((len(h), MEASURED), -1.0, dtype=torch.float32)
    mask = x.get("attention_mask") if isinstance(x, Mapping) else None
    tokens = (
        h.float().cpu()
        if mask is None
        else [row[kept != 0] for row, kept in zip(h.float().cpu(), mask.cpu(), strict=True)]
    )
    found = side_by_side(partial(tokens_measured, in_order=isinstance(x, Mapping)), tokens)
    return torch.tensor(found, dtype=torch.float32, device=h.device)


def _view(examples: Sequence[str] | Tensor, view: int, seed: int) -> Sequence[str] | Tensor:
    if isinstance(examples, Tensor):
        return image_views(examples, view, seed=seed)
    return text_views(examples, view, seed=seed)


def _widths(backbone: nn.Module) -> tuple[int, ...]:
    return tuple(backbone.out_dims)  # type: ignore[arg-type]


def _pieces(features: Tensor, widths: Iterable[int]) -> list[Tensor]:
    ends = [0, *accumulate(widths)]
    return [features[:, start:end] for start, end in pairwise(ends)]
