"""Measurements of finished runs: one function of a trained model, its values kept as results are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from laya_nb.data import Dataset
from laya_nb.heads import DepthClassifier
from laya_nb.runs.checkpoints import trained_models
from laya_nb.runs.run import Run
from laya_nb.runs.store import Result, ResultStore
from laya_nb.runs.train import provenance, run_data
from laya_nb.support.progress import bar

Values = Mapping[str, Any]
"""By name: single numbers, or arrays of type uint8, float16 or float32."""

Function = Callable[[DepthClassifier, Dataset], Values]


@dataclass(frozen=True)
class Measurement:
    """A function of a trained model and the data set that its run read, and the version of what it computes."""

    function: Function
    version: int

    @property
    def name(self) -> str:
        return self.function.__name__

    def __call__(self, model: DepthClassifier, dataset: Dataset) -> Values:
        return self.function(model, dataset)


def measurement(version: int) -> Callable[[Function], Measurement]:
    """Mark a function as a measurement: `@measurement(version=1)`. Raise the version when its values change."""
    return lambda function: Measurement(function, version)


def measure(runs: Sequence[Run], function: Measurement, store: ResultStore) -> list[dict[str, Any]]:
    """What a measurement gives for the trained model of each run, in their order.

    A value that the store has is read there: it is kept under the run's key and the function's name and version.
    For the others the models are loaded, or trained again where no checkpoint is to be had (`trained_models`).

    Args:
        runs: of any kind; they need not be in the store.
        function: marked with `@measurement(version=...)`.
        store: where values are looked for and saved, beside the results.

    Raises:
        ValueError: for a function that is not marked, or values that cannot be kept.
        DataError, DisagreementError: from `trained_models`.
    """
    if not isinstance(function, Measurement):
        raise ValueError(f"{function.__name__} is no measurement: mark it with @measurement(version=1)")
    folder = f"measurements/{function.name}-v{function.version}"
    found = {run: store.load(f"{folder}/{run.name}", run.describe()) for run in runs}
    missing = [run for run, value in found.items() if value is None]
    with bar(total=len(missing), desc=function.name, unit="run") as progress:
        for run, model in zip(missing, trained_models(missing, store), strict=True):
            values = function(model, run_data(run))
            arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
            numbers = {name: float(value) for name, value in values.items() if name not in arrays}
            value = Result(f"{folder}/{run.name}", run.describe(), numbers, {}, provenance(), arrays)
            store.save(value)
            found[run] = value
            progress.update()
    return [{**result.metrics, **result.arrays} for run in runs if (result := found[run]) is not None]
