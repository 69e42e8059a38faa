"""What LAYA does: its parts beside those of other heads, its steps in numbers, its weights on images."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from laya_nb.report.figures.style import (
    FAINT,
    INK,
    LAYER_COLORS,
    PAPER,
    SMALL,
    WIDTH,
    grid_of_axes,
    layer_colors,
    new_figure,
    styled,
)

GREY, YELLOW = "#f2f2f2", "#fff3d6"  # what belongs to the network; where layers are mixed


def _box(ax: Axes, x: float, y: float, text: str, width: float, height: float, color: str, ink: str = INK) -> None:
    style = "round,pad=0.03,rounding_size=0.12"
    ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, fc=color, ec=ink, lw=0.9))
    ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=9, color=ink)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], **options: Any) -> None:
    look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 9, "lw": 0.9, "color": INK, "shrinkA": 0}
    ax.add_patch(FancyArrowPatch(start, end, **look | {"shrinkB": 0} | options))


@styled
def head_diagram() -> Figure:
    """LAYA in one picture: hidden states, adapters, scorer, weights, the weighted sum, the class."""
    fig = new_figure(WIDTH, 3.5)
    ax = fig.subplots()
    ax.set(xlim=(0, 10.8), ylim=(-0.3, 6.6))
    ax.axis("off")
    weights = [0.1, 0.2, 0.7]
    for i, y in enumerate((1.8, 3.4, 5.0)):
        middle, color = y + 0.45, LAYER_COLORS[i]
        _box(ax, 0.1, y, f"layer {i + 1}", 1.4, 0.9, GREY)
        _box(ax, 2.1, y, f"$h_{i + 1}$", 0.7, 0.9, "white", color)
        _box(ax, 3.4, y, f"$z_{i + 1} = A_{i + 1} h_{i + 1}$", 1.9, 0.9, "white", color)
        _arrow(ax, (1.55, middle), (2.05, middle))
        _arrow(ax, (2.85, middle), (3.35, middle))
        end = 3.85 + 0.32 * (i - 1)
        _arrow(ax, (5.35, middle), (8.0, end), lw=0.8 + 4 * weights[i], color=color, mutation_scale=11)
        ax.text(6.85, middle + (end - middle) * 0.55 + 0.36, rf"$\alpha_{i + 1} = {weights[i]}$", ha="center")
        ax.plot([5.35, 5.6], [middle - 0.25] * 2, color=FAINT, lw=0.9)
        if i < 2:
            _arrow(ax, (0.8, y + 0.95), (0.8, y + 1.55))
    _arrow(ax, (0.8, 1.05), (0.8, 1.75))
    ax.text(0.8, 0.6, "input $x$", ha="center")
    ax.plot([5.6, 5.6], [5.2, 1.3], color=FAINT, lw=0.9)
    _arrow(ax, (5.6, 1.5), (5.6, 0.85), color=FAINT)
    _box(ax, 3.4, -0.1, r"scorer:  $\alpha(x) = \mathrm{softmax}(s(x)/\tau)$", 4.9, 0.9, YELLOW)
    ax.plot([8.35, 8.85], [0.35, 0.35], color=FAINT, lw=0.9)
    _arrow(ax, (8.85, 0.35), (8.85, 3.05), color=FAINT)
    _box(ax, 8.05, 3.15, r"$\sum_i \alpha_i z_i$", 1.6, 1.4, YELLOW)
    _arrow(ax, (9.7, 3.85), (10.05, 3.85))
    ax.text(10.1, 3.85, "class", va="center")
    return fig


@styled
def five_heads() -> Figure:
    """The five heads of the benchmark side by side: which layers each reads, and how it makes one state of them."""
    fig = new_figure(WIDTH, 3.7)
    axes = fig.subplots(2, 3).flat
    drawn: dict[str, tuple[str, list[float], str]] = {  # title: what reads, how much of each layer, note
        "LastLayer": ("linear", [0, 0, 1], "the usual head"),
        "LastLayer + MLP": ("MLP", [0, 0, 1], "LAYA's size, one layer"),
        "Concat": ("MLP", [1, 1, 1], "all layers side by side"),
        "ScalarMix": ("sum", [0.2, 0.3, 0.5], "the same weights\nfor every input"),
        "LAYA": ("sum", [0.1, 0.2, 0.7], "weights computed\nfor each input"),
    }
    for ax, (title, (reader, shares, note)) in zip(axes, drawn.items(), strict=False):
        ax.set(xlim=(0, 6.2), ylim=(-1.5, 4.2), title=title)
        for i, share in enumerate(shares):
            y = 0.2 + 1.35 * i
            read = share > 0
            _box(ax, 0.1, y, f"$h_{i + 1}$", 0.95, 0.95, "white", LAYER_COLORS[i] if read else "#c9c9c9")
            if read:
                weighed = reader == "sum"
                width = 0.7 + 4 * share if weighed else 1.2
                _arrow(ax, (1.2, y + 0.48), (3.0, 2.05 + 0.25 * (i - 1)), lw=width, color=LAYER_COLORS[i])
        _box(ax, 3.1, 1.5, reader, 1.45, 1.1, YELLOW if reader == "sum" else GREY)
        _arrow(ax, (4.65, 2.05), (5.1, 2.05))
        ax.text(5.15, 2.05, "class", va="center", fontsize=9)
        if title == "LAYA":
            _box(ax, 2.3, -0.15, "scorer", 1.9, 0.8, YELLOW)
            _arrow(ax, (3.8, 0.7), (3.8, 1.42), color=FAINT)
        ax.text(0.0, -0.75, note, fontsize=SMALL, color="#555555", va="top" if "\n" in note else "center")
    for ax in fig.axes:
        ax.axis("off")
    return fig


@styled
def on_top_of_any_network() -> Figure:
    """How a head comes on top of a network: its layers are tapped by name; the whole can be saved and exported."""
    fig = new_figure(WIDTH, 3.3)
    ax = fig.subplots()
    ax.set(xlim=(0, 10.8), ylim=(-0.1, 6.2))
    ax.axis("off")
    _box(ax, 0.1, 1.5, "", 2.6, 4.5, GREY)
    ax.text(1.4, 5.6, "your network", ha="center", fontweight="bold")
    for i, color in enumerate(layer_colors(4)):
        y = 1.75 + 0.9 * i
        _box(ax, 0.4, y, f"blocks.{i}", 2.0, 0.65, "white", color)
        _box(ax, 3.9, y, f"$h_{i + 1}$", 0.8, 0.65, "white", color)
        _arrow(ax, (2.45, y + 0.33), (3.85, y + 0.33), color=color)
        _arrow(ax, (4.75, y + 0.33), (6.35, 3.4 + 0.2 * (i - 1.5)), color=color)
    ax.text(4.3, 5.6, "HiddenStates", ha="center", fontweight="bold")
    _box(ax, 6.4, 2.6, "LAYAHead", 1.9, 1.6, YELLOW)
    for y, name in ((4.2, "class"), (2.6, "weights of\nthe layers")):
        _arrow(ax, (8.35, 3.4), (9.0, y))
        ax.text(9.1, y, name, va="center")
    ax.plot([0.1, 8.3], [1.15, 1.15], color=FAINT, lw=0.9)
    _arrow(ax, (4.2, 1.1), (4.2, 0.75), color=FAINT)
    ax.text(4.2, 0.35, "save_pretrained · torch.export · ONNX", ha="center")
    return fig


@styled
def strips(rows: Mapping[str, np.ndarray], colors: Sequence[str]) -> Figure:
    """Vectors as rows of cells with their values: negative ones on orange, positive ones on violet, by size.

    Args:
        rows: by label, a vector (d,) each; the widths may differ.
        colors: of the labels, one per row.
    """
    fig = new_figure(WIDTH, 0.12 + 0.36 * len(rows))
    ax = fig.subplots()
    most = max(float(np.abs(values).max()) for values in rows.values())
    widest = max(map(len, rows.values()))
    for y, values in enumerate(rows.values()):
        ax.imshow(values[None], extent=(0, len(values), y + 0.42, y - 0.42), cmap="PuOr", vmin=-1.6 * most,
                  vmax=1.6 * most, aspect="auto")  # fmt: skip
        for x, value in enumerate(values):
            ax.text(x + 0.5, y, f"{value:.1f}", ha="center", va="center", fontsize=SMALL)
    ax.set(xlim=(0, widest), ylim=(len(rows) - 0.5, -0.5), xticks=[])
    ax.set_yticks(range(len(rows)), list(rows), fontsize=11)
    for label, color in zip(ax.get_yticklabels(), colors, strict=True):
        label.set_color(color)
    ax.tick_params(left=False)
    ax.spines[:].set_visible(False)
    return fig


@styled
def layer_bars(panels: Mapping[str, np.ndarray], label: str, limits: tuple[float, float] | None = None) -> Figure:
    """One number per layer, (L,), a panel for each input, with the numbers written out.

    Args:
        panels: by title.
        label: what the numbers are.
        limits: of the y axis; by default what they need.
    """
    fig = new_figure(WIDTH, 1.9)
    axes = grid_of_axes(fig, len(panels), len(panels), sharey=True)
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        names = [f"$h_{i + 1}$" for i in range(len(values))]
        bars = ax.bar(names, values, color=layer_colors(len(values)), width=0.6)
        ax.bar_label(bars, [f"{value:.2f}" for value in values], padding=2, fontsize=SMALL)
        ax.axhline(0, color=FAINT, lw=0.8)
        ax.margins(y=0.25)
        ax.set_title(title)
    if limits is not None:
        axes[0].set_ylim(limits)
    axes[0].set_ylabel(label)
    return fig


@styled
def temperature_curve(scores: np.ndarray, temperatures: np.ndarray, attention: np.ndarray) -> Figure:
    """Weights of fixed scores (L,) as the temperature grows: attention is (T, L)."""
    fig = new_figure(WIDTH, 2.7)
    ax = fig.subplots()
    for i, (score, color) in enumerate(zip(scores, layer_colors(len(scores)), strict=True)):
        ax.plot(temperatures, attention[:, i], color=color, lw=2, label=f"layer {i + 1}, $s = {score:g}$")
    ax.plot(temperatures[[0, -1]], [1 / len(scores)] * 2, color=FAINT, lw=0.8, ls=":")
    ax.set(xscale="log", xlabel=r"temperature $\tau$", ylabel=r"weight $\alpha_i$", ylim=(-0.02, 1.02))
    ax.set_xticks([0.1, 0.25, 0.5, 1, 2, 4, 10], ["0.1", "0.25", "0.5", "1", "2", "4", "10"])
    ax.minorticks_off()
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="upper right")
    return fig


@styled
def attention_on_images(
    images: np.ndarray, attention: np.ndarray, truth: Sequence[str], guess: Sequence[str]
) -> Figure:
    """Images (N, H, W), four in a row, each above its weights over layers (N, L); a wrong guess is marked."""
    rows = ceil(len(images) / 4)
    columns = ceil(len(images) / rows)
    fig = new_figure(WIDTH, 2.5 * rows)
    axes = fig.subplots(2 * rows, columns, height_ratios=[1.25, 1] * rows, squeeze=False)
    layers = [f"$h_{i + 1}$" for i in range(attention.shape[1])]
    pairs = [(axes[2 * row, i], axes[2 * row + 1, i]) for row in range(rows) for i in range(columns)]
    for (top, bottom), image, weights, true, guessed in zip(pairs, images, attention, truth, guess, strict=False):
        right = true == guessed
        top.imshow(image, cmap="gray_r")
        top.set_title(true if right else f"{true},\nnot {guessed}", fontsize=9, loc="center", fontweight="normal",
                      color=INK if right else PAPER)  # fmt: skip
        bottom.bar(layers, weights, color=layer_colors(len(layers)))
        bottom.set(ylim=(0, 1), yticks=[0, 0.5, 1], yticklabels=["0", "", "1"])
    for top, _ in pairs:
        top.axis("off")
    for _, bottom in pairs[len(images) :]:
        bottom.axis("off")
    for row in range(rows):
        axes[2 * row + 1, 0].set_ylabel("weight")
    return fig
