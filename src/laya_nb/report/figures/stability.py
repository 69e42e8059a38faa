"""One run against another: what they share, what averaging gains."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from laya_nb.analysis.stability import Averaging, spearman_brown
from laya_nb.analysis.statistics import Estimate
from laya_nb.report.figures.style import (
    FAINT,
    INK,
    MEASURED,
    WIDTH,
    grid_of_axes,
    interval,
    layer_colors,
    new_figure,
    styled,
)

CONTROL = FAINT
GOLDEN = 0.618  # its multiples, modulo 1, lie far apart for neighbouring ranks


def _row_of_dots(ax: Axes, y: float, values: np.ndarray, color: str) -> None:
    """Dots at `values`, moved up and down so that neighbours can be told apart."""
    ranks = np.argsort(np.argsort(values))
    jitter = ((ranks * GOLDEN) % 1 - 0.5) * 0.5  # from -0.25 to 0.25
    ax.plot(values, y + jitter, "o", ms=3, color=color, alpha=0.45, mew=0)


@styled
def pair_spread(panels: Mapping[str, Mapping[str, np.ndarray]], controls: Sequence[str]) -> Figure:
    """Correlations, panels below each other, one per measure, one row per comparison: a dot each, a bar at their mean.

    Args:
        panels: by measure, the rows from top to bottom: name and values.
        controls: the rows that are controls; they are grey.
    """
    rows_of_panels = [len(rows) for rows in panels.values()]
    fig = new_figure(WIDTH, 0.5 + 0.35 * len(panels) + 0.48 * sum(rows_of_panels))
    axes = grid_of_axes(fig, len(panels), 1, sharex=True, height_ratios=rows_of_panels)
    for ax, (title, rows) in zip(axes, panels.items(), strict=True):
        for y, (name, values) in enumerate(rows.items()):
            color = CONTROL if name in controls else MEASURED
            _row_of_dots(ax, y, values, color)
            ax.plot([values.mean()] * 2, [y - 0.36, y + 0.36], color=INK, lw=2, solid_capstyle="butt")
        ax.axvline(0, color=FAINT, lw=0.8, ls=":", zorder=0)
        ax.set(yticks=range(len(rows)), yticklabels=rows, xlim=(-1.05, 1.05), xticks=[-1, -0.5, 0, 0.5, 1])
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.tick_params(left=False)
        ax.set_title(title)
    axes[-1].set_xlabel("correlation")
    return fig


@styled
def shared_by_runs(rows: Mapping[str, tuple[np.ndarray, Estimate]]) -> Figure:
    """What pairs of runs agree on, a row each: one dot per pair, the mean with its interval below the dots."""
    fig = new_figure(WIDTH, 0.6 + 0.55 * len(rows))
    ax = fig.subplots()
    for y, (values, mean) in enumerate(rows.values()):
        _row_of_dots(ax, y - 0.08, values, MEASURED)
        interval(ax, y + 0.34, mean, INK)
    ax.axvline(0, color=FAINT, lw=0.8, ls=":", zorder=0)
    ax.set(yticks=range(len(rows)), yticklabels=rows, xlim=(-1.05, 1.05), xlabel="correlation of two runs")
    ax.set_ylim(len(rows) - 0.4, -0.5)
    ax.tick_params(left=False)
    return fig


@styled
def weight_spread(profiles: Mapping[str, np.ndarray]) -> Figure:
    """Mean weight of each layer, one panel per head: a line per run (S, L), diamonds right of the dots for the mean."""
    fig = new_figure(WIDTH, 2.7)
    axes = grid_of_axes(fig, len(profiles), len(profiles), sharey=True)
    for ax, (title, weights) in zip(axes, profiles.items(), strict=True):
        layers = np.arange(weights.shape[1])
        colors = layer_colors(len(layers))
        for one in weights:
            ax.plot(layers, one, "-", color=FAINT, lw=0.7, alpha=0.7)
        for i in layers:
            ax.plot(np.full(len(weights), i), weights[:, i], "o", ms=4.5, color=colors[i], alpha=0.7, mew=0)
        ax.plot(layers + 0.2, weights.mean(axis=0), "D", ms=6, color=INK, mec="white", mew=0.8)
        ax.set(xticks=layers, xticklabels=[f"$h_{i + 1}$" for i in layers], ylim=(0, 1), xlim=(-0.25, layers[-1] + 0.4))
        ax.set_title(title)
    axes[0].set_ylabel("mean weight")
    return fig


@styled
def averaging_helps(panels: Mapping[str, Averaging]) -> Figure:
    """Correlation of two mean profiles against the number of runs in each, one panel per measure.

    Diamonds are measured; the grey band holds 95 % of the controls; the line is what the intraclass correlation
    predicts, the coloured band what its interval does.
    """
    fig = new_figure(WIDTH, 3.4)
    axes = grid_of_axes(fig, len(panels), len(panels), sharey=True)
    bottom = min(float(np.quantile(found.control, 0.025, axis=1).min()) for found in panels.values())
    for ax, (title, found) in zip(axes, panels.items(), strict=True):
        low, high = np.quantile(found.control, [0.025, 0.975], axis=1)
        ax.fill_between(found.groups, low, high, color="#808080", alpha=0.25, lw=0, label="control, 95 %")
        finer = np.linspace(min(found.groups), max(found.groups), 50)
        curves = [
            [spearman_brown(share, k) for k in finer] for share in (found.share.low, found.share.mean, found.share.high)
        ]
        ax.fill_between(finer, curves[0], curves[2], color=MEASURED, alpha=0.15, lw=0, label="its 95 % interval")
        ax.plot(finer, curves[1], color=MEASURED, lw=1.2, label="predicted from the intraclass correlation")
        ax.plot(found.groups, found.measured, "D", ms=6, color=INK, mec="white", mew=0.8, label="measured")
        ax.axhline(0, color=FAINT, lw=0.8, ls=":", zorder=0)
        ax.set(xticks=found.groups, ylim=(min(-0.5, bottom - 0.05), 1.02), xlabel="runs in each mean")
        ax.set_title(title)
    axes[0].set_ylabel("correlation of two means")
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=2)
    return fig
