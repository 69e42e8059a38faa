"""What each layer of a network knows that was trained for the task itself, or that is to be, and the measures of it."""

from typing import Any

import numpy as np
import torch
from torch import nn

from laya_nb.data import Dataset
from laya_nb.data.views import can_be_viewed
from laya_nb.features.layer_states import layer_states
from laya_nb.heads import DepthClassifier
from laya_nb.runs.layer_measures import EXAMPLES, VIEWS, by_name, kept
from laya_nb.runs.layer_probes import right_of_probes
from laya_nb.runs.measurements import measurement
from laya_nb.runs.run import Run
from laya_nb.runs.store import Result, ResultStore
from laya_nb.runs.train import model_for, run_data
from laya_nb.support import paths

PROBED = 2000  # training examples that probes of layers are fitted to, and test examples that judge them
VERSION = 1  # of `untrained_layers`


@measurement(version=1)
def trained_layers(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """Arrays (L,) under the names in `analysis.layers`, for 500 test examples, and "right" (L, N), of a probe of each
    layer that was fitted to training examples which the network had learned from, too.

    InfoNCE, DiME and LiDAR are there where inputs are images with values in [0, 1].
    """
    return _layers_of(model, dataset)


def untrained_layers(run: Run, store: ResultStore) -> Result:
    """The arrays of `trained_layers` for the network that a run begins with: its random weights, the control.

    Args:
        run: of any kind; nothing is trained.
        store: where the result is looked for and saved.

    Raises:
        DataError: if the run's data set is not to be had.
    """

    def compute() -> dict[str, np.ndarray]:
        dataset = run_data(run)
        return _layers_of(model_for(run, dataset).eval(), dataset)

    return kept(f"untrained_layers-v{VERSION}/{run.name}", run.describe(), store, compute)


def _layers_of(model: DepthClassifier, dataset: Dataset) -> dict[str, np.ndarray]:
    backbone, x = model.backbone, dataset.test.x[:EXAMPLES]
    folder = paths.cache() / "features" / "trained_layers" / dataset.name
    assert isinstance(backbone, nn.Module)
    states = layer_states(backbone, x, folder, VIEWS if can_be_viewed(x) else 0)
    arrays = by_name(states, range(len(states.names)))
    with torch.no_grad():
        train, test = ([h.numpy() for h in backbone(part.x[:PROBED])] for part in (dataset.train, dataset.test))
    labels = dataset.train.y[:PROBED].numpy(), dataset.test.y[:PROBED].numpy()
    return arrays | {"right": right_of_probes(train, labels[0], test, labels[1])}
