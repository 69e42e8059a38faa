"""Temperature: does it change accuracy, and does the scorer undo it?"""

from collections.abc import Sequence

import numpy as np

from laya_nb.analysis.statistics import Estimate, estimate, slopes
from laya_nb.report.findings.base import MARGIN, Finding, number
from laya_nb.report.tables import attention_table
from laya_nb.runs import Result

SMALL = 2 * MARGIN  # points from the lowest temperature to the highest, a factor of 100: less is called small
UNDONE = 1.0  # the power of τ with which scores grow where the scorer undoes the temperature
HARDLY = 0.7  # a power below this leaves most of the temperature's effect: ten times τ still divide s(x)/τ by two


def findings_of(results: Sequence[Result]) -> list[Finding]:
    """From LAYA runs at several temperatures, with the same seeds each; none from a single temperature."""
    table = attention_table(results)
    if table["temperature"].nunique() < 2:
        return []
    gain = estimate(slopes(table, "accuracy", "temperature", log_x=True))
    power = estimate(slopes(table, "score_range", "temperature", log_y=True, log_x=True))
    low, high = table["temperature"].min(), table["temperature"].max()
    entropies = table.groupby("temperature")["entropy"].mean()
    if power.high < HARDLY:
        undone = f"Hardly: mean entropy {entropies[low]:.2f} at τ = {low:g}, {entropies[high]:.2f} at {high:g}"
    elif power.high < UNDONE:
        undone = "In part"
    else:
        undone = "It may"
    return [
        Finding(
            "ten times the temperature",
            "Does the temperature change accuracy?",
            f"{gain:+.2f} points for ten times τ, {gain.n} seeds",
            _trend(gain, low, high),
            number(gain),
            "points",
            0.0,
        ),
        Finding(
            "share of τ that the scorer undoes",
            "Does the scorer undo the temperature?",
            f"range of s(x) grows as τ to the power {power:.2f}, {power.n} seeds",
            undone,
            number(power),
            "share",
            0.0,
        ),
    ]


def _trend(slope: Estimate, low: float, high: float) -> str:
    """What a slope, in points for ten times τ, says of accuracy between two temperatures."""
    reach = max(abs(slope.low), abs(slope.high)) * np.log10(high / low)
    span = f"{low:g} to {high:g}"
    if slope.low > 0 or slope.high < 0:
        size = f", but small: at most {reach:.1f} points" if reach < SMALL else ""
        return f"{'Upwards' if slope.low > 0 else 'Downwards'} from {span}{size}"
    return f"No: within {reach:.1f} points from {span}" if reach < SMALL else "No evidence"
