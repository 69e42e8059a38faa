"""How fast the book trains on this machine, and where the time goes.

usage: python tools/bench.py [--threads 2] [--repeats 7] [--json FILE]

Everything that is compared is measured in turns, so that a machine's moods fall on all alike; a ratio is taken turn by
turn. Shown are the median and the range over the turns. To add a benchmark: one function that returns rows, and its
name in BENCHMARKS.
"""

import argparse
import copy
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.data import DataLoader, Dataset, Subset

from laya_nb import data, images, text
from laya_nb.backbones import DepthwiseCNN
from laya_nb.data import Examples
from laya_nb.experiment import HeadName, Run, build_model, input_size
from laya_nb.models import DepthClassifier
from laya_nb.optimizer import Adam
from laya_nb.recurrent import BiLSTM
from laya_nb.runs import STACK
from laya_nb.stacked import Member, _Training
from laya_nb.training import Protocol, _train_epoch

HEADS: tuple[HeadName, ...] = ("laya", "last_layer")
EPOCH = 54_000  # the training part of the full set, after 10 % are set aside for validation
BATCH = Protocol().batch_size


@dataclass(frozen=True)
class Row:
    """One quantity, measured several times."""

    name: str
    unit: str
    values: list[float]

    def __str__(self) -> str:
        middle, low, high = statistics.median(self.values), min(self.values), max(self.values)
        return f"{self.name:<58} {middle:>8.3f}   {low:>7.3f} – {high:<7.3f} {self.unit}"


def interleave(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each call, `repeats` times in turns, after one call of each to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(repeats + 1):
        for name, function in functions.items():
            _synchronise()
            start = time.perf_counter()
            function()
            _synchronise()
            if turn:
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
    """One model and the steps of `fit`, some at a time, on random batches."""

    def __init__(self, run: Run, train: Examples, device: str = "cpu", backbone: nn.Module | None = None) -> None:
        self.train = Examples(train.x.to(device), train.y.to(device))
        self.model: DepthClassifier = build_model(run, input_size(run, train.x), int(train.y.max()) + 1)
        if backbone is not None:
            self.model.backbone = backbone
        self.model.to(device)
        self.optimizer = Adam(self.model.parameters(), 3e-4)

    def steps(self, count: int) -> None:
        _train_epoch(self.model, self.optimizer, self.train, self.batches(count), epoch=1)

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


def epochs(train: Examples, repeats: int) -> list[Row]:
    """Seconds an epoch, from a part of one: tensors in memory against transforms and a DataLoader, same steps else."""
    steps = 100
    scale = EPOCH / (steps * BATCH)
    images = TransformedImages(train)
    functions: dict[str, Callable[[], object]] = {}
    for head in HEADS:
        functions[f"{head}, fit"] = partial(Trainer(Run(head=head), train).steps, steps)
        functions[f"{head}, transforms + DataLoader"] = partial(Trainer(Run(head=head), train).steps_on, images, steps)
    seconds = interleave(functions, repeats)
    rows = [Row(f"epoch: {name}", "s", [value * scale for value in values]) for name, values in seconds.items()]
    for head in HEADS:
        gain = ratios(seconds[f"{head}, transforms + DataLoader"], seconds[f"{head}, fit"])
        rows.append(Row(f"epoch: {head}, fit is faster by", "x", gain))
    return rows


def overhead(train: Examples, repeats: int) -> list[Row]:
    """Backbone and head at one batch: LAYA's time over LastLayer's."""
    calls, turns = 25, 4 * repeats
    x, y = train.x[:BATCH], train.y[:BATCH]
    trainers = {head: Trainer(Run(head=head), train) for head in HEADS}
    parts: dict[str, Callable[[Trainer], object]] = {
        "forward": lambda trainer: trainer.forward(x, calls),
        "forward + backward": lambda trainer: trainer.forward_backward(x, y, calls),
        "whole step": lambda trainer: trainer.steps(calls),
    }
    rows = []
    for part, call in parts.items():
        seconds = interleave({head: partial(call, trainers[head]) for head in HEADS}, turns)
        rows += [Row(f"{part}: {head}", "ms", [1000 * value / calls for value in seconds[head]]) for head in HEADS]
        rows.append(Row(f"{part}: LAYA over LastLayer", "x", ratios(seconds["laya"], seconds["last_layer"])))
    macs = {head: multiply_adds(trainer.model) for head, trainer in trainers.items()}
    rows.append(Row("multiply-adds: LAYA over LastLayer", "x", [macs["laya"] / macs["last_layer"]]))
    return rows


def share_of_peak(train: Examples, repeats: int) -> list[Row]:
    """Operations of a whole step's matrix products, by its seconds, over those of one large matrix product."""
    steps, size = 25, 2048
    a, b, out = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)
    trainers = {head: Trainer(Run(head=head), train) for head in HEADS}
    functions: dict[str, Callable[[], object]] = {
        head: partial(trainer.steps, steps) for head, trainer in trainers.items()
    }
    seconds = interleave(functions | {"peak": lambda: torch.mm(a, b, out=out)}, 2 * repeats)
    peak = [2 * size**3 / value for value in seconds["peak"]]
    rows = [Row(f"peak: sgemm {size} x {size} x {size}", "GFLOP/s", [value / 1e9 for value in peak])]
    for head, trainer in trainers.items():
        speed = [2 * multiply_adds(trainer.model) * steps / value for value in seconds[head]]
        rows.append(Row(f"peak: {head}, whole step", "%", [100 * share for share in ratios(speed, peak)]))
    return rows


