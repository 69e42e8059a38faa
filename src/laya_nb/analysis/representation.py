"""What the hidden states of one layer are like, told without labels: entropy, rank, curvature, agreement of views.

    from laya_nb.analysis.representation import info_nce, matrix_entropy
    from laya_nb.analysis.rows import centred, unit_rows

    matrix_entropy(unit_rows(centred(pooled)))  # (N, D), one row per example
    info_nce(first_view, second_view)

Rows are tokens or examples. They are taken as given: nothing is centred or brought to length 1 unless a function says
so. Arrays and tensors of any floating type go in, numbers come out, all is computed in float64. Where a measure is not
defined it is NaN, and each function says when that is. Logarithms are natural, angles in radians.

Memory, beside the arguments, for N rows of width D: at most five matrices of N x N (`dime`, `nt_xent`) and six of N x D
or D x D, in float64. For a thousand rows of width 768 that is less than 100 MB. LiDAR reads one view at a time.
"""

import math
from collections.abc import Iterator

import numpy as np

from laya_nb.analysis.rows import EPSILON, Rows, as_array, centred, directions, lengths_of, paired
from laya_nb.support.checks import check_integer, check_positive

SMALLEST = 1e-12  # shares of the spectrum below this are rounding errors, and count as 0


def matrix_entropy(z: Rows, alpha: float = 1.0) -> float:
    """The entropy of order alpha of the shares p_i = s_i^2 / sum s^2, s being the singular values of rows (N, D).

    It is log(sum p_i^alpha) / (1 - alpha), and -sum p_i log p_i for alpha 1 (arXiv 2502.02013, where p are the
    eigenvalues of Z Z^T over its trace). From 0, all rows on one line, to log min(N, D). The shares come from the
    smaller of Z Z^T and Z^T Z, with an error of some 1e-15; those below 1e-12 count as 0.

    The mean over prompts of the entropy of a prompt's tokens is the prompt entropy, that of pooled prompts the data-set
    entropy. NaN if all rows are 0, as one token, or the same token throughout, is after centring.

    Args:
        z: (N, D).
        alpha: above 0.
    """
    rows = as_array("z", z)
    check_positive("alpha", alpha)
    return _gram_entropy(_smaller_gram(rows), alpha)


def expected_entropy(n: int, d: int) -> float:
    """The `matrix_entropy` to expect for n rows of d independent normal values: log m - m / (2 M).

    m is the smaller of n and d, M the larger (Page, Physical Review Letters 71, 1993). Where m is at least 10 it is too
    high by at most 0.03, by 0.001 for 100 x 400. What a layer lacks of it can be compared between widths. For centred
    rows take n - 1 in place of n.
    """
    check_integer("n", n)
    check_integer("d", d)
    low, high = sorted((n, d))
    return math.log(low) - low / (2 * high)


def effective_rank(z: Rows) -> float:
    """exp of the entropy of s_i / sum s, s being the singular values of rows (N, D): from 1 to min(N, D).

    Source: Roy and Vetterli, EUSIPCO 2007. Never below exp of `matrix_entropy`, whose shares are of squares. Shares
    below 1e-12 count as 0. NaN if all rows are 0.
    """
    return float(np.exp(_entropy(np.linalg.svd(as_array("z", z), compute_uv=False), 1.0)))


def curvature(z: Rows) -> float:
    """The mean angle between successive differences of rows (N, D), from 0, a straight line, to pi, a zigzag.

    The angle between z_{k+1} - z_k and z_{k+2} - z_{k+1}, mean over k = 1..N - 2 (arXiv 2502.02013; not folded
    into [0, pi / 2]). Independent rows have 2 pi / 3, a random walk pi / 2. NaN for fewer than 3 rows, and where
    two successive rows are the same.
    """
    steps = directions(np.diff(as_array("z", z), axis=0))
    if len(steps) < 2:
        return math.nan
    # Twice the angle whose tangent is |u - v| / |u + v|: exact where the arc cosine loses half of the digits.
    angles = 2 * np.arctan2(lengths_of(steps[1:] - steps[:-1]), lengths_of(steps[1:] + steps[:-1]))
    return float(angles.mean())


def info_nce(a: Rows, b: Rows, temperature: float = 0.1) -> float:
    """How well row i of view b is found among all rows of b by row i of view a: the mean cross-entropy, N classes.

    Logits are cosines over the temperature (arXiv 1807.03748): rows are brought to length 1 inside. log N for views
    that tell nothing; log N less the loss is a lower bound of the views' mutual information. NaN for one row, and where
    a row is 0.

    Args:
        a, b: two views of the same N examples, (N, D).
        temperature: above 0.
    """
    first, second = _views(a, b, temperature)
    if len(first) < 2:
        return math.nan
    return _cross_entropy(first @ second.T / temperature, np.arange(len(first)))


