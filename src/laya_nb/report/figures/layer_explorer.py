"""A page element: for a question and a layer that the reader chooses, what the layer knows, and who weighs it how."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from laya_nb.report.figures.element import Element, element
from laya_nb.report.figures.style import MEASURED, WIDTH, layer_colors, new_figure, styled


def explore_layers(
    accuracy: np.ndarray,
    weights: Mapping[str, np.ndarray],
    questions: Sequence[str],
    layers: Sequence[str] | None = None,
) -> Element:
    """An element with a row for each layer: the accuracy of its probe, and the weight that each head gives to it.

    Args:
        accuracy: in percent, questions x layers.
        weights: by head, questions x seeds x layers.
        questions: what they are called.
        layers: what these are called; numbers from 1 by default.

    Raises:
        ValueError: for shapes and names that do not fit.
    """
    accuracy = np.asarray(accuracy, dtype=float)
    if accuracy.ndim != 2 or accuracy.shape[0] != len(questions) or not accuracy.size:
        raise ValueError(f"accuracy must be {len(questions)} questions x layers, got {accuracy.shape}")
    depth = accuracy.shape[1]
    layers = [str(i) for i in range(1, depth + 1)] if layers is None else list(layers)
    if len(layers) != depth:
        raise ValueError(f"layers must be {depth}, got {len(layers)}")
    for head, of in weights.items():
        if of.ndim != 3 or (of.shape[0], of.shape[2]) != accuracy.shape or not of.shape[1]:
            expected = f"{len(questions)} questions x seeds x {depth} layers"
            raise ValueError(f"the weights of {head!r} must be {expected}, got {of.shape}")
    data = {
        "questions": list(questions),
        "layers": layers,
        "knows": accuracy.round(2).tolist(),
        "weights": {head: of.astype(float).round(4).tolist() for head, of in weights.items()},
        "most": round(max(float(of.max()) for of in weights.values()), 4) if weights else 1.0,
    }
    first = {"linear probe": accuracy[0]} | {head: of[0].mean(axis=0) for head, of in weights.items()}
    highest = "; ".join(f"{name}, highest at layer {layers[int(of.argmax())]}" for name, of in first.items())
    alt = f"Bars for each layer; {questions[0]}: {highest}."
    return element("layer_explorer.html", data, _still(first, layers, questions[0]), alt)


@styled
def _still(panels: Mapping[str, np.ndarray], layers: Sequence[str], question: str) -> Figure:
    """A panel with a bar for each layer, (L,), from the first on top."""
    fig = new_figure(WIDTH, 0.8 + 0.19 * len(layers))
    axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for i, (ax, (title, values)) in enumerate(zip(axes, panels.items(), strict=True)):
        ax.barh(range(len(layers)), values, color=layer_colors(len(layers)) if i else MEASURED)
        ax.set(yticks=range(len(layers)), yticklabels=layers, xlim=(0, None), xlabel="weight" if i else "%")
        ax.set_title(title, fontsize=9)
        ax.tick_params(axis="y", length=0)
    axes[0].set_ylim(len(layers) - 0.5, -0.5)
    axes[0].set_ylabel("layer")
    fig.suptitle(question)
    return fig
