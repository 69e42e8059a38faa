"""Every figure of the book: one function each, from numbers to a Matplotlib figure, in one style.

Figures are drawn without pyplot, so a notebook shows each once: as the value of its cell.
"""

from laya_nb.figures.benchmark import accuracy_and_differences
from laya_nb.figures.mechanism import attention_on_images, head_diagram, temperature_curve
from laya_nb.figures.profiles import class_heatmaps, entropy_of_right_and_wrong, global_profile, profile_spread
from laya_nb.figures.style import STYLE

__all__ = [
    "STYLE",
    "accuracy_and_differences",
    "attention_on_images",
    "class_heatmaps",
    "entropy_of_right_and_wrong",
    "global_profile",
    "head_diagram",
    "profile_spread",
    "temperature_curve",
]
