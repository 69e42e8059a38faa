"""Tables of runs: what attention did, by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from laya_nb.report import tables
from laya_nb.runs import Result, Run
from laya_nb.statistics import compare, compare_all

ONE_LAYER, UNIFORM = [1.0, 0.0], [0.5, 0.5]


def result(run: Run, attention: list[list[float]] | None = None, guess: tuple[int, ...] = (0, 1)) -> Result:
    arrays = {"label": np.array([0, 1], np.uint8), "prediction": np.array(guess, np.uint8)}
    if attention is not None:
        arrays["attention"] = np.array(attention, np.float16)
    metrics = {"accuracy": 0.9, "macro_f1": 0.8, "validation_accuracy": 0.7, "head_parameters": 1234, "epochs": 3}
    return Result(
        run.name, run.describe(), metrics | ({"score_range": 6.0} if attention else {}), {}, {"seconds": 1.0}, arrays
    )


def test_all_accuracies_are_in_percent() -> None:
    table = tables.percent_table([result(Run()), result(Run(seed=1))])
    assert table["accuracy"].tolist() == pytest.approx([90, 90])
    assert table["macro_f1"].tolist() == pytest.approx([80, 80])
    assert table["validation_accuracy"].tolist() == pytest.approx([70, 70])
    assert table["epochs"].tolist() == [3, 3]


def test_attention_table_by_hand() -> None:
    table = tables.attention_table(
        [
            result(Run(temperature=2.0), [ONE_LAYER, UNIFORM]),
            result(Run(seed=1, temperature=2.0), [ONE_LAYER, [0.0, 1.0]]),
            result(Run(head="last_layer"), None),
        ]
    )
    assert table["entropy"].tolist() == pytest.approx([0.5, 0.0, np.nan], nan_ok=True)
    assert table["entropy_std"].tolist() == pytest.approx([0.5, 0.0, np.nan], nan_ok=True)
    assert table["profile_entropy"].iloc[1] == pytest.approx(1.0)  # each image one layer, all images together both
    assert table["last_weight"].tolist()[:2] == pytest.approx([0.25, 0.5])
    assert table["top_weight"].tolist()[:2] == pytest.approx([0.75, 1.0])
    assert table["logit_range"].tolist()[:2] == pytest.approx([3.0, 3.0])


def test_class_profiles_of_all_right_and_wrong_predictions() -> None:
    results = [result(Run(), [ONE_LAYER, UNIFORM]), result(Run(seed=1), [UNIFORM, ONE_LAYER], guess=(0, 0))]
    np.testing.assert_allclose(tables.class_profiles(results, 2), [[ONE_LAYER, UNIFORM], [UNIFORM, ONE_LAYER]])
    nothing = [np.nan, np.nan]
    correct = tables.class_profiles(results, 2, "correct")
    incorrect = tables.class_profiles(results, 2, "incorrect")
    np.testing.assert_allclose(correct, [[ONE_LAYER, UNIFORM], [UNIFORM, nothing]])
    np.testing.assert_allclose(incorrect, [[nothing, nothing], [nothing, ONE_LAYER]])


def test_effective_layers_by_hand() -> None:
    table = pd.DataFrame({"hidden_dims": [[8, 8, 8], [8, 8]], "profile_entropy": [1.0, 0.0]})
    assert tables.effective_layers(table).tolist() == pytest.approx([3, 1])


def test_benchmark_table_shows_each_head_in_the_order_of_the_runs() -> None:
    results = [result(Run(head=head, seed=seed)) for head in ("laya", "last_layer") for seed in range(2)]
    table = tables.percent_table(results)
    table.loc[table["seed"] == 1, "accuracy"] = 92.0
    table.loc[table["head"] == "last_layer", "head"] = "toy_head"  # a head that no catalog knows
    shown = tables.benchmark_table(table, {"laya": (88.34, 0.46)})
    assert list(shown.index) == ["LAYA", "toy_head"]
    assert shown["accuracy, %"].tolist() == ["91.00 ± 1.41"] * 2
    assert shown["macro-F1, %"].tolist() == ["80.00 ± 0.00"] * 2
    assert shown["95 % interval"].iloc[0] == "[78.29, 103.71]"  # 91 ± 12.706 * 1.414 / sqrt(2)
    assert shown["paper, %"].tolist() == ["88.34 ± 0.46", "–"]
    assert shown[["parameters", "epochs", "seconds"]].iloc[0].tolist() == ["1,234", "3", "1"]
    assert "paper, %" not in tables.benchmark_table(table, {})


def test_comparison_table_shows_each_setting() -> None:
    rows = [{"tau": tau, "seed": seed, "y": 10.0 * seed + tau} for tau in (1.0, 2.0, 4.0) for seed in range(3)]
    shown = tables.comparison_table(compare_all(pd.DataFrame(rows), "y", 2.0, 0.5, by="tau"))
    assert list(shown.index) == [1.0, 4.0]
    assert shown["difference, points"].tolist() == ["-1.00", "+2.00"]
    assert set(shown["p of a difference"]) == {"< 0.001"}, "a p value is never 0"
    assert set(shown["Holm"]) == {"yes"}
    assert shown["verdict"].tolist() == ["lower", "higher"]


def test_p_values_are_those_that_the_verdict_goes_by() -> None:
    comparison = compare([1.0, 2.0, 4.0], [1.0, 1.5, 1.0], 0.5)
    shown = tables.comparison_table({"laya": comparison})
    assert shown.loc["LAYA", "Holm"] == "–"
    assert shown.loc["LAYA", "p of a difference"] == f"{comparison.p_difference:.3f}"
    assert shown.loc["LAYA", "p of ±0.5 or more"] == f"{comparison.p_equivalence:.3f}"
    corrected = tables.comparison_table({"laya": replace(comparison, p_holm=0.5, p_equivalence_holm=0.75)})
    assert corrected.to_numpy()[0, 2:5].tolist() == ["0.500", "0.750", "yes"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "< 0.001"), (0.0009, "< 0.001"), (0.001, "0.001"), (float("nan"), "–")]
)
def test_a_p_value_is_never_0(value: float, text: str) -> None:
    assert tables.p_text(value) == text
