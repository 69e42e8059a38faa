"""What is known of the layers of encoders on many tasks: measures without labels, and what probes get."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from laya_nb import features
from laya_nb.analysis.layer_choice import SIGNS, best_layer_right, chosen_accuracy, picked
from laya_nb.analysis.statistics import estimate
from laya_nb.analysis.words import word_baselines
from laya_nb.data import catalog, tasks, text_tasks
from laya_nb.runs.layer_measures import kept, layer_measures
from laya_nb.runs.layer_probes import COUNTS, DRAWS, few_labels, layer_probes
from laya_nb.runs.store import Result, ResultStore

REVIEWS = ("question", "number", "tense", "bigram_shift", "odd_word", "length", "place", "imdb")
DOCUMENTATION = ("library", "kind", "docs_number", "docs_bigram_shift", "docs_length")
WORLD = tuple(f"world/{asked}" for asked in ("count", "position", "orientation", "size", "colour", "shape"))
IMAGES = ("cifar10_jpeg", "cifar10_coarse", "fashion_mnist", "letters", "rendering", "rotation", *WORLD)
BOOK = {
    "texts": {encoder: [f"{task}@1000" for task in REVIEWS + DOCUMENTATION] for encoder in ("minilm", "reviews_gpt")},
    "images": {encoder: [f"{task}@2000" for task in IMAGES] for encoder in ("vit_s_saliency", "efficientnet_lite0")},
}
"""By kind and encoder, the data sets of the chapters on single layers."""
ALL = "all layers, one probe"
MEASURED_ON = {
    **dict.fromkeys(REVIEWS, "question"),
    **dict.fromkeys(DOCUMENTATION, "kind"),
    **dict.fromkeys(("cifar10_coarse", "rendering", "rotation"), "cifar10_jpeg"),
    **dict.fromkeys(WORLD, "world/count"),
}
"""The task on whose inputs a task's layers are measured, for all that share their inputs or make theirs of these."""


@dataclass(frozen=True)
class OnTask:
    """An encoder of L layers on a task with N test examples.

    Attributes:
        encoder: its name.
        task: without the number of examples: "letters".
        measures: by name, values (L,).
        right: whether the probe of each layer is right about each example, (L, N).
        right_all: the same of a probe that reads all layers, (N,).
        chance: the accuracy of guessing.
    """

    encoder: str
    task: str
    measures: Mapping[str, np.ndarray]
    right: np.ndarray
    right_all: np.ndarray
    chance: float

    @property
    def accuracy(self) -> np.ndarray:
        """Of each layer's probe, (L,), from 0 to 1."""
        return self.right.mean(axis=1)

    @property
    def best(self) -> float:
        """The accuracy of the best layer, chosen on one half of the examples and judged on the other."""
        return float(best_layer_right(self.right).mean())

    @property
    def above_last(self) -> np.ndarray:
        """By how much the best layer is ahead of the last one on each example, (N,), from -1 to 1."""
        return best_layer_right(self.right) - self.right[-1]

    @property
    def of_the_way(self) -> np.ndarray:
        """How far each layer's probe is from guessing, 0, to all right, 1; (L,)."""
        return np.clip((self.accuracy - self.chance) / (1 - self.chance), 0, 1)


def layer_results(encoder: str, datasets: Sequence[str], store: ResultStore, measures: bool = True) -> list[OnTask]:
    """Measures and probes of an encoder on data sets, computed where the store has none.

    Args:
        encoder: a name that `features.encoders.load` knows.
        datasets: tasks with their number of examples: "letters@2000".
        store: where results are looked for and saved.
        measures: whether there are to be any.
    """
    found = []
    for dataset in datasets:
        task, at, examples = dataset.partition("@")
        measured = layer_measures(encoder, MEASURED_ON.get(task, task) + at + examples, store) if measures else None
        probes = layer_probes(encoder, dataset, store).arrays
        arrays = {} if measured is None else {name: a for name, a in measured.arrays.items() if name != "cka"}
        found.append(OnTask(encoder, task, arrays, probes["right"], probes["all"], 1 / classes(task)))
    return found


