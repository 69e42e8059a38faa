"""What attention over layers says: profiles of classes, entropy, and what it tells of errors.

Attention is an array (N, L), rows summing to 1.
"""

from dataclasses import dataclass

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
