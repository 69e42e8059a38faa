"""What a setting does: a quantity of every run against the setting, with means and intervals."""

from collections.abc import Hashable, Mapping, Sequence
from math import ceil

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from laya_nb.analysis.statistics import Comparison, estimate
from laya_nb.report.figures.style import (
    FAINT,
    INK,
    MEASURED,
    PAPER,
    head_color,
    head_label,
    new_figure,
    row_of_axes,
    styled,
)


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
    """One panel per quantity: one dot per run, the mean of each setting with its 95 % interval.

    Args:
        table: one row per run.
        setting: the column on the x axis, spaced as its order, not its size.
        panels: columns to show, with the panels' titles.
        label: of the x axis.
        paper: settings that the paper tried, marked below the axis.
        log_y: logarithmic quantities, equal axes in all panels.
    """
    fig = _panels(len(panels))
    axes = row_of_axes(fig, len(panels), sharey=log_y)
    settings = sorted(table[setting].unique())
    for ax, (column, title) in zip(axes, panels.items(), strict=True):
        if log_y:
            ax.set_yscale("log")
        _dots_and_means(ax, table, setting, settings, column, MEASURED)
        if table[column].between(0, 1).all():
            ax.set_ylim(-0.03, 1.03)
        ax.set_title(title)
        _settings_axis(ax, settings, label, paper)
    return fig


def _panels(count: int) -> Figure:
    return new_figure(7.4 if count > 1 else 4.6, 2.6)


def _dots_and_means(
    ax: Axes, table: pd.DataFrame, setting: str, settings: Sequence[float], column: str, color: str, shift: float = 0.0
) -> None:
    """Every run as a dot, each setting's mean with its interval. On a logarithmic axis the means are geometric."""
    logarithmic = ax.get_yscale() == "log"
    middles = []
    places = np.arange(len(settings)) + shift
    for x, value in zip(places, settings, strict=True):
        values = table.loc[table[setting] == value, column].to_numpy(dtype=float)
        ax.plot(np.full(len(values), x), values, "o", ms=3.5, color=color, alpha=0.4, mew=0)
        if logarithmic:
            values = np.log(values)
        marks = [values.mean()]  # the mean, then the ends of its interval
        if len(values) > 1:
            found = estimate(values)
            marks += [found.low, found.high]
        middle, *ends = np.exp(marks) if logarithmic else marks
        middles.append(middle)
        ax.plot([x] * len(ends), ends, color=color, lw=1.6, alpha=0.8)
    ax.plot(places, middles, "-o", ms=5, lw=1, color=color, mec="white", mew=0.7)


def _settings_axis(ax: Axes, settings: Sequence[float], label: str, paper: Sequence[float]) -> None:
    ax.set_xticks(range(len(settings)), [f"{value:g}" for value in settings], fontsize=7.5)
    ax.set_xlabel(label)
    for tick, value in zip(ax.get_xticklabels(), settings, strict=True):
        if value in paper:
            tick.set(color=PAPER, fontweight="bold")


@styled
def agreement_between_runs(pairs: Mapping[float, np.ndarray], label: str, paper: Sequence[float] = ()) -> Figure:
    """For each setting, one dot per pair of runs (P,), their mean, and a line at 0 for no agreement.

    Args:
        pairs: correlations by setting.
        label: of the x axis.
        paper: settings that the paper tried, marked below the axis.
    """
    fig = new_figure(5.4, 2.6)
    ax = fig.subplots()
    ax.axhline(0, color=FAINT, lw=0.8)
    for x, values in enumerate(pairs.values()):
        ax.plot(x + np.linspace(-0.15, 0.15, len(values)), values, "o", ms=3.5, color=FAINT, alpha=0.6, mew=0)
    means = [values.mean() for values in pairs.values()]
    ax.plot(range(len(pairs)), means, "-o", ms=5, lw=1, color=MEASURED, mec="white", mew=0.7)
    ax.set(ylim=(-1, 1), ylabel="correlation of two runs")
    _settings_axis(ax, list(pairs), label, paper)
    return fig


@styled
def gain_against_setting(
    table: pd.DataFrame, setting: str, comparisons: Mapping[float, Comparison], label: str
) -> Figure:
    """Left: accuracy of LAYA and LastLayer. Right: their difference, seeds paired, one dot per seed, with its interval.

    Args:
        table: one row per run: "head", "seed", "accuracy" in percent, and the setting.
        setting: the column on the x axis.
        comparisons: LAYA against LastLayer for each setting, in points.
        label: of the x axis.
    """
    fig = new_figure(7.2, 2.8)
    left, right = row_of_axes(fig, 2)
    settings = sorted(comparisons)
    for head, shift in (("last_layer", -0.12), ("laya", 0.12)):
        runs = table[table["head"] == head]
        _dots_and_means(left, runs, setting, settings, "accuracy", head_color(head), shift)
        left.plot([], [], "-o", color=head_color(head), label=head_label(head))
    left.legend(fontsize=8)
    left.set_title("Accuracy, %")
    margin = next(iter(comparisons.values())).margin
    right.axhspan(-margin, margin, color="#eeeeee", zorder=0)
    right.axhline(0, color=FAINT, lw=0.8)
    for x, value in enumerate(settings):
        heads = table[table[setting] == value].pivot_table(index="seed", columns="head", values="accuracy")
        seeds = (heads["laya"] - heads["last_layer"]).to_numpy()
        right.plot(np.full(len(seeds), x), seeds, "o", ms=3.5, color=FAINT, alpha=0.6, mew=0)
        d = comparisons[value].difference
        right.plot([x, x], [d.low, d.high], color=INK, lw=1.6)
        right.plot(x, d.mean, "o", ms=5, color=INK, mec="white", mew=0.7)
    right.set_title("LAYA - LastLayer, points")
    for ax in (left, right):
        _settings_axis(ax, settings, label, ())
    return fig


