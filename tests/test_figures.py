"""Figures: what is drawn is what was given. (Pixels are not compared: nbval cannot, and fonts differ.)"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import rgb_to_hsv, to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from laya_nb import figures
from laya_nb.analysis import selection
from laya_nb.analysis.attention import EntropyEffect
from laya_nb.heads import BENCHMARK_HEADS, HEAD_LABELS
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


def hue(color: str) -> float:
    """In turns: red is 0, green a third."""
    return float(rgb_to_hsv(to_rgb(color))[0])


def lightness(color: str) -> float:
    return float(np.dot(to_rgb(color), [0.2126, 0.7152, 0.0722]))


def test_what_texts_call_red_is_red_and_no_head_or_layer_is() -> None:
    """The paper's values, and mistakes."""
    from_red = abs((hue(style.PAPER) + 0.5) % 1 - 0.5)
    assert from_red < 0.02
    others = [
        *style.HEAD_COLORS.values(),
        *style.SPARE_COLORS,
        *(c for n in range(1, 13) for c in style.layer_colors(n)),
    ]
    assert style.PAPER not in others


@pytest.mark.parametrize("layers", [2, 3, 8])
def test_layers_go_from_light_to_dark_on_one_scale(layers: int) -> None:
    colors = style.layer_colors(layers)
    assert (np.diff([lightness(color) for color in colors]) < 0).all()
    assert (colors[0], colors[-1]) == (style.LAYER_COLORS[0], style.LAYER_COLORS[-1])
    assert style.layer_colors(1) == colors[-1:]


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


def test_heat_maps_show_every_profile_and_numbers_where_asked() -> None:
    """Four in a row; classes are named at the left of each row, cells only where asked."""
    profiles = rng.dirichlet(np.ones(3), size=(6, 2))
    profiles[4, 1] = np.nan  # a class without examples
    panels = {f"run {i}": (["h1", "h2", "h3"], profile) for i, profile in enumerate(profiles)}
    *axes, bar = figures.class_heatmaps(panels, CLASSES, ["run 4"]).axes
    assert bar.get_xlabel() == "mean weight"
    assert [ax.get_title("left") for ax in axes] == list(panels)
    for ax, profile in zip(axes, profiles, strict=True):
        cells: Any = ax.collections[0].get_array()
        np.testing.assert_allclose(np.ma.filled(cells, np.nan), profile)
        assert ax.collections[0].get_clim() == (0, 1)
        assert ax.get_ylim() == (2, 0)  # the first class on top
        assert [label.get_text() for label in ax.get_xticklabels()] == ["h1", "h2", "h3"]
    assert [row_names(ax) == CLASSES for ax in axes] == [True, False, False, False, True, False]
    assert [text.get_text() for text in axes[4].texts] == [f"{value:.2f}" for value in profiles[4, 0]]
    assert not any(ax.texts for ax in axes if ax is not axes[4])


def test_images_are_shown_with_their_own_weights() -> None:
    weights = rng.dirichlet(np.ones(3), size=2)
    figure = figures.attention_on_images(np.zeros((2, 28, 28)), weights, ["a", "b"], ["a", "a"])
    heights = [bar_heights(ax) for ax in figure.axes if ax.patches]
    np.testing.assert_allclose(heights, weights)
    assert "not a" in figure.axes[1].get_title()


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
        runs, intervals = ([line for line in ax.get_lines() if np.size(line.get_xdata()) == n] for n in (8, 2))
        assert (len(runs), len(intervals)) == (3, 3)
        for x, (left, right) in enumerate(zip(runs, intervals, strict=True)):
            assert np.max(left.get_xdata()) < x - 0.05 < x + 0.05 < np.min(right.get_xdata())
            found = estimate(np.asarray(left.get_ydata()))
            np.testing.assert_allclose(np.asarray(right.get_ydata()), [found.low, found.high])
    labels = figure.axes[-1].get_xticklabels()  # the panels share their axis, below the last
    assert [label.get_text() for label in labels] == ["0.5", "1", "2"]
    assert [label.get_fontweight() for label in labels] == ["normal", "bold", "normal"]


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


