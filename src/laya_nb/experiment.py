"""One experiment, described: a `Run` is everything that decides a result, and nothing else. `grid` makes many."""

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

import torch
from torch import nn

from laya_nb import conventions, paper, pretrained, seeds, text
from laya_nb.backbones import MLP, DepthwiseCNN, Exposed
from laya_nb.features import FrozenFeatures
from laya_nb.heads import ConcatHead, Head, LastLayerHead, LastLayerMLPHead, LAYAHead, ScalarMixHead
from laya_nb.models import DepthClassifier
from laya_nb.recurrent import BiLSTM
from laya_nb.training import Protocol

HeadName = Literal["last_layer", "last_layer_mlp", "concat", "scalar_mix", "laya"]
BackboneName = Literal["mlp", "cnn", "bilstm", "frozen"]

HEAD_LABELS = {
    "last_layer": "LastLayer",
    "last_layer_mlp": "LastLayer + MLP",
    "concat": "Concat",
    "scalar_mix": "ScalarMix",
    "laya": "LAYA",
}
"""What tables and figures call the heads, in their order."""

HEADS: tuple[HeadName, ...] = get_args(HeadName)

_SETTINGS = ("d_star", "temperature", "psi", "scorer_width")
# What each head can be told. The control takes LAYA's settings, because it has the parameters of that LAYA head.
_TAKES: dict[HeadName, tuple[str, ...]] = {
    "last_layer": (),
    "last_layer_mlp": _SETTINGS,
    "concat": ("d_star",),
    "scalar_mix": ("d_star",),
    "laya": _SETTINGS,
}


@dataclass(frozen=True)
class _Benchmark:
    """What is usual for a data set: the backbone and its widths, and the benchmark of the paper that it belongs to."""

    backbone: BackboneName
    hidden_dims: tuple[int, ...]
    paper: str


_FASHION_MNIST = _Benchmark("mlp", (512, 256, 128), "fashion_mnist")
_CIFAR10 = _Benchmark("cnn", (16, 128, 256), "cifar10")
_IMDB = _Benchmark("bilstm", (16, 16), "imdb")
_USUAL = {
    "fashion_mnist": _FASHION_MNIST,
    "fashion_mnist_sample": _FASHION_MNIST,
    "cifar10": _CIFAR10,
    "cifar10_jpeg": _CIFAR10,
    "imdb": _IMDB,
    "docstrings": _IMDB,
}
_WIDTHS: dict[BackboneName, tuple[int, ...]] = {
    benchmark.backbone: benchmark.hidden_dims for benchmark in _USUAL.values()
}
_READS_THE_SAME: dict[BackboneName, tuple[BackboneName, ...]] = {
    "mlp": ("mlp", "cnn"),
    "cnn": ("cnn", "mlp"),
    "bilstm": ("bilstm",),
    "frozen": ("frozen",),
}


