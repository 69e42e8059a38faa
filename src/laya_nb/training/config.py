"""How a model is trained, and what its training did.

The defaults are LAYA's protocol (arXiv 2511.12723): Adam, batches of 128, 10 % of the training set for validation,
early stopping on validation accuracy with patience 5 and the best weights restored, at most 50 epochs. `FUSION` is that
of attentive layer fusion (arXiv 2601.09322).
"""

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

from laya_nb.support.checks import check_integer, check_positive, is_positive

# These stand in every run's key, also at their defaults: the first runs were published so.
_ALWAYS_DESCRIBED = ("learning_rate", "batch_size", "max_epochs", "patience", "validation")


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained. The defaults are LAYA's; its notebook fixes the learning rate at 3e-4.

    Args:
        learning_rate: of Adam, at the start.
        batch_size: training examples in a step.
        max_epochs: after which training ends.
        patience: epochs without a better validation accuracy, after which training ends; the best epoch's weights are
            kept. None: it goes on for all epochs, the last weights are kept, and validated once.
        validation: the share of training examples that is set aside. 0, which needs no patience: none.
        min_steps: more epochs than `max_epochs` are trained where these have fewer steps.
        weight_decay: None: Adam. A number: AdamW, which shrinks all parameters, biases and norms too.
        final_learning_rate: to which the learning rate falls, step by step, on half a cosine. None: it stays.
        clip_norm: the largest norm of a step's gradient; a longer one is shortened. None: no limit.
        balanced: each class counts the same, however many examples it has, in the loss and in validation accuracy.
        jitter: standard deviation of Gaussian noise on what the head reads, of about half of the training inputs,
            drawn anew in each step. Validation and test inputs have none.
    """

    learning_rate: float = 3e-4
    batch_size: int = 128
    max_epochs: int = 50
    patience: int | None = 5
    validation: float = 0.1
    min_steps: int = 1
    weight_decay: float | None = None
    final_learning_rate: float | None = None
    clip_norm: float | None = None
    balanced: bool = False
    jitter: float = 0.0

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        for name in ("batch_size", "max_epochs", "min_steps"):
            check_integer(name, getattr(self, name))
        if self.patience is not None:
            check_integer("patience", self.patience)
        if not (
            (is_positive(self.validation) and self.validation < 1) or (self.validation == 0 and self.patience is None)
        ):
            raise ValueError(
                f"validation must lie between 0 and 1, got {self.validation!r}; it may be 0 where patience is None, "
                f"which is {self.patience!r}"
            )
        for name in ("final_learning_rate", "clip_norm"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))
        for name in ("weight_decay", "jitter"):
            value = getattr(self, name)
            if value != 0 and not (name == "weight_decay" and value is None):
                check_positive(name, value)
        if not isinstance(self.balanced, bool):
            raise ValueError(f"balanced must be True or False, got {self.balanced!r}")
        object.__setattr__(self, "learning_rate", float(self.learning_rate))  # 1 and 1.0 are one configuration

    def describe(self) -> dict[str, Any]:
        """Plain values for a run's key. A field that came after the first five is left out where it has its default."""
        return {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name in _ALWAYS_DESCRIBED or getattr(self, item.name) != item.default
        }

    def learning_rate_at(self, share: float) -> float:
        """The learning rate when this share of all steps is done, from 0 to 1: half a cosine, or always the same."""
        first, last = self.learning_rate, self.final_learning_rate
        return first if last is None else last + (first - last) * (1 + math.cos(math.pi * share)) / 2

    def for_a_stack(self) -> "TrainingConfig":
        """This configuration without what may differ between models that are trained as one stack.

        Only what is named here may: a field that is added later keeps stacks apart.
        """
        return replace(self, learning_rate=1.0, max_epochs=1, patience=self.patience and 1)

    @property
    def stackable(self) -> bool:
        """Whether `training.fit_stacked` has all that this configuration asks for."""
        return self.patience is not None and self.describe().keys() == set(_ALWAYS_DESCRIBED)


FUSION = TrainingConfig(
    batch_size=40, max_epochs=20, patience=None, validation=0.2, min_steps=1000, weight_decay=1e-4,
    final_learning_rate=1e-6, clip_norm=5.0, balanced=True, jitter=0.05,
)  # fmt: skip
"""How attentive layer fusion is trained (arXiv 2601.09322), for inputs whose vectors have length 1.

Of the paper: AdamW, the cosine, the clipping, the jitter, the weights of classes, and at least 1,000 steps. Its batches
hold up to 2,048 examples and are made smaller until an epoch has five. For the 2,000 examples that are usual here that
would be 400, and 200 epochs to reach 1,000 steps: batches of 40 give as many steps in a tenth of the passes.
Learning rate and weight decay are to be searched. To train on all examples once they are found: `validation=0`.
"""


@dataclass
class TrainingHistory:
    """What a training did: per epoch the mean training loss and the validation accuracy, and when it was best.

    `best_epoch` counts from 1. `seconds` is the time it took, `stack` the number of models trained as one program.
    Without patience `validation_accuracy` holds that of the last epoch alone, or nothing if no example was set aside.
    """

    train_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    stack: int = 1

    @property
    def epochs(self) -> int:
        return len(self.train_loss)

    def record(self, loss: float, accuracy: float | None = None) -> bool:
        """Note an epoch; whether it is the best so far: by its validation accuracy, of which the first of equals stays
        the best, or without one because it is the last."""
        best = accuracy is None or not self.validation_accuracy or accuracy > max(self.validation_accuracy)
        self.train_loss.append(loss)
        if accuracy is not None:
            self.validation_accuracy.append(accuracy)
        if best:
            self.best_epoch = self.epochs
        return best

    def is_over(self, config: TrainingConfig) -> bool:
        """Whether to stop: no better epoch for `patience` epochs, or `max_epochs` of them."""
        waited = config.patience is not None and self.epochs - self.best_epoch >= config.patience
        return waited or self.epochs >= config.max_epochs


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
