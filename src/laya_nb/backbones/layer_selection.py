"""A backbone seen through a selection of its layers: some left out, some shown twice, some replaced by noise."""

import re
from collections.abc import Sequence

from torch import Tensor, nn

from laya_nb.support.protocols import Backbone


class LayerSelection(nn.Module):
    """A backbone whose hidden states reach the head in another selection: some twice, some as noise.

    Args:
        backbone: any backbone.
        view: what the head gets, in order: "h3" is layer 3; "noise3" is layer 3 of another input, namely the next one
            in the batch. Noise made so has every statistic of the layer, knows nothing of the input, and passes no
            gradient back.

    Attributes:
        names: the view.

    Raises:
        ValueError: for an empty view, or an entry that names no layer.
    """

    def __init__(self, backbone: Backbone, view: Sequence[str]) -> None:
        super().__init__()
        self.check_settings(view, len(backbone.out_dims))
        parsed = [re.fullmatch(r"(h|noise)(\d+)", entry) for entry in view]
        self.backbone = backbone
        self.names = tuple(view)
        self.noise = tuple(match is not None and match[1] == "noise" for match in parsed)
        self.layers = tuple(int(match[2]) - 1 for match in parsed if match is not None)
        self.out_dims = tuple(backbone.out_dims[i] for i in self.layers)

    @staticmethod
    def check_settings(view: Sequence[str], layers: int) -> None:
        """Raise a ValueError for an empty view, or an entry that names none of the 1..`layers` layers."""
        known = [f"{kind}{i}" for i in range(1, layers + 1) for kind in ("h", "noise")]
        for entry in view:
            if entry not in known:
                raise ValueError(f"unknown hidden state {entry!r}; known: {', '.join(known)}")
        if not view:
            raise ValueError(f"the head must see at least one hidden state; known: {', '.join(known)}")

    def forward(self, x: Tensor) -> list[Tensor]:
        """Inputs (B, ...) to the selected hidden states, (B, d_i) each; also of stacked models, (M, B, d_i) each."""
        hidden_states = self.backbone(x)
        return [
            hidden_states[i].detach().roll(1, dims=-2) if noise else hidden_states[i]
            for i, noise in zip(self.layers, self.noise, strict=True)
        ]
