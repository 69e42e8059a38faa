"""A network of a trained model's shape, drawn and trained anew: with other heads, on other labels, on fewer classes."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from laya_nb.data import Dataset
from laya_nb.heads import DepthClassifier, LAYAHead
from laya_nb.runs.faithfulness import D_STAR
from laya_nb.support import keras_defaults, seeds
from laya_nb.training import TrainingConfig, fit

PROTOCOL = TrainingConfig(
    learning_rate=1e-3, max_epochs=12, patience=None, validation=0.0, final_learning_rate=1e-5
)  # fmt: skip
"""How it is trained, on all training examples: none are set aside, since nothing is chosen by them."""


def train_anew(
    model: DepthClassifier, dataset: Dataset, seed: int, protocol: TrainingConfig = PROTOCOL
) -> DepthClassifier:
    """A network like `model`, with a LAYA head, trained on a data set of its own; `model` stays as it is.

    Args:
        model: gives the backbone's shape, and the head's settings as `heads_like` says.
        dataset: what it learns from, of any number of classes.
        seed: of all that is random.
        protocol: without patience.

    Raises:
        ValueError: from `draw_anew`.
        DataError, NonFiniteLoss: from `training.fit`.
    """
    (head,) = heads_like(model, [len(model.head.in_dims)], len(dataset.classes))
    network = DepthClassifier(copy.deepcopy(model.backbone), head)
    draw_anew(network, seed)
    fit(network, dataset.split(seed, protocol.validation), seed=seed, protocol=protocol, device="cpu")
    return network


def heads_like(model: DepthClassifier, ends: Sequence[int], classes: int | None = None) -> list[LAYAHead]:
    """Untrained LAYA heads on prefixes of the hidden states, with the settings of the model's own head where it is one.

    Args:
        model: whose hidden states they read.
        ends: how many hidden states each reads.
        classes: as many as the model's, by default.
    """
    own, settings = model.head, dict[str, Any](d_star=D_STAR)
    if isinstance(own, LAYAHead):
        settings = {"d_star": own.classifier.in_features, "scorer_width": own.scorer[0].out_features}
        settings |= {"temperature": own.temperature, "psi": "identity" if isinstance(own.psi, nn.Identity) else "mlp"}
    with torch.random.fork_rng(devices=[]):  # a constructor draws weights, and no caller's draws may change
        return [LAYAHead(own.in_dims[:end], classes or own.num_classes, **settings) for end in ends]


def draw_anew(network: nn.Module, seed: int) -> None:
    """All weights as before training, drawn from the seed.

    Raises:
        ValueError: for a module that has weights and cannot draw them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.stream_seed(seed, "initialisation"))
        for module in network.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()  # of norms too, which keras_defaults leaves as they are
            elif any(True for _ in module.parameters(recurse=False)):
                raise ValueError(f"{type(module).__name__} has weights, and no `reset_parameters` to draw them anew")
    keras_defaults.glorot_(network, seeds.generator(seed, "initialisation"))
