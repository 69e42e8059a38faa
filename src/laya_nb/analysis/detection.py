"""Does a network notice what it was not trained for? Scores of strangeness, higher for what is stranger.

    from laya_nb.analysis import detection

    detector = detection.AllLayers(train_states, train_labels)
    detection.judge(detector(test_states), detector(strange_states))

Scores of logits need no fitting. Those of hidden states are fitted on training examples: distances to class means, to
neighbours, and to the space that hidden states fill. `AllLayers` adds up what every layer says, each in units of its
own spread on the training examples (after arXiv 2302.09852). Of attention there are the weights' entropy
(`analysis.attention`), and their distance from what is usual in the predicted class.
"""

from collections.abc import Sequence

import numpy as np
from scipy import special
from sklearn.covariance import EmpiricalCovariance
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import NearestNeighbors

from laya_nb.analysis.attention import auroc
from laya_nb.support.checks import check_integer

NEIGHBOURS = 50  # as in arXiv 2204.06507 for CIFAR-10
SMALLEST = 1e-6  # weights below this are as good as none: their logarithms would decide everything


def max_softmax(logits: np.ndarray) -> np.ndarray:
    """Less the largest probability (arXiv 1610.02136): (N, C) to (N,)."""
    return -special.softmax(np.asarray(logits, dtype=float), axis=1).max(axis=1)


def max_logit(logits: np.ndarray) -> np.ndarray:
    """Less the largest logit (arXiv 1911.11132)."""
    return -np.asarray(logits, dtype=float).max(axis=1)


def energy(logits: np.ndarray) -> np.ndarray:
    """Less the logarithm of the sum of exponentials (arXiv 2010.03759, temperature 1)."""
    return -special.logsumexp(np.asarray(logits, dtype=float), axis=1)


class Mahalanobis:
    """The squared distance to the nearest class mean, under one covariance for all classes (arXiv 1807.03888).

    Args:
        rows: training examples (N, D).
        labels: (N,), integers.
    """

    def __init__(self, rows: np.ndarray, labels: np.ndarray) -> None:
        x, y = _rows("rows", rows), np.asarray(labels)
        classes, which = np.unique(y, return_inverse=True)
        self.means = np.stack([x[y == c].mean(axis=0) for c in classes])
        precision = EmpiricalCovariance(assume_centered=True).fit(x - self.means[which]).precision_
        values, vectors = np.linalg.eigh(precision)
        # Where rows are white, plain distances are these, and one matrix product gives them all.
        self.whitening = vectors * np.sqrt(np.maximum(values, 0))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        x = _rows("rows", rows)
        return euclidean_distances(x @ self.whitening, self.means @ self.whitening, squared=True).min(axis=1)


class Neighbours:
    """The distance to the k-th nearest training example, all brought to length 1 (arXiv 2204.06507).

    Args:
        rows: training examples (N, D), at least k.
        k: which neighbour.
    """

    def __init__(self, rows: np.ndarray, k: int = NEIGHBOURS) -> None:
        x = _rows("rows", rows)
        check_integer("k", k)
        if len(x) < k:
            raise ValueError(f"k must be at most the number of training examples, {len(x)}, got {k}")
        self.index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(_directions(x))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return self.index.kneighbors(_directions(_rows("rows", rows)))[0][:, -1]


class Residual:
    """ViM (arXiv 2203.10807): the length of what lies outside of the space that hidden states fill, less the energy.

    Args:
        rows: training examples (N, D), what the last linear layer reads.
        weight, bias: of that layer, (C, D) and (C,).
        dimensions: of the space that is filled; None: half of the width.
    """

    def __init__(self, rows: np.ndarray, weight: np.ndarray, bias: np.ndarray, dimensions: int | None = None) -> None:
        x = _rows("rows", rows)
        kept = x.shape[1] // 2 if dimensions is None else dimensions
        check_integer("dimensions", kept, 1)
        if kept >= x.shape[1]:
            raise ValueError(f"dimensions must be below the width {x.shape[1]}, got {kept}")
        self.weight, self.bias = np.asarray(weight, dtype=float), np.asarray(bias, dtype=float)
        self.origin = -np.linalg.pinv(self.weight) @ self.bias
        centred = x - self.origin
        self.outside = np.linalg.eigh(centred.T @ centred)[1][:, : x.shape[1] - kept]  # eigenvalues rise
        logits = x @ self.weight.T + self.bias
        self.scale = logits.max(axis=1).mean() / np.linalg.norm(centred @ self.outside, axis=1).mean()

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        x = _rows("rows", rows)
        lengths = np.linalg.norm((x - self.origin) @ self.outside, axis=1)
        return self.scale * lengths + energy(x @ self.weight.T + self.bias)


