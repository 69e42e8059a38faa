"""Does a measure of layers go with what a probe gets there, and does it choose a good one?

Layers of a network are few and smooth: two curves over depth that have nothing to do with each other often rise or
fall together. So a correlation over layers is compared with what random walks give, not with independent noise; and
since all tasks of an encoder share its curves, a walk is drawn for each encoder, not for each task.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from laya_nb.support.checks import check_choice, check_integer

DRAWS = 2000
SIGNS = {
    "prompt_entropy": -1,
    "dataset_entropy": 1,
    "effective_rank": 1,
    "curvature": -1,
    "info_nce": -1,
    "dime": 1,
    "lidar": 1,
}
"""What a good layer is expected to have: 1, much of it; -1, little. Fixed before any accuracy was compared with a
measure, after the papers: LiDAR's (arXiv 2312.04000), and arXiv 2502.02013, in which the best layers of decoders have
the least prompt entropy."""


@dataclass(frozen=True)
class Curves:
    """One measure and one task on one encoder: values over its layers, first to last, both (L,), L at least 3.

    `sign` is 1 where a high value of the measure is expected on a good layer, -1 where a low one is. It is declared
    before the values are seen.
    """

    encoder: str
    measure: np.ndarray
    accuracy: np.ndarray
    sign: int = 1

    def __post_init__(self) -> None:
        check_choice("sign", self.sign, (1, -1))
        shapes = np.shape(self.measure), np.shape(self.accuracy)
        if len(shapes[0]) != 1 or shapes[0] != shapes[1] or shapes[0][0] < 3:
            raise ValueError(f"measure and accuracy must be (L,), L at least 3, got {shapes[0]} and {shapes[1]}")
        if not (np.isfinite(self.measure).all() and np.isfinite(self.accuracy).all()):
            raise ValueError(f"{self.encoder}: measure and accuracy must be finite at every layer")


@dataclass(frozen=True)
class OverLayers:
    """A correlation over layers, its mean over units, and what random walks give.

    `null_high` is the 95 % point of that, `p` the share of draws whose mean is at least as high as what was found.
    """

    mean: float
    values: np.ndarray
    null_mean: float
    null_high: float
    p: float


def spearman_over_layers(units: Sequence[Curves], draws: int = DRAWS, seed: int = 0) -> OverLayers:
    """The rank correlation of measure times sign with accuracy over layers; 0 where one does not vary."""
    return _over_layers(units, _spearman, draws, seed)


def distance_correlation_over_layers(units: Sequence[Curves], draws: int = DRAWS, seed: int = 0) -> OverLayers:
    """The distance correlation of measure with accuracy over layers, which knows no sign (as in arXiv 2502.02013)."""
    return _over_layers(units, _distance_correlations, draws, seed)


def distance_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """From 0 to 1, of two samples (N,): Székely, Rizzo and Bakirov, Annals of Statistics 35, 2007. 0 where one does not
    vary. For few values it is far above 0 also if they are independent."""
    return float(_distance_correlations(np.asarray(x, dtype=float)[None], np.asarray(y, dtype=float))[0])


def picked(measure: np.ndarray, sign: int) -> int:
    """The layer, from 0, at which measure (L,) times sign is highest, the first of equals.

    Raises:
        ValueError: where the measure is not finite at every layer.
    """
    if not np.isfinite(measure).all():
        raise ValueError(f"the measure must be finite at every layer, got {np.asarray(measure).tolist()}")
    return int(np.argmax(sign * np.asarray(measure)))


def best_layer_right(right: np.ndarray) -> np.ndarray:
    """What the best layer gets, without the luck of having been chosen on the same examples: one number each, (N,).

    The layer that is best on the examples at even places is judged on the others, and the other way round. Of layers
    that are equally good it is the mean over these.

    Args:
        right: (L, N), whether each layer's probe is right about each example; N at least 2.
    """
    right = np.asarray(right, dtype=float)
    if right.ndim != 2 or right.shape[1] < 2:
        raise ValueError(f"right must be (L, N), N at least 2, got {right.shape}")
    found = np.empty(right.shape[1])
    for judged, chosen_on in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
        scores = right[:, chosen_on].mean(axis=1)
        found[judged] = right[scores == scores.max()][:, judged].mean(axis=0)
    return found


def chosen_accuracy(scores: np.ndarray, accuracy: np.ndarray) -> float:
    """The accuracy (L,) of the layer with the highest score (L,); the mean of these where several have it."""
    scores = np.asarray(scores)
    return float(np.asarray(accuracy)[scores == scores.max()].mean())


def random_walks(count: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Sums of independent normal steps, (count, length)."""
    return rng.standard_normal((count, length)).cumsum(axis=1)


def _over_layers(
    units: Sequence[Curves], correlate: Callable[[np.ndarray, np.ndarray], np.ndarray], draws: int, seed: int
) -> OverLayers:
    """`correlate` takes many measures (R, L) and one accuracy (L,), and gives (R,)."""
    check_integer("draws", draws)
    if not units:
        raise ValueError("there are no curves to correlate")
    values = np.concatenate([correlate(unit.sign * unit.measure[None], unit.accuracy) for unit in units])
    rng, lengths = np.random.default_rng(seed), {unit.encoder: len(unit.measure) for unit in units}
    walks = {encoder: random_walks(draws, length, rng) for encoder, length in lengths.items()}
    null = np.mean([correlate(walks[unit.encoder], unit.accuracy) for unit in units], axis=0)
    mean = float(values.mean())
    at_least = 1 + int((null >= mean).sum())  # what was found counts among the draws
    return OverLayers(mean, values, float(null.mean()), float(np.quantile(null, 0.95)), at_least / (draws + 1))


def _spearman(rows: np.ndarray, y: np.ndarray) -> np.ndarray:
    a, b = (stats.rankdata(values, axis=-1) - (len(y) + 1) / 2 for values in (rows, y))
    norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum())
    return np.divide(a @ b, norms, out=np.zeros(len(a)), where=norms > 0)


def _distance_correlations(rows: np.ndarray, y: np.ndarray) -> np.ndarray:
    a, b = _centred_distances(rows), _centred_distances(y)
    norms = np.sqrt((a * a).mean(axis=(1, 2)) * (b * b).mean())
    squares = np.divide((a * b).mean(axis=(1, 2)), norms, out=np.zeros(len(a)), where=norms > 0)
    return np.sqrt(np.maximum(squares, 0))


def _centred_distances(values: np.ndarray) -> np.ndarray:
    """Of samples (..., N), doubly centred, (..., N, N)."""
    distances = np.abs(values[..., :, None] - values[..., None, :])
    rows = distances.mean(axis=-1)
    return distances - rows[..., None, :] - rows[..., :, None] + rows.mean(axis=-1)[..., None, None]
