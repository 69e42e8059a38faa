"""Figures and findings of the chapters on single layers: what is drawn and said is what was given."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from laya_nb import figures
from laya_nb.analysis.layer_choice import OverLayers
from laya_nb.analysis.statistics import Estimate
from laya_nb.report.figures.layers import TITLES
from laya_nb.report.findings import choosing_a_layer, layer_by_layer
from laya_nb.statistics import compare, estimate

rng = np.random.default_rng(0)


def lines(ax: Axes) -> list[list[float]]:
    """The y values of all lines of several points, in the order of drawing."""
    return [np.asarray(line.get_ydata()).tolist() for line in ax.get_lines() if np.size(line.get_ydata()) > 1]


def test_the_known_answer_is_a_line_and_the_measure_dots() -> None:
    x, measured = np.arange(4), {"a": rng.random(4), "b": rng.random(4)}
    (ax,) = figures.against_known(x, measured, x / 3, "x", "y").axes
    assert lines(ax) == [(x / 3).tolist(), measured["a"].tolist(), measured["b"].tolist()]
    assert [line.get_marker() for line in ax.get_lines()] == ["None", "o", "o"]


def test_each_task_its_best_layer_and_the_means_are_drawn() -> None:
    trained, random = rng.random((3, 5)), rng.random((2, 5))
    first, second = figures.accuracy_over_depth({"a": (trained, random), "b": (trained[:, :4], None)}).axes
    drawn = lines(first)
    assert drawn[:3] == trained.tolist()
    assert drawn[3] == trained.mean(axis=0).tolist()
    assert drawn[4] == trained.max(axis=1).tolist()
    assert drawn[5] == random.mean(axis=0).tolist()
    (best,) = [line for line in first.get_lines() if line.get_marker() == "o" and np.size(line.get_ydata())]
    assert np.asarray(best.get_xdata()).tolist() == (trained.argmax(axis=1) + 1).tolist()
    assert len(lines(second)) == 5


def test_measures_that_are_not_defined_are_said_to_be_so() -> None:
    names = [name for name in TITLES if name != "accuracy"]
    full = {name: rng.random(6) for name in names}
    part = full | {"curvature": np.full(6, np.nan)}
    figure = figures.measures_over_depth({"a": ([full, full], [full]), "b": ([part], [])})
    axes = np.array(figure.axes).reshape(len(names), 2)
    assert [len(lines(ax)) for ax in axes[:, 0]] == [3] * len(names)
    said = {name: [text.get_text() for text in ax.texts] for name, ax in zip(names, axes[:, 1], strict=True)}
    assert [name for name, texts in said.items() if texts] == ["curvature"]
    assert lines(axes[0, 1]) == [full[names[0]].tolist()]


def test_checkpoints_are_drawn_with_what_they_had_seen() -> None:
    values = rng.random((3, 8))
    figure = figures.over_training(np.array([0, 8e4, 8e6]), {"a": values, "b": 2 * values})
    assert lines(figure.axes[1]) == (2 * values).tolist()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ["untrained", "0.08 million tokens", "8 million tokens"]


def test_correlations_stand_beside_what_walks_have() -> None:
    rows = {
        name: OverLayers(mean, np.array([mean - 0.1, mean + 0.1]), 0.01, 0.4, 0.2)
        for name, mean in (("dime", 0.5), ("curvature", -0.2))
    }
    (ax,) = figures.correlations_over_layers(rows, "rank correlation").axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["DiME", "curvature"]
    means = [line.get_xdata()[0] for line in ax.get_lines() if line.get_marker() == "o" and np.size(line.get_xdata())]  # type: ignore[index]
    assert means == [0.5, -0.2]
    bars = [np.asarray(line.get_xdata()).tolist() for line in ax.get_lines() if line.get_linewidth() == 7]
    assert bars[:2] == [[0.01, 0.4]] * 2


def test_every_way_keeps_its_colour_under_shift() -> None:
    panels = {"a": {"last": np.arange(6.0), "all": np.ones(6)}, "b": {"last": np.zeros(6)}}
    first, second = figures.under_shift(panels).axes
    assert lines(first) == [list(range(6)), [1] * 6]
    assert first.get_lines()[0].get_color() == second.get_lines()[0].get_color() != first.get_lines()[1].get_color()


def test_regrets_leave_out_what_is_not_defined() -> None:
    of: dict[str, dict[str, Estimate | None]] = {
        "texts": {"last": estimate([1, 3]), "dime": None},
        "images": {"last": estimate([4, 6]), "dime": estimate([0, 2])},
    }
    (ax,) = figures.regrets(of).axes
    dots = [line for line in ax.get_lines() if line.get_marker() == "o" and np.size(line.get_xdata())]
    assert [line.get_xdata()[0] for line in dots] == [2, 5, 1]  # type: ignore[index]
    assert [round(np.asarray(line.get_ydata()).item()) for line in dots] == [0, 0, 1]


def test_findings_say_what_was_planted() -> None:
    last = np.array([50.0, 60, 70, 80])
    ahead = {
        "A": compare(last + np.array([5, 6, 5, 6]), last, 0.5),
        "B": compare(last + np.array([0.1, 0, -0.1, 0.05]), last, 0.5),
        "C": compare(last + np.array([5, -6, 5, -6]), last, 0.5),
        "D": compare(last - np.array([5, 6, 5, 6]), last, 0.5),
    }
    of = {
        "dime": OverLayers(0.7, np.zeros(9), 0.0, 0.5, 0.001),
        "lidar": OverLayers(0.3, np.zeros(9), 0.0, 0.5, 0.2),
    }
    found = layer_by_layer.findings_of(ahead, of, {"dime": 0.04, "lidar": 0.4})
    answers = ["Yes", "No: the same within ±0.5 points", "Undecided", "No: less accurate", "Yes", "Not shown"]
    assert [one.answer for one in found] == answers
    assert found[4].measured == "mean rank correlation +0.70, walks reach +0.50 in 5 %, 9 tasks on encoders"
    assert "A +5.5, B +0.0" in (layer_by_layer.headline(ahead) or "")
    assert layer_by_layer.headline({"A": compare(last[:2] + np.array([5, 6]), last[:2], 0.5)}) is None


def test_choices_that_lose_less_are_found_to() -> None:
    last = np.array([5.0, 6, 7, 8])
    ways = {
        "dime": compare(last - np.array([3, 4, 3, 4]), last, 0.5),
        "lidar": compare(last + np.array([3, 4, 3, 4]), last, 0.5),
        "10 labels": compare(last + np.array([3, -4, 3, -4]), last, 0.5),
        "250 labels": compare(last + np.array([0.1, -0.1, 0.1, -0.1]), last, 0.5),
    }
    found = choosing_a_layer.findings_of({"texts": ways, "images": {"lidar": ways["dime"]}})
    answers = [
        "texts: yes",
        "texts: no, more; images: yes",
        "texts: undecided",
        "texts: no, the same within ±0.5 points",
    ]
    assert [one.answer for one in found] == answers
    assert found[0].label == "DiME - last layer"
    assert found[1].measured.startswith("texts +3.5 [")
    assert "; images -3.5 [" in found[1].measured
    said = choosing_a_layer.headline({"texts": ways}) or ""
    assert "250 labels +0.0" in said
    assert "the best of 2 measures, DiME, -3.5" in said
    assert choosing_a_layer.headline({"texts": {}}) is None


@pytest.mark.parametrize("figure", ["regrets", "correlations_over_layers", "under_shift", "over_training"])
def test_they_are_in_the_books_list(figure: str) -> None:
    assert figure in figures.__all__
