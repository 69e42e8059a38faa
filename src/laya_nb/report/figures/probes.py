"""Many probes on many tasks: what they gain, what single layers know, and which tokens get the weight."""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from laya_nb.analysis.statistics import Estimate, estimate
from laya_nb.analysis.tasks import gains
from laya_nb.report import task_names
from laya_nb.report.figures.style import (
    FAINT,
    INK,
    MEASURED,
    PALETTE,
    PAPER,
    SMALL,
    WIDTH,
    grid_of_axes,
    head_color,
    interval,
    new_figure,
    styled,
)
from laya_nb.runs.probes import PROBES

CLS, AP = PALETTE[3], PALETTE[0]


def gains_by_task(table: pd.DataFrame, probes: Sequence[str], rows: Sequence[str]) -> Figure:
    """What probes gain over the last layer's CLS on every task, paired by seed, with 95 % intervals.

    Args:
        table: as `tables.probe_table` gives it.
        probes: whose gains are shown.
        rows: the tasks, from the top.
    """
    of = {probe: gains(table, probe, "cls_linear") for probe in probes}
    series = {probe: [estimate(wide.loc[task].to_numpy()) for task in rows] for probe, wide in of.items()}
    return estimates_by_row(series, [task_names.title(task) for task in rows], "points above the last layer's CLS")


@styled
def estimates_by_row(series: Mapping[str, Sequence[Estimate]], rows: Sequence[str], xlabel: str) -> Figure:
    """Several estimates in every row, with 95 % intervals; a line at 0.

    Args:
        series: one estimate for each row, by probe, or by any name that the legend is to show.
        rows: what the rows are called, from the top.
        xlabel: what is estimated, and its unit.
    """
    fig = new_figure(WIDTH, 1.1 + (0.14 + 0.1 * len(series)) * len(rows))
    ax = fig.subplots()
    heights = np.linspace(-0.32, 0.32, len(series)) if len(series) > 1 else [0.0]
    plain = (PALETTE[3], PALETTE[0], FAINT, PALETTE[1])
    for i, ((probe, values), height) in enumerate(zip(series.items(), heights, strict=True)):
        color = head_color(probe) if probe in PROBES else plain[i % len(plain)]
        for y, value in enumerate(values):
            interval(ax, y + height, value, color)
        ax.plot([], [], "o", color=color, ms=6, label=PROBES[probe].label if probe in PROBES else probe)
    ax.axvline(0, color=FAINT, lw=0.8)
    for y in range(len(rows) - 1):
        ax.axhline(y + 0.5, color=FAINT, lw=0.6, alpha=0.4)
    ax.set(yticks=range(len(rows)), yticklabels=rows, xlabel=xlabel)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


@styled
def single_layer_curves(
    curves: Mapping[str, Mapping[str, np.ndarray]], levels: Mapping[str, float], level: str, chance: Mapping[str, float]
) -> Figure:
    """One panel per task: the accuracy of a linear probe of each layer, and a level to compare with.

    Args:
        curves: by task, by how a layer is read ("CLS", "AP"), accuracies in percent (L, S) of S seeds.
        levels: by task, the level in percent, a broken line.
        level: what the level is.
        chance: by task, the accuracy of guessing in percent, a dotted line.
    """
    columns = 3
    rows = ceil(len(curves) / columns)
    fig = new_figure(WIDTH, 0.6 + 1.35 * rows)
    axes = grid_of_axes(fig, len(curves), columns, sharex=True)
    for ax, (task, by_kind) in zip(axes, curves.items(), strict=True):
        for (kind, values), color in zip(by_kind.items(), (AP,) if len(by_kind) == 1 else (CLS, AP), strict=True):
            layers = np.arange(1, len(values) + 1)
            ax.fill_between(layers, values.min(axis=1), values.max(axis=1), color=color, alpha=0.25, lw=0)
            ax.plot(layers, values.mean(axis=1), color=color, lw=1.6, label=f"{kind}: mean and range over seeds")
        ax.axhline(levels[task], color=INK, lw=1, ls="--", label=level)
        ax.axhline(chance[task], color=FAINT, lw=1, ls=":", label="guessing")
        ax.set_title(task, fontsize=SMALL, fontweight="normal")
        ax.set_xticks([1, len(layers) // 2, len(layers)])
        ax.tick_params(labelsize=SMALL)
    for ax in axes[-columns:]:
        ax.set_xlabel("layer", fontsize=SMALL)
    fig.supylabel("test accuracy, %", fontsize=9)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


@styled
def near_and_far(panels: Mapping[str, Mapping[str, tuple[float, float]]], named: Sequence[str]) -> Figure:
    """Points gained against how well the last layer alone does, one dot a task.

    Args:
        panels: what was measured here, then what was reported; for each task the accuracy of the last layer in percent
            and the points gained.
        named: the tasks whose names are written.
    """
    fig = new_figure(WIDTH, 3.1)
    axes = grid_of_axes(fig, len(panels), len(panels), sharex=True, sharey=True)
    for ax, (title, tasks), color in zip(axes, panels.items(), (MEASURED, PAPER), strict=True):
        for task, (x, y) in tasks.items():
            ax.plot(x, y, "o", ms=6, color=color, mec="white", mew=0.6)
            if task in named:
                ax.annotate(task, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=SMALL)
        ax.axhline(0, color=FAINT, lw=0.8)
        ax.set_title(title)
        ax.margins(x=0.12)
    axes[0].set_ylabel("points gained over the last layer")
    fig.supxlabel("accuracy of the last layer, %", fontsize=10)
    return fig


@styled
def row_of_pictures(pictures: np.ndarray, titles: Sequence[str]) -> Figure:
    """Pictures (N, H, W, 3) in [0, 1], side by side, each with a title below."""
    fig = new_figure(WIDTH, 1.2)
    for ax, picture, title in zip(grid_of_axes(fig, len(pictures), len(pictures)), pictures, titles, strict=True):
        ax.imshow(picture)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.set_xlabel(title.replace(" ", "\n"), fontsize=SMALL)
    return fig


@styled
def depth_of_weight(
    readable: np.ndarray, weighted: Mapping[str, np.ndarray], tasks: Sequence[str], named: Sequence[str]
) -> Figure:
    """For every task, at which depth its answer can be read, and at which depth the weight lies; a panel per head.

    Args:
        readable: the centre of depth of single-layer probes, (tasks,), in layers from 1.
        weighted: by head, the centre of its weights, (tasks, S).
        tasks: their names.
        named: those whose names are written.
    """
    fig = new_figure(WIDTH, 3.0)
    axes = grid_of_axes(fig, len(weighted), len(weighted), sharex=True, sharey=True)
    for ax, (head, depths) in zip(axes, weighted.items(), strict=True):
        for x, values, task in zip(readable, depths, tasks, strict=True):
            found = estimate(values)
            ax.plot([x, x], [found.low, found.high], color=MEASURED, lw=1.5)
            ax.plot(x, found.mean, "o", ms=5, color=MEASURED, mec="white", mew=0.6)
            if task in named:
                ax.annotate(task, (x, found.mean), xytext=(4, 3), textcoords="offset points", fontsize=SMALL)
        ends = [readable.min(), readable.max()]
        ax.plot(ends, ends, color=PAPER, lw=1, ls=":")
        ax.set_title(head)
    axes[0].set_ylabel("centre of the weights, layer")
    fig.supxlabel("centre of what single layers know, layer", fontsize=10)
    return fig
