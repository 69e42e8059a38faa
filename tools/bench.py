"""How fast the book trains on this machine, and where the time goes.

usage: python tools/bench.py [--threads 2] [--repeats 7] [--json FILE]

Everything that is compared is measured in turns, so that a machine's moods fall on all alike; a ratio is taken turn by
turn. Shown are the median and the range over the turns. To add a benchmark: one function that returns rows, and its
name in BENCHMARKS.
"""

import argparse
import json
import os
import platform
import statistics
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, wait
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from bench_backbones import backbones, frozen
from bench_doubts import doubts
from bench_explanations import explanations
from bench_fusion import fusion
from bench_representation import representation
from bench_tools import BATCH, EPOCH, HEADS, Row, Trainer, TransformedImages, interleave, ratios
from torch import nn

from laya_nb import data
from laya_nb.data import Dataset, Examples, images
from laya_nb.runs import ResultStore, Run, build_model, sweep
from laya_nb.runs import train as train_run
from laya_nb.runs.sweep import STACK, fair_stack
from laya_nb.runs.workers import process_pool
from laya_nb.training import StackedModel, TrainingConfig, fit_stacked


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
    """One epoch of LAYA models, all that `fit_stacked` does included: cost per model in a stack, over one alone."""
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
    steps = 28
    rows = len(train.y) if len(train.y) < steps * BATCH else round(steps * BATCH / 0.99)
    part = Examples(train.x[:rows], train.y[:rows])
    dataset = Dataset("benchmark", "", images.FASHION_MNIST_CLASSES, part, part)
    sizes = sorted({15, STACK[device]})
    functions: dict[str, Callable[[], object]] = {"alone": _one_epoch(1, dataset, device)}
    if device == "cuda":
        functions["alone, CUDA graph"] = partial(Trainer(Run(), train, device).graph(), steps)
    for size in sizes:
        functions[f"{size} together"] = _one_epoch(size, dataset, device)
    seconds = interleave(functions, repeats)
    for size in sizes:
        seconds[f"{size} together"] = [value / size for value in seconds[f"{size} together"]]
    found = [
        Row(f"stack, {where}: a step of a model, {name}", "ms", [1000 * value / steps for value in values])
        for name, values in seconds.items()
    ]
    alone = seconds.pop("alone")
    return found + [
        Row(f"stack, {where}: {name}, over alone", "x", ratios(values, alone)) for name, values in seconds.items()
    ]


def _one_epoch(size: int, dataset: Dataset, device: str) -> Callable[[], None]:
    """What trains so many models of the paper for an epoch, each with 1 % of the examples for validation."""
    config = TrainingConfig(max_epochs=1, validation=0.01)
    models = [build_model(Run(seed=seed), dataset.train.x[0].numel(), len(dataset.classes)) for seed in range(size)]
    members = [StackedModel(model, seed, config) for seed, model in enumerate(models)]

    def epoch() -> None:
        for _, outcome in fit_stacked(members, dataset, device=device):
            if isinstance(outcome, Exception):
                raise outcome

    return epoch


def sweeps(train: Examples, repeats: int, runs: int = 16, epochs: int = 4) -> list[Row]:
    """A sweep of the paper's MLP, 64 model-epochs: two threads in one process, against two processes with one each.

    Seconds per model-epoch, with all that a run takes: its split, training, validation, test and result. Both train
    stacks. Against them one run by `fit`, with two threads. The processes are started, and have read the data, before
    the clock runs. A turn takes minutes, so there are fewer of them.
    """
    name = "fashion_mnist" if len(train.y) == EPOCH else "fashion_mnist_sample"
    config = TrainingConfig(max_epochs=epochs, patience=epochs)
    todo = [Run(seed=seed, dataset=name, protocol=config) for seed in range(runs)]
    processes, threads = 2, torch.get_num_threads()
    share = fair_stack(runs, processes)
    before = dict(os.environ)
    os.environ.pop("LAYA_NB_PROCESSES", None)
    try:
        torch.set_num_threads(2)
        with TemporaryDirectory() as cache, process_pool(processes) as pool:
            first = Run(dataset=name, protocol=TrainingConfig(max_epochs=1))
            wait([pool.submit(_prepare, first) for _ in range(processes)])
            _prepare(first)
            os.environ["LAYA_NB_CACHE"] = cache  # where a sweep keeps its models; all have read their data by now
            seconds = interleave(
                {
                    "fit alone, 2 threads": partial(train_run, todo[0], "cpu"),
                    "1 process, 2 threads": partial(_sweep, todo, None, None),
                    "2 processes, 1 thread each": partial(_sweep, todo, pool, share),
                },
                max(2, repeats // 3),
                warm_up=False,
            )
    finally:
        torch.set_num_threads(threads)
        os.environ.clear()
        os.environ.update(before)
    counts = {how: epochs if how.startswith("fit") else runs * epochs for how in seconds}
    scale = EPOCH / len(train.y)
    each = {how: [scale * value / counts[how] for value in values] for how, values in seconds.items()}
    rows = [Row(f"sweep: a model-epoch, {how}", "s", values) for how, values in each.items()]
    alone = each.pop("fit alone, 2 threads")
    return rows + [Row(f"sweep: {how}, over fit alone", "x", ratios(values, alone)) for how, values in each.items()]


def _prepare(run: Run) -> None:
    """What a process does once, however many runs follow: import, read the data, warm up."""
    train_run(run, "cpu")


def _sweep(runs: list[Run], executor: Executor | None, stack: int | None) -> None:
    with TemporaryDirectory() as folder:
        sweep(runs, ResultStore(folder, published=False), executor, stack)


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
    sweeps,
    backbones,
    frozen,
    fusion,
    explanations,
    representation,
    doubts,
)


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast the book trains on this machine.")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--repeats", type=int, default=7, help="turns (default: 7, some fifteen minutes in all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every single value there")
    parser.add_argument("--only", choices=[function.__name__ for function in BENCHMARKS], help="one of the benchmarks")
    arguments = parser.parse_args()

    os.environ["TQDM_DISABLE"] = "1"
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