def stacked(train: Examples, repeats: int) -> list[Row]:
    """Whole steps of LAYA models, batches and Adam included: cost a model in a stack, over one model alone."""
    before = torch.get_num_threads()
    rows = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            rows += _stacked(train, repeats, "cpu", f"{threads} thread" + "s" * (threads > 1))
    finally:
        torch.set_num_threads(before)
    if torch.cuda.is_available():
        rows += _stacked(train, repeats, "cuda", "GPU")
    return rows


def _stacked(train: Examples, repeats: int, device: str, where: str) -> list[Row]:
    steps = 10
    sizes = sorted({15, STACK[device]})
    functions: dict[str, Callable[[], object]] = {"alone": partial(Trainer(Run(), train, device).steps, steps)}
    if device == "cuda":
        functions["alone, CUDA graph"] = partial(Trainer(Run(), train, device).graph(), steps)
    for size in sizes:
        functions[f"{size} together"] = _stack_of(size, train, device, steps)
    seconds = interleave(functions, repeats)
    for size in sizes:
        seconds[f"{size} together"] = [value / size for value in seconds[f"{size} together"]]
    rows = [
        Row(f"stack, {where}: a step of a model, {name}", "ms", [1000 * value / steps for value in values])
        for name, values in seconds.items()
    ]
    alone = seconds.pop("alone")
    return rows + [
        Row(f"stack, {where}: {name}, over alone", "x", ratios(values, alone)) for name, values in seconds.items()
    ]


def _stack_of(size: int, train: Examples, device: str, steps: int) -> Callable[[], object]:
    """`fit_stacked`'s pass over so many batches of each member."""
    dataset = data.Dataset("benchmark", "", images.FASHION_MNIST_CLASSES, train, train)
    runs = [Run(seed=seed) for seed in range(size)]
    members = [Member(build_model(run, train.x[0].numel(), 10), run.seed) for run in runs]
    training = _Training(members, dataset, torch.device(device))
    training.parts = [(kept[: steps * BATCH], held_out) for kept, held_out in training.parts]
    return training._train


def backbones(train: Examples, repeats: int) -> list[Row]:
    """A whole step of the other two backbones, beside the way they are usually written. Random inputs, true shapes."""
    rows = []
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        labels = torch.randint(10, (4 * BATCH,))
        rows += _steps("CNN", "cifar10", Examples(torch.randn(4 * BATCH, 3, 32, 32), labels),
                       {"channels first": ChannelsFirst}, repeats, device)  # fmt: skip
        # Half of the reviews fill their 200 tokens, the others have 30 and more.
        lengths = torch.randint(30, 370, (4 * BATCH, 1)).clamp(max=text.LENGTH)
        tokens = torch.randint(1, text.VOCABULARY_SIZE, (4 * BATCH, text.LENGTH), dtype=torch.int32)
        tokens[torch.arange(text.LENGTH) >= lengths] = text.PADDING
        rows += _steps("BiLSTM", "imdb", Examples(tokens, labels % 2), {"packed": Packed}, repeats, device)
    return rows


