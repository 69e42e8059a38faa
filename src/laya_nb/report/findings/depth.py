"""Depth: does LAYA gain more in deeper networks, and how many layers does it use there?"""

from collections.abc import Sequence

from laya_nb.analysis.statistics import estimate, slopes
from laya_nb.report.findings.base import Finding, number
from laya_nb.report.tables import attention_table, effective_layers
from laya_nb.runs import Result

FEW = 0.5  # of the layers: attention that uses a smaller share leaves most of them aside


def findings_of(results: Sequence[Result]) -> list[Finding]:
    """From runs of LAYA and LastLayer at several depths, with the same seeds each; none from a single depth."""
    table = attention_table(results)
    table["depth"] = table["hidden_dims"].map(len)
    if table["depth"].nunique() < 2:
        return []
    gains = table.pivot_table(index=["seed", "depth"], columns="head", values="accuracy")
    gains = (gains["laya"] - gains["last_layer"]).rename("gain").reset_index()
    slope = estimate(slopes(gains, "gain", "depth"))
    deepest = table["depth"].max()
    used = estimate(effective_layers(table[(table["head"] == "laya") & (table["depth"] == deepest)]).to_numpy())
    if slope.low > 0:
        grows = "Yes"
    elif slope.high < 0:
        grows = "No: less"
    else:
        grows = f"No evidence, up to {deepest} layers"
    if used.high < FEW * deepest:
        many = "Fewer than half"
    elif used.low > FEW * deepest:
        many = "Most of them"
    else:
        many = "Undecided: the seed matters"
    return [
        Finding(
            "LAYA's gain per further layer",
            "Does LAYA gain more in deeper networks?",
            f"{slope:+.2f} points for each further layer, {slope.n} seeds",
            grows,
            number(slope),
            "points",
            0.0,
        ),
        Finding(
            "layers used",
            f"Of {deepest} layers, how many does attention use?",
            f"{used:.1f} (exponential of the entropy of the mean weights)",
            many,
        ),
    ]
