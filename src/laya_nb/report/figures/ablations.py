"""What a setting does: a quantity of every run against the setting, with means and intervals."""

import re
from collections.abc import Hashable, Mapping, Sequence
from math import ceil

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from laya_nb.analysis.statistics import Comparison, estimate
from laya_nb.report.figures.style import (
    BAND,
    FAINT,
    INK,
    MEASURED,
    PAPER,
    SMALL,
    WIDTH,
    grid_of_axes,
    head_color,
    head_label,
    layer_colors,
    new_figure,
    styled,
)

APART = 0.12  # of the way to the next setting: runs stand this far left of their mark on the axis, means right of it


@styled
def against_setting(
    table: pd.DataFrame,
    setting: str,
    panels: Mapping[str, str],
    *,
    label: str,
    paper: Sequence[float] = (),
    log_y: bool = False,
) -> Figure:
    """One panel per quantity, below each other: a dot per run, right of the dots their mean with its 95 % interval.

    Args:
        table: one row per run.
        setting: the column on the x axis, spaced as its order, not its size.
        panels: columns to show, with the panels' titles.
        label: of the x axis.
        paper: settings that the paper tried, marked below the axis.
        log_y: logarithmic quantities, equal axes in all panels.
    """
    fig = new_figure(WIDTH, 0.6 + 1.65 * len(panels))
    axes = grid_of_axes(fig, len(panels), 1, sharex=True, sharey=log_y)
    settings = sorted(table[setting].unique())
    for ax, (column, title) in zip(axes, panels.items(), strict=True):
        if log_y:
            ax.set_yscale("log")
        _dots_and_means(ax, table, setting, settings, column, MEASURED)
        if table[column].between(0, 1).all():
            ax.set_ylim(-0.03, 1.03)
        ax.set_title(title)
    _settings_axis(axes[-1], settings, label, paper)
    return fig


def _dots_and_means(
    ax: Axes,
    table: pd.DataFrame,
    setting: str,
    settings: Sequence[float],
    column: str,
    color: str,
    shift: float = 0.0,
    apart: float = APART,
) -> None:
    """Every run as a dot, right of them each setting's mean with its interval.

    On a logarithmic axis the means are geometric.
    """
    logarithmic = ax.get_yscale() == "log"
    middles = []
    places = np.arange(len(settings)) + shift
    for x, value in zip(places, settings, strict=True):
        values = table.loc[table[setting] == value, column].to_numpy(dtype=float)
        ax.plot(np.full(len(values), x - apart), values, "o", ms=4, color=color, alpha=0.4, mew=0)
        if logarithmic:
            values = np.log(values)
        marks = [values.mean()]  # the mean, then the ends of its interval
        if len(values) > 1:
            found = estimate(values)
            marks += [found.low, found.high]
        middle, *ends = np.exp(marks) if logarithmic else marks
        middles.append(middle)
        ax.plot([x + apart] * len(ends), ends, color=color, lw=2, solid_capstyle="round")
    ax.plot(places + apart, middles, "-", lw=0.7, color=color, alpha=0.5)
    ax.plot(places + apart, middles, "o", ms=6, color=color, mec="white", mew=0.8)


def _settings_axis(ax: Axes, settings: Sequence[float], label: str, paper: Sequence[float]) -> None:
    ax.set_xticks(range(len(settings)), [f"{value:g}" for value in settings])
    ax.set(xlabel=label, xlim=(-0.5, len(settings) - 0.5))
    for tick, value in zip(ax.get_xticklabels(), settings, strict=True):
        if value in paper:
            tick.set(color=PAPER, fontweight="bold")


