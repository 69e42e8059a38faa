"""What attention over layers says: profiles, entropy, and how far one training's word can be trusted.

Attention is an array (N, L), rows summing to 1. Several trainings of one setting are stacked as (S, N, L).
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats


def class_profiles(
    attention: np.ndarray, labels: np.ndarray, num_classes: int, mask: np.ndarray | None = None
) -> np.ndarray:
    """Mean attention of each class, (C, L); NaN for a class without examples. `mask` (N,) keeps some examples.

    Source: Figure 2 of arXiv 2511.12723 takes all, correct or incorrect test examples.
    """
    if mask is not None:
        attention, labels = attention[mask], labels[mask]
    counts = np.bincount(labels, minlength=num_classes)
    sums = np.stack([np.bincount(labels, weights=layer, minlength=num_classes) for layer in attention.T], axis=1)
    with np.errstate(invalid="ignore"):
        return sums / counts[:, None]


def entropy(attention: np.ndarray) -> np.ndarray:
    """Shannon entropy of each row, divided by log L: 0 is one layer, 1 is uniform. One layer alone has 0."""
    layers = attention.shape[-1]
    if layers == 1:
        return np.zeros(attention.shape[:-1])
    return stats.entropy(attention, axis=-1) / np.log(layers)


def auroc(values: np.ndarray, positive: np.ndarray) -> float:
    """The probability that a random positive example has the higher value; ties count half."""
    values = values.astype(np.float64)  # float16, as results keep it, overflows in the count of pairs
    ranked = stats.mannwhitneyu(values[positive], values[~positive])
    return float(ranked.statistic / (positive.sum() * (~positive).sum()))


@dataclass(frozen=True)
class EntropyEffect:
    """Entropy of attention on right and on wrong predictions of one training.

    `auroc` is the probability that a random wrong prediction has the higher entropy: 0.5 is no effect. `cohen_d` is
    the difference wrong - right over the pooled standard deviation.
    """

    right: float
    wrong: float
    auroc: float
    cohen_d: float


def entropy_effect(attention: np.ndarray, correct: np.ndarray) -> EntropyEffect:
    """Measure whether wrong predictions have more diffuse attention, as arXiv 2511.12723 claims.

    Raises:
        ValueError: unless there are at least two right and two wrong predictions.
    """
    values = entropy(attention)
    right, wrong = values[correct], values[~correct]
    if min(len(right), len(wrong)) < 2:
        raise ValueError(f"needs at least 2 right and 2 wrong predictions, got {len(right)} and {len(wrong)}")
    pooled = np.sqrt(((len(right) - 1) * right.var(ddof=1) + (len(wrong) - 1) * wrong.var(ddof=1)) / (len(values) - 2))
    d = (wrong.mean() - right.mean()) / pooled if pooled > 0 else 0.0
    return EntropyEffect(float(right.mean()), float(wrong.mean()), auroc(values, ~correct), float(d))


def pairwise_correlation(profiles: np.ndarray) -> np.ndarray:
    """Pearson correlation of every pair of trainings, (S * (S - 1) / 2,), for profiles (S, ...), flattened.

    Each layer's mean over the rows is removed first: that all trainings favour the last layer is no agreement about
    classes or examples.
    """
    centred = profiles - profiles.mean(axis=1, keepdims=True)
    table = np.atleast_2d(np.corrcoef(centred.reshape(len(profiles), -1)))
    return table[np.triu_indices(len(profiles), k=1)]


def top_layer_agreement(attention: np.ndarray) -> np.ndarray:
    """For every pair of trainings in (S, N, L): the share of examples whose most attended layer is the same."""
    top = attention.argmax(axis=-1)
    return np.array([(a == b).mean() for a, b in combinations(top, 2)])


def chance_agreement(attention: np.ndarray) -> np.ndarray:
    """The agreement that the pairs of `top_layer_agreement` would have if examples were shuffled (Cohen's kappa's)."""
    layers = attention.shape[-1]
    shares = np.stack([np.bincount(top, minlength=layers) for top in attention.argmax(axis=-1)]) / attention.shape[1]
    return np.array([float(a @ b) for a, b in combinations(shares, 2)])
