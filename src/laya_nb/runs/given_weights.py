"""Heads whose weights come from outside, trained side by side on the same hidden states.

Each is what `EqualMixHead` is, with other weights. They begin alike and see the same batches, so one product of the
hidden states with all their adapters serves every one: seven take less than half of the time of one after the other.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laya_nb.backbones import FrozenFeatures
from laya_nb.data import Dataset, Examples
from laya_nb.heads import DepthClassifier, EqualMixHead
from laya_nb.runs.new_heads import NEW_HEAD
from laya_nb.support import keras_defaults, seeds
from laya_nb.training import NonFiniteLoss, TrainingConfig
from laya_nb.training.fit import batch_sizes
from laya_nb.training.optimizer import Adam
from laya_nb.training.predict import EVALUATION_BATCH


class GivenWeightsHeads(nn.Module):
    """M heads: z_i = A_i h_i + b_i, then W sum_i alpha_i z_i + b, each with parameters and weights alpha of its own.

    Args:
        start: where all of them begin.
        heads: M.
    """

    def __init__(self, start: EqualMixHead, heads: int) -> None:
        super().__init__()
        self.heads, self.widths = heads, start.in_dims

        def copies(value: Tensor) -> nn.Parameter:
            return nn.Parameter(value.detach().repeat(heads, *[1] * (value.ndim - 1)))

        linear = [adapter for adapter in start.adapters if isinstance(adapter, nn.Linear)]
        self.adapters = nn.ParameterList(copies(adapter.weight) for adapter in linear)  # (M * d*, d_i)
        self.biases = copies(torch.stack([adapter.bias for adapter in linear])[None])  # (M, L, d*)
        self.weight = copies(start.classifier.weight[None])  # (M, C, d*)
        self.bias = copies(start.classifier.bias[None])  # (M, C)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """h_1..h_L side by side (B, d_1 + .. + d_L) and weights (B, M, L) to logits (B, M, C)."""
        mixed = torch.einsum("bml,mld->bmd", weights, self.biases)
        for i, h in enumerate(x.split(self.widths, dim=1)):
            mixed = mixed + weights[:, :, i, None] * (h @ self.adapters[i].T).unflatten(1, (self.heads, -1))
        return torch.einsum("bmd,mcd->bmc", mixed, self.weight) + self.bias


def accuracies_under(
    states: Dataset, train: Tensor, test: Tensor, start: EqualMixHead, seed: int, protocol: TrainingConfig = NEW_HEAD
) -> list[float]:
    """Test accuracies of M heads trained under weights (N, M, L) of the training part, under those of the test part.

    Everything else is as in `trained_under`.
    """
    return _accuracies(trained_under(states, train, start, seed, protocol), states.test, test)


def trained_under(
    states: Dataset, train: Tensor, start: EqualMixHead, seed: int, protocol: TrainingConfig = NEW_HEAD
) -> GivenWeightsHeads:
    """M heads, each what `train_head` would make of it alone under its weights, up to the rounding of sums.

    Args:
        states: hidden states side by side, as `hidden_dataset` gives them.
        train: weights over the layers for each training example, a set for each head, (N, M, L).
        start: a head for these hidden states; its parameters are drawn anew from the seed.
        seed: of the parameters, of the examples set aside, and of the order of batches.
        protocol: how long and how fast they learn. It knows no patience here, and of the rest what `NEW_HEAD` has.

    Raises:
        NonFiniteLoss: at the end of the first epoch whose last loss is not finite.
    """
    keras_defaults.glorot_(
        DepthClassifier(FrozenFeatures(start.in_dims), start), seeds.generator(seed, "initialisation")
    )
    heads = GivenWeightsHeads(start, train.shape[1])
    optimizer = Adam(heads.parameters(), protocol.learning_rate)
    rows, _ = states.split_indices(seed, protocol.validation)
    sizes, order_stream = batch_sizes(len(rows), protocol.batch_size), seeds.generator(seed, "batch order")
    total, done, loss = protocol.max_epochs * len(sizes), 0, torch.zeros(())
    for epoch in range(protocol.max_epochs):
        for index in rows[torch.randperm(len(rows), generator=order_stream)].split(sizes):
            logits = heads(states.train.x.index_select(0, index), train[index])
            truth = states.train.y[index, None].expand(-1, heads.heads)
            # A mean within each head, a sum over them: none feels the others.
            loss = F.cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="sum") / len(index)
            optimizer.learning_rate = protocol.learning_rate_at(done / total)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
        if not math.isfinite(loss.item()):
            raise NonFiniteLoss(loss.item(), len(sizes), epoch + 1)
    return heads


@torch.inference_mode()
def _accuracies(heads: GivenWeightsHeads, examples: Examples, weights: Tensor) -> list[float]:
    batches = zip(*(tensor.split(EVALUATION_BATCH) for tensor in (*examples, weights)), strict=True)
    right = [heads(x, of_these).argmax(dim=2) == y[:, None] for x, y, of_these in batches]
    return torch.cat(right).float().mean(dim=0).tolist()