@styled
def agreement_between_runs(pairs: Mapping[float, np.ndarray], label: str, paper: Sequence[float] = ()) -> Figure:
    """For each setting, one dot per pair of runs (P,), right of them their mean, and a line at 0 for no agreement.

    Args:
        pairs: correlations by setting.
        label: of the x axis.
        paper: settings that the paper tried, marked below the axis.
    """
    fig = new_figure(WIDTH, 2.7)
    ax = fig.subplots()
    ax.axhline(0, color=FAINT, lw=0.8)
    for x, values in enumerate(pairs.values()):
        ax.plot(x + np.linspace(-0.3, 0.02, len(values)), values, "o", ms=4, color=FAINT, alpha=0.6, mew=0)
    means = [values.mean() for values in pairs.values()]
    places = np.arange(len(pairs)) + 0.2
    ax.plot(places, means, "-", lw=0.7, color=MEASURED, alpha=0.5)
    ax.plot(places, means, "o", ms=6, color=MEASURED, mec="white", mew=0.8)
    ax.set(ylim=(-1, 1), ylabel="correlation of two runs")
    _settings_axis(ax, list(pairs), label, paper)
    return fig


@styled
def gain_against_setting(
    table: pd.DataFrame, setting: str, comparisons: Mapping[float, Comparison], label: str
) -> Figure:
    """Top: accuracy of LAYA and LastLayer. Below: their difference, seeds paired. A dot per seed, means with intervals.

    Args:
        table: one row per run: "head", "seed", "accuracy" in percent, and the setting.
        setting: the column on the x axis.
        comparisons: LAYA against LastLayer for each setting, in points.
        label: of the x axis.
    """
    fig = new_figure(WIDTH, 4.8)
    top, bottom = grid_of_axes(fig, 2, 1, sharex=True, height_ratios=[1.2, 1])
    settings = sorted(comparisons)
    for head, shift in (("last_layer", -0.2), ("laya", 0.2)):
        runs = table[table["head"] == head]
        _dots_and_means(top, runs, setting, settings, "accuracy", head_color(head), shift, apart=0.07)
        top.plot([], [], "o", ms=6, color=head_color(head), label=head_label(head))
    top.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, borderpad=0.2, ncols=2)  # beside the title
    top.set_title("Accuracy, %")
    margin = next(iter(comparisons.values())).margin
    bottom.axhspan(-margin, margin, **BAND)
    bottom.axhline(0, color=FAINT, lw=0.8)
    for x, value in enumerate(settings):
        heads = table[table[setting] == value].pivot_table(index="seed", columns="head", values="accuracy")
        seeds = (heads["laya"] - heads["last_layer"]).to_numpy()
        bottom.plot(np.full(len(seeds), x - APART), seeds, "o", ms=4, color=FAINT, alpha=0.6, mew=0)
        d = comparisons[value].difference
        bottom.plot([x + APART] * 2, [d.low, d.high], color=INK, lw=2, solid_capstyle="round")
        bottom.plot(x + APART, d.mean, "o", ms=6, color=INK, mec="white", mew=0.8)
    bottom.set_title("LAYA - LastLayer, points")
    _settings_axis(bottom, settings, label, ())
    return fig


@styled
def mean_weights(panels: Mapping[str, tuple[Sequence[str], np.ndarray]]) -> Figure:
    """One panel per condition: the mean weight of each hidden state, one dot per run (S, K), a bar at their mean.

    Args:
        panels: by title, the names of the K hidden states and the runs' mean weights. A name ends in its layer's
            number, which decides its colour, so copies share one; states whose names start with "noise" are grey.
    """
    columns = min(len(panels), 2)
    fig = new_figure(WIDTH, 0.2 + 1.75 * ceil(len(panels) / columns))
    axes = grid_of_axes(fig, len(panels), columns, sharey=True)
    for ax, (title, (names, weights)) in zip(axes, panels.items(), strict=True):
        places = np.arange(len(names))
        numbers = [int(re.findall(r"\d+", name)[-1]) for name in names]
        palette = layer_colors(max(numbers))
        colors = [
            FAINT if name.startswith("noise") else palette[number - 1]
            for name, number in zip(names, numbers, strict=True)
        ]
        ax.bar(places, weights.mean(axis=0), color=colors, alpha=0.55, width=0.7)
        jitter = np.linspace(-0.2, 0.2, len(weights))
        for x, color in zip(places, colors, strict=True):
            ax.plot(x + jitter, weights[:, x], "o", ms=4.5, color=color, mec="white", mew=0.5, clip_on=False, zorder=3)
        ax.axhline(1 / len(names), color=INK, lw=0.8, ls=":")
        ax.set_xticks(places, names)
        ax.set(ylim=(0, 1))
        ax.set_title(title, pad=8)
    for ax in axes[::columns]:
        ax.set_ylabel("mean weight")
    return fig


