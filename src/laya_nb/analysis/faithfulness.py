"""Is attention over layers an explanation? Every usual test of it, on any trained classifier whose head has weights.

    from laya_nb.analysis import faithfulness

    found = faithfulness.examine(model, test, train)  # Examples: 1,000 of each are enough
    found.rankings, found.numbers

A ranking of the layers for one prediction is faithful if taking away its first layers changes the prediction
(comprehensiveness), and if these alone still give it (sufficiency; both arXiv 1911.03429). What the weights of a single
input tell beyond the mean weights shows beside two baselines: the mean over all inputs, and over those of the same
predicted class.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from laya_nb.analysis import attribution, removal
from laya_nb.data import Examples
from laya_nb.heads import DepthClassifier, LayerDropoutLAYAHead, Mixture
from laya_nb.support.checks import check_choice
from laya_nb.support.threads import side_by_side

TABULATED = 6  # layers up to which all subsets are evaluated once, and looked up
CUTS = 4  # above that, so many numbers of first layers are taken away, not all
PERMUTATIONS = 100  # of the weights, where there are more
DRAWS = 4  # replacements for each example, where layers show another's
REMOVALS = ("masked", "mean", "optimal constant", "resampled", "same class", "zero")
ADVERSARY = 0.01  # how far an adversary may move the probabilities, as total variation distance


@dataclass(frozen=True)
class Faithfulness:
    """What `examine` found for one trained model, means over examples.

    Attributes:
        rankings: a row for every ranking of layers and way of removal: "comprehensiveness" (higher is better) and
            "sufficiency" (lower is better), in probability of the predicted class, from -1 to 1.
        numbers: by name, single measures; `examine` lists them.
        layers: a row for every layer: mean "weight", "contribution" to the margin, "shapley" value, and what removing
            this layer alone takes from the probability of the predicted class, directly ("direct", resampled) and with
            all that later layers make of it ("total").
    """

    rankings: pd.DataFrame
    numbers: Mapping[str, float]
    layers: pd.DataFrame


@torch.no_grad()
def examine(
    model: DepthClassifier,
    examples: Examples,
    reference: Examples,
    seed: int = 0,
    removals: Sequence[str] | None = None,
) -> Faithfulness:
    """Test whether the attention of a trained model tells which layers its predictions rest on.

    Rankings: by the weight; by the exact contribution to the margin; by exact Shapley values of the masked mixture;
    by integrated gradients from the mean, gradient times input; by the mean weights of the predicted class, by those
    of all inputs ("constant"); at random. Removals: see `removal`; "dropped" is there for a `LayerDropoutLAYAHead`.

    Numbers: "same top: X", the share of examples whose heaviest layer is also first for ranking X, and "agreement: X",
    the mean of Kendall's tau-b with X, for X of contribution, shapley, integrated gradients, gradient x input and
    constant; "permuted", the mean over examples of the median total variation distance of the probabilities when the
    weights are permuted; "adversary", the mean of the largest Jensen-Shannon divergence (at most log 2) of weights that
    move the probabilities by 0.01 at most, among those on lines from the weights to a single layer or to equal weights;
    "accuracy: X" with the weights of X in place of the model's own, X of own, class mean, constant, equal.

    Args:
        model: in evaluation mode, with a head that has a `mixture`.
        examples: what is explained.
        reference: other examples, from which means and replacements are taken: training examples.
        seed: of random rankings and replacements.
        removals: the ways of removal by which rankings are judged; all that the head knows, by default.

    Raises:
        ValueError: for a head without weights, a single layer, or a way of removal that the head does not know.
    """
    model.eval()
    head = model.head
    states, others = model.backbone(examples.x), model.backbone(reference.x)
    mixture, layers = head.mixture(states), len(states)
    if layers < 2:
        raise ValueError("the head reads one layer alone: whether it is the right one cannot be asked; at least 2")
    probabilities = F.softmax(mixture.logits(), dim=1)
    pair = attribution.pair_of_classes(mixture.logits())
    predicted = pair[:, 0]
    own, baselines = mixture.weights.mean(dim=1), mean_weights(head.mixture(others), predicted)
    generator = torch.Generator().manual_seed(seed)
    anyone = removal.draw_rows(torch.zeros_like(predicted), torch.zeros_like(reference.y), DRAWS, generator)
    guesses = head(others).logits.argmax(dim=1)
    same = removal.draw_rows(predicted, guesses, DRAWS, generator)
    mean = [h.mean(dim=0) for h in others]
    # From here on layers are put in and taken out again and again: what each is made into alone is computed once.
    adapters, rest = head.split()

    def adapt(shown: removal.States) -> list[Tensor]:
        return [adapter(h) for adapter, h in zip(adapters, shown, strict=True)]

    z, z_others, z_mean = adapt(states), adapt(others), adapt(mean)
    ways: dict[str, Callable[[], removal.Removal]] = {
        "masked": lambda: removal.masked(rest, z),
        "mean": lambda: removal.replaced(rest, z, z_mean),
        "optimal constant": lambda: removal.replaced(
            rest, z, adapt(removal.optimal_constants(head, others, reference.y))
        ),
        "resampled": lambda: removal.resampled(rest, z, z_others, anyone),
        "same class": lambda: removal.resampled(rest, z, z_others, same),
        "zero": lambda: removal.replaced(rest, z, adapt([torch.zeros_like(h) for h in mean])),
    }
    if isinstance(rest, LayerDropoutLAYAHead):
        ways["dropped"] = partial(removal.dropped, rest, z)
    wanted = list(ways) if removals is None else list(removals)
    for name in wanted:
        check_choice("removals", name, list(ways))
    needed = dict.fromkeys([*wanted, "masked", "resampled"])
    chance = {name: _of_class(ways[name](), predicted, layers) for name in needed}
    rankings = {
        "weight": own,
        "contribution": attribution.contributions(mixture, pair),
        "shapley": attribution.shapley_values(chance["masked"], len(own), layers, seed=seed),
        "integrated gradients": attribution.integrated_gradients(head, states, mean, pair),
        "gradient x input": attribution.gradient_times_input(head, states, pair),
        "class mean": baselines["class mean"].mean(dim=1),
        "constant": baselines["constant"].mean(dim=1),
        "random": torch.rand(own.shape, generator=torch.Generator().manual_seed(seed)),
    }

    def judged(way: str) -> list[dict[str, Any]]:
        whole = chance[way](torch.ones_like(own, dtype=torch.bool))
        return [
            {"ranking": ranking, "removal": way} | _eraser(chance[way], whole, order)
            for ranking, order in rankings.items()
        ]

    rows = [row for of_one_way in side_by_side(judged, wanted) for row in of_one_way]
    numbers = _agreements(rankings) | {
        "permuted": _permuted(mixture, probabilities, seed),
        "adversary": float(adversarial_weights(mixture)[1].mean()),
    }
    for name, weights in {
        "own": mixture.weights,
        **baselines,
        "equal": torch.full_like(mixture.weights, 1 / layers),
    }.items():
        numbers[f"accuracy: {name}"] = float((mixture.logits(weights).argmax(1) == examples.y).float().mean())
    by_layer = {name: rankings[name].mean(dim=0).numpy() for name in ("weight", "contribution", "shapley")}
    swapped = removal.tail_swapped(rest, z, z_others, anyone)
    by_layer |= _effects(chance["resampled"], swapped, predicted)
    return Faithfulness(pd.DataFrame(rows), numbers, pd.DataFrame(by_layer, index=list(head.names)))


def first_layers(order: Tensor, k: int) -> Tensor:
    """The k layers that an attribution (N, L) puts first, as (N, L), bool."""
    chosen = torch.zeros_like(order, dtype=torch.bool)
    return chosen.scatter(1, order.topk(k, dim=1).indices, True)


def adversarial_weights(mixture: Mixture, distance: float = ADVERSARY, steps: int = 50) -> tuple[Tensor, Tensor]:
    """Weights as different as can be that change the probabilities by no more than `distance`: (B, M, L), and their
    Jensen-Shannon divergence from the model's own, (B,), a mean over attention heads.

    Searched on straight lines from the weights to each single layer and to equal weights, `steps` points on each: for
    two layers that is every choice, for more a lower bound of what an adversary finds (the test of arXiv 1902.10186).
    """
    own, layers, logits = mixture.weights, mixture.weights.shape[-1], mixture.logits()
    before = F.softmax(logits, dim=1)
    best, furthest = own.clone(), own.new_zeros(len(own))
    for end in [*torch.eye(layers, dtype=own.dtype), torch.full((layers,), 1 / layers, dtype=own.dtype)]:
        towards = mixture.logits(end.expand_as(own))
        for share in torch.linspace(0, 1, steps + 1)[1:].tolist():
            # logits are linear in the weights
            after = F.softmax((1 - share) * logits + share * towards, dim=1)
            weights = (1 - share) * own + share * end
            found = jensen_shannon(own, weights).mean(dim=1)
            better = (total_variation(before, after) <= distance) & (found > furthest)
            best[better], furthest[better] = weights[better], found[better]
    return best, furthest


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """Half the sum of absolute differences over the last axis: from 0 to 1."""
    return (p - q).abs().sum(dim=-1) / 2


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence over the last axis, in nats: from 0 to log 2."""
    middle = ((p + q) / 2).clamp(min=torch.finfo(p.dtype).tiny)
    return (torch.special.xlogy(p, p / middle) + torch.special.xlogy(q, q / middle)).sum(dim=-1) / 2


