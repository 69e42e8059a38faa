"""Many probes on many tasks: gains, distances, depths, and what the two chapters find, on planted values."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from laya_nb.analysis import tasks as over_tasks
from laya_nb.report import fusion_paper, tables, task_names
from laya_nb.report.findings import fusion, questions
from laya_nb.runs import Result
from laya_nb.statistics import estimate

TASKS = ("letters", "world/count", "world/size", "rotation", "rendering", "cifar10_jpeg")
SEEDS = 4


def planted(gains: Mapping[str, float], tasks: tuple[str, ...] = TASKS) -> pd.DataFrame:
    """Probes that stand so many points above the last layer, but for noise of a tenth of a point."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "task": task,
            "probe": probe,
            "seed": seed,
            "accuracy": 50 + 5 * i + gain + 0.1 * rng.normal(),
            "parameters": 7,
        }
        for i, task in enumerate(tasks)
        for probe, gain in {"cls_linear": 0.0, **gains}.items()
        for seed in range(SEEDS)
    ]
    return pd.DataFrame(rows)


def test_gains_are_paired_by_task_and_seed() -> None:
    table = planted({"fusion": 3.0})
    found = over_tasks.gains(table, "fusion", "cls_linear")
    assert list(found.index) == list(TASKS)
    one = table.set_index(["task", "probe", "seed"])["accuracy"]
    assert found.loc["rotation", 2] == pytest.approx(one["rotation", "fusion", 2] - one["rotation", "cls_linear", 2])
    assert found.shape == (len(TASKS), SEEDS)


def test_the_unit_is_the_task() -> None:
    """A gain on one task of six, however sure, is no gain over tasks."""
    table = planted({"fusion": 0.0, "scalar_mix": 0.0})
    table.loc[(table["probe"] == "fusion") & (table["task"] == "letters"), "accuracy"] += 20
    found = over_tasks.against(table, "fusion", ["cls_linear", "scalar_mix"], 0.5)
    assert [c.verdict() for c in found.values()] == ["undecided", "undecided"]
    assert found["cls_linear"].difference.n == len(TASKS)
    assert found["cls_linear"].difference.mean == pytest.approx(20 / 6, abs=0.2)
    assert found["cls_linear"].p_holm is not None
    each = over_tasks.on_each_task(table, "fusion", "cls_linear", 0.5)
    assert [c.verdict() for c in each] == ["higher", *["equivalent"] * 5]
    assert all(c.difference.n == SEEDS for c in each)
    shown = tables.wins_table({"rival": each})
    assert shown.loc["rival"].to_dict() == {"better": 1, "worse": 0, "the same": 5, "undecided": 0}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), size=st.integers(8, 30))
def test_the_rank_correlation_is_scipys(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=size), rng.normal(size=size).round(1)
    found = over_tasks.rank_correlation(x, y)
    assert found.mean == pytest.approx(stats.spearmanr(x, y).statistic, nan_ok=True)
    assert found.n == size


def test_its_interval_tells_order_from_chance() -> None:
    x = np.arange(19.0)
    falls = over_tasks.rank_correlation(x, -x + np.random.default_rng(0).normal(size=19))
    assert (falls.high < -0.8, falls.low >= -1) == (True, True)
    nothing = over_tasks.rank_correlation(x, np.random.default_rng(1).normal(size=19))
    assert nothing.low < 0 < nothing.high
    with pytest.raises(ValueError, match="a rank correlation needs 8 pairs or more, got"):
        over_tasks.rank_correlation(x[:7], x[:7])


def test_depths_and_chance() -> None:
    assert over_tasks.centre_of_depth(np.array([[0, 0, 2.0], [1, 1, 1], [0.5, 0, 0.5]])).tolist() == [3, 2, 2]
    with pytest.raises(ValueError, match="values must be at least 0"):
        over_tasks.centre_of_depth(np.array([1.0, -1.0]))
    assert over_tasks.above_chance(np.array([25.0, 62.5, 100, 10]), 25).tolist() == [0, 0.5, 1, 0]
    mean = over_tasks.mean_gain(planted({"fusion": 3.0}), ["fusion"], "cls_linear")["fusion"]
    assert (mean.mean, mean.n) == (pytest.approx(3, abs=0.1), len(TASKS))


def test_tables_of_probes() -> None:
    results = {
        (f"world/size@{n}/vit", "fusion"): [
            Result("a", {"seed": s}, {"accuracy": 0.5 + s / 10, "head_parameters": 12.0}, {}, {}) for s in (0, 1)
        ]
        for n in (60,)
    }
    table = tables.probe_table(results)
    assert table.to_dict("records") == [
        {"task": "world/size", "probe": "fusion", "seed": s, "accuracy": 50 + 10 * s, "parameters": 12} for s in (0, 1)
    ]
    shown = tables.by_task(table, {"fusion": "Fusion"})
    assert shown.to_dict() == {"Fusion": {"how large": 55.0}}


