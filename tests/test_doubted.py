"""Errors, strangers and confidence as tables, comparisons, findings and figures: what is said is what was given."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from laya_nb import figures
from laya_nb.analysis.calibration import reliability
from laya_nb.report import doubted
from laya_nb.report.findings import errors_and_strangers as found_in
from laya_nb.runs.doubts import DOUBTS, OF_ATTENTION
from laya_nb.statistics import compare

SEEDS, MARGIN = 4, 1.0  # hundredths of AUROC
KINDS = {"a": ("letters", "noise"), "b": ("noise",)}


def errors(gain: float = 0.0) -> pd.DataFrame:
    """Attention's scores add `gain` to the AUROC on network a, and nothing on b."""
    rng, rows = np.random.default_rng(0), []
    for network in "ab":
        for seed in range(SEEDS):
            row: dict[str, Any] = {"network": network, "seed": seed}
            for score in DOUBTS:
                row |= {
                    f"{score}/auroc": 0.8,
                    f"{score}/auroc within class": 0.7,
                    f"{score}/auroc within confidence": 0.5,
                }
                of = gain if network == "a" and score in OF_ATTENTION else 0.0
                row[f"{score}/gain in auroc"] = of + rng.normal(0, 1e-4)
            rows.append({name: v + rng.normal(0, 1e-4) if isinstance(v, float) else v for name, v in row.items()})
    return pd.DataFrame(rows)


def strange(distance: float = 0.6) -> pd.DataFrame:
    """Network b has one kind less, and so NaN in the columns of the other."""
    rng, rows = np.random.default_rng(1), []
    for network, kinds in KINDS.items():
        for seed in range(SEEDS):
            row: dict[str, Any] = {"network": network, "seed": seed}
            for kind in kinds:
                for score, of in {"max softmax": 0.7, "all layers": 0.9, "attention distance": distance}.items():
                    row[f"{kind}/{score}/auroc"] = of + rng.normal(0, 1e-3)
                    row |= {
                        f"{kind}/{score}/known_flagged": 1 - of,
                        f"{kind}/{score}/strange_passed": 0.1 + 0.01 * seed,
                    }
            rows.append(row)
    return pd.DataFrame(rows)


def test_chance_is_zero_among_all_and_among_like_ones() -> None:
    found = doubted.above_chance(errors(), "margin")
    assert [round(of[1].mean, 2) for of in found.values()] == [0.3, 0.2, 0.0]
    assert list(found) == list(doubted.AMONG)


def test_columns_are_compared_within_their_network_and_seed() -> None:
    table = errors(gain=0.05)
    found = doubted.added(table, "attention entropy", 1.0)
    assert {network: round(of.difference.mean) for network, of in found.items()} == {"a": 5, "b": 0}
    seeds = pd.DataFrame({"network": "a", "seed": [1, 0, 2], "ece": [0.2, 0.1, 0.4]})
    other = seeds.assign(ece=seeds["ece"] - [0.1, 0.11, 0.12]).iloc[::-1]
    paired = doubted.two_heads(seeds, other, "ece", 0.5, scale=100)["a"].difference
    assert (round(paired.mean, 6), round(paired.std, 6)) == (11, 1)


def test_every_kind_has_a_row_and_what_a_network_did_not_meet_has_none() -> None:
    table = doubted.strangers(strange())
    assert list(table.index) == [("a", "letters"), ("a", "noise"), ("b", "noise")]
    assert list(table.columns) == ["max softmax", "all layers", "attention distance"]  # in the order of all detectors
    assert table.round(2).to_numpy()[2].tolist() == [0.7, 0.9, 0.6]
    assert doubted.strangers(strange(), "known_flagged").round(2).loc[("a", "noise"), "all layers"] == 0.1
    shown = doubted.readings(strange(), ["all layers", "ViM"])
    assert list(shown.index) == [("a", "all layers"), ("b", "all layers")]
    assert [str(cell)[:4] for cell in shown.to_numpy()[1]] == ["0.90", "0.10", "0.12"]


