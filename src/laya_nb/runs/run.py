"""One experiment, described: a `Run` is everything that decides a result, and nothing else. `grid` makes many."""

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from laya_nb.backbones import MLP, LayerSelection
from laya_nb.heads import catalog as heads
from laya_nb.runs import catalog
from laya_nb.support import seeds
from laya_nb.support.checks import check_widths
from laya_nb.training import TrainingConfig

# These stand in every key, also at their defaults: the first runs were published so. A setting that came later is left
# out of the key where it has its default, so that it changes no old key; its default must then never change.
_ALWAYS_DESCRIBED = ("d_star", "temperature", "psi", "scorer_width")


@dataclass(frozen=True, init=False)
class Run:
    """One training run: data, backbone, head, protocol, seed. The defaults are the paper's settings for the data set.

    Args:
        seed: decides the validation split, the initial weights and the order of batches.
        head: a name of `heads.catalog`.
        dataset: a name that `data.load` knows; "imdb/minilm" and the like are the features of a frozen encoder.
        hidden_dims: widths of the backbone's layers: an MLP's hidden layers, a CNN's channels, a BiLSTM's states in
            one direction, an encoder's features.
        backbone: a name of `runs.catalog.BACKBONES`.
        tied: True repeats one hidden layer (`backbones.MLP`).
        view: changes what the head sees (`backbones.LayerSelection`).
        protocol: how it is trained.
        settings: of the head, as its line in `heads.catalog` lists them (d_star, temperature, ...). One left out, or
            None, takes the paper's choice for the data set. They can be read as attributes; `run.d_star` is None where
            the head has no such setting.

    Raises:
        ValueError: for a value that makes no sense; the message names it and what is known.
        TypeError: for a setting that no head has.
    """

    seed: int
    head: str
    dataset: str
    hidden_dims: tuple[int, ...]
    backbone: str
    tied: bool | None
    view: tuple[str, ...] | None
    protocol: TrainingConfig
    settings: tuple[tuple[str, Any], ...]

    def __init__(
        self,
        seed: int = 0,
        head: str = "laya",
        dataset: str = "fashion_mnist",
        hidden_dims: Sequence[int] | None = None,
        backbone: str | None = None,
        tied: bool | None = None,
        view: Sequence[str] | None = None,
        protocol: TrainingConfig | None = None,
        settings: Sequence[tuple[str, Any]] = (),
        **more_settings: Any,
    ) -> None:
        seeds.stream_seed(seed, "split")  # rejects an invalid seed
        if protocol is not None and not isinstance(protocol, TrainingConfig):
            raise ValueError(f"protocol must be a TrainingConfig, got {protocol!r}")
        usual = catalog.defaults(dataset)
        backbone = usual.backbone if backbone is None else backbone
        if backbone not in usual.compatible_backbones:
            known = ", ".join(usual.compatible_backbones)
            raise ValueError(f"unknown backbone {backbone!r} for {dataset!r}; known: {known}")
        widths = catalog.usual_widths(dataset, backbone) if hidden_dims is None else hidden_dims
        check_widths("hidden_dims", widths)
        if tied is not None:
            if tied is not True or backbone != "mlp":
                raise ValueError(f"tied must be True, for an MLP, or None, got {tied!r} for {backbone!r}")
            MLP.check_settings(widths, tied)
        if view is not None:
            if not isinstance(view, list | tuple):
                raise ValueError(f"view must be a list of hidden states, got {view!r}")
            LayerSelection.check_settings(view, len(widths))
        if unknown := sorted(set(more_settings) - set(known_settings())):
            raise TypeError(f"a run has no settings {unknown}; known: {', '.join(known_settings())}")
        found = catalog.head_settings(dataset, head, dict(settings) | more_settings)
        heads.entry(head).head.check_settings(**found)
        if "temperature" in found:
            found["temperature"] = float(found["temperature"])  # 1 and 1.0 are one experiment
        for name, value in {
            "seed": seed,
            "head": head,
            "dataset": dataset,
            "hidden_dims": tuple(widths),
            "backbone": backbone,
            "tied": tied,
            "view": None if view is None else tuple(view),
            "protocol": TrainingConfig() if protocol is None else protocol,
            "settings": tuple(found.items()),
        }.items():
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        """A setting of the head, None where another head has it."""
        if name.startswith("__") or name not in _head_settings():
            raise AttributeError(f"a run has no {name!r}")
        return dict(self.settings).get(name)

    def replace(self, **changes: Any) -> "Run":
        """The same run with other settings; of the head's, those not named stay as they are."""
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        return Run(**own | changes)

    def describe(self) -> dict[str, Any]:
        """What decides the result, as plain values. What has its default is left out, but for the settings that the
        first published runs had, so a setting added later changes no old key."""
        head_defaults = heads.entry(self.head).settings
        described = {
            "seed": self.seed,
            "head": self.head,
            "dataset": self.dataset,
            "hidden_dims": list(self.hidden_dims),
            "protocol": self.protocol.describe(),
        }
        described |= {
            name: value for name, value in self.settings if name in _ALWAYS_DESCRIBED or value != head_defaults[name]
        }
        if self.backbone != catalog.defaults(self.dataset).backbone:
            described["backbone"] = self.backbone
        if self.tied is not None:
            described["tied"] = self.tied
        if self.view is not None:
            described["view"] = list(self.view)
        return described

    @property
    def key(self) -> str:
        """The same for the same experiment, on every machine and in every later version."""
        return _digest(self.describe())

    @property
    def stacking_key(self) -> str:
        """Equal for runs that can be trained as one stack: all but what may differ within one is equal."""
        head = heads.entry(self.head).head
        described = self.describe() | {"seed": None} | dict.fromkeys(head.may_differ)
        return _digest(described | {"protocol": self.protocol.for_a_stack().describe()})

    @property
    def name(self) -> str:
        """A file name that a person can read: where it is, what it is, its key."""
        return f"{self.dataset}/{self.head}-seed{self.seed}-{self.key}"

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Self:
        """The run that `describe` described."""
        if unknown := sorted(set(description) - set(known_settings())):
            raise ValueError(f"unknown settings {unknown}; known: {sorted(known_settings())}")
        return cls(**{**description, "protocol": TrainingConfig(**description["protocol"])})


def _head_settings() -> list[str]:
    """The settings of all heads, each once."""
    return list(dict.fromkeys(name for entry in heads.CATALOG.values() for name in entry.settings))


def known_settings() -> list[str]:
    """What a run can be told: its own settings and those of all heads."""
    return [item.name for item in fields(Run) if item.name != "settings"] + _head_settings()


def _digest(described: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]


def grid(**settings: Sequence[Any]) -> list[Run]:
    """Every combination of the given settings: grid(head=["laya", "concat"], seed=range(10)) is 20 runs."""
    return [
        Run(**dict(zip(settings, values, strict=True))) for values in itertools.product(*map(tuple, settings.values()))
    ]
