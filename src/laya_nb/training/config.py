"""How a model is trained, and what its training did.

The protocol is the paper's (arXiv 2511.12723): Adam, batches of 128, 10 % of the training set for validation, early
stopping on validation accuracy with patience 5 and the best weights restored, at most 50 epochs.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any

from laya_nb.support.checks import check_integer, check_positive, is_positive

# These stand in every run's key, also at their defaults: the first runs were published so.
_ALWAYS_DESCRIBED = ("learning_rate", "batch_size", "max_epochs", "patience", "validation")


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained. The defaults are the paper's; its notebook fixes the learning rate at 3e-4."""

    learning_rate: float = 3e-4
    batch_size: int = 128
    max_epochs: int = 50
    patience: int = 5
    validation: float = 0.1

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        for name in ("batch_size", "max_epochs", "patience"):
            check_integer(name, getattr(self, name))
        if not (is_positive(self.validation) and self.validation < 1):
            raise ValueError(f"validation must lie between 0 and 1, got {self.validation!r}")
        object.__setattr__(self, "learning_rate", float(self.learning_rate))  # 1 and 1.0 are one configuration

    def describe(self) -> dict[str, Any]:
        """Plain values for a run's key. A field that came after the first five is left out where it has its default."""
        return {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name in _ALWAYS_DESCRIBED or getattr(self, item.name) != item.default
        }

    def for_a_stack(self) -> "TrainingConfig":
        """This configuration without what may differ between models that are trained as one stack.

        Only what is named here may: a field that is added later keeps stacks apart.
        """
        return replace(self, learning_rate=1.0, max_epochs=1, patience=1)


@dataclass
class TrainingHistory:
    """What a training did: per epoch the mean training loss and the validation accuracy, and when it was best.

    `best_epoch` counts from 1. `seconds` is the time it took, `stack` the number of models trained as one program.
    """

    train_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    stack: int = 1

    @property
    def epochs(self) -> int:
        return len(self.train_loss)

    def record(self, loss: float, accuracy: float) -> bool:
        """Note an epoch; whether its validation accuracy is the best so far (the first of equals stays the best)."""
        best = not self.validation_accuracy or accuracy > self.validation_accuracy[self.best_epoch - 1]
        self.train_loss.append(loss)
        self.validation_accuracy.append(accuracy)
        if best:
            self.best_epoch = self.epochs
        return best

    def is_over(self, config: TrainingConfig) -> bool:
        """Whether to stop: no better epoch for `patience` epochs, or `max_epochs` of them."""
        return self.epochs - self.best_epoch >= config.patience or self.epochs >= config.max_epochs


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
