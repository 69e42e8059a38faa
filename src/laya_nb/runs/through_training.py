"""The book's language model while it was trained: measures of its layers, and what probes of them get."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

import numpy as np

from laya_nb.backbones import gpt
from laya_nb.data import corpus
from laya_nb.features import language
from laya_nb.features.encoders import REVIEWS_GPT
from laya_nb.runs.layer_measures import EXAMPLES, kept, measured
from laya_nb.runs.layer_probes import right_by_layer
from laya_nb.runs.store import Result, ResultStore
from laya_nb.training.language import BOOK, Checkpoint, LanguageConfig, train

VERSION = 1  # of what is computed
VIEWS = 2


def through_training(
    dataset: str, tasks: Sequence[str], store: ResultStore, config: LanguageConfig = BOOK
) -> list[Result]:
    """A result for each checkpoint that is kept of the language model's training, from the untrained model on.

    Arrays: those of `layer_measures`, with two views; "accuracy" (len(tasks), L), of a probe of each layer; "tokens"
    and "validation_loss" (1,). What the store has is read there. For the rest the checkpoints are needed: where they
    are not in the cache the model is trained again, which takes an hour or several on two cores.

    Args:
        dataset: whose test part is measured: "question@1000".
        tasks: data sets that the probes are of.
        store: where results are looked for and saved.
        config: of the training.

    Raises:
        DataError, OSError: from `training.language.train`.
    """

    @cache
    def trained() -> tuple[Path, str, dict[int, Checkpoint]]:
        reviews = corpus.reviews()
        folder, checkpoints = train(reviews, config)
        return folder, reviews.tokenizer, {one.step: one for one in checkpoints}

    def compute(step: int) -> dict[str, np.ndarray]:
        folder, tokenizer, checkpoints = trained()
        checkpoint = checkpoints[step]
        model = gpt.read(folder / checkpoint.file, "delete its folder, and it is trained again")
        network = language.encoder(f"{REVIEWS_GPT}-{folder.name}-{step}", model, tokenizer)
        accuracy = [right_by_layer(network, task).mean(axis=1) for task in tasks]
        return measured(network, dataset, VIEWS, EXAMPLES) | {
            "accuracy": np.array(accuracy, dtype=np.float32),
            "tokens": np.array([checkpoint.tokens], dtype=np.float32),
            "validation_loss": np.array([checkpoint.validation_loss], dtype=np.float32),
        }

    of = {"config": asdict(config), "dataset": dataset, "tasks": list(tasks)}
    folder = f"through_training-v{VERSION}/{dataset}"
    return [
        kept(f"{folder}/step{step}", of | {"step": step}, store, partial(compute, step)) for step in config.kept_at()
    ]
