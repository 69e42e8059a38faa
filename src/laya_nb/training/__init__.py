"""Train models and measure them."""

from laya_nb.training.config import NonFiniteLoss, TrainingConfig, TrainingHistory
from laya_nb.training.fit import fit
from laya_nb.training.predict import Predictions, evaluate, predict
from laya_nb.training.stacked import StackedModel, fit_stacked

__all__ = [
    "NonFiniteLoss", "Predictions", "StackedModel", "TrainingConfig", "TrainingHistory", "evaluate", "fit",
    "fit_stacked", "predict",
]  # fmt: skip