def nt_xent(a: Rows, b: Rows, temperature: float = 0.1) -> float:
    """How well each of the 2N rows of two views finds its partner among the other 2N - 1: the mean cross-entropy.

    The loss of SimCLR (arXiv 2002.05709, equation 1); rows are brought to length 1 inside. log(2N - 1) for views that
    tell nothing. NaN for one row, and where a row is 0.

    Args:
        a, b: two views of the same N examples, (N, D).
        temperature: above 0.
    """
    rows = np.concatenate(_views(a, b, temperature))
    if len(rows) < 4:
        return math.nan
    logits = rows @ rows.T / temperature
    np.fill_diagonal(logits, -np.inf)
    return _cross_entropy(logits, np.roll(np.arange(len(rows)), len(rows) // 2))


def dime(a: Rows, b: Rows, permutations: int = 10, seed: int = 0) -> float:
    """How much less entropy two views have together than if their rows did not belong together.

    DiME = mean over P of S(K_a ∘ P K_b P^T) - S(K_a ∘ K_b), where K = Z Z^T is N x N, ∘ multiplies entry by entry, S is
    `matrix_entropy` of order 1 from eigenvalues over their sum, and P permutes examples at random (arXiv 2301.08164).
    Meant for rows of length 1. 0 for views that are independent, all the same, or all apart; most for clusters that
    both views have. NaN for one row, and where a product has trace 0.

    Args:
        a, b: two views of the same N examples, (N, D); widths may differ.
        permutations: how many are drawn, at least 1.
        seed: of these.
    """
    first, second = paired("a", a, "b", b)
    check_integer("permutations", permutations)
    check_integer("seed", seed, 0)
    if len(first) < 2:
        return math.nan
    first, second = first @ first.T, second @ second.T
    together = _gram_entropy(first * second)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(first)) for _ in range(permutations)]
    return float(np.mean([_gram_entropy(first * second[p][:, p]) for p in orders])) - together


def lidar(views: Rows, delta: float = 1e-4) -> float:
    """How many directions tell examples apart, beyond the noise of their views, as an entropy.

    -sum p log p of the eigenvalues, over their sum, of Sigma_w^{-1/2} Sigma_b Sigma_w^{-1/2} (arXiv 2312.04000, which
    reports exp of it). Sigma_b is the covariance of the N means over views; its divisor cancels. Sigma_w is the sum of
    products of deviations from an example's own mean, over N (Q - 1), plus delta on the diagonal. At most
    log min(D, N - 1). NaN for one example, and where all means are the same.

    Args:
        views: Q views of each of N examples, (N, Q, D), Q at least 2.
        delta: above 0. `within_variance` is what it adds to.

    Raises:
        ValueError: also for a delta so small that Sigma_w is singular.
    """
    from scipy.linalg import LinAlgError, cholesky, solve_triangular

    check_positive("delta", delta)
    means = _means(views)
    within = np.zeros((means.shape[1], means.shape[1]))
    for view in _each(views):
        deviations = view - means
        within += deviations.T @ deviations
    within /= len(means) * (views.shape[1] - 1)
    within += delta * np.eye(len(within))
    within /= within.diagonal().max()  # a scale does not change the shares
    try:
        root = cholesky(within, lower=True)
    except LinAlgError:
        root = np.zeros_like(within)
    if root.diagonal().min() ** 2 <= len(within) * EPSILON:
        raise ValueError(f"delta must be large enough for Sigma_w to have an inverse, got {delta!r}")
    # Root L of Sigma_w = L L^T: L^{-1} Sigma_b L^{-T} has the eigenvalues of Sigma_w^{-1/2} Sigma_b Sigma_w^{-1/2}.
    return _gram_entropy(_smaller_gram(solve_triangular(root, centred(means).T, lower=True)))


def within_variance(views: Rows) -> float:
    """The mean variance of a coordinate over the views of one example (divisor Q - 1): the scale of LiDAR's delta.

    Args:
        views: (N, Q, D), Q at least 2.
    """
    means = _means(views)
    return sum(float(((view - means) ** 2).mean()) for view in _each(views)) / (views.shape[1] - 1)