def test_names_of_tasks_and_tokens() -> None:
    from laya_nb.data import tasks, text_tasks

    assert set(task_names.TITLES) == {*tasks.TASKS, *text_tasks.TASKS, "imdb"}
    assert len(set(task_names.TITLES.values())) == len(tasks.TASKS) + len(text_tasks.TASKS) + 1
    assert task_names.title("another") == "another"
    assert task_names.chance("world/size") == pytest.approx(100 / 3)
    assert task_names.chance("tense") == 50
    names = [f"block{i}:{kind}" for i in range(4) for kind in ("cls", "ap")]
    order = task_names.by_kind(names)
    assert [names[i] for i in order] == [f"block{i}:{kind}" for kind in ("cls", "ap") for i in range(4)]
    assert task_names.token_names(names) == ["CLS 1", "2", "3", "4", "AP 1", "2", "3", "4"]
    assert task_names.by_kind(["stage1", "stage2"]) == [0, 1]


def test_what_was_published_is_whole() -> None:
    """19 tasks for each network; three rows were read again."""
    for table in fusion_paper.GAINS.values():
        assert len(table) == 19
        assert {len(row) for row in table.values()} == {len(fusion_paper.COLUMNS)}
    for network, task, row in (
        ("DINOv2-S/14", "SVHN", (54.0, 6.1, 7.0, 24.2, 34.4, 26.6)),
        ("DINOv2-S/14", "CIFAR-10", (96.2, 0.0, 0.2, 0.6, 0.2, 0.6)),
        ("ViT-S/16 (ImageNet)", "STL-10", (99.3, -0.0, 0.0, -0.1, 0.0, -0.4)),
    ):
        assert fusion_paper.GAINS[network][task] == row


# --- what the chapters find


def by_label(found: list) -> dict[str, str]:
    return {one.label: one.answer for one in found}


def test_fusion_against_its_rivals() -> None:
    table = planted({"all_tokens": 1.0, "concat_linear": 2.0, "scalar_mix": 3.0, "laya_low_rate": 5.0, "fusion": 3.0})
    found = by_label(fusion.findings_of(table, None, None, 0.5))
    assert found == {
        "Fusion - the last layer": "Yes",
        "Fusion - all tokens of the last layer": "Yes",
        "Fusion - all layers, linear": "Yes",
        "Fusion - ScalarMix": "No: the same within ±0.5 points",
        "Fusion - LAYA": "No: less accurate",
    }
    assert fusion.findings_of(planted({"scalar_mix": 1.0}), None, None, 0.5) == []
    assert fusion.findings_of(planted({"fusion": 1.0}, ("letters",)), None, None, 0.5) == []


@pytest.mark.parametrize(("sign", "answer"), [(-1, "Yes"), (1, "No: the other way round"), (0, "Undecided")])
def test_near_and_far_and_stability(sign: int, answer: str) -> None:
    x = np.arange(12.0)
    far = over_tasks.rank_correlation(x, sign * x + np.random.default_rng(3).normal(size=12))
    shares = {
        "fusion": [estimate([0.5 + sign * 0.3 + 0.01 * i, 0.5 + sign * 0.3]) for i in range(6)],
        "laya_low_rate": [estimate([0.5, 0.5 + 0.2 * (i % 2) * (sign == 0)]) for i in range(6)],
    }
    found = by_label(fusion.findings_of(planted({"fusion": 1.0}), far, fusion.shared_by_seeds(shares, 0.02), 0.5))
    assert found["gain and the last layer's accuracy"] == answer
    assert found["weight that two seeds share, Fusion - LAYA"] == {-1: "No: less", 1: "Yes", 0: "Undecided"}[sign]


@pytest.mark.parametrize(
    ("level", "answer"),
    [
        (0.9, "Yes"),
        (0.3, "A little"),
        (0.5, "Yes, though how far is open"),
        (0.0, "Not shown"),
        (-0.5, "No: the other way round"),
    ],
)
def test_whether_weights_follow(level: float, answer: str) -> None:
    noise = np.array([-0.02, 0.03, -0.01, 0.01, -0.01])
    agreement = {"laya_low_rate": (level + noise)[:, None] + np.zeros((5, 9))}
    found = by_label(questions.findings_of(agreement, {"fusion": level + noise}))
    assert found == {"LAYA: weight and knowledge": answer, "Fusion: depth of weight and of knowledge": answer}
    assert questions.findings_of({"fusion": np.zeros((1, 9))}, {}) == []


def test_headlines_hold_the_intervals() -> None:
    table = planted({"scalar_mix": 2.5, "fusion": 3.0})
    line = fusion.headline(table, 0.5)
    last = over_tasks.against(table, "fusion", ["cls_linear"], 0.5)["cls_linear"].difference
    assert line is not None
    assert f"6 tasks: attentive layer fusion gains 3.0 points over the last layer (95 % interval {last.low:.1f}" in line
    assert "+0.5 (+" in line
    assert fusion.headline(planted({"fusion": 3.0}), 0.5) is None
    agreement = {"laya_low_rate": np.full((3, 2), 0.25) + np.array([[0.0], [0.1], [-0.1]])}
    found = questions.headline(agreement)
    assert found is not None
    assert found.endswith("knows: LAYA 0.25 (0.00 to 0.50)")
    assert questions.headline({}) is questions.headline({"fusion": np.zeros((1, 2))}) is None
