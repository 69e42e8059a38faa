"""Attentive layer fusion (ALF, arXiv 2601.09322): one learned query attends over tokens from all layers.

The head takes tokens that are ready: which layers they come from, the L2 normalisation and the jitter of the training
inputs are no part of it (`features`, `training.TrainingConfig`). Where the paper and the released code
(lciernik/attentive-layer-fusion) leave a choice:

- The code doubles the usual width of a head, d // M, and so do we. Where M does not divide d, the heads together are
  narrower than 2 d.
- The code has a dropout after W_O as well, at 0 in every published configuration. We have that of the attention alone.
- The code gives the baseline over all tokens (AAT) 8 heads; the other probes get one head per token.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laya_nb.heads.base import Head, HeadOutput, Mixture
from laya_nb.support.checks import check_integer


class AttentiveFusionHead(Head):
    """ALF's head: attention over T tokens, M heads wide. It does not see in which order they come.

    With the CLS token and the mean of the patch tokens from each layer as hidden states, this is the paper's fusion;
    with these two from the last layer, its CLS+AP baseline; with all tokens of the last layer and 8 heads, its AAT.

    For each of M heads of width w = 2 (d // M), with three LayerNorms and without any position:
    a = softmax_t(W_Q LN_q(query) . W_K LN_k(h_t) / sqrt(w)) and o = sum_t a_t W_V LN_v(h_t); then
    logits = W BatchNorm(W_O concat(o) + b_O) + b.

    Nothing of that needs keys or values for every token. The query is a constant, so W_K and the query make one vector
    per head, which scores a normalised token directly (`collapsed`). The values are linear in the tokens, so the tokens
    are averaged under each head's weights first, and W_V sees M vectors for an input instead of T. Outputs and
    gradients are those of the formula up to rounding, several times as fast (tools/bench_fusion.py).

    Two biases have no effect on the loss in training, and gradients of zero but for rounding: norm_k's adds the same
    to the scores of all tokens, and BatchNorm subtracts w_o's again. So it is with norm_v's where there is no dropout.

    Args:
        in_dims: T widths. The largest is d; narrower hidden states are filled up with zeros, as the released code does.
        num_classes: C.
        num_heads: M, from 1 to d; None: one per token, as in the paper.
        attention_dropout: the share of attention weights that are set to 0 in training, from 0 to below 1.
        free_query: True: one free vector (M w) in place of W_Q LN_q(query), of which it is as good as a copy. The
            paper's reviewers asked what W_Q is for.

    Raises:
        ValueError: for a setting that makes no sense, or hidden states that do not fit.
    """

    keras_initialisation = False

    def __init__(
        self,
        in_dims: Sequence[int],
        num_classes: int,
        num_heads: int | None = None,
        attention_dropout: float = 0.0,
        free_query: bool = False,
    ) -> None:
        super().__init__(in_dims, num_classes)
        self.check_settings(num_heads=num_heads, attention_dropout=attention_dropout, free_query=free_query)
        d = max(self.in_dims)
        self.num_heads = len(self.in_dims) if num_heads is None else num_heads
        if self.num_heads > d:
            told = " (None: one per hidden state)" if num_heads is None else ""
            raise ValueError(f"num_heads must be an integer from 1 to the width {d}, got {self.num_heads}{told}")
        self.head_width = 2 * (d // self.num_heads)
        inner = self.num_heads * self.head_width
        if free_query:
            self.query = nn.Parameter(0.02 * torch.randn(inner))
        else:
            self.query = nn.Parameter(0.02 * torch.randn(d))
            self.norm_q, self.w_q = nn.LayerNorm(d), nn.Linear(d, inner, bias=False)
        self.free_query = free_query
        self.norm_k, self.norm_v = nn.LayerNorm(d), nn.LayerNorm(d)
        self.w_k, self.w_v = nn.Linear(d, inner, bias=False), nn.Linear(d, inner, bias=False)
        self.dropout = nn.Dropout(attention_dropout)
        self.w_o = nn.Linear(inner, d)
        self.norm = nn.BatchNorm1d(d)
        self.classifier = nn.Linear(d, num_classes)

    @classmethod
    def check_settings(cls, **settings: Any) -> None:
        """Raise a ValueError for a setting that no width could take."""
        if settings["num_heads"] is not None:
            check_integer("num_heads", settings["num_heads"])
        rate = settings["attention_dropout"]
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise ValueError(f"attention_dropout must be a number of at least 0 and below 1, got {rate!r}")
        if not isinstance(settings["free_query"], bool):
            raise ValueError(f"free_query must be True or False, got {settings['free_query']!r}")

    def tokens(self, hidden_states: Sequence[Tensor]) -> Tensor:
        """What the head attends over, (B, T, d): the hidden states, filled up with zeros to one width."""
        d = max(self.in_dims)
        return torch.stack([F.pad(h, (0, d - h.shape[1])) for h in hidden_states], dim=1)

    def collapsed(self) -> tuple[Tensor, Tensor]:
        """W_Q, W_K, the query and their LayerNorms as all that they amount to: vectors (M, d) and constants (M,).

        Head m's score of a token is vector_m . n + constant_m, where n is the token with mean 0 and variance 1: its
        LayerNorm without weight and bias. The softmax cancels the constants.
        """
        query = self.query if self.free_query else self.w_q(self.norm_q(self.query))
        q = query.view(self.num_heads, self.head_width)
        by_head = self.w_k.weight.view(self.num_heads, self.head_width, -1)
        keys = torch.einsum("mw,mwd->md", q, by_head) / self.head_width**0.5
        return keys * self.norm_k.weight, keys @ self.norm_k.bias

    def attention_by_head(self, hidden_states: Sequence[Tensor]) -> Tensor:
        """What each head attends to, (B, M, T), before dropout. Rows sum to 1."""
        self.check(hidden_states)
        return self._attention(self._normalised(self.tokens(hidden_states)))

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        """Hidden states to logits (B, C) and attention (B, T): the mean over heads, before dropout.

        There are no scores: no softmax of one row of numbers gives that mean.
        """
        self.check(hidden_states)
        normalised = self._normalised(self.tokens(hidden_states))
        attention = self._attention(normalised)
        used = self.dropout(attention)
        mixed = used @ normalised  # (B, M, d)
        # norm_v's weight goes into W_V. Its bias comes as often as a row's weights say, whose sum dropout moves from 1.
        by_head = (self.w_v.weight * self.norm_v.weight).view(self.num_heads, self.head_width, -1)
        bias = self.w_v(self.norm_v.bias).view(self.num_heads, self.head_width)
        values = torch.einsum("bmd,mwd->bmw", mixed, by_head) + used.sum(dim=-1, keepdim=True) * bias
        logits = self.classifier(self.norm(self.w_o(values.flatten(1))))
        return HeadOutput(logits, attention.mean(dim=1))

    def mixture(self, hidden_states: Sequence[Tensor]) -> Mixture:
        """W_V, W_O, BatchNorm's running statistics and W are linear in a row, so each head has one matrix (C, d)."""
        self.check(hidden_states)
        normalised = self._normalised(self.tokens(hidden_states))
        matrices, bias = self._matrices()
        values = torch.einsum("mcd,btd->bmtc", matrices, normalised * self.norm_v.weight + self.norm_v.bias)
        return Mixture(self._attention(normalised), values, bias)

    @torch.no_grad()
    def split(self) -> tuple[nn.ModuleList, Head]:
        """What every head m reads of one token, a score and C logits, and the head that puts these together."""
        matrices, bias = self._matrices()
        of_width = {width: _Reading(self, matrices, width) for width in set(self.in_dims)}
        return nn.ModuleList(of_width[width] for width in self.in_dims), _Readings(self, bias)

    def pruned(self, layers: Sequence[int], means: Sequence[Tensor]) -> "AttentiveFusionHead":
        """The head with fewer tokens. No weight changes: tokens are scored one by one, and meet in the softmax alone.

        Raises:
            ValueError: if none of those that stay is as wide as the widest.
        """
        if max(self.in_dims[i] for i in layers) != max(self.in_dims):
            raise ValueError(f"one of the tokens that stay must be {max(self.in_dims)} wide, as the head's norms are")
        smaller = copy.deepcopy(self)
        smaller.in_dims = tuple(self.in_dims[i] for i in layers)
        smaller.names = tuple(self.names[i] for i in layers)
        return smaller

    def _matrices(self) -> tuple[Tensor, Tensor]:
        """From a normalised token under norm_v to the logits that it would give to each head, (M, C, d), and the bias
        (C,) of them all, in evaluation mode."""
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)
        by_head = self.w_v.weight.view(self.num_heads, self.head_width, -1)
        out = (self.classifier.weight * scale) @ self.w_o.weight  # (C, M w)
        out = out.view(self.num_classes, self.num_heads, self.head_width)
        centred = (self.w_o.bias - self.norm.running_mean) * scale + self.norm.bias
        return torch.einsum("cmw,mwd->mcd", out, by_head), self.classifier(centred)

    def _normalised(self, tokens: Tensor) -> Tensor:
        """What norm_k and norm_v have in common, computed once: mean 0 and variance 1 for every token."""
        return F.layer_norm(tokens, tokens.shape[-1:], eps=self.norm_k.eps)

    def _attention(self, normalised: Tensor) -> Tensor:
        vectors, constants = self.collapsed()
        return torch.softmax(vectors @ normalised.mT + constants.unsqueeze(-1), dim=-1)


