"""The one style of the book's figures, and what all of them use."""

from collections.abc import Callable
from functools import wraps
from io import BytesIO
from typing import Any, ParamSpec

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from laya_nb.analysis.statistics import Estimate
from laya_nb.heads import HEAD_LABELS

PALETTE = sns.color_palette("colorblind").as_hex()
HEAD_COLORS = dict(zip(HEAD_LABELS, [PALETTE[7], PALETTE[5], PALETTE[2], PALETTE[1], PALETTE[0]], strict=True))
LAYER_COLORS = [PALETTE[9], PALETTE[4], PALETTE[0]]
INK, FAINT, PAPER = "#222222", "#8a8a8a", PALETTE[3]

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


def styled(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
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


def layer_colors(count: int) -> list[str]:
    return LAYER_COLORS[:count] if count <= len(LAYER_COLORS) else list(sns.color_palette("viridis", count).as_hex())


def new_figure(width: float = 7.0, height: float = 3.0) -> Figure:
    return BookFigure(figsize=(width, height), layout="constrained")


def row_of_axes(fig: Figure, columns: int, **options: Any) -> list[Axes]:
    return list(fig.subplots(1, columns, squeeze=False, **options)[0])


def interval(ax: Axes, y: float, value: Estimate, color: str) -> None:
    ax.plot([value.low, value.high], [y, y], color=color, lw=2, solid_capstyle="round")
    ax.plot(value.mean, y, "o", ms=5, color=color, mec="white", mew=0.8)
