"""How long all measures of the chapters on layers take for one encoder, and what the order of operations is worth."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from bench_tools import Row, interleave, ratios
from torch import Tensor
from torch.nn import functional as F

from laya_nb.analysis.layers import of_rows, of_tokens, of_views, tokens_measured
from laya_nb.analysis.representation import (
    curvature,
    dime,
    effective_rank,
    info_nce,
    lidar,
    linear_cka,
    matrix_entropy,
    nt_xent,
    unbiased_cka,
)
from laya_nb.analysis.rows import centred, over_prompts, unit_rows
from laya_nb.data import Examples
from laya_nb.support.threads import side_by_side

EXAMPLES, LAYERS, VIEWS, TOKENS = 1000, 12, 16, 60


def representation(train: Examples, repeats: int) -> list[Row]:
    """Twelve layers of 1,000 random examples, 16 views each, and 1,000 prompts of 60 tokens on average.

    All that a report has of a layer, with three permutations for DiME. Single measures are those of one layer on one
    thread, as layers are measured at once, DiME's with ten. `as released` is how the authors' code goes about it: Gram
    matrices of float32, eigenvalues by PyTorch, one prompt and one permutation after the other.
    """
    rows = []
    for width in (384, 768):
        views, tokens, lengths = _inputs(width)
        lasts = [views[:, 0] + layer for layer in range(LAYERS)]
        whole = partial(_all, partial(_layer, views, tokens, lengths), lasts)
        seconds = interleave({"all": whole}, max(2, repeats // 3), warm_up=False)
        rows.append(Row(f"measures: {LAYERS} layers of width {width}", "s", seconds["all"]))
        rows += _parts(views, tokens, lengths, max(2, repeats // 3))
    return rows


def _inputs(width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Views (N, Q, D) and tokens, float32: a common mean, variances that fall with the coordinate, noise of views."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.arange(1, width + 1) ** -0.5

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, width, generator=generator) * scale

    views = 1 + draw(EXAMPLES, 1) + 0.3 * draw(EXAMPLES, VIEWS)
    lengths = torch.randint(TOKENS // 2, 3 * TOKENS // 2 + 1, (EXAMPLES,), generator=generator)
    return views, 1 + draw(int(lengths.sum())), lengths


def _ready(rows: Tensor) -> np.ndarray:
    return unit_rows(centred(rows))


def _prompt_entropy(tokens: Tensor) -> float:
    return matrix_entropy(_ready(tokens))


def _measures(views: Tensor, tokens: Tensor, lengths: Tensor, last: Tensor) -> dict[str, Callable[[], object]]:
    a, b = views[:, 0], views[:, 1]
    return {
        "data-set entropy": lambda: matrix_entropy(_ready(a)),
        "effective rank": lambda: effective_rank(_ready(a)),
        "InfoNCE": lambda: info_nce(a, b),
        "NT-Xent": lambda: nt_xent(a, b),
        "DiME": lambda: dime(_ready(a), _ready(b)),
        "LiDAR": lambda: lidar(views),
        "CKA": lambda: linear_cka(a, last),
        "unbiased CKA": lambda: unbiased_cka(a, last),
        "prompt entropy": lambda: over_prompts(_prompt_entropy, tokens, lengths),
        "curvature": lambda: over_prompts(curvature, tokens, lengths),
    }


def _layer(views: Tensor, tokens: Tensor, lengths: Tensor, last: Tensor) -> list[object]:
    """What `layer_report` measures of a layer."""
    prompts = [tokens_measured(prompt) for prompt in tokens.split(lengths.tolist())]
    return [of_rows(views[:, 0], last), of_views(views), of_tokens(np.array(prompts)), linear_cka(views[:, 0], last)]


def _all(measure: Callable[[Tensor], list[object]], lasts: list[Tensor]) -> list[list[object]]:
    return side_by_side(measure, lasts)


def _parts(views: Tensor, tokens: Tensor, lengths: Tensor, repeats: int) -> list[Row]:
    width = views.shape[2]
    ours = _measures(views, tokens, lengths, views[:, 2])
    released: dict[str, Callable[[], object]] = {
        "data-set entropy": lambda: _released_entropy(_released_rows(views[:, 0])),
        "DiME": lambda: _released_dime(_released_rows(views[:, 0]), _released_rows(views[:, 1])),
        "prompt entropy": lambda: _released_prompts(tokens, lengths),
    }
    functions = ours | {f"{name}, as released": function for name, function in released.items()}

    def alone(_: None) -> dict[str, list[float]]:
        return interleave(functions, repeats, warm_up=False)

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        (seconds,) = side_by_side(alone, [None])
    finally:
        torch.set_num_threads(threads)
    rows = [
        Row(f"measure, width {width}: {name}", "ms", [1000 * v for v in values]) for name, values in seconds.items()
    ]
    for name in released:
        gain = ratios(seconds[f"{name}, as released"], seconds[name])
        rows.append(Row(f"measure, width {width}: {name}, ours is faster by", "x", gain))
    return rows


def _released_rows(rows: Tensor) -> Tensor:
    return F.normalize(rows - rows.mean(dim=0), dim=1)


def _released_entropy(rows: Tensor) -> float:
    return _released_spectrum((rows @ rows.T).double())


def _released_spectrum(gram: Tensor) -> float:
    shares = torch.linalg.eigvalsh(gram / gram.trace()).clamp(min=1e-12)
    return float(-(shares * shares.log()).sum())


def _released_dime(a: Tensor, b: Tensor, permutations: int = 10) -> float:
    first, second = (a @ a.T).double(), (b @ b.T).double()
    orders = [torch.randperm(len(a)) for _ in range(permutations)]
    apart = [_released_spectrum(first * second[order][:, order]) for order in orders]
    return sum(apart) / permutations - _released_spectrum(first * second)


def _released_prompts(tokens: Tensor, lengths: Tensor) -> float:
    found = [_released_entropy(_released_rows(prompt)) for prompt in tokens.split(lengths.tolist())]
    return sum(found) / len(found)
