"""What probes of single layers of an encoder get: with all labels, with few, and on inputs unlike those they learned.

A layer is read as the mean over its tokens (`layer_measures.averaged`), and a probe is `analysis.layers.probe`. So
probes and measures see the same vectors.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from laya_nb.analysis.layer_choice import best_layer_right, chosen_accuracy
from laya_nb.analysis.layers import cross_validated, probe
from laya_nb.data import catalog
from laya_nb.data.corruptions import STRENGTHS, STROKES, corrupt_images, corrupt_texts, redraw
from laya_nb.data.dataset import Part
from laya_nb.features import encoders
from laya_nb.features.dataset import features_of
from laya_nb.features.encoders import Encoder
from laya_nb.features.extract import extract
from laya_nb.runs.layer_measures import averaged, kept
from laya_nb.runs.store import Result, ResultStore
from laya_nb.support import paths
from laya_nb.support.seeds import numpy_generator
from laya_nb.support.threads import side_by_side

VERSION = 1  # of what is computed
COUNTS = (10, 50, 250)  # labels
DRAWS = 10
SHIFTED_EXAMPLES = 300
FEW_SHIFTED = 20
WORDS = "words"  # what `corrupt_texts` does


def layer_probes(encoder: str, dataset: str, store: ResultStore) -> Result:
    """A probe of each layer, fitted to the whole training part.

    Arrays: "right" (L, N), uint8: whether each test example is predicted right; "all" (N,): the same of one probe that
    reads all layers side by side.

    Args:
        encoder: a name that `features.encoders.load` knows.
        dataset: a name that `data.load` knows: "letters@2000".
        store: where the result is looked for and saved.

    Raises:
        ValueError, DataError: from `features.load_part`.
    """

    def compute() -> dict[str, np.ndarray]:
        (train, y), (test, truth) = (_part(encoders.load(encoder), dataset, part) for part in ("train", "test"))
        of_all = probe().fit(np.hstack(train), y).predict(np.hstack(test)) == truth
        return {"right": right_of_probes(train, y, test, truth), "all": of_all.astype(np.uint8)}

    run = {"encoder": encoder, "dataset": dataset}
    return kept(f"layer_probes-v{VERSION}/{dataset}/{encoder}", run, store, compute)


def right_by_layer(network: Encoder, dataset: str) -> np.ndarray:
    """The array "right" of `layer_probes`, for an encoder that was made by hand; nothing is kept but features."""
    return right_of_probes(*_part(network, dataset, "train"), *_part(network, dataset, "test"))


def few_labels(
    encoder: str, dataset: str, store: ResultStore, counts: Sequence[int] = COUNTS, draws: int = DRAWS
) -> Result:
    """A probe of each layer, fitted to a few examples of the training part, and its cross-validation on these.

    Arrays: "validated" and "accuracy", (len(counts), draws, L), float32: of the cross-validation, and on the whole test
    part. NaN where there are fewer than two labels for each class.

    Args:
        encoder, dataset, store: as in `layer_probes`.
        counts: of labels, about as many of each class.
        draws: how often examples are drawn.
    """

    def compute() -> dict[str, np.ndarray]:
        (train, y), (test, truth) = (_part(encoders.load(encoder), dataset, part) for part in ("train", "test"))

        def of_draw(case: tuple[int, int]) -> list[list[float]]:
            count, draw = case
            rows = balanced_rows(y, count, numpy_generator(draw, f"{count} labels"))
            folds = min(5, int(np.bincount(y[rows], minlength=y.max() + 1).min()))
            if folds < 2:
                return [[np.nan, np.nan]] * len(train)
            return [
                [
                    cross_validated(train[i][rows], y[rows], folds, draw).mean(),
                    (probe().fit(train[i][rows], y[rows]).predict(test[i]) == truth).mean(),
                ]
                for i in range(len(train))
            ]

        found = np.array(side_by_side(of_draw, [(count, draw) for count in counts for draw in range(draws)]))
        found = found.reshape(len(counts), draws, len(train), 2).astype(np.float32)
        return {"validated": found[..., 0], "accuracy": found[..., 1]}

    run = {"encoder": encoder, "dataset": dataset, "counts": list(counts), "draws": draws}
    return kept(f"few_labels-v{VERSION}/{dataset}/{encoder}", run, store, compute)


def under_shift(encoder: str, dataset: str, store: ResultStore, examples: int = SHIFTED_EXAMPLES) -> Result:
    """Probes of each layer, fitted to the training part as it is, on test inputs made worse in five strengths.

    Arrays: "clean" (L + 1, N), and for each corruption under its name (5, L + 1, N), uint8: whether each is predicted
    right by the probes of the layers, and last by one of all layers side by side.

    Args:
        encoder, dataset, store: as in `layer_probes`.
        examples: how many of the test part, the first.
    """

    def compute() -> dict[str, np.ndarray]:
        network = encoders.load(encoder)
        (train, y), (_, truth) = (_part(network, dataset, part) for part in ("train", "test"))
        read = [*train, np.hstack(train)]
        probes = side_by_side(lambda i: probe().fit(read[i], y), range(len(read)))

        def right(x: Tensor | list[str], what: str) -> np.ndarray:
            layers = _layers(network, shifted_features(network, dataset, x, what))
            shown = [*layers, np.hstack(layers)]
            return np.array([p.predict(rows) == truth[:examples] for p, rows in zip(probes, shown, strict=True)])

        inputs, _ = catalog.entry(dataset).raw("test")
        x = inputs[:examples]
        found = {"clean": right(x, "clean")}
        for name in corruptions(network, dataset):
            found[name] = np.array([right(corrupted(x, name, s), f"{name}-{s}") for s in range(1, 6)])
        return {name: values.astype(np.uint8) for name, values in found.items()}

    run = {"encoder": encoder, "dataset": dataset, "examples": examples}
    return kept(f"under_shift-v{VERSION}/{dataset}/{encoder}", run, store, compute)


def ways_under_shift(
    found: Mapping[str, np.ndarray], few: int = FEW_SHIFTED, draws: int = DRAWS
) -> dict[str, np.ndarray]:
    """What each way to read an encoder's layers gets on inputs that get worse: accuracies (K, 6) for K corruptions and
    strengths 0 to 5.

    The layer is the last; the one that is best on clean examples, or at this strength, chosen on one half of the test
    examples and judged on the other; or the best on a few examples at this strength, judged on the rest, mean over
    draws. Or one probe reads all layers.

    Args:
        found: the arrays of `under_shift`.
        few: how many examples at the same strength choose a layer.
        draws: how often they are drawn.
    """
    clean, names = found["clean"], [name for name in found if name != "clean"]
    right = np.stack([np.concatenate([clean[None], found[name]]) for name in names]).astype(float)  # (K, 6, L + 1, N)
    single, examples = right[:, :, :-1], clean.shape[1]
    halves = slice(0, None, 2), slice(1, None, 2)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(examples) for _ in range(draws)]

    def each(accuracy: Callable[[np.ndarray], float]) -> np.ndarray:
        return np.array([[accuracy(of) for of in by_strength] for by_strength in single])

    def of_clean(of: np.ndarray) -> float:
        pairs = zip(halves, reversed(halves), strict=True)
        return float(np.mean([chosen_accuracy(clean[:-1, a].mean(axis=1), of[:, b].mean(axis=1)) for a, b in pairs]))

    def of_few(of: np.ndarray) -> float:
        chosen = (chosen_accuracy(of[:, o[:few]].mean(axis=1), of[:, o[few:]].mean(axis=1)) for o in orders)
        return float(np.mean(list(chosen)))

    return {
        "last layer": right[:, :, -2].mean(axis=-1),
        "best layer on clean examples": each(of_clean),
        f"best layer on {few} such examples": each(of_few),
        "best layer at this strength": each(lambda of: float(best_layer_right(of).mean())),
        "all layers, one probe": right[:, :, -1].mean(axis=-1),
    }


def elsewhere(encoder: str, dataset: str, other: str, store: ResultStore) -> Result:
    """Probes of each layer, fitted to one data set's training part, on the test part of another that asks the same.

    Array: "right" (L + 1, N), uint8, as those of `under_shift`.
    """

    def compute() -> dict[str, np.ndarray]:
        network = encoders.load(encoder)
        (train, y), (test, truth) = _part(network, dataset, "train"), _part(network, other, "test")
        return {"right": right_of_probes([*train, np.hstack(train)], y, [*test, np.hstack(test)], truth)}

    run = {"encoder": encoder, "dataset": dataset, "other": other}
    return kept(f"elsewhere-v{VERSION}/{dataset}-{other}/{encoder}", run, store, compute)


def balanced_rows(y: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of `count` examples drawn from labels y (N,), as many of every class as of any other, or one more.

    Raises:
        ValueError: for a class with too few.
    """
    classes = rng.permutation(np.unique(y))  # which of them get one more is drawn, too
    shares = [len(part) for part in np.array_split(np.arange(count), len(classes))]
    rows = [np.flatnonzero(y == label) for label in classes]
    if any(len(of) < share for of, share in zip(rows, shares, strict=True)):
        raise ValueError(f"{count} labels need {max(shares)} examples of each class, one has {min(map(len, rows))}")
    return np.concatenate([rng.choice(of, share, replace=False) for of, share in zip(rows, shares, strict=True)])


