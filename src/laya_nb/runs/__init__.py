"""Experiments: described, carried out, kept, measured."""

from laya_nb.heads import BENCHMARK_HEADS, HEAD_LABELS, HEADS, count_parameters
from laya_nb.runs.checkpoints import trained_model, trained_models
from laya_nb.runs.measurements import Measurement, measure, measurement
from laya_nb.runs.run import Run, grid
from laya_nb.runs.scores import ScoreTable
from laya_nb.runs.store import Result, ResultStore, StoreError
from laya_nb.runs.sweep import SweepError, sweep
from laya_nb.runs.train import build_model, input_size, train, train_stacked
from laya_nb.runs.workers import worker_setup

__all__ = [
    "BENCHMARK_HEADS", "HEADS", "HEAD_LABELS", "Measurement", "Result", "ResultStore", "Run", "ScoreTable",
    "StoreError", "SweepError", "build_model", "count_parameters", "grid", "input_size", "measure", "measurement",
    "sweep", "train", "train_stacked", "trained_model", "trained_models", "worker_setup",
]  # fmt: skip
