"""What happens while a network trains."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from laya_nb.report.figures.style import FAINT, INK, WIDTH, layer_colors, new_figure, styled


@styled
def training_curves(loss: Sequence[float], accuracy: Sequence[float], weights: np.ndarray) -> Figure:
    """One run, epoch by epoch, from top to bottom: training loss, validation accuracy, mean weight of each layer.

    Args:
        loss: of the E epochs.
        accuracy: on the validation part, in percent, after each epoch.
        weights: before training and after each epoch, (E + 1, L), rows summing to 1.
    """
    fig = new_figure(WIDTH, 5.2)
    axes = fig.subplots(3, 1, sharex=True)
    epochs = np.arange(1, len(loss) + 1)
    for ax, values, title in ((axes[0], loss, "Training loss"), (axes[1], accuracy, "Validation accuracy, %")):
        ax.plot(epochs, values, "-o", ms=4, lw=1.2, color=INK)
        ax.set_title(title)
    for i, (layer, color) in enumerate(zip(weights.T, layer_colors(weights.shape[1]), strict=True), start=1):
        axes[2].plot(np.arange(len(weights)), layer, "-o", ms=4, lw=1.2, color=color, label=f"$h_{i}$")
    axes[2].axhline(1 / weights.shape[1], color=FAINT, lw=0.8, ls=":")
    axes[2].set(ylim=(0, 1), xlabel="epochs of training", title="Mean weight of each layer")
    axes[2].xaxis.set_major_locator(MaxNLocator(integer=True))
    fig.legend(*axes[2].get_legend_handles_labels(), loc="outside lower center", ncols=weights.shape[1])
    return fig