def linear_cka(x: Rows, y: Rows) -> float:
    """How alike two layers arrange the same examples, from 0 to 1: |Y^T X|^2 / (|X^T X| |Y^T Y|), Frobenius norms.

    X and Y are centred inside (arXiv 1905.00414, section 3). Rotations and scales do not count. Between independent
    layers it grows with D / N: see `unbiased_cka`. NaN where all rows of x or of y are the same.

    Args:
        x, y: two layers on the same N examples, (N, D); widths may differ.
    """
    first, second = (centred(rows) for rows in paired("x", x, "y", y))
    norms = math.sqrt(_alignment(first, first)) * math.sqrt(_alignment(second, second))
    return _alignment(first, second) / norms if norms else math.nan


def unbiased_cka(x: Rows, y: Rows) -> float:
    """`linear_cka` without the similarity of each example to itself: around 0, also below, for independent layers.

    The cosine of the two Gram matrices X X^T and Y Y^T as U-centring leaves them: diagonal 0, all rows and columns
    summing to 0. That is the unbiased estimate of HSIC (Song et al., JMLR 13, 2012) over its norms, as in
    arXiv 2010.15327. NaN for fewer than 4 rows, and where all pairs of rows of x or of y are equally far apart.

    Args:
        x, y: two layers on the same N examples, (N, D); widths may differ.
    """
    first, second = paired("x", x, "y", y)
    if len(first) < 4:
        return math.nan
    first, second = _u_centred(first), _u_centred(second)
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.vdot(first, second)) / norms if norms else math.nan


def _views(a: Rows, b: Rows, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Two views of the same shape, rows of length 1."""
    first, second = paired("a", a, "b", b)
    if first.shape != second.shape:
        raise ValueError(f"a and b must have the same shape, got {first.shape} and {second.shape}")
    check_positive("temperature", temperature)
    return directions(first), directions(second)


def _each(views: Rows) -> Iterator[np.ndarray]:
    """One view (N, D) of all examples after the other: all of them in float64 may be large."""
    if views.ndim != 3:
        raise ValueError(f"views must have the shape (N, Q, D), each at least 1, got {tuple(views.shape)}")
    if views.shape[1] < 2:
        raise ValueError(f"views must hold at least 2 views of each example, got {views.shape[1]}")
    return (as_array("views", views[:, view]) for view in range(views.shape[1]))


def _means(views: Rows) -> np.ndarray:
    """The means of views (N, Q, D) over the views, (N, D)."""
    return np.asarray(sum(_each(views)) / views.shape[1])


def _smaller_gram(rows: np.ndarray) -> np.ndarray:
    """Z Z^T or Z^T Z, which have the same eigenvalues but for zeros."""
    return rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows


def _gram_entropy(gram: np.ndarray, alpha: float = 1.0) -> float:
    return _entropy(np.linalg.eigvalsh(gram), alpha)


def _entropy(values: np.ndarray, alpha: float) -> float:
    """Of values (n,) over their sum; NaN where this is 0."""
    total = values.sum()
    if not total > 0:
        return math.nan
    p = values[values >= SMALLEST * total]
    p = p / p.sum()
    if alpha == 1:
        return float(np.log(1 / p) @ p)
    # Relative to the largest share, so that nothing cancels near alpha 1 and nothing underflows far from it.
    excess = p @ np.expm1((alpha - 1) * np.log(p / p.max()))
    return float(np.log1p(excess) / (1 - alpha) - np.log(p.max()))


def _cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean over rows, (N, C) and (N,); changes the logits."""
    logits -= logits[np.arange(len(logits)), targets][:, None]
    highest = logits.max(axis=1)
    logits -= highest[:, None]
    return float((np.log(np.exp(logits, out=logits).sum(axis=1)) + highest).mean())


def _alignment(first: np.ndarray, second: np.ndarray) -> float:
    """The squared Frobenius norm of Y^T X, through whichever matrices are smaller."""
    if len(first) ** 2 < first.shape[1] * second.shape[1]:
        return float(np.vdot(first @ first.T, second @ second.T))
    product = second.T @ first
    return float(np.vdot(product, product))


def _u_centred(z: np.ndarray) -> np.ndarray:
    """The Gram matrix (N, N), diagonal 0, with rows and columns that sum to 0; exactly 0 where rounding is all."""
    rows = centred(z)
    gram, n = rows @ rows.T, len(rows)
    np.fill_diagonal(gram, 0)
    size, sums = np.linalg.norm(gram), gram.sum(axis=0)
    gram -= sums / (n - 2)
    gram -= sums[:, None] / (n - 2)
    gram += sums.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(gram, 0)
    return gram if np.linalg.norm(gram) > n * EPSILON * size else np.zeros_like(gram)
