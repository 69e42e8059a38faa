"""Measures of representations over the depth of a network."""

from collections.abc import Mapping, Sequence
from math import ceil

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from laya_nb.analysis.layer_choice import OverLayers
from laya_nb.analysis.statistics import Estimate
from laya_nb.report.figures.style import (
    FAINT,
    INK,
    MEASURED,
    PALETTE,
    PAPER,
    SMALL,
    WIDTH,
    grid_of_axes,
    interval,
    new_figure,
    styled,
)

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


@styled
def against_known(
    x: np.ndarray, measured: Mapping[str, np.ndarray], known: np.ndarray, xlabel: str, ylabel: str
) -> Figure:
    """A measure on made-up rows, as dots, and the answer that is known, as a line.

    Args:
        x: what is varied, (K,).
        measured: by name, values (K,).
        known: the answer, (K,).
        xlabel, ylabel: what stands on the axes.
    """
    fig = new_figure(0.62 * WIDTH, 2.1)
    ax = fig.subplots()
    ax.plot(x, known, color=PAPER, lw=1.2, label="known answer")
    for (name, values), color in zip(measured.items(), (MEASURED, PALETTE[1]), strict=False):
        ax.plot(x, values, "o", ms=4, color=color, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside right upper", fontsize=SMALL)
    return fig


@styled
def accuracy_over_depth(panels: Mapping[str, tuple[np.ndarray, np.ndarray | None]]) -> Figure:
    """One panel per encoder: what probes of its layers get, task by task and on average.

    Args:
        panels: by encoder, for each task and layer how far the probe is from guessing (0) to all right (1), (T, L), and
            the same for the encoder with random weights, or None.
    """
    columns = min(2, len(panels))
    fig = new_figure(WIDTH, 0.7 + 1.9 * ceil(len(panels) / columns))
    axes = grid_of_axes(fig, len(panels), columns, sharey=True)
    for ax, (title, (trained, random)) in zip(axes, panels.items(), strict=True):
        x = np.arange(1, trained.shape[1] + 1)
        ax.plot(x, trained.T, color=MEASURED, lw=0.7, alpha=0.4)
        ax.plot([], [], color=MEASURED, lw=0.7, alpha=0.4, label="a task")
        ax.plot(x, trained.mean(axis=0), color=MEASURED, lw=2.4, label="mean over tasks")
        best = trained.argmax(axis=1)
        ax.plot(best + 1, trained.max(axis=1), "o", ms=3.5, color=MEASURED, label="a task's best layer")
        if random is not None:
            ax.plot(x, random.mean(axis=0), color=INK, lw=1.4, ls="--", label="mean, random weights")
        ax.set_title(title)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set_xlabel("layer")
    fig.supylabel("from guessing (0) to all right (1)", fontsize=9)
    handles = max((ax.get_legend_handles_labels() for ax in axes), key=lambda found: len(found[0]))
    fig.legend(*handles, loc="outside lower center", ncols=2, fontsize=SMALL)
    return fig


@styled
def measures_over_depth(by_encoder: Mapping[str, tuple[Sequence[Mapping[str, np.ndarray]], ...]]) -> Figure:
    """A row per measure, a column per encoder: the measure over layers, a line for each set of inputs.

    Args:
        by_encoder: by title, the measures (L,) by name, for each set of inputs: of the encoder as it was trained, then
            with random weights.
    """
    names = [name for name in TITLES if name != "accuracy"]
    fig = new_figure(WIDTH, 0.6 + 1.0 * len(names))
    axes = fig.subplots(len(names), len(by_encoder), squeeze=False, sharex="col")
    for column, (title, kinds) in zip(axes.T, by_encoder.items(), strict=True):
        column[0].set_title(title, fontsize=SMALL)
        for ax, name in zip(column, names, strict=True):
            drawn = False
            for sets, (color, style) in zip(kinds, ((MEASURED, "-"), (INK, "--")), strict=False):
                for found in sets:
                    if name in found and np.isfinite(found[name]).all():
                        ax.plot(range(1, len(found[name]) + 1), found[name], color=color, ls=style, lw=1.1, alpha=0.8)
                        drawn = True
            if not drawn:
                ax.text(0.5, 0.5, "not defined", transform=ax.transAxes, ha="center", fontsize=SMALL, color=FAINT)
                ax.set_yticks([])
            ax.tick_params(labelsize=SMALL - 1)
            ax.yaxis.set_major_locator(MaxNLocator(3)) if drawn else None
            ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        column[-1].set_xlabel("layer", fontsize=SMALL)
    for ax, name in zip(axes[:, 0], names, strict=True):
        ax.set_ylabel(TITLES[name].replace(" ", "\n", 1), fontsize=SMALL)
    axes[0, 0].plot([], [], color=MEASURED, label="trained")
    axes[0, 0].plot([], [], color=INK, ls="--", label="random weights")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=SMALL)
    return fig


