"""What the chapter on errors, strangers and confidence measures of one trained model.

Scores of doubt are those of `laya_nb.analysis.detection` and of attention. Those of attention are left out where a head
has none, and where it has the same for every input, which can tell nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn
from torch.nn import functional as F

from laya_nb.analysis import detection, selective
from laya_nb.analysis.attention import auroc, entropy
from laya_nb.analysis.calibration import calibration
from laya_nb.data import Dataset, Examples
from laya_nb.data.strangers import KINDS, flipped_labels, held_out, strangers
from laya_nb.heads import DepthClassifier, Head
from laya_nb.runs.anew import train_anew
from laya_nb.runs.measurements import measurement
from laya_nb.runs.new_heads import own_seed, some
from laya_nb.support import seeds
from laya_nb.training import predict
from laya_nb.training.predict import EVALUATION_BATCH, Predictions

FITTED_ON = 10_000  # training examples that say what is usual
JUDGED_ON = 5_000  # test examples, and as many strangers of each kind
GROUPS = 50  # of like confidence
COVERAGES = (80, 90, 95)  # in percent
FLIPPED = 0.05  # of the training labels
FARTHEST = float(np.finfo(np.float32).max)  # where nothing is usual; not infinite, which scikit-learn refuses
RANK = 1e-5  # a direction that hidden states fill has at least this share of the length of the fullest one

OF_ATTENTION = ("attention entropy", "attention distance")
DOUBTS = ("max softmax", "margin", "energy", *OF_ATTENTION)
DETECTORS = ("max softmax", "max logit", "energy", "Mahalanobis", "all layers", "neighbours", "ViM", *OF_ATTENTION)
"""All scores by name: `DOUBTS` those of `errors`, `DETECTORS` those of `strangeness`."""

Scores = dict[str, np.ndarray]


@measurement(version=1)
def errors(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """How well scores of doubt find the mistakes on the test part; "accuracy" there.

    Scores, higher for answers to be trusted less: "max softmax", less the largest probability; "margin", less the
    distance of the two largest; "energy"; "attention entropy", from 0 to 1; "attention distance", from what is usual in
    the predicted class on at most 10,000 training examples (`detection.UsualWeights`).

    For each score: "SCORE/auroc", of mistakes; "SCORE/auroc within class", among examples of one predicted class;
    "SCORE/auroc within confidence", among those of one of 50 groups of like maximum softmax; "SCORE/aurc" and
    "SCORE/augrc", where lower is better; "SCORE/accuracy at 80", and 90 and 95, percent of coverage; and for all but
    the first score "SCORE/gain in auroc" and "SCORE/gain in log-loss", what it adds to a logistic model of mistakes
    that knows the maximum softmax (`gain_given`). The first three are NaN where no two examples can be compared, one
    right and one wrong. All of them: `analysis.selective`.
    """
    found = predict(model, dataset.test.x)
    logits, guesses = found.logits.numpy(), found.labels.numpy()
    usual = attention_scores(predict(model, some(dataset.train, FITTED_ON).x))
    doubts = logit_doubts(logits) | usual(found)
    wrong = guesses != dataset.test.y.numpy()
    everyone, alike = np.zeros(len(wrong), dtype=int), selective.like_confidence(-doubts["max softmax"], GROUPS)
    values = {"accuracy": float(1 - wrong.mean())}
    for name, doubt in doubts.items():
        values |= {
            f"{name}/auroc": selective.auroc_given(doubt, wrong, everyone),
            f"{name}/auroc within class": selective.auroc_given(doubt, wrong, guesses),
            f"{name}/auroc within confidence": selective.auroc_given(doubt, wrong, alike),
            f"{name}/aurc": selective.aurc(doubt, wrong),
            f"{name}/augrc": selective.augrc(doubt, wrong),
        }
        values |= {f"{name}/accuracy at {c}": selective.accuracy_at(doubt, wrong, c / 100) for c in COVERAGES}
        if name != "max softmax":
            gained = selective.gain_given(doubt, doubts["max softmax"], wrong)
            values |= {f"{name}/gain in auroc": gained["auroc"], f"{name}/gain in log-loss": gained["log_loss"]}
    return values


@measurement(version=1)
def confidence(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """`calibration` on the test part: "as it is/ece", "scaled/ece", "scaled/temperature" and so on.

    The test part is cut into two random halves, the same for every model. On each in turn the temperature is found, and
    the other is judged; what is given is the mean of both. So no example is judged under a temperature that it helped
    to find, and the run's own validation examples, which chose its best epoch, are not needed. Of half of the examples
    the calibration error is a little greater than of all: it counts their noise.
    """
    logits, y = predict(model, dataset.test.x).logits.numpy(), dataset.test.y.numpy()
    order = seeds.numpy_generator(0, "halves for temperatures").permutation(len(y))
    one, other = order[: len(y) // 2], order[len(y) // 2 :]
    both = [calibration(logits[a], y[a], logits[b], y[b]) for a, b in ((one, other), (other, one))]
    mean = (both[0] + both[1]) / 2
    return {f"{row}/{name}": value for row, values in mean.to_dict("index").items() for name, value in values.items()}


@measurement(version=1)
def strangeness(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """`judge_strangers` on every kind of stranger that there is to the data set (`data.strangers.KINDS`).

    Raises:
        ValueError: for a data set that has none.
        DataError: if the strangers' files cannot be had.
    """
    kinds = KINDS.get(dataset.name, ())
    if not kinds:
        known = ", ".join(map(repr, KINDS))
        raise ValueError(f"there are no strangers to {dataset.name!r}, only to {known}; judge_strangers takes your own")
    return judge_strangers(model, dataset, {kind: strangers(dataset.name, kind, JUDGED_ON) for kind in kinds})


@measurement(version=1)
def left_out(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """`judge_strangers` on the nearest kind: test examples of two classes that a network of the model's shape, trained
    anew on the others (`anew.train_anew`), has never seen. Which two comes from the model's seed.

    Keys begin with "left-out classes/".

    Raises:
        ValueError: for fewer than four classes, and from `train_anew`.
    """
    seed, count = own_seed(model), len(dataset.classes)
    if count < 4:
        raise ValueError(f"two classes can be left out of at least four, and {dataset.name!r} has {count}")
    classes = seeds.numpy_generator(seed, "left-out classes").permutation(count)[:2].tolist()
    known, strange = held_out(dataset, classes)
    return judge_strangers(train_anew(model, known, seed), known, {"left-out classes": strange})


@measurement(version=1)
def mislabelled(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """How well scores find the training labels that were flipped, 5 % of them, before a network of the model's shape
    was trained on them (`anew.train_anew`).

    Scores, higher for the more suspicious: "loss", the cross-entropy at the label that is given; "max softmax" and
    "attention entropy" as in `errors`; "attention distance" from what is usual in the class that the label names. For
    each "SCORE/auroc", and "SCORE/found", the share of flipped labels among the 5 % most suspicious examples: .05 for a
    score that knows nothing. "accuracy" is that on the test part.
    """
    seed = own_seed(model)
    flawed, flipped = flipped_labels(dataset, FLIPPED, seed)
    network = train_anew(model, flawed, seed)
    found, y = predict(network, flawed.train.x), flawed.train.y
    assert found.attention is not None
    attention, labels = found.attention.numpy(), y.numpy()
    scores = {
        "loss": F.cross_entropy(found.logits, y, reduction="none").numpy(),
        "max softmax": detection.max_softmax(found.logits.numpy()),
        "attention entropy": entropy(attention),
        "attention distance": detection.UsualWeights(attention, labels)(attention, labels),
    }
    count, is_flipped = int(flipped.sum()), flipped.numpy()
    values = {"accuracy": float((predict(network, dataset.test.x).labels == dataset.test.y).float().mean())}
    for name, score in scores.items():
        values[f"{name}/auroc"] = auroc(score, is_flipped)
        values[f"{name}/found"] = float(is_flipped[np.argsort(-score, kind="stable")[:count]].mean())
    return values


def judge_strangers(model: DepthClassifier, dataset: Dataset, strange: Mapping[str, Tensor]) -> dict[str, float]:
    """How well the scores of `strangeness_scores` tell strangers from test examples.

    Numbers by name, "KIND/SCORE/auroc" and whatever else `detection.judge` gives.

    Args:
        model: trained on the data set's training part, on the CPU.
        dataset: of the training part at most 10,000 examples are fitted on; of the test part at most 5,000 are judged.
        strange: inputs by kind, (M, ...) on the data set's own scale: for instance those that `strangers` gives, or the
            test inputs of classes that `held_out` left out. At most the first 5,000 are judged.

    Raises:
        ValueError: for a kind of which there is no example, or fewer training examples than neighbours are looked for.
    """
    scores = strangeness_scores(model, some(dataset.train, FITTED_ON))
    known = scores(some(dataset.test, JUDGED_ON).x)
    values = {}
    for kind, x in strange.items():
        if not len(x):
            raise ValueError(f"there is no stranger of the kind {kind!r}; give at least one input")
        found = scores(x[:JUDGED_ON])
        for name in known:
            for what, value in detection.judge(known[name], found[name]).items():
                values[f"{kind}/{name}/{what}"] = value
    return values


def strangeness_scores(model: DepthClassifier, train: Examples) -> Callable[[Tensor], Scores]:
    """Fit every score of strangeness on training examples; what is given takes inputs (N, ...) to scores (N,) by name.

    Of logits: "max softmax", "max logit", "energy". Of hidden states: "Mahalanobis" and "neighbours" (the 50th) of the
    last, "all layers" (`detection.AllLayers`). "ViM": of what the last linear layer reads, the last hidden state or,
    for LAYA, the aggregated one; left out where no attribute `classifier` of the head is that layer. Of attention:
    "attention entropy" and "attention distance".

    Each call runs the model once.

    Raises:
        ValueError: for fewer training examples than neighbours are looked for.
    """
    seen = _see(model, train.x)
    layers = detection.AllLayers(seen.states, train.y.numpy())
    neighbours = detection.Neighbours(seen.states[-1])
    residual, usual = _residual(model.head, seen), attention_scores(seen.predictions)

    def scores(x: Tensor) -> Scores:
        seen = _see(model, x)
        logits, last = seen.predictions.logits.numpy(), seen.states[-1]
        found = {
            "max softmax": detection.max_softmax(logits),
            "max logit": detection.max_logit(logits),
            "energy": detection.energy(logits),
            "Mahalanobis": layers.layers[-1](last),
            "all layers": layers(seen.states),
            "neighbours": neighbours(last),
        }
        if residual is not None and seen.read is not None:
            found["ViM"] = residual(seen.read)
        return found | usual(seen.predictions)

    return scores


def logit_doubts(logits: np.ndarray) -> Scores:
    """Scores of doubt of logits (N, C): less the largest probability, less its lead over the next one, and energy."""
    second, first = np.sort(special.softmax(logits.astype(float), axis=1), axis=1)[:, -2:].T
    return {"max softmax": -first, "margin": second - first, "energy": detection.energy(logits)}


def attention_scores(train: Predictions) -> Callable[[Predictions], Scores]:
    """Scores of attention, higher for the stranger: its entropy, and its distance from what is usual in the class.

    What is usual is fitted on the model's predictions for training examples, in each class that more of them were put
    into than there are layers. An example that is put into another class is as far away as can be (`FARTHEST`).

    None at all where there is no attention, or the same for every training example.
    """
    weights, guesses = train.attention, train.labels.numpy()
    if weights is None or bool((weights == weights[0]).all()):
        return lambda _: {}
    enough = np.flatnonzero(np.bincount(guesses) > weights.shape[1])
    fitted = np.isin(guesses, enough)
    usual = detection.UsualWeights(weights.numpy()[fitted], guesses[fitted]) if len(enough) else None

    def scores(predictions: Predictions) -> Scores:
        assert predictions.attention is not None
        attention, predicted = predictions.attention.numpy(), predictions.labels.numpy()
        known, distance = np.isin(predicted, enough), np.full(len(predicted), FARTHEST)
        if usual is not None and known.any():
            distance[known] = usual(attention[known], predicted[known])
        return {"attention entropy": entropy(attention), "attention distance": distance}

    return scores


class _Seen(NamedTuple):
    """What a model makes of N inputs: hidden states h_1..h_L (N, d_i), predictions, and what the head's last linear
    layer reads (N, D), or None where none is known."""

    states: list[np.ndarray]
    predictions: Predictions
    read: np.ndarray | None


@torch.no_grad()
def _see(model: DepthClassifier, x: Tensor) -> _Seen:
    model.eval()
    read: list[Tensor] = []
    last = _last_linear(model.head)
    hook = last.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0])) if last else None
    try:
        states = [model.backbone(batch) for batch in x.split(EVALUATION_BATCH)]
        outputs = [model.head(h) for h in states]
    finally:
        if hook:
            hook.remove()
    weights = [output.attention for output in outputs if output.attention is not None]
    predictions = Predictions(torch.cat([output.logits for output in outputs]), torch.cat(weights) if weights else None)
    whole = [torch.cat(parts).numpy() for parts in zip(*states, strict=True)]
    return _Seen(whole, predictions, torch.cat(read).numpy() if read else None)


def _last_linear(head: Head) -> nn.Linear | None:
    found = getattr(head, "classifier", None)
    return found if isinstance(found, nn.Linear) and found.bias is not None else None


def _residual(head: Head, seen: _Seen) -> detection.Residual | None:
    """ViM on what the last linear layer reads, or None where that is not known.

    The principal space has half of the dimensions that are filled at all. With half of the width, as usual, nothing but
    rounding could lie outside where LAYA's d* is more than twice the widths of its layers together.
    """
    last, logits = _last_linear(head), seen.predictions.logits.numpy()
    if last is None or seen.read is None:
        return None
    x = seen.read.astype(float)
    weight, bias = (parameter.detach().numpy() for parameter in (last.weight, last.bias))
    again = x @ weight.T + bias
    if again.shape != logits.shape or not np.allclose(again, logits, rtol=1e-3, atol=1e-3):
        return None  # a head of the reader's own may do more after its classifier
    values = np.linalg.eigvalsh(x.T @ x)
    filled = int((values > RANK**2 * values[-1]).sum())
    return detection.Residual(x, weight, bias, max(filled // 2, 1))
