"""What the LAYA paper reports (arXiv 2511.12723v1), to stand beside what this project measures."""

from itertools import product
from typing import Any

import numpy as np

SEEDS = 5

ACCURACY: dict[str, dict[str, tuple[float, float]]] = {
    "fashion_mnist": {
        "last_layer": (88.29, 0.63),
        "concat": (87.89, 0.20),
        "scalar_mix": (88.07, 0.26),
        "laya": (88.34, 0.46),
    },
    "cifar10": {
        "last_layer": (71.12, 2.36),
        "concat": (71.55, 0.96),
        "scalar_mix": (71.44, 1.71),
        "laya": (72.12, 0.60),
    },
    "imdb": {
        "last_layer": (86.92, 0.57),
        "concat": (86.88, 0.62),
        "scalar_mix": (86.69, 0.43),
        "laya": (87.07, 0.35),
    },
}
"""Test accuracy in percent, mean and standard deviation over five seeds, by data set and head."""

LAST_LAYER_WEIGHT = {"fashion_mnist": 0.76, "cifar10": 0.96, "imdb": 0.52}
"""Mean attention on the last layer (about), by data set."""

CLASS_PROFILES = {
    "fashion_mnist": np.array(
        [
            [0.221, 0.528, 0.250],
            [0.017, 0.002, 0.980],
            [0.007, 0.010, 0.983],
            [0.223, 0.024, 0.753],
            [0.001, 0.001, 0.998],
            [0.867, 0.000, 0.133],
            [0.053, 0.162, 0.785],
            [0.019, 0.001, 0.980],
            [0.012, 0.001, 0.987],
            [0.247, 0.000, 0.752],
        ]
    )
}
"""Mean attention of each class over all test examples, (C, L). They appear to come from one seed, not from a mean:
they equal the released notebook's single run where that one prints them."""

GRID: dict[str, dict[str, list]] = {
    "fashion_mnist": {
        "d_star": [64, 96, 128],
        "temperature": [0.5, 1.0, 1.5],
        "psi": ["identity", "mlp"],
        "scorer_factor": [1, 2],
    },
    "cifar10": {
        "d_star": [128, 192, 256],
        "temperature": [0.5, 1.0, 1.5],
        "psi": ["identity", "mlp"],
        "scorer_factor": [1, 2],
    },
    "imdb": {
        "d_star": [64, 96],
        "temperature": [0.7, 1.0, 1.3],
        "psi": ["identity", "mlp"],
        "scorer_factor": [1, 2],
    },
}
"""What the paper tried for LAYA, where the scorer's width is `scorer_factor` times d*. It chose by mean validation
accuracy over three seeds."""

CHOICE: dict[str, dict[str, Any]] = {
    "fashion_mnist": {"d_star": 96, "temperature": 1.5, "psi": "identity", "scorer_factor": 2},
    "cifar10": {"d_star": 128, "temperature": 1.0, "psi": "identity", "scorer_factor": 1},
    "imdb": {"d_star": 96, "temperature": 1.3, "psi": "mlp", "scorer_factor": 2},
}
"""What it chose."""


def grid_settings(dataset: str) -> list[dict[str, Any]]:
    """Every setting of the paper's grid, in terms of `runs.Run`."""
    combinations = product(*GRID[dataset].values())
    return [
        {"d_star": d_star, "temperature": temperature, "psi": psi, "scorer_width": factor * d_star}
        for d_star, temperature, psi, factor in combinations
    ]
