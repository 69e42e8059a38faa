"""How fast the head of attentive layer fusion trains, beside its formula as it is usually written."""

from collections.abc import Sequence
from functools import partial

import torch
from bench_tools import Row, interleave, ratios
from torch import Tensor
from torch.nn import functional as F

from laya_nb.data import Examples
from laya_nb.heads import HeadOutput
from laya_nb.heads.fusion import AttentiveFusionHead

BATCH, TOKENS, WIDTH = 512, 24, 384  # ViT-S: CLS and mean patch from twelve taps, one head per token


def fusion(train: Examples, repeats: int) -> list[Row]:
    """Forward and backward of ALF's head, with keys and values for every token and without. Random inputs."""
    rows = []
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        where = "" if device == "cpu" else ", GPU"
        states = [torch.randn(BATCH, WIDTH, device=device) for _ in range(TOKENS)]
        labels = torch.randint(100, (BATCH,), device=device)
        ours = AttentiveFusionHead([WIDTH] * TOKENS, 100).to(device)
        plain = PlainFusion([WIDTH] * TOKENS, 100).to(device)
        plain.load_state_dict(ours.state_dict())
        torch.testing.assert_close(ours(states).logits, plain(states).logits, rtol=0, atol=1e-4)
        heads = {"as it is here": ours, "as usually written": plain}
        seconds = interleave({how: partial(_step, head, states, labels) for how, head in heads.items()}, repeats)
        rows += [Row(f"fusion: {how}{where}", "ms", [1000 * v for v in values]) for how, values in seconds.items()]
        gain = ratios(seconds["as usually written"], seconds["as it is here"])
        rows.append(Row(f"fusion{where}: ours is faster by", "x", gain))
    return rows


def _step(head: AttentiveFusionHead, states: list[Tensor], labels: Tensor) -> None:
    head.zero_grad()
    F.cross_entropy(head(states).logits, labels).backward()


class PlainFusion(AttentiveFusionHead):
    """The same head with the same weights, through keys and values for every token."""

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        tokens = torch.stack(list(hidden_states), dim=1)

        def by_head(projected: Tensor) -> Tensor:
            return projected.unflatten(-1, (self.num_heads, self.head_width)).transpose(1, 2)

        q = by_head(self.w_q(self.norm_q(self.query)).expand(len(tokens), 1, -1))
        k, v = by_head(self.w_k(self.norm_k(tokens))), by_head(self.w_v(self.norm_v(tokens)))
        attention = (q / self.head_width**0.5 @ k.mT).softmax(dim=-1)  # (B, M, 1, T)
        mixed = (self.dropout(attention) @ v).transpose(1, 2).flatten(1)
        return HeadOutput(self.classifier(self.norm(self.w_o(mixed))), attention.mean(dim=(1, 2)))