@pytest.mark.parametrize(
    ("gain", "distance", "answers", "said"),
    [
        (0.05, 0.95, ["Yes", "No, less than 0.01", "On 2 of 2 networks"], "on 2 of 2,.* layers on 2"),
        (0.0, 0.8, ["No, less than 0.01", "No, less than 0.01", "Not shown: worse"], "on 2 of 2,.* layers on 0"),
        (-0.05, 0.9, ["No", "No, less than 0.01", "Not shown"], "on 2 of 2,.* layers on 0"),
    ],
)  # fmt: skip
def test_findings_say_what_was_measured(gain: float, distance: float, answers: list[str], said: str) -> None:
    table, met = errors(gain), strange(distance)
    calibrated = {"a, as it is": compare(np.array([2.0, 2.1, 2.2]), np.zeros(3), 0.5)}
    found = found_in.findings_of(table, met, calibrated, MARGIN)
    of = {finding.label: finding for finding in found}
    assert len(of) == len(found) == 2 * 2 + 2 + 1
    asked = [of[f"{network}: attention entropy"] for network in "ab"]
    assert [finding.answer for finding in (*asked, of["strangers: attention distance - all layers"])] == answers
    assert f"{gain:+.3f}"[:5] in asked[0].measured or gain == 0
    assert asked[0].number is not None
    assert asked[0].number.mean == pytest.approx(gain, abs=1e-3)
    assert of["a, as it is: calibration error, LAYA - LastLayer"].answer == "Yes"
    line = found_in.headline(table, met, MARGIN)
    assert re.search(said, line), line
    assert "distance was shown" not in found_in.headline(table, pd.DataFrame(), MARGIN)


def test_strangers_are_compared_kind_by_kind_and_on_average() -> None:
    met = strange(distance=0.6)
    met.loc[met["network"] == "a", "noise/attention distance/auroc"] += 0.2
    kind = doubted.by_kind(met, "attention distance", "max softmax")
    assert {case: round(of.mean) for case, of in kind.items()} == {
        ("a", "letters"): -10, ("a", "noise"): 10, ("b", "noise"): -10,
    }  # fmt: skip
    average = doubted.strangers_against(met, "attention distance", "max softmax", MARGIN)
    assert {network: round(of.difference.mean) for network, of in average.items()} == {"a": 0, "b": -10}
    assert [of.verdict() for of in average.values()] == ["equivalent", "lower"]


def test_classes_that_were_left_out_stand_beside_other_strangers() -> None:
    met, left = strange(), pd.DataFrame({"network": "b", "seed": range(SEEDS), "left-out classes/energy/auroc": 0.7})
    table = doubted.strangers(doubted.with_left_out(met, left))
    assert list(table.index) == [("a", "letters"), ("a", "noise"), ("b", "noise"), ("b", "left-out classes")]
    assert table["energy"].dropna().tolist() == pytest.approx([0.7])
    assert doubted.with_left_out(met, pd.DataFrame()).equals(met)
    backwards = doubted.with_left_out(met.sort_values("network", ascending=False, kind="stable"), left)
    assert list(dict.fromkeys(backwards["network"])) == ["b", "a"]


def test_a_map_has_a_cell_with_its_number_for_every_value() -> None:
    table = doubted.strangers(strange())
    table.iloc[0, 1] = np.nan
    (ax,) = figures.auroc_map(table).axes
    assert sum(isinstance(patch, Rectangle) for patch in ax.patches) == table.size - 1 == len(ax.texts)
    assert sorted(text.get_text() for text in ax.texts)[0] == ".60"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "letters", "noise", "b", "noise"]
    first = min(ax.texts, key=lambda text: (text.get_position()[1], text.get_position()[0]))
    assert first.get_position() == (0, 1)  # below its network's name


def test_reliability_is_drawn_for_each_head_beside_the_diagonal() -> None:
    rng = np.random.default_rng(0)
    tables = {head: reliability(c := rng.random(500), rng.random(500) < c) for head in ("laya", "last_layer")}
    (ax,) = figures.reliability({"a": tables}).axes
    diagonal, *lines = ax.get_lines()
    assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    for line, table in zip(lines, tables.values(), strict=True):
        assert np.asarray(line.get_xydata()).tolist() == table[["confidence", "accuracy"]].to_numpy().tolist()
