"""How long the measurements of the chapters on faithfulness and pruning take for one trained model."""

from collections.abc import Callable
from functools import partial

from bench_tools import Row, interleave

from laya_nb import data
from laya_nb.data import Examples
from laya_nb.runs import Run, build_model
from laya_nb.runs.faithfulness import faithfulness, new_heads
from laya_nb.runs.pruning import pruning


def explanations(train: Examples, repeats: int) -> list[Row]:
    """Every measurement on networks of three and of eight layers, at random weights: they cost what trained ones do."""
    dataset = data.load("fashion_mnist")
    models = {
        "3 layers": build_model(Run(), 784, 10),
        "8 layers": build_model(Run(hidden_dims=(128,) * 8), 784, 10),
    }
    functions: dict[str, Callable[[], object]] = {
        f"{measurement.name}, {depth}": partial(measurement, model, dataset)
        for depth, model in models.items()
        for measurement in (faithfulness, new_heads, pruning)
        if not (measurement is pruning and depth == "8 layers")  # trains fifty heads
    }
    seconds = interleave(functions, max(2, repeats // 3))
    return [Row(f"explain one model: {name}", "s", values) for name, values in seconds.items()]
