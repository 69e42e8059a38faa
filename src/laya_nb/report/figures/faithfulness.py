"""What the weights tell of a prediction, and what is left without some layers."""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
from matplotlib.figure import Figure

from laya_nb.analysis.statistics import Estimate
from laya_nb.report.figures.style import (
    FAINT,
    INK,
    PALETTE,
    SMALL,
    WIDTH,
    grid_of_axes,
    interval,
    layer_colors,
    new_figure,
    styled,
)

COLUMNS = 3
ORDERS = {
    "attention": (PALETTE[3], "o"),
    "contribution": (PALETTE[0], "s"),
    "Shapley": (PALETTE[1], "D"),
    "block influence": (PALETTE[4], "^"),
    "deepest first": (PALETTE[2], "v"),
    "best subset": (INK, "X"),
    "random": (FAINT, "P"),
}
"""The orders in which layers are removed, with colour and marker."""


@styled
def rankings_of_layers(panels: Mapping[str, Mapping[str, Estimate]], marked: str, xlabel: str) -> Figure:
    """One panel per network: how much each ranking of layers has, with 95 % intervals.

    Args:
        panels: by network, by ranking.
        marked: the ranking that the figure is about.
        xlabel: what is shown, and its unit.
    """
    names = list(next(iter(panels.values())))
    columns = min(COLUMNS, len(panels))
    fig = new_figure(WIDTH, 0.6 + (0.7 + 0.19 * len(names)) * ceil(len(panels) / columns))
    axes = grid_of_axes(fig, len(panels), columns, sharey=True)
    for ax, (title, rankings) in zip(axes, panels.items(), strict=True):
        for y, name in enumerate(names):
            interval(ax, y, rankings[name], PALETTE[3] if name == marked else FAINT)
        ax.set_title(title.replace(", ", ",\n"), fontsize=SMALL)
        ax.set(yticks=range(len(names)), yticklabels=names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.set_xlim(left=min(0, *ax.get_xlim()))
        ax.tick_params(labelsize=SMALL)
    fig.supxlabel(xlabel, fontsize=9)
    return fig


@styled
def direct_and_total(panels: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """One panel per network: for each layer its mean weight, its direct and its total effect.

    Args:
        panels: by network, by what is shown, values of S runs (S, L).
    """
    columns = min(COLUMNS, len(panels))
    fig = new_figure(WIDTH, 0.6 + 1.9 * ceil(len(panels) / columns))
    axes = grid_of_axes(fig, len(panels), columns, sharey=True)
    for ax, (title, shown) in zip(axes, panels.items(), strict=True):
        for (name, values), color, marker in zip(shown.items(), (FAINT, PALETTE[0], PALETTE[3]), "soD", strict=True):
            layers = np.arange(1, values.shape[1] + 1)
            for one in values:
                ax.plot(layers, one, color=color, lw=0.6, alpha=0.35)
            ax.plot(layers, values.mean(axis=0), color=color, lw=1.6, marker=marker, ms=5, label=name)
        ax.set_title(title.replace(", ", ",\n"), fontsize=SMALL)
        ax.set(xticks=layers, ylim=(-0.05, 1.05))
        ax.tick_params(labelsize=SMALL)
    for ax in axes[-columns:]:
        ax.set_xlabel("layer", fontsize=SMALL)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


@styled
def pruning_curves(
    panels: Mapping[str, Mapping[str, np.ndarray]], ylabel: str, one_scale: bool = False, parts: str = "layers"
) -> Figure:
    """One panel per network: accuracy against the number of layers that are left, a line for each order of removal.

    Args:
        panels: by network, by order, accuracies of S runs in percent, (S, L), from all L layers down to one.
        ylabel: what is shown, and its unit.
        one_scale: panels side by side have the same accuracies.
        parts: what is removed one by one.
    """
    columns = min(2, len(panels))
    fig = new_figure(WIDTH, 0.7 + 1.8 * ceil(len(panels) / columns))
    axes = grid_of_axes(fig, len(panels), columns, sharey="row" if one_scale else False)
    handles = {}
    for ax, (title, shown) in zip(axes, panels.items(), strict=True):
        for order, values in shown.items():
            left = np.arange(values.shape[1], 0, -1)
            color, marker = ORDERS[order]
            style = {"color": color, "marker": marker, "ms": 4.5}
            handles[order] = ax.plot(left, np.nanmean(values, axis=0), lw=1.5, **style)[0]
        ax.set_title(title, fontsize=SMALL)
        ax.set_xticks(left if len(left) <= 8 else [len(left), *range(6 * ((len(left) - 1) // 6), 0, -6), 1])
        ax.invert_xaxis()
        ax.tick_params(labelsize=SMALL)
    for ax in axes[-columns:]:
        ax.set_xlabel(f"{parts} left", fontsize=SMALL)
    fig.supylabel(ylabel, fontsize=9)
    fig.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=3)
    return fig


@styled
def one_prediction(weights: np.ndarray, contributions: np.ndarray, titles: Sequence[str]) -> Figure:
    """For a few predictions, what each layer weighs and what it adds to the margin: two bars for each layer.

    Args:
        weights: (N, L), shares.
        contributions: (N, L), to the margin.
        titles: what each prediction is.
    """
    layers = weights.shape[1]
    fig = new_figure(WIDTH, 2.3)
    rows = fig.subplots(2, len(titles), sharey="row", sharex=True, squeeze=False)
    for axes, values, what in zip(rows, (weights, contributions), ("weight", "adds to margin"), strict=True):
        for ax, one in zip(axes, values, strict=True):
            ax.bar(range(layers), one, color=layer_colors(layers))
            ax.axhline(0, color=FAINT, lw=0.8)
            ax.set_xticks(range(layers), [f"$h_{i + 1}$" for i in range(layers)])
            ax.tick_params(labelsize=SMALL)
        axes[0].set_ylabel(what, fontsize=SMALL)
    for ax, title in zip(rows[0], titles, strict=True):
        ax.set_title(title, fontsize=SMALL)
    return fig
