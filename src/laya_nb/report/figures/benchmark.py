"""Heads against each other."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from laya_nb.analysis.statistics import Comparison, estimate
from laya_nb.report.figures.style import (
    BAND,
    FAINT,
    PAPER,
    WIDTH,
    grid_of_axes,
    head_color,
    head_label,
    interval,
    layer_colors,
    new_figure,
    styled,
)


@styled
def accuracy_and_differences(
    table: pd.DataFrame, comparisons: Mapping[str, Comparison], paper: Mapping[str, tuple[float, float]]
) -> Figure:
    """Left: accuracy of every seed, mean with interval, the paper's mean ± std. Right: differences, seeds paired.

    Args:
        table: one row per run: "head", "seed", "accuracy" in percent.
        comparisons: each head but the reference against the reference, in points.
        paper: by head, the published mean and standard deviation in percent.
    """
    heads = list(dict.fromkeys(table["head"]))
    fig = new_figure(WIDTH, 1.6 + 0.46 * len(heads))
    left, right = grid_of_axes(fig, 2, 2, sharey=True)
    reference = next(head for head in heads if head not in comparisons)
    for y, head in enumerate(heads):
        values = table.loc[table["head"] == head, "accuracy"].to_numpy()
        left.plot(values, np.full(len(values), y - 0.26), "o", ms=4.5, color=head_color(head), alpha=0.4, mew=0)
        interval(left, y, estimate(values), head_color(head))
        if head in paper:
            mean, std = paper[head]
            left.errorbar(mean, y + 0.26, xerr=std, fmt="D", ms=4, color=PAPER, lw=1, capsize=2.5)
        if head in comparisons:
            interval(right, y, comparisons[head].difference, head_color(head))
        for ax in (left, right):
            ax.axhline(y + 0.5, color=FAINT, lw=0.6, alpha=0.4)
    left.set(yticks=range(len(heads)), yticklabels=[head_label(head) for head in heads], xlabel="test accuracy, %")
    left.set_title("Accuracy")
    left.set_ylim(len(heads) - 0.5, -0.5)
    margin = next(iter(comparisons.values())).margin
    right.axvspan(-margin, margin, **BAND, label=f"±{margin:g}: too small to matter")
    right.axvline(0, color=FAINT, lw=0.8)
    right.set(xlabel=f"points above {head_label(reference)}")
    right.set_title("Difference, same seeds")
    right.margins(x=0.1)
    for ax in (left, right):
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
    left.plot([], [], "o", ms=4.5, color=FAINT, alpha=0.6, mew=0, label="one seed")
    left.errorbar([], [], xerr=[], fmt="o", color=FAINT, ms=6, lw=2, label="mean, 95 % interval")
    if paper:
        left.errorbar([], [], xerr=[], fmt="D", ms=4, color=PAPER, lw=1, capsize=2.5, label="paper: mean ± std")
    fig.legend(loc="outside lower center", ncols=2)
    return fig


@styled
def probes_and_heads(probes: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray]) -> Figure:
    """Accuracy in percent, one row per reader: probes of single layers, then heads. Dots are seeds, with intervals.

    Args:
        probes: by label, the first layer first; each (S,).
        heads: by name; each (S,).
    """
    rows = len(probes) + len(heads)
    fig = new_figure(WIDTH, 0.7 + 0.32 * rows)
    ax = fig.subplots()
    colors = [*layer_colors(len(probes)), *(head_color(head) for head in heads)]
    for y, (values, color) in enumerate(zip([*probes.values(), *heads.values()], colors, strict=True)):
        ax.plot(values, np.full(len(values), y - 0.22), "o", ms=4, color=color, alpha=0.5, mew=0)
        interval(ax, y + 0.14, estimate(values), color)
    ax.axhline(len(probes) - 0.5, color=FAINT, lw=0.8)
    ax.set(yticks=range(rows), yticklabels=[*probes, *(head_label(head) for head in heads)], xlabel="test accuracy, %")
    ax.set_ylim(rows - 0.4, -0.6)
    return fig
