"""What the benchmarks share: measuring in turns, a row of the table, and models in training."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset

from laya_nb.data import Examples, Splits
from laya_nb.heads import DepthClassifier
from laya_nb.runs import Run, build_model, input_size
from laya_nb.training import TrainingConfig, fit
from laya_nb.training.optimizer import Adam

HEADS = ("laya", "last_layer")
EPOCH = 54_000  # the training part of the full set, after 10 % are set aside for validation
BATCH = TrainingConfig().batch_size


@dataclass(frozen=True)
class Row:
    """One quantity, measured several times."""

    name: str
    unit: str
    values: list[float]

    def __str__(self) -> str:
        middle, low, high = statistics.median(self.values), min(self.values), max(self.values)
        return f"{self.name:<58} {middle:>8.3f}   {low:>7.3f} – {high:<7.3f} {self.unit}"


def interleave(
    functions: dict[str, Callable[[], object]], repeats: int, *, warm_up: bool = True
) -> dict[str, list[float]]:
    """Seconds of each call, `repeats` times in turns, after one call of each to warm up, unless that was done."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(-warm_up, repeats):
        for name, function in functions.items():
            _synchronise()
            start = time.perf_counter()
            function()
            _synchronise()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def _synchronise() -> None:
    """Wait for the GPU, where there is one: what is asked of it is not done when the call returns."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Turn by turn."""
    return [a / b for a, b in zip(above, below, strict=True)]


class Trainer:
    """One model, trained by `fit` for some steps at a time."""

    def __init__(self, run: Run, train: Examples, device: str = "cpu", backbone: Any = None) -> None:
        self.train = Examples(train.x.to(device), train.y.to(device))
        self.model: DepthClassifier = build_model(run, input_size(run, train.x), int(train.y.max()) + 1)
        if backbone is not None:
            self.model.backbone = backbone
        self.model.to(device)
        self.optimizer = Adam(self.model.parameters(), 3e-4)
        self.parts: dict[int, Splits] = {}

    def steps(self, count: int) -> None:
        """One epoch of `fit` that has so many batches. For validation there are two examples, next to nothing."""
        if count not in self.parts:
            rows = torch.cat(self.batches(count)).sort().values
            other = int(self.train.y.ne(self.train.y[0]).int().argmax())
            self.parts[count] = Splits(
                *(Examples(self.train.x[i], self.train.y[i]) for i in (rows, torch.tensor([0, other])))
            )
        config = TrainingConfig(max_epochs=1)
        fit(self.model, self.parts[count], seed=0, protocol=config, device=self.train.y.device)

    def batches(self, count: int) -> tuple[Tensor, ...]:
        order = torch.randperm(count * BATCH) % len(self.train.y)  # the sample is shorter than that, and goes round
        return order.to(self.train.y.device).split(BATCH)

    def graph(self) -> Callable[[int], None]:
        """The same steps on a GPU as a CUDA graph: captured once, replayed for every batch, no loss read back."""
        self.model.train()
        index = torch.arange(BATCH, device=self.train.y.device) % len(self.train.y)

        def step() -> None:
            x, y = self.train.x.index_select(0, index), self.train.y.index_select(0, index)
            loss = F.cross_entropy(self.model(x).logits, y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

        aside = torch.cuda.Stream()  # PyTorch wants some steps on another stream before it captures one
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(aside)
        self.optimizer.zero_grad()
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            step()

        def steps(count: int) -> None:
            for batch in self.batches(count):
                index.copy_(batch)
                captured.replay()

        return steps

    def steps_on(self, images: "TransformedImages", count: int) -> None:
        """The same steps, as training loops usually write them."""
        self.model.train()
        part = Subset(images, (torch.randperm(count * BATCH) % len(images)).tolist())
        for x, y in DataLoader(part, batch_size=BATCH, shuffle=True):
            loss = F.cross_entropy(self.model(x).logits, y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    @torch.inference_mode()
    def forward(self, x: Tensor, times: int) -> None:
        for _ in range(times):
            self.model(x)

    def forward_backward(self, x: Tensor, y: Tensor, times: int) -> None:
        self.model.train()
        for _ in range(times):
            self.model.zero_grad()
            F.cross_entropy(self.model(x).logits, y).backward()


class TransformedImages(Dataset):
    """What torchvision's data sets do: a PIL image for every index, then the transforms."""

    def __init__(self, examples: Examples) -> None:
        from torchvision import transforms

        self.images = (examples.x[:, 0] * 255).round().to(torch.uint8)
        self.labels = examples.y
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Lambda(torch.flatten)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.images[index].numpy())), int(self.labels[index])
