"""Train one model."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laya_nb.data import DataError, Examples, Splits, check_examples
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
    """Train `model` in place and leave it with the weights of its best epoch, or without patience of its last.

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
        DataError: for empty or single-class data, labels out of range, and a class without examples where all classes
            are to count the same.
    """
    protocol = protocol or TrainingConfig()
    device = devices.resolve(device)
    classes = model.head.num_classes
    for part in ("train", "validation"):
        if part == "train" or protocol.validation:
            check_examples(f"{part} part", getattr(splits, part), classes)
            if protocol.balanced:
                _check_all_classes(f"{part} part", getattr(splits, part).y, classes)
    train = Examples(*(tensor.to(device) for tensor in splits.train))
    validation = Examples(*(tensor.to(device) for tensor in splits.validation))
    model.to(device)
    optimizer = Adam(model.parameters(), protocol.learning_rate, protocol.weight_decay)
    weights = len(train.y) / (classes * train.y.bincount(minlength=classes)) if protocol.balanced else None
    sizes = batch_sizes(len(train.y), protocol.batch_size)
    protocol = replace(protocol, max_epochs=max(protocol.max_epochs, -(-protocol.min_steps // len(sizes))))
    steps = _Steps(model, optimizer, protocol, weights, protocol.max_epochs * len(sizes))
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
            loss = steps.epoch(train, order.split(sizes))
            if protocol.patience is None:
                history.record(loss)
            elif history.record(loss, _accuracy(model, validation, protocol.balanced)):
                best_weights = {name: value.clone() for name, value in model.state_dict().items()}
            progress.set_postfix({"loss": f"{loss:.4f}"} | _last(history.validation_accuracy))
            progress.update()
            if after_epoch is not None:
                after_epoch()
    if protocol.patience is None:
        if protocol.validation:
            history.validation_accuracy.append(_accuracy(model, validation, protocol.balanced))
    else:
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


class _Steps:
    """The steps of a training: what each does, and how far along it is."""

    def __init__(
        self,
        model: DepthClassifier,
        optimizer: Adam,
        protocol: TrainingConfig,
        class_weights: Tensor | None,
        total: int,
    ) -> None:
        self.model, self.optimizer, self.protocol = model, optimizer, protocol
        self.class_weights = class_weights
        self.total = total
        self.done = self.epochs = 0

    def epoch(self, train: Examples, batches: Sequence[Tensor]) -> float:
        """One pass over the batches of indices; the mean loss over examples."""
        self.model.train()
        self.epochs += 1
        total = 0.0
        for step, index in enumerate(batches, start=1):
            x, y = train.x.index_select(0, index), train.y.index_select(0, index)  # twice as fast as train.x[index]
            loss = F.cross_entropy(self._logits(x), y, self.class_weights)
            value = loss.item()
            if not math.isfinite(value):
                raise NonFiniteLoss(value, step, self.epochs)
            self.optimizer.learning_rate = self.protocol.learning_rate_at(self.done / self.total)
            self.optimizer.zero_grad()
            loss.backward()
            if self.protocol.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.protocol.clip_norm)
            self.optimizer.step()
            self.done += 1
            total += value * len(index)
        return total / len(train.y)

    def _logits(self, x: Tensor) -> Tensor:
        """Logits (B, C); with noise on all hidden states of about half of the inputs."""
        if not self.protocol.jitter:
            return self.model(x).logits
        chosen = (torch.rand(len(x), device=x.device) < 0.5).nonzero().flatten()
        jittered = [
            h.index_add(0, chosen, torch.randn(len(chosen), *h.shape[1:], device=h.device), alpha=self.protocol.jitter)
            for h in self.model.backbone(x)
        ]
        return self.model.head(jittered).logits


def _accuracy(model: DepthClassifier, examples: Examples, balanced: bool) -> float:
    """The share of examples that are right; balanced: the mean of that over classes."""
    truth = examples.y.cpu()
    right = (predict(model, examples.x).labels == truth).float()
    if not balanced:
        return right.mean().item()
    return (truth.bincount(right) / truth.bincount()).mean().item()


def _check_all_classes(what: str, y: Tensor, classes: int) -> None:
    missing = (y.bincount(minlength=classes) == 0).nonzero().flatten().tolist()
    if missing:
        raise DataError(f"{what}: no examples of class {', '.join(map(str, missing))}; all {classes} are to count")


def _last(accuracies: Sequence[float]) -> dict[str, str]:
    return {"validation": f"{accuracies[-1]:.4f}"} if accuracies else {}