@dataclass(frozen=True)
class Run:
    """One training: data, backbone, head, protocol, seed. The defaults are the paper's settings for the data set.

    `dataset` is a name that `data.load` knows; "imdb/minilm" and the like are the features of a frozen encoder.
    `hidden_dims` are the widths of the backbone's layers: an MLP's hidden layers, a CNN's channels, a BiLSTM's states
    in one direction, an encoder's features. A setting of the head left at None takes the paper's choice (for Concat and
    ScalarMix, whose d* is not stated, LAYA's); one that the head does not have must stay None. `tied` repeats one
    hidden layer (`backbones.MLP`), `view` changes what the head sees (`backbones.Exposed`).
    """

    seed: int = 0
    head: HeadName = "laya"
    dataset: str = "fashion_mnist"
    hidden_dims: tuple[int, ...] | None = None
    backbone: BackboneName | None = None
    tied: Literal[True] | None = None
    view: tuple[str, ...] | None = None
    d_star: int | None = None
    temperature: float | None = None
    psi: Literal["identity", "mlp"] | None = None
    scorer_width: int | None = None
    protocol: Protocol = field(default_factory=Protocol)

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValueError(f"unknown head {self.head!r}; known: {', '.join(HEADS)}")
        if not isinstance(self.protocol, Protocol):
            raise ValueError(f"protocol must be a Protocol, got {self.protocol!r}")
        self._settle_backbone()
        self._settle_head()
        seeds.stream_seed(self.seed, "split")  # names a seed that is none
        _assemble(self, in_dim=1, num_classes=2)  # names a size or temperature that is none
        if self.temperature is not None:
            object.__setattr__(self, "temperature", float(self.temperature))  # 1 and 1.0 are one experiment

    def _settle_backbone(self) -> None:
        usual = _usual(self.dataset)
        backbone = usual.backbone if self.backbone is None else self.backbone
        if backbone not in (known := _READS_THE_SAME[usual.backbone]):
            raise ValueError(f"unknown backbone {backbone!r} for {self.dataset!r}; known: {', '.join(known)}")
        object.__setattr__(self, "backbone", backbone)
        if self.hidden_dims is None:
            widths = _WIDTHS.get(backbone, usual.hidden_dims)
            if not widths:
                raise ValueError(f"hidden_dims must be given for {self.dataset!r}: the widths of the encoder's layers")
            object.__setattr__(self, "hidden_dims", widths)
        if not isinstance(self.hidden_dims, list | tuple):
            raise ValueError(f"hidden_dims must be a list of widths, got {self.hidden_dims!r}")
        object.__setattr__(self, "hidden_dims", tuple(self.hidden_dims))
        if self.tied is not None and (self.tied is not True or backbone != "mlp"):
            raise ValueError(f"tied must be True, for an MLP, or None, got {self.tied!r} for {backbone!r}")
        if self.view is not None:
            if not isinstance(self.view, list | tuple):
                raise ValueError(f"view must be a list of hidden states, got {self.view!r}")
            object.__setattr__(self, "view", tuple(self.view))

    def _settle_head(self) -> None:
        takes, choice = _TAKES[self.head], paper.CHOICE[_usual(self.dataset).paper]
        d_star = choice["d_star"] if self.d_star is None else self.d_star
        defaults = choice | {"d_star": d_star, "scorer_width": choice["scorer_factor"] * d_star}
        for name in _SETTINGS:
            if name in takes and getattr(self, name) is None:
                object.__setattr__(self, name, defaults[name])
            elif name not in takes and getattr(self, name) is not None:
                raise ValueError(f"head {self.head!r} has no {name}; it takes: {', '.join(takes) or 'nothing'}")

    def describe(self) -> dict[str, Any]:
        """What decides the result, as plain values. None is left out, so a field added later changes no old key."""
        flat = asdict(self)
        flat |= {"hidden_dims": list(self.hidden_dims or ()), "view": self.view and list(self.view)}
        if self.backbone == _usual(self.dataset).backbone:
            del flat["backbone"]
        return {name: value for name, value in flat.items() if value is not None}

    @property
    def key(self) -> str:
        """The same for the same experiment, on every machine and in every later version."""
        canonical = json.dumps(self.describe(), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """A file name that a person can read: where it is, what it is, its key."""
        return f"{self.dataset}/{self.head}-seed{self.seed}-{self.key}"

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> "Run":
        """The run that `describe` described."""
        known = {item.name for item in fields(cls)}
        if unknown := set(description) - known:
            raise ValueError(f"unknown settings {sorted(unknown)}; known: {sorted(known)}")
        return cls(**{**description, "protocol": Protocol(**description["protocol"])})


def grid(**settings: Sequence[Any]) -> list[Run]:
    """Every combination of the given settings: grid(head=["laya", "concat"], seed=range(10)) is 20 runs."""
    return [
        Run(**dict(zip(settings, values, strict=True))) for values in itertools.product(*map(tuple, settings.values()))
    ]


def _usual(dataset: str) -> _Benchmark:
    """What is usual for a data set, or for an encoder's features of one.

    Raises:
        ValueError: for an unknown name.
    """
    name, _, encoder = dataset.partition("/")
    if name not in _USUAL:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(map(repr, _USUAL))}")
    return _Benchmark("frozen", pretrained.WIDTHS.get(encoder, ()), _USUAL[name].paper) if encoder else _USUAL[name]


def build_model(run: Run, in_dim: int, num_classes: int) -> DepthClassifier:
    """The run's model, initialised from the run's seed: one seed gives the same backbone whatever the head.

    `in_dim` is what the backbone must know of its inputs, `input_size(run, x)`.
    """
    model = _assemble(run, in_dim, num_classes)
    conventions.glorot_(model, seeds.generator(run.seed, "initialisation"))
    return model


def input_size(run: Run, x: torch.Tensor) -> int:
    """Of inputs (N, ...): their values for an MLP, channels for a CNN, the vocabulary's size for a BiLSTM."""
    match run.backbone:
        case "cnn":
            return x.shape[1]
        case "bilstm":
            return text.VOCABULARY_SIZE
        case _:
            return x[0].numel()


def _assemble(run: Run, in_dim: int, num_classes: int) -> DepthClassifier:
    backbone = _build_backbone(run, in_dim)
    if run.view is not None:
        backbone = Exposed(backbone, run.view)
    return DepthClassifier(backbone, _build_head(run, backbone.out_dims, num_classes))  # type: ignore[arg-type]


def _build_backbone(run: Run, in_dim: int) -> nn.Module:
    widths = run.hidden_dims or ()
    match run.backbone:
        case "cnn":
            return DepthwiseCNN(in_dim, widths)
        case "bilstm":
            return BiLSTM(in_dim, widths)
        case "frozen":
            return FrozenFeatures(widths)
        case _:
            return MLP(in_dim, widths, tied=run.tied is not None)


def _build_head(run: Run, in_dims: tuple[int, ...], num_classes: int) -> Head:
    settings = {name: getattr(run, name) for name in _TAKES[run.head]}
    match run.head:
        case "last_layer":
            return LastLayerHead(in_dims, num_classes)
        case "last_layer_mlp":
            return LastLayerMLPHead(in_dims, num_classes, count_parameters(LAYAHead(in_dims, num_classes, **settings)))
        case "concat":
            return ConcatHead(in_dims, num_classes, **settings)
        case "scalar_mix":
            return ScalarMixHead(in_dims, num_classes, **settings)
        case "laya":
            return LAYAHead(in_dims, num_classes, **settings)


def count_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
