"""Every figure of the book: one function each, from numbers to a Matplotlib figure, in one style.

Figures are drawn without pyplot, so a notebook shows each once: as the value of its cell.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from io import BytesIO
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import PercentFormatter

from laya_nb.attribution import EntropyEffect
from laya_nb.runs import HEAD_LABELS
from laya_nb.statistics import Comparison, Estimate, estimate

_PALETTE = sns.color_palette("colorblind").as_hex()
HEAD_COLORS = dict(zip(HEAD_LABELS, [_PALETTE[7], _PALETTE[5], _PALETTE[2], _PALETTE[1], _PALETTE[0]], strict=True))
LAYER_COLORS = [_PALETTE[9], _PALETTE[4], _PALETTE[0]]
INK, FAINT, PAPER = "#222222", "#8a8a8a", _PALETTE[3]

STYLE: dict[Any, Any] = {
    "figure.dpi": 144,
    "figure.facecolor": "white",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.grid": False,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": INK,
    "ytick.color": INK,
}

_P = ParamSpec("_P")


def _styled(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
    @wraps(draw)
    def styled(*args: _P.args, **kwargs: _P.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return styled


class BookFigure(Figure):
    """A figure that shows itself in a notebook, whatever Matplotlib backend the notebook has."""

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()


def _figure(width: float = 7.0, height: float = 3.0) -> Figure:
    return BookFigure(figsize=(width, height), layout="constrained")


def _row(fig: Figure, columns: int, **options: Any) -> list[Axes]:
    return list(fig.subplots(1, columns, squeeze=False, **options)[0])


@_styled
def head_diagram() -> Figure:
    """LAYA in one picture: hidden states, adapters, scorer, weights, the weighted sum, the class."""
    fig = _figure(7.2, 3.4)
    ax = fig.subplots()
    ax.set(xlim=(0, 14.4), ylim=(-0.2, 6.6))
    ax.axis("off")

    def box(x: float, y: float, text: str, color: str, width: float, height: float = 0.9) -> None:
        style = "round,pad=0.04,rounding_size=0.15"
        ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, fc=color, ec=INK, lw=0.8))
        ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=9)

    def arrow(start: tuple[float, float], end: tuple[float, float], **options: Any) -> None:
        look: dict[str, Any] = {
            "arrowstyle": "-|>",
            "mutation_scale": 9,
            "lw": 0.9,
            "color": INK,
            "shrinkA": 0,
            "shrinkB": 0,
        } | options
        ax.add_patch(FancyArrowPatch(start, end, **look))

    pale = ["#d9eef7", "#f3dcec", "#cfe3f1"]
    weights = [0.1, 0.2, 0.7]
    for i, y in enumerate((1.9, 3.5, 5.1)):
        middle = y + 0.45
        box(0.4, y, f"layer {i + 1}", "#f2f2f2", width=1.6)
        box(2.9, y, f"$h_{i + 1}$", pale[i], width=1.0)
        box(4.9, y, f"$z_{i + 1} = g_{i + 1}(h_{i + 1})$", pale[i], width=2.3)
        arrow((2.05, middle), (2.85, middle))
        arrow((3.95, middle), (4.85, middle))
        end = 3.95 + 0.3 * (i - 1)
        arrow((7.25, middle), (10.75, end), lw=0.6 + 4 * weights[i], color=LAYER_COLORS[i], mutation_scale=11)
        label_y = middle + (end - middle) * 0.45 + 0.32
        ax.text(8.9, label_y, rf"$\alpha_{i + 1} = {weights[i]}$", ha="center", fontsize=9)
        ax.plot([7.25, 7.6], [middle - 0.25] * 2, color=FAINT, lw=0.9)
        if i < 2:
            arrow((1.2, y + 0.95), (1.2, y + 1.55))
    arrow((1.2, 1.15), (1.2, 1.85))
    ax.text(1.2, 0.75, "input $x$", ha="center", fontsize=9)
    ax.plot([7.6, 7.6], [5.3, 1.3], color=FAINT, lw=0.9)
    arrow((7.6, 1.5), (7.6, 0.95), color=FAINT)
    box(5.6, 0.0, r"scorer:  $\alpha(x) = \mathrm{softmax}(s(x)/\tau)$", "#fff3d6", width=5.0)
    ax.plot([10.65, 11.75], [0.45, 0.45], color=FAINT, lw=0.9)
    arrow((11.75, 0.45), (11.75, 3.25), color=FAINT)
    box(10.85, 3.3, r"$\sum_i \alpha_i z_i$", "#fff3d6", width=1.8, height=1.3)
    arrow((12.7, 3.95), (13.3, 3.95))
    ax.text(13.4, 3.95, "class", va="center", fontsize=9)
    return fig


@_styled
def accuracy_and_differences(
    table: pd.DataFrame, comparisons: Mapping[str, Comparison], paper: Mapping[str, tuple[float, float]]
) -> Figure:
    """Left: accuracy of every seed, mean with interval, the paper's mean ± std. Right: differences, seeds paired.

    Args:
        table: one row a run: "head", "seed", "accuracy" in percent.
        comparisons: each head but the reference against the reference, in points.
        paper: per head, the published mean and standard deviation in percent.
    """
    fig = _figure(7.2, 3.1)
    left, right = _row(fig, 2, sharey=True, width_ratios=[1.15, 1])
    heads = [head for head in HEAD_LABELS if head in set(table["head"])]
    for y, head in enumerate(heads):
        values = table.loc[table["head"] == head, "accuracy"].to_numpy()
        left.plot(values, np.full(len(values), y - 0.12), "o", ms=4, color=HEAD_COLORS[head], alpha=0.5, mew=0)
        _interval(left, y + 0.08, estimate(values), HEAD_COLORS[head])
        if head in paper:
            mean, std = paper[head]
            left.errorbar(mean, y + 0.3, xerr=std, fmt="D", ms=3, color=PAPER, lw=0.8, capsize=2)
        if head in comparisons:
            _interval(right, y, comparisons[head].difference, HEAD_COLORS[head])
    left.plot([], [], "o", ms=3, color=FAINT, label="one seed")
    left.errorbar([], [], xerr=[], fmt="o", color=FAINT, ms=5, label="mean, 95 % interval")
    left.errorbar([], [], xerr=[], fmt="D", ms=3, color=PAPER, lw=0.8, capsize=2, label="paper: mean ± std")
    left.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, columnspacing=1, handletextpad=0.3)
    left.set(yticks=range(len(heads)), yticklabels=[HEAD_LABELS[h] for h in heads], xlabel="test accuracy, %")
    left.set_title("Accuracy")
    left.set_ylim(len(heads) - 0.5, -0.5)
    margin = next(iter(comparisons.values())).margin
    right.axvspan(-margin, margin, color="#eeeeee", zorder=0)
    right.axvline(0, color=FAINT, lw=0.8)
    right.set(xlabel=f"points of accuracy above LastLayer\n(grey: ±{margin:g}, too small to matter)")
    right.set_title("Difference, same seeds")
    right.tick_params(left=False)
    return fig


def _interval(ax: Axes, y: float, value: Estimate, color: str) -> None:
    ax.plot([value.low, value.high], [y, y], color=color, lw=2, solid_capstyle="round")
    ax.plot(value.mean, y, "o", ms=5, color=color, mec="white", mew=0.8)


@_styled
def temperature_curve(scores: np.ndarray, temperatures: np.ndarray, attention: np.ndarray) -> Figure:
    """Weights of fixed scores (L,) as the temperature grows: attention is (T, L)."""
    fig = _figure(6.0, 2.6)
    ax = fig.subplots()
    for i, (score, color) in enumerate(zip(scores, LAYER_COLORS, strict=True)):
        ax.plot(temperatures, attention[:, i], color=color, lw=2)
        ax.annotate(f"layer {i + 1}, $s = {score:g}$", (temperatures[-1], attention[-1, i]), (6, 8 * (i - 1)),
                    textcoords="offset points", va="center", fontsize=8)  # fmt: skip
    ax.plot(temperatures[[0, -1]], [1 / len(scores)] * 2, color=FAINT, lw=0.8, ls=":")
    ax.set(xscale="log", xlabel=r"temperature $\tau$", ylabel=r"weight $\alpha_i$", ylim=(-0.02, 1.02))
    ax.set_xticks([0.1, 0.25, 0.5, 1, 2, 4, 10], ["0.1", "0.25", "0.5", "1", "2", "4", "10"])
    ax.minorticks_off()
    ax.set_xlim(right=temperatures[-1] * 2.2)
    return fig


@_styled
def attention_on_images(
    images: np.ndarray, attention: np.ndarray, truth: Sequence[str], guess: Sequence[str]
) -> Figure:
    """Images (N, H, W), each above its weights over layers (N, L); a wrong guess is marked."""
    fig = _figure(7.2, 2.7)
    axes = fig.subplots(2, len(images), height_ratios=[1.2, 1], sharey="row", squeeze=False)
    layers = [f"$h_{i + 1}$" for i in range(attention.shape[1])]
    for column, (top, bottom) in enumerate(axes.T):
        right = truth[column] == guess[column]
        top.imshow(images[column], cmap="gray_r")
        top.set(xticks=[], yticks=[])
        top.spines[:].set_visible(False)
        caption = truth[column] if right else f"{truth[column]}\n✗ {guess[column]}"
        top.set_title(caption, fontsize=7, loc="center", fontweight="normal", color=INK if right else PAPER)
        bottom.bar(layers, attention[column], color=LAYER_COLORS[: len(layers)])
        bottom.set(ylim=(0, 1), yticks=[0, 0.5, 1])
        bottom.tick_params(labelsize=7)
    axes[1, 0].set_ylabel("weight", fontsize=8)
    return fig


@_styled
def global_profile(profiles: np.ndarray, paper_last: float | None) -> Figure:
    """Mean attention of each layer: a dot a training (S, L), the mean over trainings, the paper's last layer."""
    fig = _figure(5.2, 2.5)
    ax = fig.subplots()
    layers = np.arange(profiles.shape[1])
    ax.bar(layers, profiles.mean(axis=0), color=LAYER_COLORS, width=0.6, alpha=0.45)
    jitter = np.linspace(-0.16, 0.16, len(profiles))
    for i in layers:
        ax.plot(i + jitter, profiles[:, i], "o", ms=4, color=LAYER_COLORS[i], mec="white", mew=0.5)
    if paper_last is not None:
        ax.plot([layers[-1] - 0.38, layers[-1] + 0.38], [paper_last] * 2, color=PAPER, lw=1.5)
        ax.annotate("paper", (layers[-1] + 0.4, paper_last), va="center", color=PAPER, fontsize=8)
    ax.set(xticks=layers, xticklabels=[f"$h_{i + 1}$" for i in layers], ylabel="mean weight", ylim=(0, 1))
    return fig


