"""Backbones: `forward(x)` returns the list of hidden states h_1..h_L, `out_dims` holds their widths."""

from laya_nb.backbones.bilstm import BiLSTM
from laya_nb.backbones.cnn import DepthwiseCNN
from laya_nb.backbones.frozen import FrozenFeatures
from laya_nb.backbones.hidden_states import HiddenStates
from laya_nb.backbones.layer_selection import LayerSelection
from laya_nb.backbones.mlp import MLP
from laya_nb.support.protocols import Backbone

__all__ = ["MLP", "Backbone", "BiLSTM", "DepthwiseCNN", "FrozenFeatures", "HiddenStates", "LayerSelection"]
