"""Train one model under one protocol, and measure it.

The protocol is the paper's (arXiv 2511.12723): Adam, batches of 128, 10 % of the training set for validation, early
stopping on validation accuracy with patience 5 and the best weights restored, at most 50 epochs.
"""

import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laya_nb import seeds
from laya_nb.data import Examples, Splits, check_examples
from laya_nb.heads import is_positive
from laya_nb.models import DepthClassifier
from laya_nb.optimizer import Adam
from laya_nb.progress import bar

EVALUATION_BATCH = 2000  # large enough to be fast, small enough to stay in cache


@dataclass(frozen=True)
class Protocol:
    """How a model is trained. The defaults are the paper's; its notebook fixes the learning rate at 3e-4."""

    learning_rate: float = 3e-4
    batch_size: int = 128
    max_epochs: int = 50
    patience: int = 5
    validation: float = 0.1

    def __post_init__(self) -> None:
        if not is_positive(self.learning_rate):
            raise ValueError(f"learning_rate must be a finite number above 0, got {self.learning_rate!r}")
        for name in ("batch_size", "max_epochs", "patience"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        if not (is_positive(self.validation) and self.validation < 1):
            raise ValueError(f"validation must lie between 0 and 1, got {self.validation!r}")
        object.__setattr__(self, "learning_rate", float(self.learning_rate))  # 1 and 1.0 are one protocol


class NonFiniteLoss(RuntimeError):
    """The loss stopped being a number; the message names the epoch, the step and what to look at."""

    def __init__(self, loss: float, step: int, epoch: int) -> None:
        super().__init__(loss, step, epoch)  # the arguments, so that the exception can travel between processes
        self.loss, self.step, self.epoch = loss, step, epoch

    def __str__(self) -> str:
        return (
            f"the loss is {self.loss} at step {self.step} of epoch {self.epoch}: look for NaN or infinite values in "
            "the inputs, or lower the learning rate"
        )


@dataclass
class Fit:
    """What a training did: per epoch the mean training loss and the validation accuracy, and when it was best."""

    train_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        return len(self.train_loss)


@dataclass(frozen=True)
class Predictions:
    """For N inputs: logits (N, C) and attention (N, L) or None, on the CPU."""

    logits: Tensor
    attention: Tensor | None

    @property
    def labels(self) -> Tensor:
        return self.logits.argmax(dim=1)


def default_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fit(
    model: DepthClassifier,
    splits: Splits,
    *,
    seed: int,
    protocol: Protocol | None = None,
    device: torch.device | str | None = None,
) -> Fit:
    """Train `model` in place and leave it with the weights of its best epoch.

    The batch order comes from the seed's own stream; the weights are those the model came with. On one machine with
    one thread count, the same call gives the same bits.

    Args:
        model: on return, in evaluation mode, on `device`.
        splits: whole data set as tensors; moved to `device` once.
        seed: of the batch order (and of dropout, where the backbone has some).
        protocol: the paper's by default.
        device: a GPU where there is one, by default.

    Raises:
        NonFiniteLoss: at the first step whose loss is not finite.
        DataError: for empty or single-class data, or labels out of range.
    """
    protocol = protocol or Protocol()
    device = torch.device(device) if device is not None else default_device()
    for part in ("train", "validation"):
        check_examples(f"{part} part", getattr(splits, part), model.head.num_classes)
    train = Examples(*(tensor.to(device) for tensor in splits.train))
    validation = Examples(*(tensor.to(device) for tensor in splits.validation))
    model.to(device)
    optimizer = Adam(model.parameters(), protocol.learning_rate)
    order_stream = seeds.generator(seed, "batch order")
    result, best_accuracy, best_weights = Fit(), -1.0, model.state_dict()
    start = time.perf_counter()
    with (
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        bar(total=protocol.max_epochs, desc="training", unit="epoch") as progress,
    ):
        torch.manual_seed(seeds.stream_seed(seed, "dropout"))
        for epoch in range(1, protocol.max_epochs + 1):
            order = torch.randperm(len(train.y), generator=order_stream).to(device)
            loss = _train_epoch(model, optimizer, train, order.split(protocol.batch_size), epoch)
            accuracy = (predict(model, validation.x).labels == validation.y.cpu()).float().mean().item()
            result.train_loss.append(loss)
            result.validation_accuracy.append(accuracy)
            if accuracy > best_accuracy:
                best_accuracy, result.best_epoch = accuracy, epoch
                best_weights = {name: value.clone() for name, value in model.state_dict().items()}
            progress.set_postfix(loss=f"{loss:.4f}", validation=f"{accuracy:.4f}")
            progress.update()
            if epoch - result.best_epoch >= protocol.patience:
                break
    model.load_state_dict(best_weights)
    model.eval()
    result.seconds = time.perf_counter() - start
    return result


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


@torch.inference_mode()
def predict(model: DepthClassifier, x: Tensor) -> Predictions:
    """Logits and attention for inputs (N, ...), in evaluation mode, batch by batch on the model's device."""
    model.eval()
    device = next(model.parameters()).device
    outputs = [model(batch.to(device)) for batch in x.split(EVALUATION_BATCH)]
    attention = [output.attention.cpu() for output in outputs if output.attention is not None]
    return Predictions(torch.cat([o.logits.cpu() for o in outputs]), torch.cat(attention) if attention else None)


def layer_scores(model: DepthClassifier, x: Tensor) -> Tensor:
    """What a LAYA model's temperature divides: the scores s(x), (N, L), on the CPU.

    Attention does not tell them: in float32 it is 0 for any score that lies 104 temperatures below the largest.
    """
    found: list[Tensor] = []
    scorer: nn.Module = model.head.scorer  # type: ignore[assignment]
    hook = scorer.register_forward_hook(lambda module, inputs, scores: found.append(scores.cpu()))
    try:
        predict(model, x)
    finally:
        hook.remove()
    return torch.cat(found)


def evaluate(predictions: Predictions, y: Tensor) -> dict[str, float]:
    """Accuracy and macro-F1, both in [0, 1], against labels (N,).

    Macro-F1 is the unweighted mean of the F1 of every class that is there or guessed.
    """
    return evaluate_labels(y.cpu().numpy(), predictions.labels.numpy())


def evaluate_labels(truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
    """The same from true and predicted labels, both (N,)."""
    from sklearn.metrics import accuracy_score, f1_score  # seconds to import, so only here

    return {
        "accuracy": float(accuracy_score(truth, guess)),
        "macro_f1": float(f1_score(truth, guess, average="macro", zero_division=0)),
    }