def test_weights_collapse_and_agreement_are_drawn_as_given() -> None:
    weights = rng.dirichlet(np.ones(3), size=5)
    (ax,) = figures.mean_weights({"a view": (["h1", "noise2", "h3"], weights)}).axes
    assert bar_heights(ax) == pytest.approx(weights.mean(axis=0))
    np.testing.assert_allclose(np.array([line.get_ydata() for line in ax.get_lines()[:3]]), weights.T)
    first, _, last = style.layer_colors(3)
    colors = [to_rgba(bar.get_facecolor(), alpha=1) for bar in ax.patches if isinstance(bar, Rectangle)]
    assert colors == [to_rgba(color) for color in (first, style.FAINT, last)]
    (ax,) = figures.mean_weights({"copies": (["h3", "h3", "h3"], weights)}).axes
    assert [line.get_color() for line in ax.get_lines()[:3]] == [last] * 3

    runs = pd.DataFrame({"profile_entropy": [0.1, 0.9], "entropy": [0.0, 0.8]})
    (ax,) = figures.collapse_map({"runs": runs}).axes
    np.testing.assert_allclose(marked(ax, "o")[0], runs["profile_entropy"])

    (ax,) = figures.agreement_between_runs({1.0: np.array([0.2, 0.4])}, "tau").axes
    assert ax.get_lines()[-1].get_ydata() == pytest.approx([0.3])


def test_the_same_images_get_a_bar_from_every_network() -> None:
    attention = rng.dirichlet(np.ones(3), size=(4, 2))  # networks, images, layers
    figure = figures.same_images(np.zeros((2, 28, 28)), dict(zip("abcd", attention, strict=True)))
    bottoms = figure.axes[2:]
    for i, ax in enumerate(bottoms):
        bars = [bar for bar in ax.patches if isinstance(bar, Rectangle)]
        np.testing.assert_allclose(np.reshape([bar.get_width() for bar in bars], (3, 4)).T, attention[:, i])
        starts = np.cumsum(attention[:, i], axis=1) - attention[:, i]
        np.testing.assert_allclose(np.reshape([bar.get_x() for bar in bars], (3, 4)).T, starts)
        colors = [bar.get_facecolor() for bar in bars[::4]]
        assert colors == [to_rgba(color) for color in style.layer_colors(3)]
    assert row_names(bottoms[0]) == ["a", "b", "c", "d"]
    many = figures.same_images(np.zeros((1, 4, 4, 3)), {"a": rng.dirichlet(np.ones(12), size=1)})
    assert [text.get_text() for text in many.legends[0].texts] == [f"weight on layer {i}" for i in (1, 7, 12)]


FOUND = [
    findings.Finding("gain", "?", "", "", findings.Number(0.5, 0.2, 0.8), "points", 0.0),
    findings.Finding("no gain", "?", "", "", findings.Number(0.1, -0.2, 0.4), "points", 0.0),
    findings.Finding("AUROC", "?", "", "", findings.Number(0.7, 0.6, 0.8), "share", 0.5),
    findings.Finding("weight", "?", "", "", findings.Number(0.4, 0.1, 0.7), "share"),
    findings.Finding("no number", "?", "", ""),
]


def test_the_names_of_the_books_findings_fit_their_figure() -> None:
    figure = figures.forest(findings.load_all())
    figure.canvas.draw()
    names = [text for ax in figure.axes for text in ax.texts]
    assert len(names) > 50
    assert max(text.get_window_extent().x1 for text in names) <= figure.bbox.x1


def test_a_forest_shows_every_number_and_whether_it_leaves_out_no_effect() -> None:
    figure = figures.forest([findings.ChapterFindings("a", "A: chapter", FOUND)])
    drawn = {}
    for ax in figure.axes:
        names = [text.get_text() for text in ax.texts]
        intervals = [line for line in ax.get_lines() if line.get_linewidth() == 2]
        marks = [line.get_xdata()[0] for line in ax.get_lines() if line.get_linewidth() == 1]  # type: ignore[index]
        means = [x[0] for x in marked(ax, "o")]
        for name, line, mean in zip(names, intervals, means, strict=True):
            drawn[name] = (mean, *np.asarray(line.get_xdata()), line.get_color())
        assert marks == ([0, 0] if ax is figure.axes[0] else [0.5])
    assert drawn == {
        "A: gain": (0.5, 0.2, 0.8, style.INK),
        "A: no gain": (0.1, -0.2, 0.4, style.FAINT),
        "A: AUROC": (0.7, 0.6, 0.8, style.INK),
        "A: weight": (0.4, 0.1, 0.7, style.FAINT),
    }
    with pytest.raises(ValueError, match="finding 'x' has a scale and no number"):
        figures.forest([findings.ChapterFindings("a", "A", [findings.Finding("x", "", "", "", None, "share")])])


