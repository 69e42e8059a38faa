"""Train one model."""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laya_nb.data import Examples, Splits, check_examples
from laya_nb.heads import DepthClassifier
from laya_nb.support import device as devices
from laya_nb.support import seeds
from laya_nb.support.progress import bar
from laya_nb.training.config import NonFiniteLoss, TrainingConfig, TrainingHistory
from laya_nb.training.optimizer import Adam
from laya_nb.training.predict import predict


def fit(
    model: DepthClassifier,
    splits: Splits,
    *,
    seed: int,
    protocol: TrainingConfig | None = None,
    device: torch.device | str | None = None,
    after_epoch: Callable[[], object] | None = None,
) -> TrainingHistory:
    """Train `model` in place and leave it with the weights of its best epoch.

    The batch order comes from the seed's own stream; the weights are those the model came with. On one machine with
    one thread count, the same call gives the same bits.

    Args:
        model: on return, in evaluation mode, on `device`.
        training and validation examples, as whole tensors; moved to `device` once.
        seed: of the batch order (and of dropout, where the backbone has some).
        protocol: the paper's by default.
        device: a GPU where there is one, by default.
        after_epoch: called after every epoch, for a look at `model` as it is then; it must change nothing.

    Raises:
        NonFiniteLoss: at the first step whose loss is not finite.
        DataError: for empty or single-class data, or labels out of range.
    """
    protocol = protocol or TrainingConfig()
    device = devices.resolve(device)
    for part in ("train", "validation"):
        check_examples(f"{part} part", getattr(splits, part), model.head.num_classes)
    train = Examples(*(tensor.to(device) for tensor in splits.train))
    validation = Examples(*(tensor.to(device) for tensor in splits.validation))
    model.to(device)
    optimizer = Adam(model.parameters(), protocol.learning_rate)
    order_stream = seeds.generator(seed, "batch order")
    history, best_weights = TrainingHistory(), model.state_dict()
    start = time.perf_counter()
    with (
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        bar(total=protocol.max_epochs, desc="training", unit="epoch") as progress,
    ):
        torch.manual_seed(seeds.stream_seed(seed, "dropout"))
        while not history.is_over(protocol):
            order = torch.randperm(len(train.y), generator=order_stream).to(device)
            loss = _train_epoch(
                model, optimizer, train, order.split(batch_sizes(len(order), protocol.batch_size)), history.epochs + 1
            )
            accuracy = (predict(model, validation.x).labels == validation.y.cpu()).float().mean().item()
            if history.record(loss, accuracy):
                best_weights = {name: value.clone() for name, value in model.state_dict().items()}
            progress.set_postfix(loss=f"{loss:.4f}", validation=f"{accuracy:.4f}")
            progress.update()
            if after_epoch is not None:
                after_epoch()
    model.load_state_dict(best_weights)
    model.eval()
    history.seconds = time.perf_counter() - start
    return history


def batch_sizes(examples: int, batch_size: int) -> list[int]:
    """How many examples each batch of an epoch has. A last one of a single example joins the batch before it: batch
    normalisation has nothing to normalise it by."""
    full, rest = divmod(examples, batch_size)
    sizes = [batch_size] * full + [rest] * (rest > 0)
    return [*sizes[:-2], sizes[-2] + 1] if rest == 1 and full else sizes


def _train_epoch(model: nn.Module, optimizer: Adam, train: Examples, batches: tuple[Tensor, ...], epoch: int) -> float:
    """One pass over the batches of indices; the mean loss over examples."""
    model.train()
    total = 0.0
    for step, index in enumerate(batches, start=1):
        x, y = train.x.index_select(0, index), train.y.index_select(0, index)  # twice as fast as train.x[index]
        loss = F.cross_entropy(model(x).logits, y)
        value = loss.item()
        if not math.isfinite(value):
            raise NonFiniteLoss(value, step, epoch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += value * len(index)
    return total / len(train.y)
