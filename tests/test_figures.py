"""Figures: what is drawn is what was given. (Pixels are not compared: nbval cannot, and fonts differ.)"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from laya_nb import figures
from laya_nb.analysis.attention import EntropyEffect
from laya_nb.heads import BENCHMARK_HEADS
from laya_nb.report import findings
from laya_nb.report.figures import style
from laya_nb.statistics import compare_all, estimate

rng = np.random.default_rng(0)
CLASSES = ["a", "b"]


def marked(ax: Axes, marker: str) -> list[np.ndarray]:
    """The x values of every line drawn with that marker."""
    drawn = [np.asarray(line.get_xdata()) for line in ax.get_lines() if line.get_marker() == marker]
    return [x for x in drawn if len(x)]


def bar_heights(ax: Axes) -> list[float]:
    return [bar.get_height() for bar in ax.patches if isinstance(bar, Rectangle)]


def accuracies(heads: Sequence[str]) -> pd.DataFrame:
    rows = [{"head": head, "seed": seed, "accuracy": rng.normal(89, 1)} for head in heads for seed in range(4)]
    return pd.DataFrame(rows)


def row_names(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_benchmark_figure_shows_every_seed_and_every_difference() -> None:
    table = accuracies(BENCHMARK_HEADS)
    comparisons = compare_all(table, "accuracy", "last_layer", findings.MARGIN)
    figure = figures.accuracy_and_differences(table, comparisons, {"laya": (88.3, 0.5)})
    left, right = figure.axes
    dots = [x for x in marked(left, "o") if len(x) == 4]
    np.testing.assert_allclose(np.sort(np.concatenate(dots)), np.sort(table["accuracy"]))
    drawn = [x[0] for x in marked(right, "o")]
    assert drawn == pytest.approx([c.difference.mean for c in comparisons.values()])
    assert row_names(left) == ["LastLayer", "LastLayer + MLP", "Concat", "ScalarMix", "LAYA"]
    assert "above LastLayer" in right.get_xlabel()


def test_figures_draw_heads_that_no_catalog_knows() -> None:
    """In the order of the runs, compared with any reference, and in a colour of their own."""
    table = accuracies(["toy_head", "laya"])
    comparisons = compare_all(table, "accuracy", "toy_head", findings.MARGIN)
    left, right = figures.accuracy_and_differences(table, comparisons, {}).axes
    assert row_names(left) == ["toy_head", "LAYA"]
    assert "above toy_head" in right.get_xlabel()
    dots = [line for line in left.get_lines() if line.get_marker() == "o" and np.size(line.get_xdata()) == 4]
    assert [line.get_color() for line in dots] == [style.head_color("toy_head"), style.head_color("laya")]

    (ax,) = figures.probes_and_heads({"probe": rng.random(3)}, {"toy_head": rng.random(3)}).axes
    assert row_names(ax) == ["probe", "toy_head"]


def test_a_new_head_takes_no_colour_that_means_something() -> None:
    meaning = {*style.HEAD_COLORS.values(), style.PAPER, style.INK, style.FAINT}
    assert len({style.HEAD_COLORS[head] for head in BENCHMARK_HEADS}) == len(BENCHMARK_HEADS)
    new = [f"head_{i}" for i in range(40)]
    assert {style.head_color(head) for head in new} == set(style.SPARE_COLORS)
    assert not meaning & set(style.SPARE_COLORS)


@pytest.mark.parametrize("layers", [1, 3, 4, 12])
def test_every_layer_has_a_colour_of_its_own(layers: int) -> None:
    """Also beyond the three layers of the paper's networks."""
    colors = style.layer_colors(layers)
    assert len(set(colors)) == len(colors) == layers
    weights = rng.dirichlet(np.ones(layers), size=4)
    (ax,) = figures.weight_spread({"LAYA": weights}).axes
    drawn = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert [line.get_color() for line in drawn] == colors
    np.testing.assert_allclose(np.array([line.get_ydata() for line in drawn]).T, weights)

    images = figures.attention_on_images(np.zeros((1, 4, 4)), weights[:1], ["a"], ["a"]).axes
    bars = [bar.get_facecolor() for bar in images[1].patches if isinstance(bar, Rectangle)]
    assert bars == [to_rgba(color) for color in colors]
    temperatures = np.array([0.1, 1.0, 10.0])
    (ax,) = figures.temperature_curve(np.arange(float(layers)), temperatures, weights[:3]).axes
    np.testing.assert_allclose(np.array([line.get_ydata() for line in ax.get_lines()[:layers]]).T, weights[:3])


def test_profile_figures_show_every_run() -> None:
    profiles = rng.dirichlet(np.ones(3), size=5)
    (ax,) = figures.global_profile(profiles, 0.76).axes
    np.testing.assert_allclose(np.array([line.get_ydata() for line in ax.get_lines()[:3]]), profiles.T)
    assert bar_heights(ax) == pytest.approx(profiles.mean(axis=0))

    by_class = rng.dirichlet(np.ones(3), size=(5, 2))
    spread = figures.profile_spread(by_class, CLASSES, paper=by_class[0])
    for i, ax in enumerate(spread.axes):
        np.testing.assert_allclose(marked(ax, "o")[:5], by_class[:, :, i])
        np.testing.assert_allclose(marked(ax, "x")[0], by_class[0, :, i])


