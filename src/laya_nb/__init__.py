"""The package behind the book: the LAYA head, its rivals, how they are trained, and how they are measured.

Start with `laya_nb.heads`; `laya_nb.runs` turns a description into a result.
"""

from laya_nb.backbones import HiddenStates
from laya_nb.heads import DepthClassifier, LAYAHead

__all__ = ["DepthClassifier", "HiddenStates", "LAYAHead"]
