"""How fast the book trains on this machine, and where the time goes.

usage: python tools/bench.py [--threads 2] [--repeats 7] [--json FILE]

Everything that is compared is measured in turns, so that a machine's moods fall on all alike; a ratio is taken turn by
turn. Shown are the median and the range over the turns. To add a benchmark: one function that returns rows, and its
name in BENCHMARKS.
"""

import argparse
import json
import platform
import statistics
import warnings
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from bench_backbones import backbones, frozen
from bench_tools import BATCH, EPOCH, HEADS, Row, Trainer, TransformedImages, interleave, ratios
from torch import nn

from laya_nb import data
from laya_nb.data import images
from laya_nb.data import Examples
from laya_nb.runs import Run, build_model
from laya_nb.runs import STACK
from laya_nb.training.stacked import StackedModel, _Training


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
    members = [StackedModel(build_model(run, train.x[0].numel(), 10), run.seed) for run in runs]
    training = _Training(members, dataset, torch.device(device))
    training.parts = [(kept[: steps * BATCH], held_out) for kept, held_out in training.parts]
    return training._train


def multiply_adds(model: nn.Module) -> int:
    """Of one training step's matrix products: batch x sum over linear layers of inputs x outputs x 3.

    Three products a layer: forward, gradient of the weights, gradient of the inputs; the first layer has no use for
    the last of these, and counts twice. All else (norms, GELU, softmax, Adam) counts as nothing done.
    """
    sizes = [layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear)]
    return BATCH * (3 * sum(sizes) - sizes[0])


BENCHMARKS: tuple[Callable[[Examples, int], list[Row]], ...] = (
    epochs,
    overhead,
    share_of_peak,
    stacked,
    backbones,
    frozen,
)


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast the book trains on this machine.")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--repeats", type=int, default=7, help="turns (default: 7, some six minutes in all)")
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