@_styled
def class_heatmaps(panels: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Class x layer heat maps, one a panel: mean over trainings of (S, C, L), its standard deviation below each."""
    fig = _figure(7.4, 4.2)
    axes = _row(fig, len(panels), sharey=True)
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


@_styled
def profile_spread(profiles: np.ndarray, classes: Sequence[str], paper: np.ndarray | None) -> Figure:
    """For every class and layer, a dot a training (S, C, L), and the paper's value (C, L) as a cross."""
    fig = _figure(7.4, 4.0)
    axes = _row(fig, profiles.shape[2], sharex=True, sharey=True)
    rows = np.arange(len(classes))
    for i, ax in enumerate(axes):
        for profile in profiles:
            ax.plot(profile[:, i], rows, "o", ms=4, color=LAYER_COLORS[i], alpha=0.55, mew=0)
        if paper is not None:
            ax.plot(paper[:, i], rows, "x", ms=6, color=PAPER, mew=1.6)
        ax.set_title(f"layer $h_{i + 1}$")
        ax.grid(axis="y", color="#eeeeee", lw=0.8)
        ax.set_axisbelow(True)
        ax.set(xlim=(-0.04, 1.04), xlabel="mean weight")
    axes[0].set(yticks=rows, yticklabels=classes)
    axes[0].invert_yaxis()
    axes[-1].plot([], [], "o", ms=4, color=FAINT, label="one of our trainings")
    if paper is not None:
        axes[-1].plot([], [], "x", ms=6, color=PAPER, mew=1.6, label="paper")
    fig.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    return fig


@_styled
def entropy_of_right_and_wrong(
    entropies: Sequence[tuple[np.ndarray, np.ndarray]], effects: Sequence[EntropyEffect]
) -> Figure:
    """Left: share of predictions below each entropy, right and wrong, a line a training. Right: AUROC a training."""
    fig = _figure(7.2, 2.9)
    left, right = _row(fig, 2, width_ratios=[1.6, 1])
    grid = np.linspace(0, 1, 201)
    for side, color, label in ((0, HEAD_COLORS["laya"], "right"), (1, PAPER, "wrong")):
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
    _interval(right, 0.5, estimate(values), INK)
    right.axvline(0.5, color=FAINT, lw=0.8, ls=":")
    right.text(0.5, 0.95, " no effect", fontsize=7, color="#555555", va="top")
    right.set(
        ylim=(-0.6, 1), yticks=[], xlim=(0.45, 1), xlabel="chance that a wrong prediction\nhas the higher entropy"
    )
    right.spines["left"].set_visible(False)
    right.set_title("Effect, one dot a training")
    return fig
