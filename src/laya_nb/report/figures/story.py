"""The book at a glance: one picture of what the seed decides, one of all findings."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from laya_nb.report.figures.style import FAINT, INK, SMALL, WIDTH, interval, layer_colors, new_figure, styled
from laya_nb.report.findings import ChapterFindings, Finding

TITLES = {
    "points": "Differences of accuracy, in points",
    "share": "Weights, correlations and AUROCs",
}


@styled
def same_images(images: np.ndarray, bars: Mapping[str, np.ndarray]) -> Figure:
    """The same images, seen by several networks or under several questions: below each image one bar for each.

    Args:
        images: (N, H, W), or (N, H, W, 3) in [0, 1].
        bars: by label, the weights on these images, (N, L); a bar is divided into L parts by them.
    """
    weights = np.stack(list(bars.values()))
    layers, rows = weights.shape[2], np.arange(len(bars))
    fig = new_figure(WIDTH, 1.15 + 0.3 * len(bars))
    axes = fig.subplots(2, len(images), height_ratios=[0.65, 0.3 * len(bars)], sharey="row", squeeze=False)
    colors = layer_colors(layers)
    for i, (top, bottom) in enumerate(axes.T):
        top.imshow(images[i], cmap="gray_r")  # pictures in colour have no use for it
        top.axis("off")
        left = np.zeros(len(bars))
        for layer in range(layers):
            width = weights[:, i, layer]
            bottom.barh(rows, width, left=left, height=0.72, color=colors[layer], label=f"weight on layer {layer + 1}")
            left += width
        bottom.set(xlim=(0, 1), xticks=[])
        bottom.spines[:].set_visible(False)
        bottom.tick_params(left=False)
    axes[1, 0].set(yticks=rows, yticklabels=list(bars))
    axes[1, 0].set_ylim(len(bars) - 0.5, -0.5)
    handles, labels = axes[1, 0].get_legend_handles_labels()
    shown = range(layers) if layers <= 3 else (0, layers // 2, layers - 1)
    fig.legend([handles[i] for i in shown], [labels[i] for i in shown], loc="outside lower center", ncols=3)
    return fig


@styled
def forest(chapters: Sequence[ChapterFindings]) -> Figure:
    """Every finding that is one number, with its 95 % interval: differences of accuracy above, all else below.

    A dark interval leaves out the value that would mean no effect, marked by a line across; a grey one holds it, or
    there is no such value.
    """
    rows: dict[str, list[tuple[str, Finding]]] = {scale: [] for scale in TITLES}
    for chapter in chapters:
        for found in chapter.findings:
            if found.scale is not None:
                rows[found.scale].append((f"{chapter.title.partition(':')[0]}: {found.label}", found))
    shown = {scale: named for scale, named in rows.items() if named}
    counts = [len(named) for named in shown.values()]
    fig = new_figure(WIDTH, 0.9 * len(shown) + 0.4 * sum(counts))
    axes = fig.subplots(len(shown), 1, height_ratios=[count + 1 for count in counts], squeeze=False)[:, 0]
    for ax, (scale, named) in zip(axes, shown.items(), strict=True):
        for y, (name, found) in enumerate(named):
            _row(ax, y, name, found)
        ax.set(yticks=[], ylim=(len(named) - 0.3, -0.75), title=TITLES[scale])
        ax.spines["left"].set_visible(False)
    return fig


def _row(ax: Axes, y: float, name: str, found: Finding) -> None:
    """A finding's name above its mean and interval."""
    if found.number is None:
        raise ValueError(f"finding {found.label!r} has a scale and no number")
    clear = found.no_effect is not None and not found.number.low <= found.no_effect <= found.number.high
    color = INK if clear else FAINT
    ax.text(0, y - 0.3, name, transform=ax.get_yaxis_transform(), fontsize=SMALL, va="center")
    if found.no_effect is not None:
        ax.plot([found.no_effect] * 2, [y - 0.05, y + 0.45], color=FAINT, lw=1)
    interval(ax, y + 0.2, found.number, color)
