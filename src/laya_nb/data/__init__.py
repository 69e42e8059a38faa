"""Data sets as tensors in memory."""

from laya_nb.data.catalog import load
from laya_nb.data.dataset import Dataset, Examples, Splits, check_examples
from laya_nb.support.files import DataError

__all__ = ["DataError", "Dataset", "Examples", "Splits", "check_examples", "load"]
