"""Does a confidence of 80 % mean four right answers in five? Measures of it, and the one-number remedy.

    from laya_nb.analysis.calibration import calibration

    calibration(logits, labels, held_out_logits, held_out_labels)  # of any classifier

Confidence is the probability of the predicted class. Held-out examples are neither trained on nor tested on: those of
the validation part.
"""

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from laya_nb.support.checks import check_integer

BINS = 15  # as in arXiv 1706.04599
LONGEST = 8.0  # of the logarithm of a temperature, either way


def calibration(
    logits: np.ndarray, labels: np.ndarray, held_out_logits: np.ndarray, held_out_labels: np.ndarray
) -> pd.DataFrame:
    """How well calibrated predictions are, as they are and after temperature scaling; a row for each.

    Columns: "temperature"; "ece" and "ece_equal_mass", `calibration_error` in both forms; "overconfidence", mean
    confidence less accuracy; "brier"; "log_loss" in nats.

    Args:
        logits, labels: of the examples that are judged, (N, C) and (N,).
        held_out_logits, held_out_labels: of others, on which the temperature is found.

    Raises:
        ValueError: for shapes that do not fit, labels out of range, logits that are not finite, or no examples.
    """
    rows = {}
    for name, temperature in {"as it is": 1.0, "scaled": best_temperature(held_out_logits, held_out_labels)}.items():
        z, y = _checked(logits, labels)
        p = special.softmax(z / temperature, axis=1)
        confidence, correct = p.max(axis=1), p.argmax(axis=1) == y
        rows[name] = {
            "temperature": temperature,
            **of_confidence(confidence, correct),
            "brier": brier(p, y),
            "log_loss": _log_loss(z / temperature, y),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def of_confidence(confidence: np.ndarray, correct: np.ndarray) -> dict[str, float]:
    """What the largest probability alone decides of `calibration`: "ece", "ece_equal_mass" and "overconfidence".

    Args:
        confidence, correct: (N,), from 0 to 1, and bool.
    """
    return {
        "ece": calibration_error(confidence, correct),
        "ece_equal_mass": calibration_error(confidence, correct, equal_mass=True),
        "overconfidence": float(confidence.mean() - correct.mean()),
    }


def calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS, equal_mass: bool = False) -> float:
    """The mean distance between confidence and accuracy over bins, weighted by their examples: from 0 to 1.

    With few examples it is above 0 for perfect confidences, too: it cannot tell noise from error.

    Args:
        confidence, correct: (N,), from 0 to 1, and bool.
        bins, equal_mass: as in `reliability`.
    """
    table = reliability(confidence, correct, bins, equal_mass)
    return float((table["count"] * (table["confidence"] - table["accuracy"]).abs()).sum() / table["count"].sum())


def reliability(
    confidence: np.ndarray, correct: np.ndarray, bins: int = BINS, equal_mass: bool = False
) -> pd.DataFrame:
    """A row for every bin that holds examples: "count", mean "confidence" and "accuracy".

    Args:
        confidence, correct: (N,), from 0 to 1, and bool.
        bins: how many.
        equal_mass: with as many examples in each, equal confidences in one; else of equal width, the lower end of each
            belonging to it, and 1 to the last.

    Raises:
        ValueError: for no examples, or confidences outside [0, 1].
    """
    c, right = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    check_integer("bins", bins)
    if c.ndim != 1 or c.shape != right.shape or not len(c):
        raise ValueError(f"confidence and correct must be (N,), at least one example, got {c.shape} and {right.shape}")
    if not ((c >= 0) & (c <= 1)).all():
        raise ValueError(f"confidence must lie in [0, 1], got {c.min():g} to {c.max():g}")
    place = (stats.rankdata(c) - 0.5) / len(c) if equal_mass else c
    which = np.minimum((place * bins).astype(int), bins - 1)
    grouped = pd.DataFrame({"confidence": c, "accuracy": right}).groupby(which)
    return grouped.mean().assign(count=grouped.size()).reset_index(drop=True)


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The mean squared distance of probabilities (N, C) from the truth as a vector of 0 and 1: from 0 to 2."""
    p, y = _checked(probabilities, labels)
    return float((p**2).sum(axis=1).mean() - 2 * p[np.arange(len(y)), y].mean() + 1)


def best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature by which to divide logits (N, C) for the lowest log-loss (arXiv 1706.04599); above 1 it lowers
    confidence. Where every answer is right there is no best one: then it is so low that the loss is 0. It is searched
    from exp(-8) to exp(8)."""
    z, y = _checked(logits, labels)
    found = optimize.minimize_scalar(
        lambda t: _log_loss(z * np.exp(-t), y), bounds=(-LONGEST, LONGEST), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def _log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(-special.log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def _checked(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z, y = np.asarray(values, dtype=float), np.asarray(labels)
    if z.ndim != 2 or y.shape != z.shape[:1] or not len(y):
        raise ValueError(f"expected (N, C) and labels (N,), at least one example, got {z.shape} and {y.shape}")
    if not np.isfinite(z).all():
        raise ValueError(
            f"logits must be finite; those of example {int((~np.isfinite(z).all(axis=1)).argmax())} are not"
        )
    if y.min() < 0 or y.max() >= z.shape[1]:
        raise ValueError(f"labels must lie in 0..{z.shape[1] - 1}, got {y.min()} to {y.max()}")
    return z, y
