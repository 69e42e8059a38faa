"""A classifier: a backbone that shows its hidden states, and a head that reads them."""

from torch import Tensor, nn

from laya_nb.heads.base import Head, HeadOutput
from laya_nb.support.protocols import Backbone


class DepthClassifier(nn.Module):
    """`model(x)` is `head(backbone(x))`: inputs to `HeadOutput(logits, attention, scores)`.

    Args:
        backbone: any module with `out_dims` whose `forward` returns hidden states. If it has `names` for them, the
            head's attention goes by these.
        head: any head, built for the backbone's `out_dims`.

    Raises:
        ValueError: if the head was built for other widths than the backbone has.
    """

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        if tuple(backbone.out_dims) != head.in_dims:
            raise ValueError(f"the backbone's widths are {backbone.out_dims}, the head expects {head.in_dims}")
        self.backbone = backbone
        self.head = head
        head.names = tuple(getattr(backbone, "names", head.names))

    def forward(self, x: Tensor) -> HeadOutput:
        """Inputs (B, ...) to `HeadOutput`."""
        return self.head(self.backbone(x))