def test_the_steps_of_the_mechanism_are_drawn_with_their_numbers() -> None:
    rows = {"$h_1$": np.array([0.5, -1.25, 2.0]), "$h_2$": np.array([0.0])}
    (ax,) = figures.strips(rows, ["red", "blue"]).axes
    assert [text.get_text() for text in ax.texts] == ["0.5", "-1.2", "2.0", "0.0"]
    assert row_names(ax) == list(rows)
    panels = {"input 1": np.array([0.2, 0.8]), "input 2": np.array([0.6, 0.4])}
    for ax, values in zip(figures.layer_bars(panels, "weight", (0, 1)).axes, panels.values(), strict=True):
        assert bar_heights(ax) == pytest.approx(values)
        assert ax.get_ylim() == (0, 1)
    weights = rng.dirichlet(np.ones(3), size=4)
    top, middle, bottom = figures.training_curves([3.0, 2.0, 1.0], [50.0, 60.0, 70.0], weights).axes
    assert np.asarray(top.get_lines()[0].get_ydata()).tolist() == [3, 2, 1]
    assert np.asarray(middle.get_lines()[0].get_ydata()).tolist() == [50, 60, 70]
    np.testing.assert_allclose(np.array([line.get_ydata() for line in bottom.get_lines()[:3]]).T, weights)
    assert np.asarray(bottom.get_lines()[0].get_xdata()).tolist() == [0, 1, 2, 3]  # before training, then each epoch


def test_diagrams_name_what_they_show() -> None:
    titles = [ax.get_title(loc="left") for ax in figures.five_heads().axes]
    assert titles[:5] == [HEAD_LABELS[head] for head in BENCHMARK_HEADS]
    for figure, words in (
        (figures.head_diagram(), ["layer 3", "scorer", "class"]),
        (figures.on_top_of_any_network(), ["HiddenStates", "LAYAHead", "torch.export"]),
    ):
        text = " ".join(text.get_text() for text in figure.axes[0].texts)
        assert all(word in text for word in words)


def test_a_grid_is_drawn_by_rank_against_luck() -> None:
    scores = pd.DataFrame(rng.normal(90, 1, size=(6, 3)), index=list("abcdef"))
    luck = selection.ranked_by_luck(scores)
    best, *_, worst = scores.mean(axis=1).sort_values(ascending=False).index
    marks = {"ours": best, "also ours": best, "theirs": worst, "nowhere": "z"}
    (ax,) = figures.grid_choice(scores, marks, luck).axes
    lines = {line.get_label(): line for line in ax.get_lines()}
    means = scores.mean(axis=1) - scores.to_numpy().mean()
    points = np.asarray(lines["mean of the seeds"].get_data())
    np.testing.assert_allclose(points, [np.arange(1, 7), np.sort(means)[::-1]])
    seeds = np.array([line.get_ydata() for line in ax.get_lines() if line.get_markersize() == 3])
    np.testing.assert_allclose(np.sort(seeds), np.sort((scores - scores.mean(axis=0)).T))
    np.testing.assert_allclose(seeds.mean(axis=0), np.sort(means)[::-1])  # each seed's dots lie under their settings
    band = ax.collections[0].get_paths()[0].vertices
    for edge in np.quantile(luck, [0.025, 0.975], axis=0):
        for rank, value in enumerate(edge, start=1):
            assert np.isclose(band, [rank, value]).all(axis=1).any()
    assert {text.get_text(): text.xy[0] for text in ax.texts} == {"ours, also ours": 1, "theirs": 6}  # type: ignore[attr-defined]
    red = [line for line in ax.get_lines() if line.get_marker() == "o" and line.get_color() == style.PAPER]
    drawn = np.array([line.get_data() for line in red])[:, :, 0]
    np.testing.assert_allclose(drawn[np.argsort(drawn[:, 0])], [[1, means.max()], [6, means.min()]])


