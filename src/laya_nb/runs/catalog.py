"""What is usual for a data set: backbone, widths, the head's settings; and which data a run reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from laya_nb import data, features
from laya_nb.backbones import MLP, Backbone, BiLSTM, DepthwiseCNN, FrozenFeatures
from laya_nb.data import Dataset
from laya_nb.data import catalog as datasets
from laya_nb.data.tokens import VOCABULARY_SIZE
from laya_nb.heads import catalog as heads
from laya_nb.runs import paper

Kind = Literal["images", "texts", "features"]


@dataclass(frozen=True)
class BackboneEntry:
    """A backbone that a run can name.

    `reads` is the kind of data that it takes. `input_size(x)` is what it must know of inputs (N, ...): their values
    for an MLP, channels for a CNN, the vocabulary's size for a BiLSTM. `build(input_size, hidden_dims)` makes it.
    """

    reads: Kind
    input_size: Callable[[Tensor], int]
    build: Callable[[int, Sequence[int]], Backbone]


BACKBONES: dict[str, BackboneEntry] = {
    "mlp": BackboneEntry("images", lambda x: x[0].numel(), MLP),
    "cnn": BackboneEntry("images", lambda x: x.shape[1], DepthwiseCNN),
    "bilstm": BackboneEntry("texts", lambda x: VOCABULARY_SIZE, BiLSTM),
    "frozen": BackboneEntry("features", lambda x: x.shape[1], lambda size, hidden_dims: FrozenFeatures(hidden_dims)),
}


@dataclass(frozen=True)
class Defaults:
    """What is usual for a data set: the backbone, its widths, and the paper's benchmark that it belongs to."""

    kind: Kind
    backbone: str
    hidden_dims: tuple[int, ...]
    benchmark: str

    @property
    def compatible_backbones(self) -> list[str]:
        """The backbones that read data of this kind."""
        return [name for name, entry in BACKBONES.items() if entry.reads == self.kind]


def parts(dataset: str) -> tuple[str, str]:
    """A data set's own name, and the encoder whose features of it are meant, or "". Tasks have a slash in their name:
    "world/count@2000/vit_s_saliency"."""
    end = dataset.find("/", max(dataset.find("@"), 0))
    return (dataset, "") if end < 0 else (dataset[:end], dataset[end + 1 :])


def defaults(dataset: str) -> Defaults:
    """What is usual for a data set ("imdb"), or for an encoder's features of one ("imdb/minilm").

    Raises:
        ValueError: for an unknown data set.
    """
    name, encoder = parts(dataset)
    entry = datasets.entry(name)
    if encoder:
        return Defaults("features", "frozen", features.widths(encoder), entry.benchmark)
    return Defaults(entry.kind, entry.backbone, entry.hidden_dims, entry.benchmark)


def usual_widths(dataset: str, backbone: str) -> tuple[int, ...]:
    """The widths of a backbone for a data set; of one that is unusual for it, those where it is usual."""
    usual = defaults(dataset)
    if usual.backbone == backbone:
        return usual.hidden_dims
    return next(entry.hidden_dims for entry in datasets.CATALOG.values() if entry.backbone == backbone)


def head_settings(dataset: str, head: str, given: dict[str, Any]) -> dict[str, Any]:
    """All settings of a head: those given, then what the paper chose for the data set, then the head's defaults.

    For Concat and ScalarMix, whose d* the paper does not state, its choice for LAYA stands in. A given None is as
    nothing given.

    Raises:
        ValueError: for an unknown head, or a setting that the head does not have.
    """
    entry = heads.entry(head)
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in entry.settings:
            takes = ", ".join(entry.settings) or "nothing"
            raise ValueError(f"head {head!r} has no {name}; it takes: {takes}")
    choice = dict(paper.CHOICE[defaults(dataset).benchmark])
    factor = choice.pop("scorer_factor")
    found = {name: given.get(name, choice.get(name, default)) for name, default in entry.settings.items()}
    if found.get("scorer_width", 0) is None and isinstance(found["d_star"], int):
        found["scorer_width"] = factor * found["d_star"]
    return found


def load(dataset: str) -> Dataset:
    """The data that a run reads: a data set by name, or with "/ENCODER" behind it an encoder's features of one.

    Raises:
        ValueError: for an unknown name.
        DataError: for a file that is damaged or cannot be had.
    """
    name, encoder = parts(dataset)
    return features.load(name, encoder) if encoder else data.load(name)
