"""Where attention goes: by layer, by class, on right and wrong predictions."""

from collections.abc import Mapping, Sequence
from math import ceil

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from laya_nb.analysis.attention import EntropyEffect
from laya_nb.analysis.statistics import estimate
from laya_nb.report.figures.style import (
    FAINT,
    INK,
    MEASURED,
    PAPER,
    SMALL,
    WIDTH,
    grid_of_axes,
    interval,
    layer_colors,
    new_figure,
    styled,
)

HEAT = mpl.colormaps["YlGnBu"].with_extremes(bad="#cccccc")  # no weight is nearly white, no examples grey


@styled
def global_profile(profiles: np.ndarray, paper_last: float | None) -> Figure:
    """Mean attention of each layer: one dot per run (S, L), the mean over runs, the paper's last layer."""
    fig = new_figure(WIDTH, 2.5)
    ax = fig.subplots()
    layers = np.arange(profiles.shape[1])
    colors = layer_colors(len(layers))
    ax.bar(layers, profiles.mean(axis=0), color=colors, width=0.6, alpha=0.45)
    jitter = np.linspace(-0.2, 0.2, len(profiles))
    for i in layers:
        ax.plot(i + jitter, profiles[:, i], "o", ms=5, color=colors[i], mec="white", mew=0.5, clip_on=False, zorder=3)
    if paper_last is not None:
        ax.plot([layers[-1] - 0.38, layers[-1] + 0.38], [paper_last] * 2, color=PAPER, lw=1.8)
        ax.annotate("paper", (layers[-1] + 0.42, paper_last), va="center", color=PAPER)
    ax.set(xticks=layers, xticklabels=[f"$h_{i + 1}$" for i in layers], ylabel="mean weight", ylim=(0, 1))
    return fig


