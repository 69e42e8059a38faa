"""The label-free measures of all layers of an encoder, kept as results are."""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from laya_nb import features
from laya_nb.analysis.representation import unbiased_cka
from laya_nb.data import catalog
from laya_nb.features import encoders
from laya_nb.features.encoders import Encoder
from laya_nb.features.layer_states import LayerStates, layer_states, measures
from laya_nb.runs.store import Result, ResultStore
from laya_nb.runs.train import provenance
from laya_nb.support import paths
from laya_nb.support.threads import side_by_side

VERSION = 1  # of what is computed
VIEWS = 16
EXAMPLES = 500


def layer_measures(
    encoder: str, dataset: str, store: ResultStore, *, views: int = VIEWS, examples: int = EXAMPLES, seed: int = 0
) -> Result:
    """What `analysis.layers` says of every layer of an encoder (`averaged`), on test inputs of a data set.

    Arrays (L,) under the names in `of_rows`, `of_views` and `of_tokens`, NaN where a layer has none; and "cka" (L, L),
    `unbiased_cka` between layers. What the store has is read there.

    Args:
        encoder: a name that `features.encoders.load` knows.
        dataset: whose test part is measured: "question@1000".
        store: where the result is looked for and saved.
        views: of each input.
        examples: how many of the test part's inputs, the first.
        seed: of the views.

    Raises:
        ValueError, DataError: from `catalog.entry`, `encoders.load` and `layer_states`.
    """
    run = {"encoder": encoder, "dataset": dataset, "seed": seed, "views": views, "examples": examples}

    def compute() -> dict[str, np.ndarray]:
        return measured(encoders.load(encoder), dataset, views, examples, seed)

    return kept(f"layer_measures-v{VERSION}/{dataset}/{encoder}", run, store, compute)


def measured(network: Encoder, dataset: str, views: int, examples: int, seed: int = 0) -> dict[str, np.ndarray]:
    """The arrays of `layer_measures` for an encoder that has no name, or is not kept."""
    inputs, _ = catalog.entry(dataset).raw("test")
    folder = paths.cache() / "features" / dataset / f"{network.name}-layers"
    states = layer_states(network, inputs[:examples], folder, views, seed)
    chosen = averaged(states.names)
    arrays = by_name(states, chosen)
    cka = side_by_side(lambda i: [unbiased_cka(states.rows[i], states.rows[j]) for j in chosen], chosen)
    return arrays | {"cka": np.array(cka, dtype=np.float32)}


def by_name(states: LayerStates, chosen: Sequence[int]) -> dict[str, np.ndarray]:
    """`measures` of some hidden states, (L,) float32 each, NaN where a hidden state has none."""
    rows = side_by_side(lambda i: measures(states, i), chosen)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float32) for name in names}


def averaged(names: tuple[str, ...]) -> list[int]:
    """Which hidden states are means over a layer's tokens or positions: one for each layer.

    Of a network that shows its class token too, that is left out.

    Args:
        names: of an encoder's hidden states, as `features.names` gives them.
    """
    found = [i for i, name in enumerate(names) if not name.endswith(":cls")]
    return found or list(range(len(names)))


def layer_names(encoder: str) -> list[str]:
    """The names of the layers that are measured, first to last. Raises as `features.names`."""
    names = features.names(encoder)
    return [names[i].partition(":")[0] for i in averaged(names)]


def kept(name: str, run: dict[str, Any], store: ResultStore, compute: Callable[[], dict[str, np.ndarray]]) -> Result:
    """A measurement's arrays: read from the store, or computed and saved there, below `measurements`.

    Args:
        name: of the measurement, its version and what is measured; a hash of the run is put behind it.
        run: all that decides the values.
        store: where it is looked for and saved.
        compute: called where it is not there.
    """
    name = f"measurements/{name}-{hashlib.sha256(json.dumps(run).encode()).hexdigest()[:12]}"
    result = store.load(name, run)
    if result is None:
        result = Result(name, run, {}, {}, provenance(), compute())
        store.save(result)
    return result
