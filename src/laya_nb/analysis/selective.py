"""How well a score of doubt finds a classifier's mistakes: what is risked if only the least doubtful are answered.

All take `doubt` (N,), higher for answers to be trusted less, and `wrong` (N,), bool. Equal doubts have no order: what
is given is the mean over all orders of them.
"""

import numpy as np
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from laya_nb.analysis.attention import auroc
from laya_nb.support import seeds


def aurc(doubt: np.ndarray, wrong: np.ndarray) -> float:
    """The area under the risk-coverage curve: the mean, over n = 1..N, of the share of mistakes among the n least
    doubtful (arXiv 1805.08206). Lower is better."""
    return float((_mistakes(doubt, wrong) / np.arange(1, len(doubt) + 1)).mean())


def excess_aurc(doubt: np.ndarray, wrong: np.ndarray) -> float:
    """`aurc` less that of a score that puts all mistakes last: what the score itself costs. From 0."""
    return aurc(doubt, wrong) - aurc(np.asarray(wrong, dtype=float), wrong)


def augrc(doubt: np.ndarray, wrong: np.ndarray) -> float:
    """The area under the generalised risk-coverage curve (arXiv 2407.01032): the mean share of all examples that are
    answered and wrong. With accuracy a it is (1 - AUROC) a (1 - a) + (1 - a)^2 / 2. Lower is better."""
    counted = np.concatenate([[0], _mistakes(doubt, wrong)])
    return float(((counted[1:] + counted[:-1]) / 2).mean() / len(doubt))


def accuracy_at(doubt: np.ndarray, wrong: np.ndarray, coverage: float) -> float:
    """The accuracy on the share `coverage` of the examples, above 0 and up to 1, that is least doubtful.

    Raises:
        ValueError: for a coverage that leaves no example.
    """
    n = round(coverage * len(doubt)) if 0 < coverage <= 1 else 0
    if n < 1:
        raise ValueError(f"coverage must be above 0, at most 1, and leave an example of {len(doubt)}, got {coverage!r}")
    return float(1 - _mistakes(doubt, wrong)[n - 1] / n)


def auroc_given(doubt: np.ndarray, wrong: np.ndarray, groups: np.ndarray) -> float:
    """The probability that a mistake has the higher doubt of two examples of one group, one right and one wrong.

    Groups of like confidence, or of one predicted class, take away what these tell. NaN if no group has both.

    Args:
        groups: (N,), integers.
    """
    score, mistaken = _checked(doubt, wrong)
    total = pairs = 0.0
    for group in np.unique(groups):
        here = np.asarray(groups) == group
        weight = float(mistaken[here].sum() * (~mistaken[here]).sum())
        if weight:
            total, pairs = total + weight * auroc(score[here], mistaken[here]), pairs + weight
    return total / pairs if pairs else float("nan")


def gain_given(doubt: np.ndarray, known: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """What a doubt adds to another one that is known already.

    A logistic model of mistakes reads smooth curves (cubic splines) of `known`; a second one reads those of both. Each
    is fitted on one random half of the examples and judged on the other, and the other way round. Doubts count by their
    ranks: a score that is stretched adds the same.

    Args:
        known: the other doubt, (N,): for instance less the maximum softmax.

    Returns:
        "auroc" and "log_loss" (nats for each example, above 0: better) that are gained; NaN if a half has no mistake or
        no right answer.
    """
    new, mistaken = _checked(doubt, wrong)
    old, _ = _checked(known, wrong)
    halves = np.array_split(seeds.numpy_generator(0, "halves for logistic models").permutation(len(old)), 2)
    if any(len(np.unique(mistaken[half])) < 2 for half in halves):
        return {"auroc": float("nan"), "log_loss": float("nan")}
    ranks = np.stack([stats.rankdata(score) / len(score) for score in (old, new)], axis=1)
    found = np.empty((2, 2, len(old)))  # alone and both; probability and loss of each example
    for fitted, judged in (halves, halves[::-1]):
        for row, columns in enumerate(([0], [0, 1])):
            model = make_pipeline(SplineTransformer(n_knots=5), LogisticRegression(C=10.0, max_iter=1000))
            model.fit(ranks[fitted][:, columns], mistaken[fitted])
            p = model.predict_proba(ranks[judged][:, columns])[:, 1]
            found[row, 0, judged], found[row, 1, judged] = p, -np.log(np.where(mistaken[judged], p, 1 - p))
    gained = [auroc(found[1, 0, half], mistaken[half]) - auroc(found[0, 0, half], mistaken[half]) for half in halves]
    return {"auroc": float(np.mean(gained)), "log_loss": float((found[0, 1] - found[1, 1]).mean())}


def like_confidence(confidence: np.ndarray, groups: int) -> np.ndarray:
    """Numbers of groups of like confidence, (N,), as equal in size as can be."""
    order = np.argsort(np.asarray(confidence), kind="stable")
    found = np.empty(len(order), dtype=int)
    found[order] = np.arange(len(order)) * groups // len(order)
    return found


def _mistakes(doubt: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """How many mistakes are expected among the n least doubtful, n = 1..N."""
    score, mistaken = _checked(doubt, wrong)
    _, group = np.unique(score, return_inverse=True)
    share = np.bincount(group, mistaken) / np.bincount(group)  # among equal doubts each is as likely to come first
    return np.cumsum(share[np.sort(group)])


def _checked(doubt: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    score, mistaken = np.asarray(doubt, dtype=float), np.asarray(wrong, dtype=bool)
    if score.ndim != 1 or score.shape != mistaken.shape or not len(score):
        raise ValueError(f"doubt and wrong must be (N,), at least one example, got {score.shape} and {mistaken.shape}")
    if np.isnan(score).any():
        raise ValueError(f"doubt must be numbers; that of example {int(np.isnan(score).argmax())} is NaN")
    return score, mistaken