@styled
def class_heatmaps(
    panels: Mapping[str, tuple[Sequence[str], np.ndarray]],
    classes: Sequence[str],
    numbers: Sequence[str] = (),
    top: float | None = 1.0,
    across: int = 4,
    label: str = "mean weight",
) -> Figure:
    """Heat maps of mean weights, class (or task) x hidden state, one per panel, on one colour scale.

    Args:
        panels: by title, the names of the K hidden states and the profile (C, K). NaN, a class without examples, is
            grey; a state with an empty name has none written.
        classes: the C names of the rows.
        numbers: titles of the panels whose cells say their value.
        top: the weight that has the darkest colour; None: the largest of all.
        across: panels side by side, at most.
        label: what is shown.
    """
    columns = min(len(panels), across)
    height = 0.2 if set(numbers) & set(panels) else 0.165  # of a cell
    rows = ceil(len(panels) / columns)
    top = float(np.nanmax([np.nanmax(profile) for _, profile in panels.values()])) if top is None else top
    fig = new_figure(WIDTH, 0.7 + rows * (0.5 + height * len(classes)))
    axes = grid_of_axes(fig, len(panels), columns)
    for i, (ax, (title, (names, profile))) in enumerate(zip(axes, panels.items(), strict=True)):
        cells = ax.pcolormesh(np.ma.masked_invalid(profile), vmin=0, vmax=top, cmap=HEAT, edgecolors="white", lw=0.8)
        if title in numbers:
            for (row, column), value in np.ndenumerate(profile):
                if np.isfinite(value):
                    color = "white" if value > 0.55 else INK
                    place = (column + 0.5, row + 0.5)
                    ax.annotate(f"{value:.2f}", place, ha="center", va="center", fontsize=SMALL, color=color)
        ax.set_title(title)
        ax.set_xticks(np.arange(len(names)) + 0.5, names)
        ax.set_yticks(np.arange(len(classes)) + 0.5, classes if i % columns == 0 else [""] * len(classes))
        ax.set_ylim(len(classes), 0)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    bar = fig.colorbar(cells, ax=axes, location="bottom", label=label, shrink=0.6, aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    return fig


@styled
def profile_spread(profiles: np.ndarray, classes: Sequence[str], paper: np.ndarray | None) -> Figure:
    """For every class and layer, one dot per run (S, C, L), and the paper's value (C, L) as a cross.

    The dots of a row lie at the heights of their runs, the same in every row.
    """
    layers = profiles.shape[2]
    columns = min(layers, 3)
    fig = new_figure(WIDTH, 0.5 + ceil(layers / columns) * (0.6 + 0.3 * len(classes)))
    axes = grid_of_axes(fig, layers, columns, sharey=True, gridspec_kw={"wspace": 0.08})
    rows, colors = np.arange(len(classes)), layer_colors(layers)
    jitter = np.linspace(-0.25, 0.25, len(profiles))
    for i, ax in enumerate(axes):
        for height, profile in zip(jitter, profiles, strict=True):
            ax.plot(profile[:, i], rows + height, "o", ms=4, color=colors[i], alpha=0.6, mew=0, clip_on=False)
        if paper is not None:
            ax.plot(paper[:, i], rows, "x", ms=7, color=PAPER, mew=1.8, clip_on=False)
        ax.set_title(f"layer $h_{i + 1}$")
        for row in rows[:-1]:
            ax.axhline(row + 0.5, color=FAINT, lw=0.6, alpha=0.4)
        ax.set(xlim=(-0.04, 1.04), xlabel="mean weight", xticks=[0, 0.5, 1], xticklabels=["0", "0.5", "1"])
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
    axes[0].set(yticks=rows, yticklabels=classes)
    axes[0].set_ylim(len(classes) - 0.5, -0.5)
    axes[-1].plot([], [], "o", ms=4, color=FAINT, label="one of our runs")
    if paper is not None:
        axes[-1].plot([], [], "x", ms=7, color=PAPER, mew=1.8, label="paper")
    fig.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


@styled
def entropy_of_right_and_wrong(
    entropies: Sequence[tuple[np.ndarray, np.ndarray]], effects: Sequence[EntropyEffect]
) -> Figure:
    """Top: share of predictions below each entropy, right and wrong, one line per run. Below: the AUROC of each run.

    Args:
        entropies: for each run, those of right and of wrong predictions.
        effects: of the same runs.
    """
    fig = new_figure(WIDTH, 4.4)
    top, bottom = grid_of_axes(fig, 2, 1, height_ratios=[2.4, 1])
    grid = np.linspace(0, 1, 201)
    for side, color, label in ((0, MEASURED, "right"), (1, PAPER, "wrong")):
        curves = [np.searchsorted(np.sort(pair[side]), grid, side="right") / len(pair[side]) for pair in entropies]
        for curve in curves:
            top.plot(grid, curve, color=color, lw=0.6, alpha=0.4)
        top.plot(grid, np.mean(curves, axis=0), color=color, lw=2.2, label=f"{label} predictions")
    top.set(xlabel="entropy of attention (0 one layer, 1 uniform)", ylabel="share below", xlim=(0, 1), ylim=(0, 1))
    top.yaxis.set_major_formatter(PercentFormatter(1))
    top.legend(loc="lower right")
    top.set_title("How diffuse attention is")
    values = np.array([effect.auroc for effect in effects])
    bottom.plot(values, np.linspace(-0.3, 0.3, len(values)), "o", ms=4.5, color=FAINT, alpha=0.7, mew=0)
    interval(bottom, 0.65, estimate(values), INK)
    bottom.axvline(0.5, color=FAINT, lw=0.8, ls=":")
    bottom.text(0.495, 0.65, "no effect", fontsize=SMALL, color=FAINT, va="center", ha="right")
    bottom.set(ylim=(1, -0.6), yticks=[], xlabel="chance that a wrong prediction has the higher entropy")
    bottom.set_xlim(min(0.4, values.min() - 0.05), 1)
    bottom.spines["left"].set_visible(False)
    bottom.set_title("Effect, one dot per run")
    return fig
