"""Frozen networks: pretrained encoders, and their hidden states as data sets."""

from laya_nb.features.dataset import load, load_part, names, widths
from laya_nb.features.encoders import Encoder
from laya_nb.features.extract import Inputs, extract

__all__ = ["Encoder", "Inputs", "extract", "load", "load_part", "names", "widths"]
