"""What attention over layers says: profiles of classes, entropy, and what it tells of errors.

Attention of one run is an array (N, L): one row per example, one column per layer, rows summing to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


def class_profile(
    attention: np.ndarray, labels: np.ndarray, num_classes: int, mask: np.ndarray | None = None
) -> np.ndarray:
    """The mean attention of each class, (C, L), each row summing to 1; NaN for a class without examples.

    Source: Figure 2 of arXiv 2511.12723 takes all, correct or incorrect test examples.

    Args:
        attention: of one run, (N, L).
        labels: (N,), from 0 to C - 1.
        num_classes: C.
        mask: (N,) bool, the examples that count; by default all of them.
    """
    if mask is not None:
        attention, labels = attention[mask], labels[mask]
    counts = np.bincount(labels, minlength=num_classes)
    sums = np.stack([np.bincount(labels, weights=layer, minlength=num_classes) for layer in attention.T], axis=1)
    with np.errstate(invalid="ignore"):
        return sums / counts[:, None]


def class_profiles(
    attention: Sequence[np.ndarray] | np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    masks: Sequence[np.ndarray] | np.ndarray | None = None,
) -> np.ndarray:
    """`class_profile` of each of S runs on the same N examples, (S, C, L).

    Args:
        attention: of all runs, (S, N, L).
        labels: (N,), from 0 to C - 1.
        num_classes: C.
        masks: for each run, the examples that count, (S, N) bool; by default all of them.
    """
    if masks is None:
        return np.stack([class_profile(one, labels, num_classes) for one in attention])
    return np.stack([class_profile(one, labels, num_classes, mask) for one, mask in zip(attention, masks, strict=True)])


def entropy(attention: np.ndarray) -> np.ndarray:
    """Shannon entropy of weights (..., L), divided by log L, (...): 0 is one layer, 1 is uniform.

    Where there is one layer only, it is 0.
    """
    layers = attention.shape[-1]
    if layers == 1:
        return np.zeros(attention.shape[:-1])
    return stats.entropy(attention, axis=-1) / np.log(layers)


def auroc(values: np.ndarray, positive: np.ndarray) -> float:
    """The probability that a random positive example has the higher value; ties count half.

    Args:
        values: (N,).
        positive: (N,) bool; both kinds must be there.
    """
    values = values.astype(np.float64)  # float16, as results keep it, overflows in the count of pairs
    ranked = stats.mannwhitneyu(values[positive], values[~positive])
    return float(ranked.statistic / (positive.sum() * (~positive).sum()))


@dataclass(frozen=True)
class EntropyEffect:
    """How much higher the entropy of attention is on the wrong predictions of one run than on the right ones.

    `auroc` is the probability that a random wrong prediction has the higher entropy: 0.5 is no effect. `cohen_d` is
    the difference of the means, wrong - right, over the pooled standard deviation.
    """

    auroc: float
    cohen_d: float


def entropy_effect(attention: np.ndarray, correct: np.ndarray) -> EntropyEffect:
    """Measure whether wrong predictions have more diffuse attention, as arXiv 2511.12723 claims.

    Args:
        attention: of one run, (N, L).
        correct: whether each prediction is right, (N,) bool.

    Raises:
        ValueError: unless there are at least two right and two wrong predictions.
    """
    values = entropy(attention)
    right, wrong = values[correct], values[~correct]
    if min(len(right), len(wrong)) < 2:
        raise ValueError(f"needs at least 2 right and 2 wrong predictions, got {len(right)} and {len(wrong)}")
    pooled = np.sqrt(((len(right) - 1) * right.var(ddof=1) + (len(wrong) - 1) * wrong.var(ddof=1)) / (len(values) - 2))
    d = (wrong.mean() - right.mean()) / pooled if pooled > 0 else 0.0
    return EntropyEffect(auroc(values, ~correct), float(d))
