"""The measurements of faithfulness and pruning as tables, curves, findings and figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from laya_nb import figures
from laya_nb.analysis.faithfulness import REMOVALS
from laya_nb.report import explanations, networks, pruned
from laya_nb.report.findings import faithfulness as faithful_findings
from laya_nb.report.findings import pruning as pruning_findings
from laya_nb.runs import ResultStore, Run, sweep
from laya_nb.runs.pruning import judged_rows
from laya_nb.runs.scores import ScoreTable
from laya_nb.statistics import estimate
from laya_nb.training import TrainingConfig

SEEDS = 4


def measured(**of_weight: float) -> pd.DataFrame:
    """Two networks; every ranking scores 0.4 plus noise that all share, but those that are named."""
    rng = np.random.default_rng(0)
    rows = []
    for network in ("a", "b"):
        for seed in range(SEEDS):
            common = rng.normal(0, 0.1)
            row: dict[str, Any] = {"network": network, "seed": seed}
            for ranking in explanations.RANKINGS:
                for removal in REMOVALS:
                    of = of_weight.get(ranking.replace(" ", "_"), 0.4)
                    row[f"{ranking}/{removal}/comprehensiveness"] = common + of + rng.normal(0, 1e-3)
                    row[f"{ranking}/{removal}/sufficiency"] = common - of + rng.normal(0, 1e-3)
            row["layers/weight"] = np.array([0.2, 0.8])
            rows.append(row)
    return pd.DataFrame(rows)


def fresh(gain: float) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        [
            {"network": n, "seed": s, "given/own": 0.8 + gain + rng.normal(0, 1e-4), "given/shuffled within class": 0.8}
            for n in ("a", "b")
            for s in range(SEEDS)
        ]
    )


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [
        ({"weight": 0.4}, "not shown that the weights tell what the head reads better than a random order"),
        ({"weight": 0.6, "constant": 0.6, "class_mean": 0.6}, "were not shown to tell more than the mean."),
        ({"weight": 0.6, "class_mean": 0.6}, "within a class, those of a single input were not shown"),
        ({"weight": 0.6}, "for it, beyond its class"),
    ],
)
def test_the_verdict_on_a_network_follows_from_three_comparisons(scores: dict[str, float], verdict: str) -> None:
    said = faithful_findings.sentences(measured(**scores), 0.01)
    assert list(said) == ["a", "b"]
    assert all(verdict in sentence for sentence in said.values())


def test_findings_of_faithfulness_are_paired_within_seeds() -> None:
    found = {f.label: f for f in faithful_findings.findings_of(measured(weight=0.6), fresh(0.02), 0.01)}
    gain = found["a: weights - constant"]
    assert gain.answer == "Yes"
    assert gain.number is not None
    assert gain.number.mean == pytest.approx(0.2, abs=0.003)
    assert gain.number.high - gain.number.low < 0.01  # the seeds' common part is gone
    own = found["b: own weights given to a new head"]
    assert (own.answer, own.scale) == ("Yes", "points")
    assert own.number is not None
    assert own.number.mean == pytest.approx(2, abs=0.05)
    same = faithful_findings.findings_of(measured(weight=0.4), fresh(0.0), 0.01)
    assert {f.answer for f in same} == {"No: as much"}
    said = faithful_findings.headline(measured(weight=0.6, class_mean=0.6), 0.01)
    assert "random order does on 2 of them" in said
    assert "of the predicted class on 0" in said


def test_tables_of_rankings_show_every_ranking_and_removal() -> None:
    table = measured(weight=0.6)
    assert list(explanations.removals(table).columns) == list(REMOVALS)
    assert str(explanations.removals(table).loc["a", "zero"]).startswith("0.20")
    assert list(explanations.ranking_table(table, "mean").index) == list(explanations.RANKINGS)
    assert explanations.comparisons(table, "masked", "random", 0.01)["verdict"].tolist() == ["higher", "higher"]
    shown = explanations.numbers(fresh(0.01), {"given/own": "own, %"}, scale=100, digits=1)
    assert str(shown.loc["a", "own, %"]).startswith("81.0 [")
    assert explanations.by_layer(table, {"weight": "w"})["b"]["w"].shape == (SEEDS, 2)
    assert [e.mean for e in explanations.gains(table, "masked", ["random"])["less random"]] == pytest.approx(
        [0.2, 0.2], abs=0.003
    )


def subsets(layers: int, seed: int) -> dict[str, Any]:
    """A measured run: layer 1 is worth 40 points, each other one point; attention knows, chance does not."""
    rows = np.arange(2**layers)
    worth = np.where(rows & 1, 0.4, 0.0) + 0.01 * np.array([bin(r >> 1).count("1") for r in rows]) + 0.001 * seed
    retrained = np.full(2**layers, 0.8, dtype=float)
    retrained[0] = worth[0] = np.nan
    first = np.array([1.0, *np.linspace(0.1, 0.2, layers - 1)])
    return {
        "network": f"{layers} layers", "seed": seed, "chosen_on": worth, "as_it_is": worth, "retrained": retrained,
        "random/0": first[::-1], "score/weight": first, "score/contribution": first, "score/shapley": first,
        "score/block influence": np.full(layers, np.nan),
    }  # fmt: skip


CURVES = pd.DataFrame([subsets(layers, seed) for layers in (3, 4) for seed in range(SEEDS)])


def test_curves_follow_each_order_down_to_one_layer() -> None:
    shown = pruned.curves(CURVES, "as_it_is")
    assert list(shown) == ["3 layers", "4 layers"]
    three = shown["3 layers"]
    assert "block influence" not in three  # it has no order
    assert three["attention"][0].tolist() == pytest.approx([42, 41, 40])
    assert three["deepest first"][0].tolist() == pytest.approx([42, 41, 40])
    assert three["best subset"][1].tolist() == pytest.approx([42.1, 41.1, 40.1])
    assert three["random"][0].tolist() == pytest.approx([42, (41 + 41 + 2) / 3, (40 + 1 + 1) / 3])
    assert str(pruned.losses(shown, "attention").loc["4 layers", "1 left"]).startswith("-3.0")
    assert pruned.losses(shown, "attention").loc["3 layers", "3 left"] == ""


def test_curves_along_orders_are_means_of_random_ones_and_in_percent() -> None:
    rows = [
        {"network": "a", "seed": seed, "score/weight": 0, "score/shapley": 0}
        | {f"as_it_is/{name}": np.array([0.9, 0.5]) for name in ("score/weight", "score/shapley", "deepest first")}
        | {f"as_it_is/random/{i}": np.array([0.9, 0.2 + 0.2 * i + 0.1 * seed]) for i in range(2)}
        for seed in range(3)
    ]
    shown = pruned.curves_of_orders(pd.DataFrame(rows))["a"]
    assert list(shown) == ["attention", "Shapley", "deepest first", "random"]
    np.testing.assert_allclose(shown["attention"], [[90, 50]] * 3)
    np.testing.assert_allclose(shown["random"], [[90, 30], [90, 40], [90, 50]])


def test_probes_on_fewer_tokens_are_trained_on_what_each_order_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYA_NB_RESULTS", str(tmp_path))
    protocol = TrainingConfig(max_epochs=1, patience=1)
    runs = [
        Run(dataset="fashion_mnist_sample", hidden_dims=(8, 8, 8), seed=seed, protocol=protocol) for seed in range(2)
    ]
    scores = {"score/weight": np.array([0.1, 0.6, 0.3]), "random/0": np.array([0.5, 0.1, 0.2])}
    table = pd.DataFrame([{"network": "a"} | scores for _ in runs])
    lost = pruned.with_fewer_tokens({"a": runs}, table, [2, 1], ScoreTable("fewer"))["a"]
    kept = {
        "attention": (["h2", "h3"], ["h2"]),
        "deepest first": (["h1", "h2"], ["h1"]),
        "random": (["h1", "h3"], ["h1"]),
    }
    for order, views in kept.items():
        for i, view in enumerate(views):
            for seed, run in enumerate(runs):
                whole, shorter = sweep([run, run.replace(view=view)], ResultStore())
                gone = 100 * (shorter.metrics["accuracy"] - whole.metrics["accuracy"])
                assert lost[order][seed, 1 + i] == pytest.approx(gone)
    shown = pruned.tokens_table({"a": lost}, [2, 1])
    assert list(shown.columns) == ["2 left", "1 left"]
    assert shown.loc[("a", "attention"), "1 left"] == f"{estimate(lost['attention'][:, 2]):+.1f}"


def test_random_orders_stand_in_where_not_every_subset_was_measured() -> None:
    run = subsets(3, 0)
    run["retrained"] = np.array([np.nan, 0.1, np.nan, 0.2, np.nan, np.nan, np.nan, 0.9])
    # the random scores are those of attention turned round: layer 1 goes first, then layer 2 or 3
    run["random/0"] = np.array([3.0, 2.0, 1.0])
    assert pruned._random(run, "retrained", 3).tolist() == pytest.approx([0.9, 0.2, 0.1])


def test_findings_of_pruning_compare_attention_with_chance() -> None:
    as_it_is, retrained = (pruned.curves(CURVES, which) for which in ("as_it_is", "retrained"))
    found = {f.label: f for f in pruning_findings.findings_of(as_it_is, retrained, 0.5)}
    assert found["3 layers, as it is: attention - random"].answer == "Yes"
    assert found["3 layers, new head: attention - random"].answer == "No: the same within ±0.5 points"
    assert "keeps" in pruning_findings.headline(as_it_is, retrained)
    assert pruned.comparisons(as_it_is, "attention", "random", 0.5)["verdict"].tolist() == ["higher", "higher"]


def test_a_cut_network_and_one_from_scratch_are_judged_on_the_same_examples() -> None:
    rows = judged_rows(10_000)

    class Stored:
        def __init__(self, right: float) -> None:
            self.correct = np.zeros(10_000, dtype=bool)  # what nobody is judged on is wrong
            self.correct[rows[: int(right * len(rows))]] = True

    assert len(rows) == len(rows.unique()) == 4000
    shown = pruned.curves(CURVES, "retrained")
    table = pruned.shallower_table(shown, {"3 layers": {1: [Stored(0.7 + 0.01 * s) for s in range(SEEDS)]}})  # type: ignore[misc]
    assert str(table["from scratch, %"].iloc[0]).startswith("71.5")
    assert str(table["difference"].iloc[0]).startswith("+8.5")


def test_costs_are_shares_of_the_whole() -> None:
    cost: dict[str, Any] = {name: np.array([50.0, 75.0, 100.0]) for name in ("parameters", "ms_1", "ms_many")}
    table = pruned.cost_table(cost | {"multiply_adds": np.zeros(3), "batch": 256.0})
    assert table.T["up to layer 1"].to_list() == ["50 %", "–", "50 %", "50 %"]
    assert table.T["whole model"].to_list() == ["100", "–", "100.00 ms", "100.00 ms"]


def test_the_networks_have_the_settings_of_their_chapters() -> None:
    assert networks.runs_of("cifar10", [3], 50)[0].protocol.learning_rate == 1e-3
    assert networks.runs_of("eight_layers", [0], 50)[0].hidden_dims == (128,) * 8
    shallower = networks.shallower_runs("eight_layers", [0, 1], 50)
    assert (
        shallower[3][1].describe()
        == networks.runs_of("eight_layers", [1], 50, "last_layer")[0].replace(hidden_dims=(128,) * 3).describe()
    )
    assert networks.shallower_runs("frozen_transformer", [0], 50)[2][0].view == ("h2",)
    with pytest.raises(ValueError, match="network"):
        networks.runs_of("resnet", [0], 50)


def test_figures_draw_every_line_and_interval() -> None:
    table = measured(weight=0.6)
    fig = figures.rankings_of_layers(explanations.rankings(table, "masked"), "weight", "x")
    assert len(fig.axes) == 2
    assert len(fig.axes[0].lines) == 2 * len(explanations.RANKINGS)
    shown = explanations.by_layer(table, {"weight": "weight"})
    three = {n: {"weight": v["weight"], "direct": v["weight"] / 2, "total": v["weight"]} for n, v in shown.items()}
    fig = figures.direct_and_total(three)
    assert [str(line.get_label()) for line in fig.axes[0].lines if not str(line.get_label()).startswith("_")] == [
        "weight", "direct", "total",
    ]  # fmt: skip
    assert np.asarray(fig.axes[0].lines[2 * SEEDS + 1].get_ydata()).tolist() == pytest.approx([0.1, 0.4])
    fig = figures.pruning_curves(pruned.curves(CURVES, "as_it_is"), "accuracy")
    assert np.asarray(fig.axes[1].lines[0].get_xdata()).tolist() == [4, 3, 2, 1]
    assert np.asarray(fig.axes[0].lines[0].get_ydata()).tolist() == pytest.approx([42.15, 41.15, 40.15])
    left, right = fig.axes[0].get_xlim()
    assert left > right
    assert fig.axes[0].get_xlabel() == "layers left"
    many = figures.pruning_curves({"a": {"random": np.zeros((2, 24))}}, "accuracy", parts="tokens").axes[0]
    assert many.get_xlabel() == "tokens left"
    assert sorted(many.get_xticks()) == [1, 6, 12, 18, 24]
