"""Where attention goes: by layer, by class, on right and wrong predictions."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from laya_nb.analysis.attention import EntropyEffect
from laya_nb.analysis.statistics import estimate
from laya_nb.report.figures.style import (
    FAINT,
    INK,
    MEASURED,
    PAPER,
    interval,
    layer_colors,
    new_figure,
    row_of_axes,
    styled,
)


@styled
def global_profile(profiles: np.ndarray, paper_last: float | None) -> Figure:
    """Mean attention of each layer: one dot per run (S, L), the mean over runs, the paper's last layer."""
    fig = new_figure(5.2, 2.5)
    ax = fig.subplots()
    layers = np.arange(profiles.shape[1])
    colors = layer_colors(len(layers))
    ax.bar(layers, profiles.mean(axis=0), color=colors, width=0.6, alpha=0.45)
    jitter = np.linspace(-0.16, 0.16, len(profiles))
    for i in layers:
        ax.plot(i + jitter, profiles[:, i], "o", ms=4, color=colors[i], mec="white", mew=0.5, clip_on=False)
    if paper_last is not None:
        ax.plot([layers[-1] - 0.38, layers[-1] + 0.38], [paper_last] * 2, color=PAPER, lw=1.5)
        ax.annotate("paper", (layers[-1] + 0.4, paper_last), va="center", color=PAPER, fontsize=8)
    ax.set(xticks=layers, xticklabels=[f"$h_{i + 1}$" for i in layers], ylabel="mean weight", ylim=(0, 1))
    return fig


@styled
def class_heatmaps(panels: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Class x layer heat maps, one per panel: the mean over runs of (S, C, L), the standard deviation below it."""
    fig = new_figure(7.4, 4.2)
    axes = row_of_axes(fig, len(panels), sharey=True)
    for ax, (title, profiles) in zip(axes, panels.items(), strict=True):
        mean, std = np.nanmean(profiles, axis=0), np.nanstd(profiles, axis=0, ddof=1)
        labels = np.array(
            [[f"{m:.2f}\n±{s:.2f}" for m, s in zip(*row, strict=True)] for row in zip(mean, std, strict=True)]
        )
        sns.heatmap(mean, ax=ax, annot=labels, fmt="", vmin=0, vmax=1, cmap="cividis", cbar=ax is axes[-1],
                    annot_kws={"fontsize": 6.5}, linewidths=1, linecolor="white",
                    cbar_kws={"label": "mean weight", "shrink": 0.6})  # fmt: skip
        ax.set_title(title)
        ax.set_xticklabels([f"$h_{i + 1}$" for i in range(mean.shape[1])])
        ax.tick_params(length=0)
    axes[0].set_yticklabels(classes, rotation=0)
    return fig


@styled
def profile_spread(profiles: np.ndarray, classes: Sequence[str], paper: np.ndarray | None) -> Figure:
    """For every class and layer, one dot per run (S, C, L), and the paper's value (C, L) as a cross."""
    fig = new_figure(7.4, 1.4 + 0.26 * len(classes))
    axes = row_of_axes(fig, profiles.shape[2], sharex=True, sharey=True)
    rows, colors = np.arange(len(classes)), layer_colors(len(axes))
    for i, ax in enumerate(axes):
        for profile in profiles:
            ax.plot(profile[:, i], rows, "o", ms=4, color=colors[i], alpha=0.55, mew=0)
        if paper is not None:
            ax.plot(paper[:, i], rows, "x", ms=6, color=PAPER, mew=1.6)
        ax.set_title(f"layer $h_{i + 1}$")
        ax.grid(axis="y", color="#eeeeee", lw=0.8)
        ax.set_axisbelow(True)
        ax.set(xlim=(-0.04, 1.04), xlabel="mean weight")
    axes[0].set(yticks=rows, yticklabels=classes)
    axes[0].set_ylim(len(classes) - 0.5, -0.5)
    axes[-1].plot([], [], "o", ms=4, color=FAINT, label="one of our runs")
    if paper is not None:
        axes[-1].plot([], [], "x", ms=6, color=PAPER, mew=1.6, label="paper")
    fig.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    return fig


@styled
def entropy_of_right_and_wrong(
    entropies: Sequence[tuple[np.ndarray, np.ndarray]], effects: Sequence[EntropyEffect]
) -> Figure:
    """Left: share of predictions below each entropy, right and wrong, one line per run. Right: the AUROC of each run.

    Args:
        entropies: for each run, those of right and of wrong predictions.
        effects: of the same runs.
    """
    fig = new_figure(7.2, 2.9)
    left, right = row_of_axes(fig, 2, width_ratios=[1.6, 1])
    grid = np.linspace(0, 1, 201)
    for side, color, label in ((0, MEASURED, "right"), (1, PAPER, "wrong")):
        curves = [np.searchsorted(np.sort(pair[side]), grid, side="right") / len(pair[side]) for pair in entropies]
        for curve in curves:
            left.plot(grid, curve, color=color, lw=0.6, alpha=0.4)
        left.plot(grid, np.mean(curves, axis=0), color=color, lw=2.2, label=f"{label} predictions")
    left.set(xlabel="entropy of attention (0 one layer, 1 uniform)", ylabel="share below", xlim=(0, 1), ylim=(0, 1))
    left.yaxis.set_major_formatter(PercentFormatter(1))
    left.legend(loc="lower right", fontsize=8)
    left.set_title("How diffuse attention is")
    values = np.array([effect.auroc for effect in effects])
    right.plot(values, np.linspace(-0.25, 0.25, len(values)), "o", ms=4, color=FAINT, alpha=0.7, mew=0)
    interval(right, 0.5, estimate(values), INK)
    right.axvline(0.5, color=FAINT, lw=0.8, ls=":")
    right.text(0.5, 0.95, " no effect", fontsize=7, color="#555555", va="top")
    right.set(
        ylim=(-0.6, 1), yticks=[], xlim=(0.45, 1), xlabel="chance that a wrong prediction\nhas the higher entropy"
    )
    right.spines["left"].set_visible(False)
    right.set_title("Effect, one dot per run")
    return fig