class _Reading(nn.Module):
    """What a trained fusion head takes from one token in evaluation mode: (N, width) to (N, M + M C), each head's score
    and after these the logits that the token would give to each."""

    def __init__(self, head: AttentiveFusionHead, matrices: Tensor, width: int) -> None:
        super().__init__()
        self.fill, self.eps = max(head.in_dims) - width, head.norm_k.eps
        vectors, constants = head.collapsed()
        logits = (matrices * head.norm_v.weight).flatten(0, 1), (matrices @ head.norm_v.bias).flatten()
        self.weight = nn.Parameter(torch.cat([vectors, logits[0]]))
        self.bias = nn.Parameter(torch.cat([constants, logits[1]]))

    def forward(self, h: Tensor) -> Tensor:
        h = F.pad(h, (0, self.fill))
        return F.linear(F.layer_norm(h, h.shape[-1:], eps=self.eps), self.weight, self.bias)


class _Readings(Head):
    """The rest of a fusion head: what it takes from each of T tokens, mixed by the softmax of the scores."""

    def __init__(self, head: AttentiveFusionHead, bias: Tensor) -> None:
        super().__init__((head.num_heads * (1 + head.num_classes),) * len(head.in_dims), head.num_classes)
        self.names, self.num_heads, self.bias = head.names, head.num_heads, nn.Parameter(bias)

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        weights, values = self._taken(hidden_states)
        # As one product for each input: a fifth of the time of the mixture's, whose axes stand otherwise.
        logits = weights.flatten(1).unsqueeze(1) @ values.view(len(values), -1, self.num_classes)
        return HeadOutput(logits.squeeze(1) + self.bias, weights.mean(dim=2))

    def mixture(self, hidden_states: Sequence[Tensor]) -> Mixture:
        weights, values = self._taken(hidden_states)
        return Mixture(weights.mT, values.unflatten(2, (self.num_heads, -1)).transpose(1, 2), self.bias)

    def _taken(self, hidden_states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Weights (B, T, M) and logits by token and head (B, T, M C)."""
        self.check(hidden_states)
        scores = torch.stack([h[:, : self.num_heads] for h in hidden_states], dim=1)
        return torch.softmax(scores, dim=1), torch.stack([h[:, self.num_heads :] for h in hidden_states], dim=1)
