"""Figures of probes and tasks: what is drawn is what was given."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.lines import Line2D
from test_figures import check_on_a_phone, marked, row_names
from test_over_tasks import SEEDS, TASKS, planted

from laya_nb import figures
from laya_nb.analysis.tasks import gains
from laya_nb.report import task_names
from laya_nb.report.figures.style import SMALL, head_color
from laya_nb.statistics import estimate

rng = np.random.default_rng(0)


def dots(ax: Axes) -> list[tuple[float, float, object]]:
    """Place and colour of each single dot, in the order of drawing."""
    lines = [line for line in ax.get_lines() if line.get_marker() == "o" and np.size(line.get_xdata())]
    return [(data(line, "x")[0], data(line, "y")[0], line.get_color()) for line in lines]


def data(line: Line2D, axis: str) -> list[float]:
    return np.asarray(line.get_xdata() if axis == "x" else line.get_ydata()).tolist()


def cells(ax: Axes) -> np.ndarray:
    (mesh,) = [part for part in ax.collections if isinstance(part, QuadMesh)]
    return np.asarray(mesh.get_array())


def test_gains_stand_in_their_rows_and_colours() -> None:
    table = planted({"scalar_mix": 1.0, "fusion": 3.0})
    (ax,) = figures.gains_by_task(table, ["scalar_mix", "fusion"], TASKS[:3]).axes
    assert row_names(ax) == [task_names.title(task) for task in TASKS[:3]]
    expected = [
        (estimate(gains(table, probe, "cls_linear").loc[task].to_numpy()).mean, head_color(probe))
        for probe in ("scalar_mix", "fusion")
        for task in TASKS[:3]
    ]
    assert [color for _, _, color in dots(ax)] == [color for _, color in expected]
    assert [x for x, _, _ in dots(ax)] == pytest.approx([x for x, _ in expected])
    assert [round(y) for _, y, _ in dots(ax)] == [0, 1, 2, 0, 1, 2]


def test_curves_show_each_kind_its_level_and_chance() -> None:
    curves = {task: {"CLS": rng.random((6, SEEDS)), "AP": rng.random((6, SEEDS))} for task in TASKS[:4]}
    fig = figures.single_layer_curves(curves, dict.fromkeys(TASKS[:4], 0.9), "fusion", dict.fromkeys(TASKS[:4], 0.1))
    assert [ax.get_title(loc="left") for ax in fig.axes] == list(TASKS[:4])
    for ax, by_kind in zip(fig.axes, curves.values(), strict=True):
        first, second, level, chance = ax.get_lines()
        for line, values in ((first, by_kind["CLS"]), (second, by_kind["AP"])):
            assert data(line, "y") == pytest.approx(values.mean(axis=1))
            assert data(line, "x") == [1, 2, 3, 4, 5, 6]
        assert [data(line, "y")[0] for line in (level, chance)] == [0.9, 0.1]
    (alone,) = figures.single_layer_curves({"a": {"": rng.random((7, 2))}}, {"a": 1.0}, "fusion", {"a": 0.0}).axes
    assert len(alone.get_lines()) == 3


def test_heat_maps_may_have_a_scale_and_a_label_of_their_own() -> None:
    panels = {"mean": rng.random((3, 8)) / 4, "spread": rng.random((3, 8)) / 9}
    columns = ["CLS 1", *[""] * 6, "8"]
    named = {title: (columns, values) for title, values in panels.items()}
    *axes, bar = figures.class_heatmaps(named, list("abc"), top=None, across=1, label="share").axes
    for ax, values in zip(axes, panels.values(), strict=True):
        np.testing.assert_allclose(cells(ax).reshape(values.shape), values)
        assert ax.collections[0].get_clim() == (0, panels["mean"].max())
        assert [label.get_text() for label in ax.get_xticklabels()] == columns
        assert row_names(ax) == ["a", "b", "c"]
    assert bar.get_xlabel() == "share"


def test_near_and_far_names_some() -> None:
    panels = {"ours": {"a": (50.0, 20.0), "b": (90.0, 1.0)}, "theirs": {"c": (40.0, 9.0)}}
    first, second = figures.near_and_far(panels, ["a", "c"]).axes
    assert [text.get_text() for ax in (first, second) for text in ax.texts] == ["a", "c"]
    assert sorted(x[0] for x in marked(first, "o")) == [50, 90]
    assert all(float(text.get_fontsize()) >= SMALL for text in first.texts)


def test_pictures_stand_above_their_titles() -> None:
    row = figures.row_of_pictures(rng.random((2, 4, 4, 3)), ["checker mask", "none"])
    assert [ax.get_xlabel() for ax in row.axes] == ["checker\nmask", "none"]


def test_depth_of_weight_pairs_tasks() -> None:
    readable, depths = np.array([3.0, 9.0]), {"LAYA": rng.random((2, SEEDS)) * 12}
    (ax,) = figures.depth_of_weight(readable, depths, ["a", "b"], ["b"]).axes
    assert [x[0] for x in marked(ax, "o")] == [3, 9]
    assert [y for _, y, _ in dots(ax)] == pytest.approx(depths["LAYA"].mean(axis=1))
    assert [text.get_text() for text in ax.texts] == ["b"]


def test_they_can_be_read_on_a_phone() -> None:
    """As large as the chapters have them."""
    tasks = list(task_names.TITLES)[:12]
    names = [task_names.title(task) for task in tasks]
    table = planted({"all_tokens": 30.0, "scalar_mix": 20.0, "laya_low_rate": -20.0, "fusion": 1.0}, tuple(tasks))
    columns = [*["CLS 1", *[""] * 11], *["AP 1", *[""] * 11]]
    estimates = {probe: [estimate(rng.random(5)) for _ in tasks] for probe in ("laya_low_rate", "fusion")}
    by_kind = {"CLS": 100 * rng.random((12, 5)), "AP": 100 * rng.random((12, 5))}
    places = {name: (100 * rng.random(), 60 * rng.random()) for name in names}
    for figure in (
        figures.gains_by_task(table, ["all_tokens", "scalar_mix", "laya_low_rate", "fusion"], tasks),
        figures.estimates_by_row(estimates, names, "share"),
        figures.single_layer_curves(
            dict.fromkeys(names, by_kind), dict.fromkeys(names, 90.0), "fusion", dict.fromkeys(names, 10.0)
        ),
        figures.near_and_far({"Measured here": places, "Reported for DINOv2-S": places}, names[:4]),
        figures.row_of_pictures(rng.random((8, 4, 4, 3)), ["channels swapped", *["checker mask"] * 7]),
        figures.depth_of_weight(12 * rng.random(9), {h: 12 * rng.random((9, 5)) for h in "abc"}, names[:9], names[:2]),
        figures.class_heatmaps({"Mean weight": (columns, rng.random((12, 24)))}, names, top=None, across=1),
    ):
        check_on_a_phone(figure)
