"""What a trained model says, and how good it is."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from laya_nb.heads import DepthClassifier

EVALUATION_BATCH = 2000  # large enough to be fast, small enough to stay in cache


@dataclass(frozen=True)
class Predictions:
    """For N inputs, on the CPU: logits (N, C), and attention and scores (N, L), or None where the head has none."""

    logits: Tensor
    attention: Tensor | None = None
    scores: Tensor | None = None

    @property
    def labels(self) -> Tensor:
        return self.logits.argmax(dim=1)


@torch.inference_mode()
def predict(model: DepthClassifier, x: Tensor) -> Predictions:
    """What the model gives for inputs (N, ...), in evaluation mode, batch by batch on the model's device."""
    model.eval()
    device = next(model.parameters()).device
    outputs = [model(batch.to(device)) for batch in x.split(EVALUATION_BATCH)]

    def whole(parts: list[Tensor | None]) -> Tensor | None:
        return torch.cat([part.cpu() for part in parts if part is not None]) if parts[0] is not None else None

    logits = torch.cat([output.logits.cpu() for output in outputs])
    return Predictions(logits, whole([o.attention for o in outputs]), whole([o.scores for o in outputs]))


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