@styled
def mean_weights(panels: Mapping[str, tuple[Sequence[str], np.ndarray]]) -> Figure:
    """One panel per condition: the mean weight of each hidden state, one dot per run (S, K), a bar at their mean.

    Args:
        panels: by title, the names of the K hidden states and the runs' mean weights. Names that start with
            "noise" are drawn grey.
    """
    rows = ceil(len(panels) / 4)
    columns = ceil(len(panels) / rows)
    fig = new_figure(7.4, 0.5 + 1.9 * rows)
    axes = fig.subplots(rows, columns, sharey=True, squeeze=False)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (title, (names, weights)) in zip(axes.flat, panels.items(), strict=False):
        places = np.arange(len(names))
        colors = [FAINT if name.startswith("noise") else MEASURED for name in names]
        ax.bar(places, weights.mean(axis=0), color=colors, alpha=0.4, width=0.7)
        jitter = np.linspace(-0.2, 0.2, len(weights))
        for x, color in zip(places, colors, strict=True):
            ax.plot(x + jitter, weights[:, x], "o", ms=3.5, color=color, mec="white", mew=0.4, clip_on=False, zorder=3)
        ax.axhline(1 / len(names), color=INK, lw=0.7, ls=":")
        ax.set_xticks(places, names, fontsize=7.5)
        ax.set(ylim=(0, 1))
        ax.set_title(title, fontsize=8.5)
    for ax in axes[:, 0]:
        ax.set_ylabel("mean weight")
    return fig


@styled
def profiles_side_by_side(panels: Mapping[str, tuple[Sequence[str], np.ndarray]], classes: Sequence[str]) -> Figure:
    """Heat maps of single runs: class x hidden state, one per panel.

    Args:
        panels: by title, the names of the K hidden states and the profile (C, K).
        classes: the C names of the rows.
    """
    fig = new_figure(7.2, 3.6)
    axes = row_of_axes(fig, len(panels), sharey=True)
    for ax, (title, (names, profile)) in zip(axes, panels.items(), strict=True):
        sns.heatmap(profile, ax=ax, annot=True, fmt=".2f", vmin=0, vmax=1, cmap="cividis", cbar=ax is axes[-1],
                    annot_kws={"fontsize": 7}, linewidths=1, linecolor="white",
                    cbar_kws={"label": "mean weight", "shrink": 0.7})  # fmt: skip
        ax.set_title(title, fontsize=9)
        ax.set_xticklabels(names)
        ax.tick_params(length=0)
    axes[0].set_yticklabels(classes, rotation=0)
    return fig


@styled
def collapse_map(groups: Mapping[str, pd.DataFrame]) -> Figure:
    """Each run by two entropies: of its mean weights over all images, and of the weights of single images.

    Args:
        groups: by name, tables with the columns "profile_entropy" and "entropy", one row per run.
    """
    fig = new_figure(5.6, 3.8)
    ax = fig.subplots()
    for (name, table), color, marker in zip(
        groups.items(), sns.color_palette("colorblind", 10), "osD^vP*X<>", strict=False
    ):
        ax.plot(table["profile_entropy"], table["entropy"], marker, ms=5, color=color, mec="white", mew=0.4, label=name)
    ax.plot([0, 1], [0, 1], color=FAINT, lw=0.8, ls=":")
    for x, y, text in (
        (0.0, -0.12, "one layer for all images"),
        (1.0, -0.12, "one layer per image,\nnot always the same"),
        (0.93, 1.0, "uniform"),
    ):
        side = "left" if x == 0 else "right"
        ax.text(x, y, text, fontsize=8, color="#555555", ha=side, va="center", linespacing=0.9)
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.19, 1.05), yticks=np.linspace(0, 1, 6))
    ax.set(xlabel="entropy of the mean weights", ylabel="mean entropy of an image's weights")
    fig.legend(loc="outside right upper", fontsize=8)
    return fig


@styled
def grid_choice(scores: pd.DataFrame, marked: Mapping[str, Hashable]) -> Figure:
    """Every setting of a grid by its score: one dot per seed, a bar at the mean, best on top.

    Args:
        scores: one row per setting, named by the index, one column per seed; in percent.
        marked: settings to point out, by the text to put beside them.
    """
    ordered = scores.loc[scores.mean(axis=1).sort_values().index]
    fig = new_figure(7.0, 0.8 + 0.15 * len(ordered))
    ax = fig.subplots()
    for y, (setting, values) in enumerate(ordered.iterrows()):
        notes = [text for text, name in marked.items() if name == setting]
        color = PAPER if notes else MEASURED
        ax.plot(values, np.full(len(values), y), "o", ms=3.5, color=color, alpha=0.5, mew=0)
        ax.plot(values.mean(), y, "|", ms=8, mew=2, color=color)
        if notes:
            ax.annotate(", ".join(notes), (scores.to_numpy().max(), y), (8, 0), textcoords="offset points",
                        va="center", fontsize=8, color=color, annotation_clip=False)  # fmt: skip
    ax.set_yticks(range(len(ordered)), [str(name) for name in ordered.index], fontsize=6.5)
    ax.set(xlabel="validation accuracy, %", ylim=(-1, len(ordered)))
    return fig