def test_heat_map_cells_say_mean_and_spread() -> None:
    by_class = rng.dirichlet(np.ones(3), size=(5, 2))
    figure = figures.class_heatmaps({"all": by_class, "wrong": by_class}, CLASSES)
    cells = [text.get_text() for text in figure.axes[0].texts]
    mean, std = by_class.mean(axis=0), by_class.std(axis=0, ddof=1)
    assert cells == [f"{m:.2f}\n±{s:.2f}" for m, s in zip(mean.ravel(), std.ravel(), strict=True)]


def test_images_are_shown_with_their_own_weights() -> None:
    weights = rng.dirichlet(np.ones(3), size=2)
    figure = figures.attention_on_images(np.zeros((2, 28, 28)), weights, ["a", "b"], ["a", "a"])
    heights = [bar_heights(ax) for ax in figure.axes if ax.patches]
    np.testing.assert_allclose(heights, weights)
    assert "✗ a" in figure.axes[1].get_title()


def draw_all() -> list[Figure]:
    scores, temperatures = np.arange(3.0), np.logspace(-1, 1, 5)
    pair = (rng.random(9), rng.random(4))
    return [
        figures.head_diagram(),
        figures.temperature_curve(scores, temperatures, rng.dirichlet(np.ones(3), size=5)),
        figures.entropy_of_right_and_wrong([pair, pair], [EntropyEffect(a, 0.3) for a in (0.6, 0.7)]),
    ]


def ablation_runs() -> pd.DataFrame:
    rows = [
        {"tau": tau, "head": head, "seed": seed, "accuracy": rng.normal(89, 1), "entropy": rng.random()}
        for tau in (0.5, 1.0, 2.0)
        for head in ("last_layer", "laya")
        for seed in range(4)
    ]
    return pd.DataFrame(rows)


def test_ablation_figures_show_every_run() -> None:
    table = ablation_runs()
    figure = figures.against_setting(table, "tau", {"accuracy": "a", "entropy": "e"}, label="tau", paper=[1.0])
    for ax, column in zip(figure.axes, ("accuracy", "entropy"), strict=True):
        dots = [np.asarray(line.get_ydata()) for line in ax.get_lines() if np.size(line.get_xdata()) == 8]
        np.testing.assert_allclose(np.sort(np.concatenate(dots)), np.sort(table[column]))
        assert [label.get_text() for label in ax.get_xticklabels()] == ["0.5", "1", "2"]
        bold = [label.get_fontweight() for label in ax.get_xticklabels()]
        assert bold == ["normal", "bold", "normal"]


def test_means_on_logarithmic_axes_are_geometric() -> None:
    table = pd.DataFrame({"tau": [1.0, 1.0], "range": [1.0, 100.0]})
    (ax,) = figures.against_setting(table, "tau", {"range": "r"}, label="tau", log_y=True).axes
    assert ax.get_lines()[-1].get_ydata() == pytest.approx([10.0])
    ends = np.asarray(ax.get_lines()[1].get_ydata())  # the interval is that of the logarithms
    mean = estimate(np.log([1.0, 100.0]))
    np.testing.assert_allclose(ends, np.exp([mean.low, mean.high]))
    (ax,) = figures.against_setting(table, "tau", {"range": "r"}, label="tau").axes
    assert ax.get_lines()[-1].get_ydata() == pytest.approx([50.5])
    one = figures.against_setting(table[:1], "tau", {"range": "r"}, label="tau").axes[0]
    assert one.get_lines()[-1].get_ydata() == pytest.approx([1.0])  # a single run has no interval


def test_gain_figure_pairs_seeds() -> None:
    table = ablation_runs()
    comparisons = {tau: compare_all(rows, "accuracy", "last_layer", 0.5)["laya"] for tau, rows in table.groupby("tau")}
    right = figures.gain_against_setting(table, "tau", comparisons, "tau").axes[1]  # type: ignore[arg-type]
    wide = table.pivot_table(index=["tau", "seed"], columns="head", values="accuracy")
    gains = np.concatenate([line.get_ydata() for line in right.get_lines() if np.size(line.get_xdata()) == 4])
    np.testing.assert_allclose(gains, wide["laya"] - wide["last_layer"])


def test_weights_collapse_and_grid_are_drawn_as_given() -> None:
    weights = rng.dirichlet(np.ones(3), size=5)
    (ax,) = figures.mean_weights({"a view": (["h1", "noise2", "h3"], weights)}).axes
    assert bar_heights(ax) == pytest.approx(weights.mean(axis=0))
    np.testing.assert_allclose(np.array([line.get_ydata() for line in ax.get_lines()[:3]]), weights.T)

    runs = pd.DataFrame({"profile_entropy": [0.1, 0.9], "entropy": [0.0, 0.8]})
    (ax,) = figures.collapse_map({"runs": runs}).axes
    np.testing.assert_allclose(marked(ax, "o")[0], runs["profile_entropy"])

    scores = pd.DataFrame({0: [1.0, 3.0], 1: [2.0, 2.0]}, index=["a", "b"])
    (ax,) = figures.grid_choice(scores, {"chosen": "b"}).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]  # the best on top
    assert [text.get_text() for text in ax.texts] == ["chosen"]

    (ax,) = figures.agreement_between_runs({1.0: np.array([0.2, 0.4])}, "tau").axes
    assert ax.get_lines()[-1].get_ydata() == pytest.approx([0.3])


def test_figures_show_themselves_without_a_backend() -> None:
    for figure in draw_all():
        assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
