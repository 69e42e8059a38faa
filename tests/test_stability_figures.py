"""Figures of the stability chapter: what is drawn is what was given."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from laya_nb import figures
from laya_nb.analysis.stability import averaging, pair_estimate, permute_rows, spearman_brown

rng = np.random.default_rng(0)


def dots(ax: Axes, marker: str = "o") -> list[np.ndarray]:
    """The x and y values (2, n) of every line drawn with that marker."""
    return [np.asarray(line.get_data()) for line in ax.get_lines() if line.get_marker() == marker]


def row_names(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_every_pair_is_a_dot_and_every_control_grey() -> None:
    pairs, control = rng.uniform(-1, 1, 10), rng.uniform(-1, 1, 10)
    figure = figures.pair_spread(
        {"classes": {"two": pairs, "shuffled": control}, "images": {"two": pairs}}, ["shuffled"]
    )
    left, right = figure.axes  # the second lies below the first
    assert (row_names(left), row_names(right)) == (["two", "shuffled"], ["two"])
    np.testing.assert_allclose([row[0] for row in dots(left)], [pairs, control])
    for y, row in enumerate(dots(left)):
        assert np.abs(row[1] - y).max() < 0.5
    colors = [line.get_color() for line in left.get_lines() if line.get_marker() == "o"]
    assert colors[0] != colors[1]
    bars = [line for line in left.get_lines() if line.get_marker() == "None" and line.get_linewidth() == 2]
    assert [bar.get_xdata()[0] for bar in bars] == pytest.approx([pairs.mean(), control.mean()])  # type: ignore[index]


def test_shared_measures_show_pairs_means_and_intervals() -> None:
    rows = {name: rng.uniform(-1, 1, 10) for name in ("one", "other")}
    estimates = {name: pair_estimate(pairs) for name, pairs in rows.items()}
    (ax,) = figures.shared_by_runs({name: (rows[name], estimates[name]) for name in rows}).axes
    assert row_names(ax) == ["one", "other"]
    drawn = dots(ax)
    np.testing.assert_allclose([drawn[0][0], drawn[2][0]], list(rows.values()))
    np.testing.assert_allclose([drawn[1][0, 0], drawn[3][0, 0]], [e.mean for e in estimates.values()])
    bars = [np.asarray(line.get_xdata()) for line in ax.get_lines() if line.get_linewidth() == 2]
    np.testing.assert_allclose(bars, [[e.low, e.high] for e in estimates.values()])


def test_weight_spread_shows_every_run_of_both_heads() -> None:
    weights = {"LAYA": rng.dirichlet(np.ones(3), size=4), "ScalarMix": rng.dirichlet(np.ones(3), size=4)}
    figure = figures.weight_spread(weights)
    for ax, (title, profiles) in zip(figure.axes, weights.items(), strict=True):
        assert ax.get_title("left") == title
        np.testing.assert_allclose(np.array([d[1] for d in dots(ax)]).T, profiles)
        (mean,) = dots(ax, "D")
        np.testing.assert_allclose(mean[1], profiles.mean(axis=0))


def test_averaging_shows_measured_values_control_and_prediction() -> None:
    profiles = rng.dirichlet(np.ones(3), size=(8, 5))
    controls = [permute_rows(profiles, rng) for _ in range(9)]
    found = averaging(profiles, controls, [1, 2, 4])
    (ax,) = figures.averaging_helps({"classes": found}).axes
    (measured,) = dots(ax, "D")
    np.testing.assert_allclose(measured, np.stack([found.groups, found.measured]))
    curve = next(line for line in ax.get_lines() if line.get_label() == "predicted from the intraclass correlation")
    x, y = np.asarray(curve.get_data())
    np.testing.assert_allclose(y, [spearman_brown(found.share.mean, k) for k in x])
    band = ax.collections[0].get_paths()[0].vertices
    low, high = np.quantile(found.control, [0.025, 0.975], axis=1)
    for edge in (low, high):
        for k, value in zip(found.groups, edge, strict=True):
            assert np.isclose(band, [k, value]).all(axis=1).any()