@styled
def over_training(tokens: np.ndarray, panels: Mapping[str, np.ndarray]) -> Figure:
    """One panel per quantity: its values over layers, a line for each checkpoint, darker the later.

    Args:
        tokens: seen at each checkpoint, (K,), ascending, the first may be 0.
        panels: by name, (K, L).
    """
    fig = new_figure(WIDTH, 2.9)
    axes = grid_of_axes(fig, len(panels), len(panels))
    late = max(float(tokens[-1]), 2.0)
    norm, colors = LogNorm(max(float(tokens[tokens > 0].min()), 1.0) / 3, late), mpl.colormaps["viridis_r"]
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        for seen, row in zip(tokens, values, strict=True):
            untrained = seen == 0
            label = "untrained" if untrained else f"{seen / 1e6:.2g} million tokens"
            color = FAINT if untrained else colors(norm(seen))
            ax.plot(range(1, len(row) + 1), row, color=color, ls="--" if untrained else "-", lw=1.6, label=label)
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("block")
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=SMALL)
    return fig


@styled
def correlations_over_layers(rows: Mapping[str, OverLayers], xlabel: str) -> Figure:
    """A row per measure: its correlation with accuracy over layers, for each unit and on average, and what chance has.

    Args:
        rows: by measure.
        xlabel: which correlation.
    """
    fig = new_figure(WIDTH, 0.9 + 0.38 * len(rows))
    ax = fig.subplots()
    for y, found in enumerate(rows.values()):
        ax.plot([found.null_mean, found.null_high], [y, y], color=FAINT, lw=7, alpha=0.35, solid_capstyle="butt")
        ax.plot(found.values, np.full(len(found.values), y), "|", ms=7, color=MEASURED, alpha=0.45)
        ax.plot(found.mean, y, "o", ms=7, color=MEASURED, mec="white", mew=0.8)
    ax.plot([], [], color=FAINT, lw=7, alpha=0.35, label="random walks: mean to 95 % point")
    ax.plot([], [], "|", ms=7, color=MEASURED, label="a task on an encoder")
    ax.plot([], [], "o", ms=7, color=MEASURED, label="mean")
    ax.axvline(0, color=FAINT, lw=0.8)
    ax.set(yticks=range(len(rows)), yticklabels=[TITLES.get(name, name) for name in rows], xlabel=xlabel)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=SMALL)
    return fig


@styled
def under_shift(panels: Mapping[str, Mapping[str, np.ndarray]], ylabel: str = "accuracy, %") -> Figure:
    """One panel per encoder: accuracy against the strength of a corruption, a line for each way to read its layers.

    Args:
        panels: by encoder, by way, values for strengths from 0 on, (6,).
        ylabel: what they are.
    """
    columns = len(panels) if len(panels) < 4 else 2
    fig = new_figure(WIDTH, 1.2 + 1.8 * ceil(len(panels) / columns))
    axes = grid_of_axes(fig, len(panels), columns, sharey=True)
    names = list(dict.fromkeys(name for of in panels.values() for name in of))
    colors = dict(zip(names, [PALETTE[7], *(PALETTE[i] for i in (1, 2, 0, 3, 4, 5, 9))], strict=False))
    for ax, (title, of) in zip(axes, panels.items(), strict=True):
        for name, values in of.items():
            ax.plot(range(len(values)), values, "-o", ms=3.5, lw=1.6, color=colors[name], label=name)
        ax.set_title(title)
    for ax in axes[-columns:]:
        ax.set_xlabel("strength")
    for ax in axes[::columns]:
        ax.set_ylabel(ylabel)
    handles = max((ax.get_legend_handles_labels() for ax in axes), key=lambda found: len(found[0]))
    fig.legend(*handles, loc="outside lower center", ncols=3, fontsize=SMALL)
    return fig


@styled
def regrets(by_kind: Mapping[str, Mapping[str, Estimate | None]]) -> Figure:
    """A row per way of choosing a layer: the points that its choice loses, with 95 % intervals.

    Args:
        by_kind: by kind of task, for each way an estimate, or None where it is not defined.
    """
    ways = list(dict.fromkeys(way for of in by_kind.values() for way in of))
    fig = new_figure(WIDTH, 0.9 + 0.3 * len(ways))
    ax = fig.subplots()
    heights = np.linspace(-0.17, 0.17, len(by_kind)) if len(by_kind) > 1 else [0.0]
    for (kind, of), height, color in zip(by_kind.items(), heights, (PALETTE[0], PALETTE[1]), strict=False):
        for y, way in enumerate(ways):
            if (found := of.get(way)) is not None:
                interval(ax, y + height, found, color)
        ax.plot([], [], "o", color=color, ms=6, label=kind)
    ax.axvline(0, color=FAINT, lw=0.8)
    names = [TITLES.get(way, way) for way in ways]
    ax.set(yticks=range(len(ways)), yticklabels=names, xlabel="points of accuracy lost against the best layer")
    ax.set_ylim(len(ways) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig
