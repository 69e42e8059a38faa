"""Heads against each other."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from laya_nb.analysis.statistics import Comparison, estimate
from laya_nb.report.figures.style import (
    FAINT,
    PAPER,
    head_color,
    head_label,
    interval,
    layer_colors,
    new_figure,
    row_of_axes,
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
    fig = new_figure(7.2, 3.1)
    left, right = row_of_axes(fig, 2, sharey=True, width_ratios=[1.15, 1])
    heads = list(dict.fromkeys(table["head"]))
    reference = next(head for head in heads if head not in comparisons)
    for y, head in enumerate(heads):
        values = table.loc[table["head"] == head, "accuracy"].to_numpy()
        left.plot(values, np.full(len(values), y - 0.12), "o", ms=4, color=head_color(head), alpha=0.5, mew=0)
        interval(left, y + 0.08, estimate(values), head_color(head))
        if head in paper:
            mean, std = paper[head]
            left.errorbar(mean, y + 0.3, xerr=std, fmt="D", ms=3, color=PAPER, lw=0.8, capsize=2)
        if head in comparisons:
            interval(right, y, comparisons[head].difference, head_color(head))
    left.plot([], [], "o", ms=3, color=FAINT, label="one seed")
    left.errorbar([], [], xerr=[], fmt="o", color=FAINT, ms=5, label="mean, 95 % interval")
    left.errorbar([], [], xerr=[], fmt="D", ms=3, color=PAPER, lw=0.8, capsize=2, label="paper: mean ± std")
    left.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, columnspacing=1, handletextpad=0.3)
    left.set(yticks=range(len(heads)), yticklabels=[head_label(head) for head in heads], xlabel="test accuracy, %")
    left.set_title("Accuracy")
    left.set_ylim(len(heads) - 0.5, -0.5)
    margin = next(iter(comparisons.values())).margin
    right.axvspan(-margin, margin, color="#eeeeee", zorder=0)
    right.axvline(0, color=FAINT, lw=0.8)
    right.set(xlabel=f"points of accuracy above {head_label(reference)}\n(grey: ±{margin:g}, too small to matter)")
    right.set_title("Difference, same seeds")
    right.tick_params(left=False)
    return fig


@styled
def probes_and_heads(probes: Mapping[str, np.ndarray], heads: Mapping[str, np.ndarray]) -> Figure:
    """Accuracy in percent, one row per reader: probes of single layers, then heads. Dots are seeds, with intervals.

    Args:
        probes: by label, the first layer first; each (S,).
        heads: by name; each (S,).
    """
    rows = len(probes) + len(heads)
    fig = new_figure(5.6, 0.8 + 0.28 * rows)
    ax = fig.subplots()
    colors = [*layer_colors(len(probes)), *(head_color(head) for head in heads)]
    for y, (values, color) in enumerate(zip([*probes.values(), *heads.values()], colors, strict=True)):
        ax.plot(values, np.full(len(values), y - 0.2), "o", ms=3.5, color=color, alpha=0.5, mew=0)
        interval(ax, y + 0.1, estimate(values), color)
    ax.axhline(len(probes) - 0.5, color=FAINT, lw=0.8)
    ax.set(yticks=range(rows), yticklabels=[*probes, *(head_label(head) for head in heads)], xlabel="test accuracy, %")
    ax.set_ylim(rows - 0.4, -0.6)
    return fig
