"""What readers import: `laya_nb.analysis.statistics` under its short name."""

from laya_nb.analysis.statistics import (
    Comparison,
    Estimate,
    compare,
    compare_all,
    estimate,
    holm,
    holm_within,
    slopes,
    welch_t,
)

__all__ = ["Comparison", "Estimate", "compare", "compare_all", "estimate", "holm", "holm_within", "slopes", "welch_t"]
