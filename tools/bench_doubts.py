"""How long scores of doubt and strangeness take for one trained model, and what letting half of a batch leave gains."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from bench_tools import Row, interleave, ratios
from torch import Tensor

from laya_nb.backbones import MLP
from laya_nb.data import Dataset, Examples
from laya_nb.heads import DepthClassifier, Head, LAYAHead
from laya_nb.runs import Run
from laya_nb.runs.anew import heads_like
from laya_nb.runs.checkpoints import trained_model
from laya_nb.runs.doubts import FITTED_ON, errors, strangeness_scores
from laya_nb.runs.exits import leave

JUDGED = 20_000
BATCHES = (1, 256)
EXIT = 2  # of eight layers, from 0


def doubts(train: Examples, repeats: int) -> list[Row]:
    """The published model: all detectors, fitted on 10,000 examples, and all that is said of mistakes, on 20,000.

    `leaving`: an untrained network of eight layers with one exit, and without one. Half of the inputs leave.
    """
    model = trained_model(Run())
    fitted, judged = (Examples(train.x[:n], train.y[:n]) for n in (FITTED_ON, JUDGED))
    dataset = Dataset("fashion_mnist", "benchmark", tuple(map(str, range(10))), fitted, judged)
    seconds = interleave(
        {
            "all detectors, fitted and judged": lambda: strangeness_scores(model, fitted)(judged.x),
            "all measures of mistakes": lambda: errors(model, dataset),
        },
        max(2, repeats // 3),
        warm_up=False,
    )
    rows = [Row(f"doubts: {name}, {len(judged.y):,} examples", "s", values) for name, values in seconds.items()]
    return rows + _leaving(train, 8 * repeats)


def _leaving(train: Examples, repeats: int) -> list[Row]:
    torch.manual_seed(0)
    backbone = MLP(train.x[0].numel(), (128,) * 8)
    model = DepthClassifier(backbone, LAYAHead(backbone.out_dims, num_classes=10, d_star=128)).eval()
    heads = heads_like(model, range(1, 8))
    ways = [head.eval() if i == EXIT else None for i, head in enumerate(heads)]
    x, rows = train.x[:256], []
    with torch.inference_mode():
        threshold = float(heads[EXIT](backbone(x)[: EXIT + 1]).logits.softmax(dim=1).amax(dim=1).median())
        for size in BATCHES:
            parts = x.split(size)[:64]
            functions: dict[str, Callable[[], object]] = {
                "whole": partial(_run_all, model, parts),
                "leaving": partial(_leave_all, model, ways, parts, threshold),
            }
            seconds = interleave(functions, repeats)
            gain = ratios(seconds["whole"], seconds["leaving"])
            rows.append(Row(f"leaving after layer {EXIT + 1} of 8, batch of {size}, faster by", "x", gain))
    return rows


def _run_all(model: DepthClassifier, parts: Sequence[Tensor]) -> None:
    for part in parts:
        model(part)


def _leave_all(model: DepthClassifier, ways: Sequence[Head | None], parts: Sequence[Tensor], threshold: float) -> None:
    for part in parts:
        leave(model, ways, part, threshold)