class UsualWeights:
    """How far attention lies from what is usual in the predicted class: Mahalanobis on the weights' log-ratios.

    The ratios are to the geometric mean of a row, less one coordinate, which the others determine.

    Args:
        attention: of training examples (N, L).
        predicted: the classes that they got, (N,).
    """

    def __init__(self, attention: np.ndarray, predicted: np.ndarray) -> None:
        ratios, self.classes = _log_ratios(attention), np.unique(predicted)
        self.usual = [Mahalanobis(ratios[predicted == c], predicted[predicted == c]) for c in self.classes]

    def __call__(self, attention: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Of examples (N, L) with the classes that they got, (N,).

        Raises:
            ValueError: for a class that no training example got.
        """
        ratios, found = _log_ratios(attention), np.empty(len(predicted))
        if len(unknown := np.setdiff1d(predicted, self.classes)):
            raise ValueError(f"no training example was put into class {unknown[0]}: nothing is usual there")
        for c, usual in zip(self.classes, self.usual, strict=True):
            if (here := predicted == c).any():
                found[here] = usual(ratios[here])
        return found


class AllLayers:
    """`Mahalanobis` on every layer, added up in units of each layer's standard deviation on the training examples.

    Args:
        states: of training examples, h_1..h_L, (N, d_i).
        labels: (N,), integers.
    """

    def __init__(self, states: Sequence[np.ndarray], labels: np.ndarray) -> None:
        self.layers = [Mahalanobis(rows, labels) for rows in states]
        usual = [layer(rows) for layer, rows in zip(self.layers, states, strict=True)]
        self.scales = [(scores.mean(), scores.std()) for scores in usual]

    def __call__(self, states: Sequence[np.ndarray]) -> np.ndarray:
        parts = zip(self.layers, states, self.scales, strict=True)
        return np.mean([(layer(rows) - mean) / std for layer, rows, (mean, std) in parts], axis=0)


def judge(known: np.ndarray, strange: np.ndarray) -> dict[str, float]:
    """How well a score tells strange examples from known ones, all from 0 to 1.

    "auroc"; "aupr_strange" and "aupr_known", average precision with either as what is looked for; and both readings of
    a false-positive rate at 95 %: "known_flagged", the share of known examples that are flagged where 95 % of the
    strange ones are, and "strange_passed", the share of strange ones that pass where 95 % of the known ones do.

    Args:
        known, strange: scores, higher for what is stranger, (N,) and (M,).

    Raises:
        ValueError: for no examples of either kind, or scores that are NaN.
    """
    inside, outside = (np.asarray(scores, dtype=float) for scores in (known, strange))
    for name, scores in (("known", inside), ("strange", outside)):
        if scores.ndim != 1 or not len(scores) or np.isnan(scores).any():
            raise ValueError(f"{name} must be scores (N,) of at least one example, none NaN, got {scores}")
    scores, is_strange = np.concatenate([inside, outside]), np.repeat([False, True], [len(inside), len(outside)])
    return {
        "auroc": auroc(scores, is_strange),
        "aupr_strange": float(average_precision_score(is_strange, scores)),
        "aupr_known": float(average_precision_score(~is_strange, -scores)),
        "known_flagged": float((inside >= np.quantile(outside, 0.05, method="lower")).mean()),
        "strange_passed": float((outside <= np.quantile(inside, 0.95, method="higher")).mean()),
    }


def _log_ratios(attention: np.ndarray) -> np.ndarray:
    logs = np.log(np.maximum(np.asarray(attention, dtype=float), SMALLEST))
    return (logs - logs.mean(axis=1, keepdims=True))[:, :-1]


def _directions(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(float).tiny)


def _rows(name: str, rows: np.ndarray) -> np.ndarray:
    x = np.asarray(rows, dtype=float)
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise ValueError(f"{name} must be finite numbers (N, D), at least one row, got {x.shape}")
    return x