def mean_weights(mixture: Mixture, predicted: Tensor) -> dict[str, Tensor]:
    """The mean weights of the mixture's examples, for N others: (N, M, L) each.

    "class mean" is over those that the model puts into the same class, "constant" over all.
    """
    constant = mixture.weights.mean(dim=0)
    guesses = mixture.logits().argmax(dim=1)
    classes = [
        mixture.weights[guesses == c].mean(dim=0) if (guesses == c).any() else constant
        for c in range(len(mixture.bias))
    ]
    return {"class mean": torch.stack(classes)[predicted], "constant": constant.expand(len(predicted), -1, -1)}


def _of_class(way: removal.Removal, predicted: Tensor, layers: int) -> Callable[[Tensor], Tensor]:
    """From `kept` (N, L) to the predicted class's probability, (N,). Of few layers each subset is evaluated once."""

    def probability(kept: Tensor) -> Tensor:
        return way(kept).gather(1, predicted[:, None]).squeeze(1)

    if layers > TABULATED:
        return probability
    powers, examples = 2 ** torch.arange(layers), torch.arange(len(predicted))
    table: dict[int, Tensor] = {}

    def looked_up(kept: Tensor) -> Tensor:
        rows, which = (kept * powers).sum(dim=1).unique(return_inverse=True)
        for row in set(rows.tolist()) - table.keys():
            subset = torch.tensor([bool(row >> layer & 1) for layer in range(layers)])
            table[row] = probability(subset.expand(len(predicted), -1))
        return torch.stack([table[row] for row in rows.tolist()])[which, examples]

    return looked_up


def _eraser(of_class: Callable[[Tensor], Tensor], whole: Tensor, order: Tensor) -> dict[str, float]:
    """Comprehensiveness and sufficiency of a ranking, means over examples and numbers of first layers; `whole` (N,) is
    the probability with all layers."""
    layers = order.shape[1]
    cuts = np.unique(np.linspace(1, layers - 1, layers - 1 if layers <= TABULATED else CUTS).round().astype(int))
    chosen = [first_layers(order, int(k)) for k in cuts]
    return {
        "comprehensiveness": float(np.mean([(whole - of_class(~kept)).mean().item() for kept in chosen])),
        "sufficiency": float(np.mean([(whole - of_class(kept)).mean().item() for kept in chosen])),
    }


def _agreements(rankings: Mapping[str, Tensor]) -> dict[str, float]:
    weight, found = rankings["weight"], {}
    for name in ("contribution", "shapley", "integrated gradients", "gradient x input", "constant"):
        other = rankings[name]
        found[f"agreement: {name}"] = float(attribution.rank_agreement(weight, other).nanmean())
        found[f"same top: {name}"] = float((weight.argmax(dim=1) == other.argmax(dim=1)).float().mean())
    return found


def _permuted(mixture: Mixture, before: Tensor, seed: int) -> float:
    """The mean over examples of the median, over permutations of the layers' weights, of how far probabilities move."""
    layers = mixture.weights.shape[-1]
    every = list(itertools.islice(itertools.permutations(range(layers)), 1, PERMUTATIONS + 1))
    if len(every) == PERMUTATIONS:
        rng = np.random.default_rng(seed)
        every = [tuple(rng.permutation(layers)) for _ in range(PERMUTATIONS)]
    after = (F.softmax(mixture.logits(mixture.weights[..., list(order)]), dim=1) for order in every)
    moved = torch.stack([total_variation(before, probabilities) for probabilities in after])
    return float(moved.quantile(0.5, dim=0).mean())


def _effects(resampled: Callable[[Tensor], Tensor], swapped: Tensor, predicted: Tensor) -> dict[str, np.ndarray]:
    """What resampling one layer takes from the probability of the predicted class, (L,): directly, and in all.

    Args:
        resampled: from `kept` to that probability.
        swapped: probabilities (N, L, C) with another's output from layer i on.
        predicted: (N,).
    """
    layers = swapped.shape[1]
    kept = torch.ones(len(predicted), layers, dtype=torch.bool)
    whole = resampled(kept).mean()
    total = whole - swapped.gather(2, predicted[:, None, None].expand(-1, layers, 1)).squeeze(2).mean(dim=0)
    direct = [whole - resampled(kept & (torch.arange(layers) != i)).mean() for i in range(layers)]
    return {"direct": torch.stack(direct).numpy(), "total": total.numpy()}
