"""Early exits: what is kept against what is spent."""

from collections.abc import Mapping
from math import ceil

import numpy as np
from matplotlib.figure import Figure

from laya_nb.report.figures.style import FAINT, INK, MEASURED, PALETTE, SMALL, WIDTH, grid_of_axes, new_figure, styled

WAYS = {
    "confidence": (MEASURED, "-"),
    "attention entropy": (PALETTE[1], "-"),
    "gate": (PALETTE[2], "-"),
    "weight on later layers": (PALETTE[2], ":"),
    "at random": (FAINT, "--"),
}
"""The lines of ways to leave, in the order of the legend; a name that is not here gets ink."""


Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]


@styled
def exit_curves(panels: Mapping[str, tuple[Curves, Curves]]) -> Figure:
    """One panel per network: accuracy against the share of the whole network's work, cheaper to the left.

    Args:
        panels: by network, lines and single points, each by name as costs (P,), in percent of the network as it is, and
            accuracies (P,) in percent. NaN is left out.
    """
    columns = min(2, len(panels))
    fig = new_figure(WIDTH, 0.8 + 2.2 * ceil(len(panels) / columns))
    axes = grid_of_axes(fig, len(panels), columns)
    spare = iter(("s", "^", "D"))
    markers: dict[str, str] = {}
    for ax, (network, (lines, points)) in zip(axes, panels.items(), strict=True):
        for name, (cost, accuracy) in lines.items():
            color, style = WAYS.get(name, (INK, "-"))
            ax.plot(cost, accuracy, color=color, ls=style, lw=1.6, label=name)
        for name, (cost, accuracy) in points.items():
            marker = markers.setdefault(name, next(spare, "o"))
            ax.plot(cost, accuracy, marker, color=INK, ms=4, mfc="none", label=name)
        ax.set_title(network)
        ax.set_xlabel("work, % of the whole")
    for ax in axes[::columns]:
        ax.set_ylabel("accuracy, %")
    handles = max((ax.get_legend_handles_labels() for ax in axes), key=lambda found: len(found[0]))
    fig.legend(*handles, loc="outside lower center", ncols=3, fontsize=SMALL)
    return fig
