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
)
from laya_nb.report.figures.benchmark import accuracy_and_differences, probes_and_heads
from laya_nb.report.figures.doubts import auroc_map, reliability
from laya_nb.report.figures.exits import exit_curves
from laya_nb.report.figures.explorer import explore
from laya_nb.report.figures.faithfulness import direct_and_total, one_prediction, pruning_curves, rankings_of_layers
from laya_nb.report.figures.layer_explorer import explore_layers
from laya_nb.report.figures.layers import (
    accuracy_over_depth,
    against_known,
    correlations_over_layers,
    layers,
    measures_over_depth,
    over_training,
    regrets,
    under_shift,
)
from laya_nb.report.figures.mechanism import (
    attention_on_images,
    five_heads,
    head_diagram,
    layer_bars,
    on_top_of_any_network,
    strips,
    temperature_curve,
)
from laya_nb.report.figures.probes import (
    depth_of_weight,
    estimates_by_row,
    gains_by_task,
    near_and_far,
    row_of_pictures,
    single_layer_curves,
)
from laya_nb.report.figures.profiles import class_heatmaps, entropy_of_right_and_wrong, global_profile, profile_spread
from laya_nb.report.figures.stability import averaging_helps, pair_spread, shared_by_runs, weight_spread
from laya_nb.report.figures.story import forest, same_images
from laya_nb.report.figures.training import training_curves

__all__ = [
    "accuracy_and_differences",
    "accuracy_over_depth",
    "against_known",
    "against_setting",
    "agreement_between_runs",
    "attention_on_images",
    "auroc_map",
    "averaging_helps",
    "class_heatmaps",
    "collapse_map",
    "correlations_over_layers",
    "depth_of_weight",
    "direct_and_total",
    "entropy_of_right_and_wrong",
    "estimates_by_row",
    "exit_curves",
    "explore",
    "explore_layers",
    "five_heads",
    "forest",
    "gain_against_setting",
    "gains_by_task",
    "global_profile",
    "grid_choice",
    "head_diagram",
    "layer_bars",
    "layers",
    "mean_weights",
    "measures_over_depth",
    "near_and_far",
    "on_top_of_any_network",
    "one_prediction",
    "over_training",
    "pair_spread",
    "probes_and_heads",
    "profile_spread",
    "pruning_curves",
    "rankings_of_layers",
    "regrets",
    "reliability",
    "row_of_pictures",
    "same_images",
    "shared_by_runs",
    "single_layer_curves",
    "strips",
    "temperature_curve",
    "training_curves",
    "under_shift",
    "weight_spread",
]
