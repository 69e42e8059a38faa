"""How long the measurements of the chapters on faithfulness and pruning take for one trained model."""

from collections.abc import Callable
from functools import partial

import torch
from bench_tools import Row, interleave

from laya_nb import data
from laya_nb.backbones import FrozenFeatures
from laya_nb.data import Dataset, Examples
from laya_nb.heads import DepthClassifier, LAYAHead
from laya_nb.runs import Run, build_model
from laya_nb.runs.faithfulness import faithfulness, new_heads
from laya_nb.runs.pruning import pruning

WIDTHS = (384,) * 6  # of the frozen text transformer


def explanations(train: Examples, repeats: int) -> list[Row]:
    """Every measurement on three networks at random weights: they cost what trained ones do."""
    images = data.load("fashion_mnist")
    models: dict[str, tuple[DepthClassifier, Dataset]] = {
        "MLP of 3 layers": (build_model(Run(), 784, 10), images),
        "MLP of 8 layers": (build_model(Run(hidden_dims=(128,) * 8), 784, 10), images),
        "frozen, 6 layers": (DepthClassifier(FrozenFeatures(WIDTHS), LAYAHead(WIDTHS, 2)), _features(20_000)),
    }
    functions: dict[str, Callable[[], object]] = {
        f"faithfulness of one model, {name}": partial(_all_of_the_chapter, *pair) for name, pair in models.items()
    }
    functions["pruning of one model, MLP of 3 layers"] = partial(pruning, *models["MLP of 3 layers"])
    seconds = interleave(functions, max(2, repeats // 3))
    return [Row(name, "s", values) for name, values in seconds.items()]


def _all_of_the_chapter(model: DepthClassifier, dataset: Dataset) -> None:
    faithfulness(model, dataset)
    new_heads(model, dataset)


def _features(examples: int) -> Dataset:
    """Noise in the shape of frozen features."""
    x, y = torch.randn(examples, sum(WIDTHS)), torch.arange(examples) % 2
    return Dataset("noise", "drawn at random", ("0", "1"), Examples(x, y), Examples(x, y))
