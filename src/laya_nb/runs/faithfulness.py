"""What the chapter on faithfulness measures of one trained model; see `laya_nb.analysis.faithfulness`."""

from typing import Any

import torch
from torch import Tensor

from laya_nb.analysis.faithfulness import Faithfulness, adversarial_weights, examine, mean_weights
from laya_nb.backbones import FrozenFeatures
from laya_nb.data import Dataset, Examples
from laya_nb.heads import DepthClassifier, EqualMixHead, LAYAHead, LayerDropoutLAYAHead, Mixture
from laya_nb.runs.given_weights import accuracies_under
from laya_nb.runs.measurements import measurement
from laya_nb.runs.new_heads import accuracy, head_seed, hidden_dataset, some, train_head

D_STAR = 96  # of new heads on a network whose own head has no adapters
EXAMPLES = 1000  # that are explained, and as many to take means and replacements from; fewer of more than 8 layers
LEARN_FROM = 20_000  # examples from which new heads learn: a third of Fashion-MNIST


@measurement(version=2)
def faithfulness(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """`examine` on the test part. Rankings go by "ranking/removal/comprehensiveness" and "…/sufficiency"."""
    count = min(EXAMPLES, 8 * EXAMPLES // len(model.head.in_dims))
    found = examine(model, some(dataset.test, count), some(dataset.train, count))
    return flat(found)


def flat(found: Faithfulness) -> dict[str, Any]:
    """As a measurement keeps it: numbers by name, and an array (L,) for each column of `layers`."""
    values: dict[str, Any] = dict(found.numbers)
    for row in found.rankings.to_dict("records"):
        for what in ("comprehensiveness", "sufficiency"):
            values[f"{row['ranking']}/{row['removal']}/{what}"] = row[what]
    return values | {f"layers/{name}": found.layers[name].to_numpy("float32") for name in found.layers}


@measurement(version=3)
def new_heads(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """Heads trained anew on the model's hidden states: test accuracies, and the faithfulness of one.

    "own" is the model as it is. "given/X" are adapters and a classifier trained under weights X: the model's own, own
    ones shuffled among the examples of one predicted class, or among all, the class mean, the constant mean, equal, and
    an adversary's. "equal" is a whole head with equal weights. "dropout/…": a LAYA head trained with layer dropout, its
    accuracy and its faithfulness, where layers are removed as it learnt it.
    """
    states = hidden_dataset(model, dataset, LEARN_FROM)
    own, widths = model.head, model.head.in_dims
    mixtures = [_mixture(model, part) for part in (states.train, states.test)]
    d_star = own.classifier.in_features if isinstance(own, LAYAHead | EqualMixHead) else D_STAR
    classes, seed = own.num_classes, head_seed(model)
    found = {"own": accuracy(mixtures[1].logits(), states.test.y)}
    names, train, test = _given(*mixtures)
    accuracies = accuracies_under(states, train, test, EqualMixHead(widths, classes, d_star), seed)
    found |= dict(zip(names, accuracies, strict=True))
    dropout = train_head(LayerDropoutLAYAHead(widths, classes, d_star), states, seed)
    found["dropout"] = accuracy(dropout(states.test.x).logits, states.test.y)
    examined = examine(dropout, some(states.test, EXAMPLES), some(states.train, EXAMPLES), removals=["dropped"])
    return found | {f"dropout/{name}": value for name, value in flat(examined).items()}


@torch.no_grad()
def _mixture(model: DepthClassifier, part: Examples) -> Mixture:
    return model.head.mixture(FrozenFeatures(model.head.in_dims)(part.x))


@torch.no_grad()
def _given(train: Mixture, test: Mixture) -> tuple[list[str], Tensor, Tensor]:
    """Names of M sets of weights, and these for the training and the test part, (N, M, L)."""
    own = [mixture.weights.mean(dim=1) for mixture in (train, test)]
    guesses = [mixture.logits().argmax(dim=1) for mixture in (train, test)]
    everyone = [torch.zeros_like(guess) for guess in guesses]
    means = [mean_weights(train, guess) for guess in guesses]
    generator = torch.Generator().manual_seed(0)
    sets = {
        "given/own": own,
        "given/shuffled within class": _shuffled(own, guesses, generator),
        "given/shuffled": _shuffled(own, everyone, generator),
        "given/class mean": [mean["class mean"].mean(dim=1) for mean in means],
        "given/constant": [mean["constant"].mean(dim=1) for mean in means],
        "given/adversary": [adversarial_weights(one, steps=10)[0].mean(dim=1) for one in (train, test)],
        "equal": [torch.full_like(weights, 1 / weights.shape[1]) for weights in own],
    }
    of_train, of_test = (torch.stack(part, dim=1) for part in zip(*sets.values(), strict=True))
    return list(sets), of_train, of_test


def _shuffled(weights: list[Tensor], groups: list[Tensor], generator: torch.Generator) -> list[Tensor]:
    """Rows exchanged at random among the examples of each group."""
    found = []
    for values, group in zip(weights, groups, strict=True):
        order = torch.randperm(len(group), generator=generator)
        shuffled = torch.empty_like(values)
        for c in group.unique():
            shuffled[(group == c).nonzero().flatten()] = values[order[group[order] == c]]
        found.append(shuffled)
    return found
