"""One experiment, described: a `Run` is everything that decides a result, and nothing else. `grid` makes many."""

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

import torch

from laya_nb import conventions, data, seeds
from laya_nb.backbones import MLP, Exposed
from laya_nb.heads import ConcatHead, Head, LastLayerHead, LastLayerMLPHead, LAYAHead, ScalarMixHead
from laya_nb.models import DepthClassifier
from laya_nb.training import Protocol

HeadName = Literal["last_layer", "last_layer_mlp", "concat", "scalar_mix", "laya"]

# What each head can be told, with the paper's choice for Fashion-MNIST (its chosen d* for Concat and ScalarMix is not
# stated: LAYA's is used). The control takes LAYA's settings, because it has the parameters of that LAYA head.
_LAYA_DEFAULTS = {"d_star": 96, "temperature": 1.5, "psi": "identity", "scorer_width": 192}
HEAD_DEFAULTS: dict[str, dict[str, Any]] = {
    "last_layer": {},
    "last_layer_mlp": _LAYA_DEFAULTS,
    "concat": {"d_star": 96},
    "scalar_mix": {"d_star": 96},
    "laya": _LAYA_DEFAULTS,
}


HEAD_LABELS = {
    "last_layer": "LastLayer",
    "last_layer_mlp": "LastLayer + MLP",
    "concat": "Concat",
    "scalar_mix": "ScalarMix",
    "laya": "LAYA",
}
"""What tables and figures call the heads, in their order."""


@dataclass(frozen=True)
class Run:
    """One training: data, backbone, head, protocol, seed. The defaults are the paper's Fashion-MNIST settings.

    A setting of the head left at None takes the head's default; one that the head does not have must stay None.
    `tied` repeats one hidden layer (`backbones.MLP`), `view` changes what the head sees (`backbones.Exposed`). Both
    are None for what is usual.
    """

    seed: int = 0
    head: HeadName = "laya"
    dataset: str = "fashion_mnist"
    hidden_dims: tuple[int, ...] = (512, 256, 128)
    tied: Literal[True] | None = None
    view: tuple[str, ...] | None = None
    d_star: int | None = None
    temperature: float | None = None
    psi: Literal["identity", "mlp"] | None = None
    scorer_width: int | None = None
    protocol: Protocol = field(default_factory=Protocol)

    def __post_init__(self) -> None:
        if self.head not in HEAD_DEFAULTS:
            raise ValueError(f"unknown head {self.head!r}; known: {', '.join(get_args(HeadName))}")
        if self.dataset not in data.NAMES:
            raise ValueError(f"unknown data set {self.dataset!r}; known: {', '.join(map(repr, data.NAMES))}")
        if not isinstance(self.hidden_dims, list | tuple):
            raise ValueError(f"hidden_dims must be a list of widths, got {self.hidden_dims!r}")
        if not isinstance(self.protocol, Protocol):
            raise ValueError(f"protocol must be a Protocol, got {self.protocol!r}")
        object.__setattr__(self, "hidden_dims", tuple(self.hidden_dims))
        if self.tied is not None and self.tied is not True:
            raise ValueError(f"tied must be True or None, got {self.tied!r}")
        if self.view is not None:
            if not isinstance(self.view, list | tuple):
                raise ValueError(f"view must be a list of hidden states, got {self.view!r}")
            object.__setattr__(self, "view", tuple(self.view))
        known = HEAD_DEFAULTS[self.head]
        for name in _LAYA_DEFAULTS:
            if getattr(self, name) is None:
                default = known.get(name)
                if name == "scorer_width" and default is not None and self.d_star is not None:
                    default = 2 * self.d_star
                object.__setattr__(self, name, default)
            elif name not in known:
                raise ValueError(f"head {self.head!r} has no {name}; it takes: {', '.join(known) or 'nothing'}")
        seeds.stream_seed(self.seed, "split")  # names a seed that is none
        build_model(self, in_dim=1, num_classes=2)  # names a size or temperature that is none
        if self.temperature is not None:
            object.__setattr__(self, "temperature", float(self.temperature))  # 1 and 1.0 are one experiment

    def describe(self) -> dict[str, Any]:
        """What decides the result, as plain values. None is left out, so a field added later changes no old key."""
        flat = asdict(self)
        flat |= {"hidden_dims": list(self.hidden_dims), "view": self.view and list(self.view)}
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


def build_model(run: Run, in_dim: int, num_classes: int) -> DepthClassifier:
    """The run's model, initialised from the run's seed: one seed gives the same backbone whatever the head."""
    backbone: MLP | Exposed = MLP(in_dim, run.hidden_dims, tied=run.tied is not None)
    if run.view is not None:
        backbone = Exposed(backbone, run.view)
    model = DepthClassifier(backbone, _build_head(run, backbone.out_dims, num_classes))
    conventions.glorot_(model, seeds.generator(run.seed, "initialisation"))
    return model


def _build_head(run: Run, in_dims: tuple[int, ...], num_classes: int) -> Head:
    settings = {name: getattr(run, name) for name in HEAD_DEFAULTS[run.head]}
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