def _steps(
    name: str,
    dataset: str,
    train: Examples,
    usual: dict[str, Callable[[Any], nn.Module]],
    repeats: int,
    device: str,
) -> list[Row]:
    steps, where = 4, "" if device == "cpu" else ", GPU"
    trainers = {f"{name}, {head}": Trainer(Run(dataset=dataset, head=head), train, device) for head in HEADS}
    for how, rewrite in usual.items():
        backbone = rewrite(trainers[f"{name}, laya"].model.backbone)
        trainers[f"{name}, laya, {how}"] = Trainer(Run(dataset=dataset), train, device, backbone)
    seconds = interleave({what: partial(trainer.steps, steps) for what, trainer in trainers.items()}, repeats)
    rows = [Row(f"step: {what}{where}", "ms", [1000 * v / steps for v in values]) for what, values in seconds.items()]
    for how in usual:
        gain = ratios(seconds[f"{name}, laya, {how}"], seconds[f"{name}, laya"])
        rows.append(Row(f"step: {name}{where}, ours is faster by", "x", gain))
    return rows


class ChannelsFirst(nn.Module):
    """`DepthwiseCNN` as convolutions are usually written: (B, C, H, W) in memory, pointwise ones as 1 x 1 kernels."""

    def __init__(self, cnn: DepthwiseCNN) -> None:
        super().__init__()
        self.out_dims, self.cnn = cnn.out_dims, copy.deepcopy(cnn)

    def forward(self, h: Tensor) -> list[Tensor]:
        hidden_states = []
        stage: Any
        for stage in self.cnn.stages:
            h = stage.depthwise(h.contiguous())
            h = F.conv2d(h, stage.pointwise.weight[:, :, None, None], stage.pointwise.bias)
            h = F.gelu(stage.norm(h.movedim(1, -1)).movedim(-1, 1).contiguous())
            hidden_states.append(h.mean(dim=(2, 3)))
        return hidden_states


class Packed(nn.Module):
    """`BiLSTM` as it is usually written: packed sequences through bidirectional LSTMs."""

    def __init__(self, bilstm: BiLSTM) -> None:
        super().__init__()
        self.out_dims, self.dropout = bilstm.out_dims, bilstm.dropout
        self.embedding = copy.deepcopy(bilstm.embedding)
        inputs = (self.embedding.embedding_dim, *self.out_dims)
        self.layers = nn.ModuleList(
            nn.LSTM(before, width // 2, bidirectional=True, batch_first=True)
            for before, width in zip(inputs, self.out_dims, strict=False)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        lengths = (x != text.PADDING).sum(dim=1)
        sequence = pack_padded_sequence(self.embedding(x), lengths.cpu(), batch_first=True, enforce_sorted=False)
        hidden_states = []
        for layer in self.layers:
            sequence = sequence._replace(data=self.dropout(sequence.data))
            sequence, (last, _) = layer(sequence)
            hidden_states.append(last.transpose(0, 1).flatten(1))
        return hidden_states


def multiply_adds(model: nn.Module) -> int:
    """Of one training step's matrix products: batch x sum over linear layers of inputs x outputs x 3.

    Three products a layer: forward, gradient of the weights, gradient of the inputs; the first layer has no use for
    the last of these, and counts twice. All else (norms, GELU, softmax, Adam) counts as nothing done.
    """
    sizes = [layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear)]
    return BATCH * (3 * sum(sizes) - sizes[0])


BENCHMARKS: tuple[Callable[[Examples, int], list[Row]], ...] = (epochs, overhead, share_of_peak, stacked, backbones)


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast the book trains on this machine.")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--repeats", type=int, default=7, help="turns (default: 7, under four minutes in all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every single value there")
    parser.add_argument("--only", choices=[function.__name__ for function in BENCHMARKS], help="one of the benchmarks")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the line below says which data there were
        dataset = data.load("fashion_mnist")
    train = Examples(dataset.train.x[:EPOCH], dataset.train.y[:EPOCH])
    described = f"{len(train.y):,} images of {dataset.name}" + (
        "" if len(train.y) == EPOCH else f", scaled to an epoch of {EPOCH:,}"
    )
    machine = {
        "cpu": cpu(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "data": described,
        "batch": BATCH,
    }
    print(" · ".join(f"{name}: {value}" for name, value in machine.items()))
    print(f"\n{'':<58} {'median':>8}   {'min':>7} – max")
    rows = []
    for benchmark in BENCHMARKS:
        if arguments.only in (None, benchmark.__name__):
            found = benchmark(train, arguments.repeats)
            rows += found
            print(*found, sep="\n", end="\n\n", flush=True)
    if arguments.json:
        medians = [asdict(row) | {"median": statistics.median(row.values)} for row in rows]
        arguments.json.write_text(json.dumps({"machine": machine, "rows": medians}, indent=1) + "\n")


def cpu() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
