"""The one style of the book's figures, and what all of them use."""

from collections.abc import Callable
from functools import wraps
from io import BytesIO
from math import ceil
from typing import TYPE_CHECKING, Any, ParamSpec
from zlib import crc32

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure

from laya_nb.analysis.statistics import Estimate
from laya_nb.heads import HEAD_LABELS

if TYPE_CHECKING:
    from laya_nb.report.findings import Number

PALETTE = sns.color_palette("colorblind").as_hex()
INK, FAINT, PAPER = "#222222", "#8a8a8a", "#c62828"
MEASURED = PALETTE[0]  # what the book measured, LAYA's unless the figure says otherwise
HEAD_COLORS = {
    "last_layer": PALETTE[7],
    "last_layer_mlp": PALETTE[5],
    "concat": PALETTE[2],
    "scalar_mix": PALETTE[1],
    "laya": MEASURED,
    "laya_low_rate": MEASURED,
    "concat_linear": PALETTE[2],
    "all_tokens": PALETTE[7],
    "fusion": PALETTE[3],
}
SPARE_COLORS = [PALETTE[4], PALETTE[6], PALETTE[8], PALETTE[9]]  # for heads without a colour of their own
# A band of what is too small to matter, or of what chance does: translucent, as the dark theme inverts figures.
BAND: dict[str, Any] = {"color": "#808080", "alpha": 0.15, "lw": 0, "zorder": 0}

WIDTH = 5.4  # inches, the most: wider figures have unreadable letters on a phone
SMALL = 8.5  # points: the smallest letters
STYLE: dict[Any, Any] = {
    "figure.dpi": 160,
    "figure.facecolor": "white",
    "font.size": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.columnspacing": 1.2,
    "legend.handletextpad": 0.5,
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


def styled(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Have a function draw its figure in the book's style, whatever style the notebook has."""

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


def head_color(head: str) -> str:
    """A head's own colour, else a spare one that its name decides: other heads do not change it."""
    return HEAD_COLORS.get(head, SPARE_COLORS[crc32(head.encode()) % len(SPARE_COLORS)])


def head_label(head: str) -> str:
    """What figures call a head: its label in the catalog, or the name of one that is not there."""
    return HEAD_LABELS.get(head, head)


# Orange, magenta, blue: three hues that differ in lightness, too, and that the dark theme's inversion keeps apart.
_EARLY_TO_LATE = LinearSegmentedColormap.from_list("early to late", ["#e8782f", "#a8327f", "#1f3f96"])


def layer_colors(count: int) -> list[str]:
    """One colour per layer, from the first (light) to the last (dark) of `count`, on one scale in the whole book."""
    places = np.linspace(0, 1, count) if count > 1 else [1.0]
    return [to_hex(color) for color in _EARLY_TO_LATE(places)]


LAYER_COLORS = layer_colors(3)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size, in inches."""
    return BookFigure(figsize=(width, height), layout="constrained")


def grid_of_axes(fig: Figure, count: int, columns: int, **options: Any) -> list[Axes]:
    """That many axes, row by row, the last row maybe shorter; `options` go to `Figure.subplots`."""
    axes = fig.subplots(ceil(count / columns), columns, squeeze=False, **options).flat
    for spare in axes[count:]:
        spare.remove()
    return list(axes[:count])


def interval(ax: Axes, y: float, value: "Estimate | Number", color: str) -> None:
    """Draw a mean as a dot at height y, on the line of its interval."""
    ax.plot([value.low, value.high], [y, y], color=color, lw=2, solid_capstyle="round")
    ax.plot(value.mean, y, "o", ms=6, color=color, mec="white", mew=0.8)
