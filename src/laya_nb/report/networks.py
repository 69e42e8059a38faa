"""The networks of the book on which a measurement is made: one line each, with the runs of their LAYA heads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from laya_nb.runs import Run, grid, measure
from laya_nb.runs.measurements import Measurement
from laya_nb.runs.store import ResultStore
from laya_nb.support.checks import check_choice
from laya_nb.training import TrainingConfig


@dataclass(frozen=True)
class Network:
    """What tables call it, and how its chapter trained it; `shallower`: depths at which its like were trained, too."""

    title: str
    dataset: str
    hidden_dims: tuple[int, ...] | None = None
    learning_rate: float = 3e-4
    shallower: tuple[int, ...] = ()


NETWORKS: dict[str, Network] = {
    "fashion_mnist": Network("Fashion-MNIST, MLP", "fashion_mnist", shallower=(2, 1)),
    "eight_layers": Network("Fashion-MNIST, 8 layers", "fashion_mnist", (128,) * 8, shallower=(6, 4, 3, 2, 1)),
    "cifar10": Network("CIFAR-10, CNN", "cifar10_jpeg", learning_rate=1e-3, shallower=(2,)),
    "imdb": Network("IMDB, BiLSTM", "imdb", learning_rate=1e-3, shallower=(1,)),
    "frozen_transformer": Network("IMDB, frozen MiniLM", "imdb/minilm", learning_rate=1e-3, shallower=(5, 4, 3, 2, 1)),
    "sample": Network("sample of Fashion-MNIST", "fashion_mnist_sample", shallower=(2, 1)),
}


def runs_of(network: str, seeds: Sequence[int], max_epochs: int, head: str = "laya") -> list[Run]:
    """The runs of a network with a head, one per seed.

    Raises:
        ValueError: for an unknown network.
    """
    check_choice("network", network, list(NETWORKS))
    of = NETWORKS[network]
    protocol = TrainingConfig(learning_rate=of.learning_rate, max_epochs=max_epochs)
    shape = {} if of.hidden_dims is None else {"hidden_dims": [of.hidden_dims]}
    return grid(dataset=[of.dataset], head=[head], seed=seeds, protocol=[protocol], **shape)


def shallower_runs(network: str, seeds: Sequence[int], max_epochs: int) -> dict[int, list[Run]]:
    """By number of layers, the runs of networks that have the first layers alone, and the usual head on the last.

    Of a frozen network, which cannot be trained, that is a probe of the layer.
    """
    found = {}
    for depth in NETWORKS[network].shallower:
        whole = runs_of(network, seeds, max_epochs, head="last_layer")
        frozen = whole[0].backbone == "frozen"
        change = {"view": [f"h{depth}"]} if frozen else {"hidden_dims": whole[0].hidden_dims[:depth]}
        found[depth] = [run.replace(**change) for run in whole]
    return found


def measured(runs: dict[str, list[Run]], function: Measurement, store: ResultStore) -> pd.DataFrame:
    """What a measurement gives for runs of several networks: a row per run, "network" (its title) and "seed" first.

    Args:
        runs: by what the network is called.
        function: of a trained model (`runs.measure`).
        store: where values are kept.
    """
    rows: list[dict[str, Any]] = []
    for title, group in runs.items():
        for run, values in zip(group, measure(group, function, store), strict=True):
            rows.append({"network": title, "seed": run.seed} | values)
    return pd.DataFrame(rows, columns=None if rows else ["network", "seed"])
