"""Tables of runs: what attention did, by hand."""

import numpy as np
import pandas as pd
import pytest

from laya_nb.report import tables
from laya_nb.runs import Run
from laya_nb.statistics import compare_all
from laya_nb.runs import Result

ONE_LAYER, UNIFORM = [1.0, 0.0], [0.5, 0.5]


def result(run: Run, attention: list[list[float]] | None) -> Result:
    arrays = {"label": np.array([0, 1], np.uint8), "prediction": np.array([0, 1], np.uint8)}
    if attention is not None:
        arrays["attention"] = np.array(attention, np.float16)
    metrics = {"accuracy": 0.9, "macro_f1": 0.8} | ({"score_range": 6.0} if attention else {})
    return Result(run.name, run.describe(), metrics, {}, {"seconds": 1.0}, arrays)


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
    assert table["accuracy"].tolist() == pytest.approx([90.0] * 3)


def test_settings_are_compared_with_the_reference_seed_by_seed() -> None:
    rows = [{"tau": tau, "seed": seed, "y": 10.0 * seed + tau} for tau in (1.0, 2.0, 4.0) for seed in range(3)]
    compared = compare_all(pd.DataFrame(rows), "y", 2.0, 0.5, by="tau")
    assert {tau: c.difference.mean for tau, c in compared.items()} == pytest.approx({1.0: -1.0, 4.0: 2.0})
    shown = tables.comparison_table(compared)
    assert list(shown.index) == [1.0, 4.0]
    assert set(shown["p of a difference (Holm)"]) == {"< 0.001"}, "a p value is never 0"
    with pytest.raises(ValueError, match=r"no run has tau 3.0, the reference; there are: \[1.0, 2.0, 4.0\]"):
        compare_all(pd.DataFrame(rows), "y", 3.0, 0.5, by="tau")