@styled
def collapse_map(groups: Mapping[str, pd.DataFrame]) -> Figure:
    """Each run by two entropies: of its mean weights over all images, and of the weights of single images.

    Args:
        groups: by name, tables with the columns "profile_entropy" and "entropy", one row per run.
    """
    fig = new_figure(WIDTH, 4.6)
    ax = fig.subplots()
    for (name, table), color, marker in zip(
        groups.items(), sns.color_palette("colorblind", 10), "osD^vP*X<>", strict=False
    ):
        ax.plot(table["profile_entropy"], table["entropy"], marker, ms=6, color=color, mec="white", mew=0.5, label=name)
    ax.plot([0, 1], [0, 1], color=FAINT, lw=0.8, ls=":")
    for x, y, text in (
        (0.0, -0.13, "one layer for all images"),
        (1.0, -0.13, "one layer per image,\nnot always the same"),
        (0.92, 1.0, "uniform"),
    ):
        side = "left" if x == 0 else "right"
        ax.text(x, y, text, fontsize=SMALL, color=FAINT, ha=side, va="center", linespacing=1.0)
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.2, 1.05), yticks=np.linspace(0, 1, 6))
    ax.set(xlabel="entropy of the mean weights", ylabel="mean entropy of an image's weights")
    fig.legend(loc="outside lower center", ncols=3)
    return fig


@styled
def grid_choice(scores: pd.DataFrame, marked: Mapping[str, Hashable], by_luck: np.ndarray) -> Figure:
    """The settings of a grid from best to worst, against what luck alone would make of equal settings.

    A point is a setting's mean minus the mean of all settings; faint dots are its seeds, each minus that seed's mean of
    all settings. The band holds 95 % of the lucky draws of each rank.

    Args:
        scores: one row per setting, named by the index, one column per seed; in percent.
        marked: settings to point out, by the text to put beside them.
        by_luck: deviations of equal settings, best first (draws, settings), from `selection.ranked_by_luck`.
    """
    from_all = scores - scores.mean(axis=0)
    ordered = from_all.loc[from_all.mean(axis=1).sort_values(ascending=False, kind="stable").index]
    ranks = np.arange(1, len(ordered) + 1)
    fig = new_figure(WIDTH, 3.9)
    ax = fig.subplots()
    low, high = np.quantile(by_luck, [0.025, 0.975], axis=0)
    ax.fill_between(ranks, low, high, color="#808080", alpha=0.35, lw=0, label="by luck alone, 95 %")
    ax.axhline(0, color=FAINT, lw=0.8, zorder=0)
    for column, values in enumerate(ordered.to_numpy().T):
        label = "one seed" if column == 0 else None
        ax.plot(ranks, values, "o", ms=3, color=MEASURED, alpha=0.35, mew=0, label=label)
    ax.plot(ranks, ordered.mean(axis=1), "o", ms=5, color=MEASURED, mec="white", mew=0.5, label="mean of the seeds")
    places: dict[int, list[str]] = {}  # the texts of each marked rank
    for text, name in marked.items():
        if name in ordered.index:
            places.setdefault(int(ranks[list(ordered.index).index(name)]), []).append(text)
    top, step = float(ordered.to_numpy().max()), float(np.ptp(ordered.to_numpy())) * 0.09
    for i, (rank, notes) in enumerate(sorted(places.items(), reverse=True), start=1):
        mean, height = float(ordered.mean(axis=1).iloc[rank - 1]), top + i * step
        ax.plot([rank, rank], [mean, height], color=PAPER, lw=0.8)
        ax.plot(rank, mean, "o", ms=7, color=PAPER, mec="white", mew=0.8)
        ax.annotate(", ".join(notes), (rank, height), (3, 0), textcoords="offset points", va="center", color=PAPER)
    ax.set(xlabel="rank of the setting", ylabel="validation accuracy minus\nthe mean of all, points")
    ax.set_xticks([1, *(rank for rank in range(5, len(ranks) + 1, 5))])
    fig.legend(loc="outside lower center", ncols=3)
    return fig
