"""Measures of representations over the depth of a network."""

from math import ceil

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from laya_nb.report.figures.style import FAINT, PALETTE, SMALL, WIDTH, grid_of_axes, new_figure, styled

TITLES = {
    "accuracy": "probe accuracy",
    "dataset_entropy": "data-set entropy",
    "effective_rank": "effective rank",
    "prompt_entropy": "prompt entropy",
    "curvature": "curvature",
    "info_nce": "InfoNCE",
    "dime": "DiME",
    "lidar": "LiDAR",
    "cka_last": "CKA with the last",
}
"""The columns of a report that are drawn, in this order."""
COLUMNS = 3


@styled
def layers(table: pd.DataFrame) -> Figure:
    """Small multiples: every measure of a report, over its rows from first to last; what is NaN throughout is left out.

    Args:
        table: of `laya_nb.report.layer_report`.
    """
    shown = {name: title for name, title in TITLES.items() if name in table and table[name].notna().any()}
    columns = min(COLUMNS, len(shown))
    fig = new_figure(WIDTH, 0.5 + 1.45 * ceil(len(shown) / columns))
    x = np.arange(1, len(table) + 1)
    axes = grid_of_axes(fig, len(shown), columns)
    for ax, (name, title) in zip(axes, shown.items(), strict=True):
        values = table[name].to_numpy(dtype=float)
        if name == "accuracy":
            low, high = (table[f"accuracy_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
            ax.fill_between(x, low, high, color=PALETTE[3], alpha=0.2, lw=0)
        ax.plot(x, values, color=PALETTE[3 if name == "accuracy" else 0], marker="o", ms=3.5, lw=1.4)
        ax.axvline(len(table), color=FAINT, lw=0.6, ls=":", zorder=0)  # the last layer, which is read as a rule
        ax.set_title(title, fontsize=SMALL)
        ax.tick_params(labelsize=SMALL)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for ax in axes[-columns:]:
        ax.set_xlabel("layer", fontsize=SMALL)
    return fig
