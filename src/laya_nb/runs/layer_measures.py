"""The label-free measures of all layers of an encoder, kept as results are."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from laya_nb.analysis.representation import unbiased_cka
from laya_nb.data import catalog
from laya_nb.features import encoders
from laya_nb.features.layer_states import layer_states, measures
from laya_nb.runs.store import Result, ResultStore
from laya_nb.runs.train import provenance
from laya_nb.support import paths
from laya_nb.support.progress import bar
from laya_nb.support.threads import side_by_side

VERSION = 1  # of what is computed
VIEWS = 16


def layer_measures(
    encoder: str, dataset: str, seeds: Sequence[int], store: ResultStore, views: int = VIEWS
) -> list[Result]:
    """What `analysis.layers` says of every layer of an encoder, a result for each seed of the views.

    Arrays (L,) under the names in `of_rows`, `of_views` and `of_tokens`, NaN where a layer has none; and "cka" (L, L),
    `unbiased_cka` between layers. What the store has is read there.

    Args:
        encoder: a name that `features.encoders.load` knows.
        dataset: whose test part's raw inputs are measured: "question@1000".
        seeds: of the views.
        store: where results are looked for and saved.
        views: of each input.

    Raises:
        ValueError, DataError: from `catalog.entry`, `encoders.load` and `layer_states`.
    """
    found = []
    with bar(total=len(seeds), desc=f"{dataset}, {encoder}", unit="seed") as progress:
        for seed in seeds:
            run: dict[str, Any] = {"encoder": encoder, "dataset": dataset, "seed": seed, "views": views}
            name = f"measurements/layer_measures-v{VERSION}/{dataset}/{encoder}-seed{seed}"
            result = store.load(name, run)
            if result is None:
                result = Result(name, run, {}, {}, provenance(), _measured(encoder, dataset, seed, views))
                store.save(result)
            found.append(result)
            progress.update()
    return found


def _measured(encoder: str, dataset: str, seed: int, views: int) -> dict[str, np.ndarray]:
    inputs, _ = catalog.entry(dataset).raw("test")
    folder = paths.cache() / "features" / dataset / f"{encoder}-layers"
    states = layer_states(encoders.load(encoder), inputs, folder, views, seed)
    rows = side_by_side(lambda i: measures(states, i), range(len(states.names)))
    names = dict.fromkeys(name for row in rows for name in row)
    arrays = {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float32) for name in names}
    cka = side_by_side(lambda i: [unbiased_cka(states.rows[i], other) for other in states.rows], range(len(rows)))
    return arrays | {"cka": np.array(cka, dtype=np.float32)}
