"""A frozen transformer: LAYA against a probe of the last layer, of the best layer, and against ScalarMix."""

from collections.abc import Sequence

import pandas as pd

from laya_nb.analysis.statistics import compare_all
from laya_nb.report.findings import benchmark
from laya_nb.report.findings.base import MARGIN, Finding, as_number, more_accurate, points_and_seeds
from laya_nb.report.tables import percent_table
from laya_nb.runs import Result

LABELS: dict[object, str] = {"scalar_mix": "ScalarMix", "equal_mix": "equal weights"}


def findings_of(heads: Sequence[Result], probes: Sequence[Result]) -> list[Finding]:
    """From runs on a frozen network, with the same seeds each; none without LAYA's.

    Args:
        heads: LAYA's are taken, and ScalarMix's if they are there.
        probes: of every layer: LastLayer with that layer alone in its view.
    """
    read, probed = percent_table(heads), percent_table(probes)
    if "laya" not in set(read["head"]):
        return []
    probed["layer"] = [view[0] for view in probed["view"]]
    best = probed.groupby("layer")["validation_accuracy"].mean().idxmax()
    last = f"h{len(read['hidden_dims'].iloc[0])}"
    rivals = {
        last: "a probe of the last layer",
        best: f"a probe of the best layer, {best}",
    }
    fixed = {
        "scalar_mix": "ScalarMix, one weight per layer for all inputs",
        "equal_mix": "an equal mix of all layers",
    }
    rivals |= {head: what for head, what in fixed.items() if head in set(read["head"])}
    rows = pd.concat([read.assign(reader=read["head"]), probed.assign(reader=probed["layer"])])
    rows = rows[rows["reader"].isin({"laya", *rivals})]
    gains = {rival: compare_all(rows, "accuracy", rival, MARGIN, by="reader")["laya"] for rival in rivals}
    return [
        Finding(
            f"LAYA - {LABELS.get(rival, rival)}",
            f"Frozen transformer: is LAYA more accurate than {what}?",
            points_and_seeds(gains[rival]),
            more_accurate(gains[rival]),
            **as_number(gains[rival]),
        )
        for rival, what in rivals.items()
    ]


def headline(heads: Sequence[Result]) -> str | None:
    """The chapter's outcome in one line, from runs of all heads."""
    return benchmark.headline(heads, f"{benchmark.title_of(heads)}, read by a frozen transformer")
