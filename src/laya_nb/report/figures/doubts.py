"""Doubt, strangeness and confidence: how well scores tell, and whether confidence means what it says."""

from collections.abc import Mapping
from math import ceil

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from laya_nb.report.figures.style import (
    FAINT,
    INK,
    SMALL,
    WIDTH,
    grid_of_axes,
    head_color,
    head_label,
    new_figure,
    styled,
)


@styled
def auroc_map(table: pd.DataFrame) -> Figure:
    """A heat map of AUROC, from 0 through 0.5, chance, to 1, each cell with its number.

    Args:
        table: rows with two names, the first shown once above those that share it; NaN where there is no value.
    """
    groups = list(dict.fromkeys(table.index.get_level_values(0)))
    rows = [row for name in groups for row in [(name, None), *((name, kind) for kind in table.loc[name].index)]]
    fig = new_figure(WIDTH, 1.5 + 0.22 * len(rows))
    ax = fig.subplots()
    colors = mpl.colormaps["PuOr"]
    for y, (name, kind) in enumerate(rows):
        if kind is None:
            continue
        for x, value in enumerate(table.loc[(name, kind)].to_numpy(dtype=float)):
            if np.isfinite(value):
                ax.add_patch(mpl.patches.Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=colors(value), lw=0))
                ink = INK if 0.2 < value < 0.85 else "white"
                ax.text(x, y, f"{value:.2f}".lstrip("0"), ha="center", va="center", fontsize=SMALL, color=ink)
    ax.set_xticks(range(table.shape[1]), table.columns, rotation=35, ha="left", rotation_mode="anchor", fontsize=SMALL)
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(rows)), [name if kind is None else kind for name, kind in rows], fontsize=SMALL)
    for label, (_, kind) in zip(ax.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if kind is None else "normal")
    ax.set(xlim=(-0.5, table.shape[1] - 0.5), ylim=(len(rows) - 0.5, -0.5))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig


@styled
def reliability(panels: Mapping[str, Mapping[str, pd.DataFrame]]) -> Figure:
    """One panel per network: accuracy against confidence, a line for each head; on the diagonal they are the same.

    Args:
        panels: by network, by head, as `analysis.calibration.reliability` gives it.
    """
    columns = min(2, len(panels))
    fig = new_figure(WIDTH, 0.6 + 2.3 * ceil(len(panels) / columns))
    axes = grid_of_axes(fig, len(panels), columns, sharey=True)
    for ax, (network, heads) in zip(axes, panels.items(), strict=True):
        ends = min(table["confidence"].min() for table in heads.values()), 1.0
        ax.plot(ends, ends, color=FAINT, lw=0.8, ls="--")
        for head, table in heads.items():
            size = 4 + 60 * table["count"] / table["count"].sum()
            color = head_color(head)
            ax.plot(table["confidence"], table["accuracy"], color=color, lw=1.4, label=head_label(head))
            ax.scatter(table["confidence"], table["accuracy"], s=size, color=color, lw=0)
        ax.set_title(network)
        ax.set_xlabel("confidence")
    for ax in axes[::columns]:
        ax.set_ylabel("accuracy")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig
