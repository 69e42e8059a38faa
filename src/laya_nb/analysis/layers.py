"""Every label-free measure of one layer of a network, and what a probe of it gets where there are labels.

Measures and probes read the very same vectors. All measures but LiDAR and CKA, which centre for themselves, are of rows
that are centred over the whole sample and brought to length 1: an entropy of raw rows would tell of their mean.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from laya_nb.analysis.representation import (
    curvature,
    dime,
    effective_rank,
    expected_entropy,
    info_nce,
    lidar,
    matrix_entropy,
    unbiased_cka,
    within_variance,
)
from laya_nb.analysis.rows import Rows, Undefined, as_array, centred, unit_rows
from laya_nb.analysis.statistics import Estimate
from laya_nb.support.checks import check_integer

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

PERMUTATIONS = 3
"""Of DiME, ten of which are usual. On a thousand drawn examples three gave 0.123 within 0.002 of what ten gave."""
DELTA = 1e-4  # of LiDAR, as in its paper
PENALTY = 0.01  # scikit-learn's C: the smaller, the stronger

OF_ROWS = ("dataset_entropy", "entropy_below_noise", "effective_rank", "cka_last")
OF_VIEWS = ("info_nce", "dime", "lidar", "lidar_delta_share")
OF_TOKENS = ("prompt_entropy", "prompt_entropy_below_noise", "curvature", "without_entropy", "without_curvature")


def of_rows(rows: Rows, last: Rows) -> dict[str, float]:
    """What one layer's vectors are like, one row per example.

    - dataset_entropy: `matrix_entropy`, in nats.
    - entropy_below_noise: how far that is below the entropy of as many independent normal rows of the width, so that
      layers of several widths can be compared.
    - effective_rank.
    - cka_last: `unbiased_cka` with the last layer.

    NaN as these functions say, and the first three where an example is the mean of all, which leaves it no direction:
    a single one, or one of many that are the same.

    Args:
        rows: (N, D).
        last: the last layer on the same examples.
    """
    ready = _ready(rows)
    entropy = math.nan if ready is None else matrix_entropy(ready)
    return {
        "dataset_entropy": entropy,
        "entropy_below_noise": expected_entropy(max(len(rows) - 1, 1), rows.shape[1]) - entropy,
        "effective_rank": math.nan if ready is None else effective_rank(ready),
        "cka_last": unbiased_cka(rows, last),
    }


def of_views(views: Rows) -> dict[str, float]:
    """How well one layer's vectors keep what views of an example have in common.

    - info_nce: `info_nce` of the first two views, in nats; low where views find each other.
    - dime: `dime` of the first two views.
    - lidar: `lidar` over all views.
    - lidar_delta_share: what LiDAR adds to the variance of views, in units of it. Far above 0.1, LiDAR tells of that.

    Args:
        views: Q views of each of N examples, (N, Q, D), Q at least 2.
    """
    first, second, variance = _ready(views[:, 0]), _ready(views[:, 1]), within_variance(views)
    pair = None if first is None or second is None else (first, second)
    return {
        "info_nce": math.nan if pair is None else info_nce(*pair),
        "dime": math.nan if pair is None else dime(*pair, permutations=PERMUTATIONS),
        "lidar": lidar(views, DELTA),
        "lidar_delta_share": DELTA / variance if variance else math.nan,
    }


def of_tokens(measured: Rows) -> dict[str, float]:
    """Means over prompts of what was measured of the tokens of each.

    - prompt_entropy: the `matrix_entropy` of a prompt's tokens, in nats.
    - prompt_entropy_below_noise: how far it is below that of as many independent normal tokens: prompts of several
      lengths can be compared.
    - curvature, in radians.
    - without_entropy, without_curvature: how many prompts are left out of these means: of one token, or of fewer than
      three, or with tokens that are the same.

    Args:
        measured: (N, 3), rows from `tokens_measured`.
    """
    entropy, noise, bend = as_array("measured", measured).T
    known, bent = entropy >= 0, bend >= 0
    return {
        "prompt_entropy": _mean(entropy[known]),
        "prompt_entropy_below_noise": _mean((noise - entropy)[known]),
        "curvature": _mean(bend[bent]),
        "without_entropy": float((~known).sum()),
        "without_curvature": float((~bent).sum()),
    }


def tokens_measured(tokens: Rows, in_order: bool = True) -> tuple[float, float, float]:
    """Of one prompt's tokens (T, D): entropy, that of noise, and curvature; -1 for what is not defined.

    Args:
        tokens: they are centred and brought to length 1 for the entropy.
        in_order: whether they have an order; without one there is no curvature.
    """
    rows = as_array("tokens", tokens)
    ready = _ready(rows)
    entropy = math.nan if ready is None else matrix_entropy(ready)
    noise = expected_entropy(max(len(rows) - 1, 1), rows.shape[1])
    bend = curvature(rows) if in_order else math.nan
    return -1.0 if math.isnan(entropy) else entropy, noise, -1.0 if math.isnan(bend) else bend


def probe() -> "Pipeline":
    """The probe of this book's measures of layers: coordinates of mean 0 and variance 1, then logistic regression.

    Its penalty is a hundred times scikit-learn's usual one: a few hundred coordinates and a thousand examples are told
    apart without error otherwise.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=2000))


def probed(rows: Rows, labels: Sequence[int] | np.ndarray, folds: int = 5, seed: int = 0) -> Estimate:
    """Accuracy of a `probe` of one layer, on examples that it was not fitted to (`cross_validated`).

    The 95 % interval is Wilson's, for N independent answers. Arguments and errors are those of `cross_validated`.
    """
    right = cross_validated(rows, labels, folds, seed)
    low, high = stats.binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return Estimate(float(right.mean()), float(right.std(ddof=1)), float(low), float(high), len(right))


def cross_validated(rows: Rows, labels: Sequence[int] | np.ndarray, folds: int = 5, seed: int = 0) -> np.ndarray:
    """Whether each example is predicted right by a `probe` that was fitted to other folds, (N,) bool.

    Args:
        rows: (N, D).
        labels: (N,), integers.
        folds: at least 2; each class needs as many examples.
        seed: of the folds.

    Raises:
        ValueError: for labels of one class, or a class with fewer examples than folds.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    x, y = as_array("rows", rows), np.asarray(labels)
    check_integer("folds", folds, 2)
    if y.shape != (len(x),):
        raise ValueError(f"labels must be one for each of the {len(x)} rows, got {y.shape}")
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) < 2 or counts.min() < folds:
        held = ", ".join(f"{count} of {c}" for c, count in zip(classes.tolist(), counts, strict=True))
        raise ValueError(f"labels must have at least 2 classes with at least {folds} examples each, got {held}")
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return cross_val_predict(probe(), x, y, cv=split) == y


def _ready(rows: Rows) -> np.ndarray | None:
    """Centred, and of length 1; None where a row has no direction then."""
    try:
        return unit_rows(centred(rows))
    except Undefined:
        return None


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan
