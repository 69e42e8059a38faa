"""What LAYA does: its parts, its temperature, its weights on images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from laya_nb.report.figures.style import FAINT, INK, LAYER_COLORS, PAPER, layer_colors, new_figure, styled


@styled
def head_diagram() -> Figure:
    """LAYA in one picture: hidden states, adapters, scorer, weights, the weighted sum, the class."""
    fig = new_figure(7.2, 3.4)
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


@styled
def temperature_curve(scores: np.ndarray, temperatures: np.ndarray, attention: np.ndarray) -> Figure:
    """Weights of fixed scores (L,) as the temperature grows: attention is (T, L)."""
    fig = new_figure(6.0, 2.6)
    ax = fig.subplots()
    for i, (score, color) in enumerate(zip(scores, layer_colors(len(scores)), strict=True)):
        ax.plot(temperatures, attention[:, i], color=color, lw=2)
        ax.annotate(f"layer {i + 1}, $s = {score:g}$", (temperatures[-1], attention[-1, i]), (6, 8 * (i - 1)),
                    textcoords="offset points", va="center", fontsize=8)  # fmt: skip
    ax.plot(temperatures[[0, -1]], [1 / len(scores)] * 2, color=FAINT, lw=0.8, ls=":")
    ax.set(xscale="log", xlabel=r"temperature $\tau$", ylabel=r"weight $\alpha_i$", ylim=(-0.02, 1.02))
    ax.set_xticks([0.1, 0.25, 0.5, 1, 2, 4, 10], ["0.1", "0.25", "0.5", "1", "2", "4", "10"])
    ax.minorticks_off()
    ax.set_xlim(right=temperatures[-1] * 2.2)
    return fig


@styled
def attention_on_images(
    images: np.ndarray, attention: np.ndarray, truth: Sequence[str], guess: Sequence[str]
) -> Figure:
    """Images (N, H, W), each above its weights over layers (N, L); a wrong guess is marked."""
    fig = new_figure(7.2, 2.7)
    axes = fig.subplots(2, len(images), height_ratios=[1.2, 1], sharey="row", squeeze=False)
    layers = [f"$h_{i + 1}$" for i in range(attention.shape[1])]
    for column, (top, bottom) in enumerate(axes.T):
        right = truth[column] == guess[column]
        top.imshow(images[column], cmap="gray_r")
        top.set(xticks=[], yticks=[])
        top.spines[:].set_visible(False)
        caption = truth[column] if right else f"{truth[column]}\n✗ {guess[column]}"
        top.set_title(caption, fontsize=7, loc="center", fontweight="normal", color=INK if right else PAPER)
        bottom.bar(layers, attention[column], color=layer_colors(len(layers)))
        bottom.set(ylim=(0, 1), yticks=[0, 0.5, 1])
        bottom.tick_params(labelsize=7)
    axes[1, 0].set_ylabel("weight", fontsize=8)
    return fig
