"""A classifier: a backbone that shows its hidden states, and a head that reads them."""

from torch import Tensor, nn

from laya_nb.heads import Head, HeadOutput


class DepthClassifier(nn.Module):
    """`model(x)` is `head(backbone(x))`: inputs to `HeadOutput(logits, attention)`.

    Raises:
        ValueError: if the head was built for other widths than the backbone has.
    """

    def __init__(self, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        if tuple(backbone.out_dims) != head.in_dims:  # type: ignore[arg-type]
            raise ValueError(f"the backbone's widths are {backbone.out_dims}, the head expects {head.in_dims}")
        self.backbone = backbone
        self.head = head

    def forward(self, x: Tensor) -> HeadOutput:
        return self.head(self.backbone(x))