def corruptions(network: Encoder, dataset: str) -> list[str]:
    """What `corrupted` can do to what an encoder reads of a data set."""
    if network.reads == "texts":
        return [WORDS]
    return list(STROKES if dataset.partition("@")[0] == "letters" else STRENGTHS)


def corrupted(x: Tensor | list[str], name: str, strength: int) -> Tensor | list[str]:
    """Images or texts, made worse or drawn otherwise: `corrupt_images`, `redraw` and `corrupt_texts`."""
    if not isinstance(x, Tensor):
        return corrupt_texts(x, strength)
    return (redraw if name in STROKES else corrupt_images)(x, name, strength)


def shifted_features(network: Encoder, dataset: str, x: Tensor | list[str], what: str) -> Tensor:
    """All hidden states of an encoder on changed test inputs of a data set, side by side; kept in the cache."""
    folder = paths.cache() / "features" / f"{dataset}-shifted" / f"{network.name}-{what}"
    return extract(network.backbone, network.prepare(x), folder)


def _part(network: Encoder, dataset: str, part: Part) -> tuple[list[np.ndarray], np.ndarray]:
    """By layer the vectors (N, d_i) of a part, and its labels (N,)."""
    _, y = catalog.entry(dataset).raw(part)
    return _layers(network, features_of(network, dataset, part)), y.numpy()


def _layers(network: Encoder, found: Tensor) -> list[np.ndarray]:
    pieces = torch.split(found, list(network.backbone.out_dims), dim=1)
    return [pieces[i].float().numpy() for i in averaged(network.backbone.names)]


def right_of_probes(train: list[np.ndarray], y: np.ndarray, test: list[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """Of probes of each layer, (L, N) uint8."""
    right = side_by_side(lambda i: probe().fit(train[i], y).predict(test[i]) == truth, range(len(train)))
    return np.array(right, dtype=np.uint8)
