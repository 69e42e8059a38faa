"""How far runs that differ in their seed agree, in what their attention says and in anything else.

Attention of several runs is an array (S, N, L), class profiles are (S, C, L). The pairs of runs are taken in the order
(0, 1), (0, 2), ..., (S - 2, S - 1). A pair shares each of its runs with other pairs, so pairs are not independent.
Intervals draw runs, not pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.spatial.distance import pdist, squareform

from laya_nb.analysis.statistics import Estimate

SPLITS = 200  # pairs of groups drawn in `averaged_agreement`
RESAMPLES = 4000  # bootstrap draws of an interval


def pairwise_correlation(profiles: np.ndarray) -> np.ndarray:
    """Pearson correlation of every pair of runs, (S * (S - 1) / 2,), for profiles (S, rows, ...).

    Each layer's mean over the rows is removed first: that all runs favour the last layer is no agreement about classes
    or examples.
    """
    table = np.atleast_2d(np.corrcoef(_centred(profiles)))
    return table[np.triu_indices(len(profiles), k=1)]


def top_layer_agreement(attention: np.ndarray) -> np.ndarray:
    """For every pair of runs, (S * (S - 1) / 2,): the share of examples whose most attended layer is the same."""
    top = attention.argmax(axis=-1)
    return np.array([(a == b).mean() for a, b in combinations(top, 2)])


def chance_agreement(attention: np.ndarray) -> np.ndarray:
    """The agreement, (S * (S - 1) / 2,), that the pairs of `top_layer_agreement` would have by chance.

    It is Cohen's: the share to expect if the examples of one run were shuffled.
    """
    layers = attention.shape[-1]
    shares = np.stack([np.bincount(top, minlength=layers) for top in attention.argmax(axis=-1)]) / attention.shape[1]
    return np.array([float(a @ b) for a, b in combinations(shares, 2)])


def class_distances(profiles: np.ndarray) -> np.ndarray:
    """Which classes are treated alike: the distance of every pair of classes, (S, C * (C - 1) / 2), for (S, C, L).

    The names of layers do not enter: a run that uses layer 1 where another uses layer 3 has the same distances.
    """
    return np.stack([pdist(profile) for profile in profiles])


def permute_rows(profiles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Profiles (S, N, ...) with the rows of each run in an order of its own: runs that agree on no row."""
    return np.stack([rng.permutation(profile) for profile in profiles])