def wide_figures() -> list[Figure]:
    """Figures with as many panels, rows and long names as the book has, but for those of `mechanism`."""
    accuracy, ablation = accuracies(BENCHMARK_HEADS), ablation_runs()
    comparisons = compare_all(accuracy, "accuracy", "last_layer", findings.MARGIN)
    gains = {tau: compare_all(rows, "accuracy", "last_layer", 0.5)["laya"] for tau, rows in ablation.groupby("tau")}
    weights = rng.dirichlet(np.ones(3), size=5)
    names = ["noise1", "noise2", "h3"]
    scores = pd.DataFrame(rng.normal(90, 1, size=(36, 3)))
    profile = rng.dirichlet(np.ones(3), size=2)
    pairs = {"which classes are alike": rng.random(9)}
    return [
        figures.accuracy_and_differences(accuracy, comparisons, {"laya": (88.3, 0.5)}),
        figures.probes_and_heads({"probe of $h_1$": rng.random(3)}, {"laya": rng.random(3)}),
        figures.against_setting(ablation, "tau", {"accuracy": "a", "entropy": "e"}, label="tau", paper=[1.0]),
        figures.gain_against_setting(ablation, "tau", gains, "tau"),  # type: ignore[arg-type]
        figures.agreement_between_runs({1.0: rng.random(10)}, "tau"),
        figures.mean_weights({f"panel {i}": (names, weights) for i in range(5)}),
        figures.collapse_map({f"group {i}": pd.DataFrame({"profile_entropy": [0], "entropy": [0]}) for i in range(6)}),
        figures.grid_choice(scores, {"ours": 0}, selection.ranked_by_luck(scores)),
        figures.global_profile(weights, 0.76),
        figures.class_heatmaps({f"seed {i}": (names, profile) for i in range(11)}, CLASSES, ["seed 1"]),
        figures.profile_spread(rng.dirichlet(np.ones(3), size=(5, 2)), CLASSES, None),
        figures.entropy_of_right_and_wrong([(rng.random(9), rng.random(4))] * 2, [EntropyEffect(0.6, 0.3)] * 2),
        figures.pair_spread({"Class profiles": pairs, "Single images": pairs}, []),
        figures.shared_by_runs({name: (values, estimate(values)) for name, values in pairs.items()}),
        figures.weight_spread({"LAYA": weights, "ScalarMix": weights}),
        figures.head_diagram(),
        figures.five_heads(),
        figures.on_top_of_any_network(),
        figures.strips({f"$h_{i}$": rng.normal(size=8) for i in range(3)}, ["red"] * 3),
        figures.layer_bars({"input 1": weights[0], "input 2": weights[1]}, "weight"),
        figures.temperature_curve(np.arange(3.0), np.array([0.1, 1.0, 10.0]), weights[:3]),
        figures.attention_on_images(np.zeros((8, 28, 28)), rng.random((8, 3)), ["T-shirt/top"] * 8, ["Trouser"] * 8),
        figures.training_curves([2.0, 1.0], [50.0, 60.0], weights[:3]),
        figures.same_images(np.zeros((8, 28, 28)), {f"seed {i}": rng.random((8, 3)) for i in range(6)}),
        figures.forest([findings.ChapterFindings("a", "Adapter capacity: how wide?", FOUND)]),
    ]


def test_figures_can_be_read_on_a_phone() -> None:
    """None is wider than 5.4 inches, no letter smaller than 8.5 points, and nothing reaches out of the figure."""
    for figure in wide_figures():
        check_on_a_phone(figure)


def check_on_a_phone(figure: Figure) -> None:
    figure.draw_without_rendering()
    assert figure.get_figwidth() <= 5.4
    texts = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text() and t.get_visible()]
    assert min(float(text.get_fontsize()) for text in texts) >= 8.5
    drawn, page = figure.get_tightbbox(), figure.bbox_inches
    assert drawn.x0 >= -0.01
    assert drawn.y0 >= -0.01
    assert drawn.x1 <= page.x1 + 0.01
    assert drawn.y1 <= page.y1 + 0.01


def test_figures_show_themselves_without_a_backend() -> None:
    for figure in draw_all():
        assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