def word_accuracy(dataset: str, store: ResultStore) -> float:
    """What a logistic regression on words gets on a task of texts (`analysis.words`)."""

    def compute() -> dict[str, np.ndarray]:
        (train, y), (test, truth) = (catalog.entry(dataset).raw(part) for part in ("train", "test"))
        found = word_baselines(train, y.tolist(), test, truth.tolist())  # type: ignore[arg-type]
        return {"bag_of_words": np.array([found["bag_of_words"]], dtype=np.float32)}

    return float(kept(f"words-v1/{dataset}", {"dataset": dataset}, store, compute).arrays["bag_of_words"][0])


def regrets(result: OnTask, few: Result, weights: Mapping[str, Sequence[np.ndarray]] | None = None) -> dict[str, float]:
    """By way of choosing a layer, how many points of accuracy its choice loses against the best layer.

    The ways: `ALL`, a probe of all layers side by side, which may be better than any; "last"; "middle"; every measure
    of `SIGNS` that is defined at all layers; "10 labels" and so on, the layer that is best in cross-validation, mean
    over draws; and heads by name, the layer with most weight, mean over seeds.

    Args:
        result: probes and measures.
        few: what `layer_probes.few_labels` gives of the same encoder and task.
        weights: by head, the mean weight of every layer, (L,), for each seed.
    """
    accuracy, depth = result.accuracy, len(result.right)
    chosen = {ALL: result.right_all.mean(), "last": accuracy[-1], "middle": accuracy[(depth - 1) // 2]}
    for name, sign in SIGNS.items():
        if np.isfinite(values := result.measures.get(name, np.full(depth, np.nan))).all():
            chosen[name] = accuracy[picked(values, sign)]
    for count, draws in zip(few.run["counts"], few.arrays["validated"], strict=True):
        if np.isfinite(draws).all():
            chosen[f"{count} labels"] = np.mean([chosen_accuracy(draw, accuracy) for draw in draws])
    for head, seeds in (weights or {}).items():
        chosen[head] = np.mean([accuracy[picked(of, 1)] for of in seeds])
    return {way: 100 * float(result.best - got) for way, got in chosen.items()}


def regret_table(
    data_of: Mapping[str, Sequence[str]],
    store: ResultStore,
    counts: Sequence[int] = COUNTS,
    draws: int = DRAWS,
    weights: Callable[[str, str], Mapping[str, Sequence[np.ndarray]]] | None = None,
) -> pd.DataFrame:
    """`regrets` of encoders on tasks: a row for each encoder and task, a column for each way, NaN where there is none.

    Args:
        data_of: by encoder, the data sets: {"minilm": ["question@1000"]}.
        store: where results are looked for and saved.
        counts, draws: as in `layer_probes.few_labels`.
        weights: for an encoder and a data set, the weights that `regrets` takes.
    """
    rows = []
    for encoder, datasets in data_of.items():
        for dataset, result in zip(datasets, layer_results(encoder, datasets, store), strict=True):
            few = few_labels(encoder, dataset, store, counts, draws)
            lost = regrets(result, few, weights(encoder, dataset) if weights else None)
            rows.append({"encoder": encoder, "task": result.task, **lost})
    return pd.DataFrame(rows).set_index(["encoder", "task"])


def weights_by_layer(encoder: str, result: Result) -> np.ndarray:
    """The mean weight that a head gives to every layer, (L,): of a layer with several hidden states their sum."""
    layers = [name.partition(":")[0] for name in features.names(encoder)]
    weight = result.attention.mean(axis=0)
    return np.array([weight[[i for i, of in enumerate(layers) if of == one]].sum() for one in dict.fromkeys(layers)])


def classes(task: str) -> int:
    """How many classes a task has: they are balanced."""
    if task == "imdb":
        return 2
    return len((text_tasks if task in text_tasks.TASKS else tasks).task(task).classes)


def tasks_that_gain(results: Sequence[OnTask]) -> dict[str, int]:
    """On how many tasks the best layer is ahead of the last one, by 95 % intervals over test examples."""
    ahead = [estimate(result.above_last) for result in results]
    behind = sum(of.high < 0 for of in ahead)
    found = {"best layer ahead": sum(of.low > 0 for of in ahead), "last layer ahead": behind}
    return found | {"not told apart": len(ahead) - sum(found.values())}