def permute_layers(attention: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Attention or profiles (S, N, L) with the layers of each run in an order of its own.

    All that a run says of its rows stays, and so does what runs share of it, but for the names of layers.
    """
    return np.stack([one[:, rng.permutation(one.shape[1])] for one in attention])


def p_value(observed: float, shuffled: np.ndarray) -> float:
    """The share of shuffled values (R,) that reach the observed one, which counts as a shuffle itself (one-sided)."""
    return float((1 + (shuffled >= observed).sum()) / (1 + len(shuffled)))


def pair_estimate(pairs: np.ndarray) -> Estimate:
    """The mean of pair values (S * (S - 1) / 2,), in the order of `pairwise_correlation`, with a 95 % interval.

    The interval is a percentile bootstrap over runs: S of them are drawn with replacement, and their pairs averaged,
    without those of a run with itself. Where runs share nothing it is too wide rather than too narrow. `std` is that of
    the pairs, `n` the number of runs.
    """
    table = squareform(pairs)
    return _pair_mean(table, np.ones(len(table)))


def shared_weight(profiles: np.ndarray) -> Estimate:
    """The share of the weight that two runs put on the same layers or tokens, for mean weights (S, L).

    1: all of it; 0: none. It is 1 less the total variation distance; the interval is that of `pair_estimate`.
    """
    return pair_estimate(np.array([np.minimum(a, b).sum() for a, b in combinations(profiles, 2)]))


def intraclass_correlation(profiles: np.ndarray) -> Estimate:
    """The share of the variance of profiles (S, rows, ...) that is common to all runs, at most 1.

    It is the mean covariance of two runs over the mean variance of one, after each layer's mean over the rows is taken
    out. 1: all runs are alike; 0: they have nothing in common; the estimate can fall below. The interval is that of
    `pair_estimate`.
    """
    centred = _centred(profiles)
    table = centred @ centred.T
    return _pair_mean(table, np.diag(table))


def spearman_brown(share: float, k: float) -> float:
    """The correlation to expect between two means of k runs each, if runs have `share` of their variance in common.

    A share below 0 counts as 0.
    """
    share = max(share, 0.0)
    return k * share / (1 + (k - 1) * share)


def averaged_agreement(profiles: np.ndarray, k: int) -> np.ndarray:
    """Correlations (SPLITS,) between the mean profiles of two groups of k runs each; the groups share no run.

    Groups are drawn at random. Each layer's mean over the rows is removed first, as in `pairwise_correlation`.

    Args:
        profiles: of S runs, (S, rows, ...).
        k: at least 1.

    Raises:
        ValueError: for fewer than 2 * k runs.
    """
    runs = len(profiles)
    if not 1 <= k <= runs // 2:
        raise ValueError(f"two groups of {k} need {2 * k} runs, got {runs}")
    order = np.random.default_rng(0).permuted(np.tile(np.arange(runs), (SPLITS, 1)), axis=1)
    centred = _centred(profiles)
    first, second = (centred[group].mean(axis=1) for group in (order[:, :k], order[:, k : 2 * k]))
    first, second = (mean / np.linalg.norm(mean, axis=1, keepdims=True) for mean in (first, second))
    return (first * second).sum(axis=1)


@dataclass(frozen=True)
class Averaging:
    """How two means of `groups[i]` runs each correlate: `measured[i]`, a mean over random groups.

    `measured` is (K,), `control` (K, R) the same for R controls; `share` is `intraclass_correlation`'s answer.
    """

    groups: tuple[int, ...]
    measured: np.ndarray
    control: np.ndarray
    share: Estimate


def averaging(profiles: np.ndarray, controls: Sequence[np.ndarray], groups: Sequence[int]) -> Averaging:
    """Measure whether averaging over runs helps.

    Args:
        profiles: of S runs, (S, rows, ...).
        controls: R arrays like `profiles`, without what runs may have in common.
        groups: how many runs to average; sizes that need more runs than there are drop out.
    """
    sizes = tuple(k for k in groups if 2 * k <= len(profiles))
    measured = np.array([averaged_agreement(profiles, k).mean() for k in sizes])
    control = np.array([[averaged_agreement(c, k).mean() for c in controls] for k in sizes])
    return Averaging(sizes, measured, control, intraclass_correlation(profiles))


def _centred(profiles: np.ndarray) -> np.ndarray:
    """(S, rows, ...) without each run's mean over the rows, flattened to (S, F)."""
    return (profiles - profiles.mean(axis=1, keepdims=True)).reshape(len(profiles), -1)


def _pair_mean(table: np.ndarray, own: np.ndarray) -> Estimate:
    """The mean of a symmetric table (S, S) over pairs of different runs, over the mean of `own` (S,).

    Raises:
        ValueError: for fewer than two runs.
    """
    runs = len(table)
    if runs < 2:
        raise ValueError(f"a pair needs 2 runs, got {runs}")
    between = table - np.diag(np.diag(table))

    def mean(counts: np.ndarray) -> np.ndarray:
        """For runs drawn as often as counts (R, S) say."""
        total = np.einsum("rs,st,rt->r", counts, between, counts, optimize=True)
        return total / (runs**2 - (counts**2).sum(axis=1)) / (counts @ own / runs)

    drawn = np.random.default_rng(0).multinomial(runs, np.full(runs, 1 / runs), size=RESAMPLES)
    drawn = drawn[(drawn > 0).sum(axis=1) > 1]  # one run alone holds no pair
    low, high = np.quantile(mean(drawn), [0.025, 0.975])
    pairs = table[np.triu_indices(runs, k=1)] / own.mean()
    std = float(pairs.std(ddof=1)) if len(pairs) > 1 else 0.0
    return Estimate(float(mean(np.ones((1, runs)))[0]), std, float(low), float(high), runs)
