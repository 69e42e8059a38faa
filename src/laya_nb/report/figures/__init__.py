"""Every figure of the book: one function each, from numbers to a Matplotlib figure, in one style.

Figures are drawn without pyplot, so a notebook shows each once: as the value of its cell.
"""

from laya_nb.report.figures.ablations import (
    against_setting,
    agreement_between_runs,
    collapse_map,
    gain_against_setting,
    grid_choice,
    mean_weights,
    profiles_side_by_side,
)
from laya_nb.report.figures.benchmark import accuracy_and_differences, probes_and_heads
from laya_nb.report.figures.mechanism import attention_on_images, head_diagram, temperature_curve
from laya_nb.report.figures.profiles import class_heatmaps, entropy_of_right_and_wrong, global_profile, profile_spread
from laya_nb.report.figures.stability import averaging_helps, pair_spread, shared_by_runs, weight_spread

__all__ = [
    "accuracy_and_differences",
    "against_setting",
    "agreement_between_runs",
    "attention_on_images",
    "averaging_helps",
    "class_heatmaps",
    "collapse_map",
    "entropy_of_right_and_wrong",
    "gain_against_setting",
    "global_profile",
    "grid_choice",
    "head_diagram",
    "mean_weights",
    "pair_spread",
    "probes_and_heads",
    "profile_spread",
    "profiles_side_by_side",
    "shared_by_runs",
    "temperature_curve",
    "weight_spread",
]
