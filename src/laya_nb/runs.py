"""One experiment, described, and many of them, carried out.

A `Run` is everything that decides a result, and nothing else. `sweep` reads from a store what is there and trains
what is not.
"""

import hashlib
import itertools
import json
import multiprocessing
import os
import platform
import subprocess
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache, partial
from typing import Any, Literal, get_args

import numpy as np
import torch

from laya_nb import conventions, data, seeds
from laya_nb.backbones import MLP, Exposed
from laya_nb.heads import ConcatHead, Head, LastLayerHead, LastLayerMLPHead, LAYAHead, ScalarMixHead
from laya_nb.models import DepthClassifier
from laya_nb.paths import PUBLISHED
from laya_nb.progress import bar
from laya_nb.store import Result, ResultStore
from laya_nb.training import Fit, Protocol, default_device, evaluate, fit, layer_scores, predict

HeadName = Literal["last_layer", "last_layer_mlp", "concat", "scalar_mix", "laya"]

# What each head can be told, with the paper's choice for Fashion-MNIST (its chosen d* for Concat and ScalarMix is not
# stated: LAYA's is used). The control takes LAYA's settings, because it has the parameters of that LAYA head.
_LAYA_DEFAULTS = {"d_star": 96, "temperature": 1.5, "psi": "identity", "scorer_width": 192}
HEAD_DEFAULTS: dict[str, dict[str, Any]] = {
    "last_layer": {},
    "last_layer_mlp": _LAYA_DEFAULTS,
    "concat": {"d_star": 96},
    "scalar_mix": {"d_star": 96},
    "laya": _LAYA_DEFAULTS,
}


HEAD_LABELS = {
    "last_layer": "LastLayer",
    "last_layer_mlp": "LastLayer + MLP",
    "concat": "Concat",
    "scalar_mix": "ScalarMix",
    "laya": "LAYA",
}
"""What tables and figures call the heads, in their order."""


@dataclass(frozen=True)
class Run:
    """One training: data, backbone, head, protocol, seed. The defaults are the paper's Fashion-MNIST settings.

    A setting of the head left at None takes the head's default; one that the head does not have must stay None.
    `tied` repeats one hidden layer (`backbones.MLP`), `view` changes what the head sees (`backbones.Exposed`). Both
    are None for what is usual.
    """

    seed: int = 0
    head: HeadName = "laya"
    dataset: str = "fashion_mnist"
    hidden_dims: tuple[int, ...] = (512, 256, 128)
    tied: Literal[True] | None = None
    view: tuple[str, ...] | None = None
    d_star: int | None = None
    temperature: float | None = None
    psi: Literal["identity", "mlp"] | None = None
    scorer_width: int | None = None
    protocol: Protocol = field(default_factory=Protocol)

    def __post_init__(self) -> None:
        if self.head not in HEAD_DEFAULTS:
            raise ValueError(f"unknown head {self.head!r}; known: {', '.join(get_args(HeadName))}")
        if self.dataset not in data.NAMES:
            raise ValueError(f"unknown data set {self.dataset!r}; known: {', '.join(map(repr, data.NAMES))}")
        if not isinstance(self.hidden_dims, list | tuple):
            raise ValueError(f"hidden_dims must be a list of widths, got {self.hidden_dims!r}")
        if not isinstance(self.protocol, Protocol):
            raise ValueError(f"protocol must be a Protocol, got {self.protocol!r}")
        object.__setattr__(self, "hidden_dims", tuple(self.hidden_dims))
        if self.tied not in (None, True):
            raise ValueError(f"tied must be True or None, got {self.tied!r}")
        if self.view is not None:
            if not isinstance(self.view, list | tuple):
                raise ValueError(f"view must be a list of hidden states, got {self.view!r}")
            object.__setattr__(self, "view", tuple(self.view))
        known = HEAD_DEFAULTS[self.head]
        for name in _LAYA_DEFAULTS:
            if getattr(self, name) is None:
                default = known.get(name)
                if name == "scorer_width" and default is not None and self.d_star is not None:
                    default = 2 * self.d_star
                object.__setattr__(self, name, default)
            elif name not in known:
                raise ValueError(f"head {self.head!r} has no {name}; it takes: {', '.join(known) or 'nothing'}")
        seeds.stream_seed(self.seed, "split")  # names a seed that is none
        build_model(self, in_dim=1, num_classes=2)  # names a size or temperature that is none
        if self.temperature is not None:
            object.__setattr__(self, "temperature", float(self.temperature))  # 1 and 1.0 are one experiment

    def describe(self) -> dict[str, Any]:
        """What decides the result, as plain values. None is left out, so a field added later changes no old key."""
        flat = asdict(self)
        flat |= {"hidden_dims": list(self.hidden_dims), "view": self.view and list(self.view)}
        return {name: value for name, value in flat.items() if value is not None}

    @property
    def key(self) -> str:
        """The same for the same experiment, on every machine and in every later version."""
        canonical = json.dumps(self.describe(), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """A file name that a person can read: where it is, what it is, its key."""
        return f"{self.dataset}/{self.head}-seed{self.seed}-{self.key}"

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> "Run":
        """The run that `describe` described."""
        known = {item.name for item in fields(cls)}
        if unknown := set(description) - known:
            raise ValueError(f"unknown settings {sorted(unknown)}; known: {sorted(known)}")
        return cls(**{**description, "protocol": Protocol(**description["protocol"])})


def grid(**settings: Sequence[Any]) -> list[Run]:
    """Every combination of the given settings: grid(head=["laya", "concat"], seed=range(10)) is 20 runs."""
    return [
        Run(**dict(zip(settings, values, strict=True))) for values in itertools.product(*map(tuple, settings.values()))
    ]


def build_model(run: Run, in_dim: int, num_classes: int) -> DepthClassifier:
    """The run's model, initialised from the run's seed: one seed gives the same backbone whatever the head."""
    backbone: MLP | Exposed = MLP(in_dim, run.hidden_dims, tied=run.tied is not None)
    if run.view is not None:
        backbone = Exposed(backbone, run.view)
    model = DepthClassifier(backbone, _build_head(run, backbone.out_dims, num_classes))
    conventions.glorot_(model, seeds.generator(run.seed, "initialisation"))
    return model


def _build_head(run: Run, in_dims: tuple[int, ...], num_classes: int) -> Head:
    settings = {name: getattr(run, name) for name in HEAD_DEFAULTS[run.head]}
    match run.head:
        case "last_layer":
            return LastLayerHead(in_dims, num_classes)
        case "last_layer_mlp":
            return LastLayerMLPHead(in_dims, num_classes, count_parameters(LAYAHead(in_dims, num_classes, **settings)))
        case "concat":
            return ConcatHead(in_dims, num_classes, **settings)
        case "scalar_mix":
            return ScalarMixHead(in_dims, num_classes, **settings)
        case "laya":
            return LAYAHead(in_dims, num_classes, **settings)


def count_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def train(run: Run, device: torch.device | str | None = None) -> tuple[DepthClassifier, Result]:
    """Carry out one run: load, split, build, fit, measure on the test part.

    Raises:
        DataError: if the run's data set is not to be had. Another set never stands in for it here.
    """
    commit()
    dataset = data.load(run.dataset)
    if dataset.name != run.dataset:
        raise data.DataError(
            f"this run is about {run.dataset!r}, and only {dataset.name!r} is here; connect to the network, point "
            f"LAYA_NB_DATA at the data, or describe the run with dataset={dataset.name!r}"
        )
    splits = dataset.split(run.seed, run.protocol.validation)
    device = torch.device(device) if device is not None else default_device()
    model = build_model(run, dataset.train.x[0].numel(), len(dataset.classes))
    fitted = fit(model, splits, seed=run.seed, protocol=run.protocol, device=device)
    return model, _result(run, model, fitted, dataset.test, device)


def _result(run: Run, model: DepthClassifier, fitted: Fit, test: data.Examples, device: torch.device) -> Result:
    predictions = predict(model, test.x)
    confidence = predictions.logits.softmax(dim=1).amax(dim=1)
    arrays: dict[str, np.ndarray] = {
        "label": test.y.numpy().astype(np.uint8),
        "prediction": predictions.labels.numpy().astype(np.uint8),
        "confidence": confidence.numpy().astype(np.float16),
    }
    # ScalarMix repeats one row; the full matrix is worth its bytes only where rows differ.
    if predictions.attention is not None:
        rows = predictions.attention if run.head == "laya" else predictions.attention[:1]
        arrays["attention"] = rows.numpy().astype(np.float16)
    metrics = evaluate(predictions, test.y) | {
        "validation_accuracy": fitted.validation_accuracy[fitted.best_epoch - 1],
        "best_epoch": fitted.best_epoch,
        "epochs": fitted.epochs,
        "parameters": count_parameters(model),
        "head_parameters": count_parameters(model.head),
    }
    if run.head == "laya":
        metrics["score_range"] = float(np.median(np.ptp(layer_scores(model, test.x).numpy(), axis=1)))
    history = {"train_loss": fitted.train_loss, "validation_accuracy": fitted.validation_accuracy}
    return Result(run.name, run.describe(), metrics, history, _provenance(fitted, device), arrays)


def _provenance(fitted: Fit, device: torch.device) -> dict[str, Any]:
    """Where the numbers came from: enough to tell why a recomputation may differ in the last digits."""
    return {
        "commit": commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
        "precision": "float32",
        "seconds": round(fitted.seconds, 1),
    }


@lru_cache
def commit() -> str:
    """The checkout's commit, with a plus if the package differs from it; "unknown" for an installed package.

    Asked once a process, before its first training: that is the code which runs, whatever is committed meanwhile.
    """
    if PUBLISHED.name != "data":
        return "unknown"
    try:
        git = ["git", "-C", str(PUBLISHED.parent)]
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "src"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


class SweepError(RuntimeError):
    """Some runs of a sweep failed; all others are in the store."""


def sweep(runs: Iterable[Run], store: ResultStore, executor: Executor | None = None) -> list[Result]:
    """The results of `runs`, in their order: read where the store has them, else trained and saved one by one.

    Args:
        runs: duplicates are trained once.
        store: where results are looked for and saved. This process alone writes.
        executor: any `concurrent.futures.Executor`; None trains here, one run after the other.

    Raises:
        SweepError: at the end, if runs failed; it describes each with its traceback.
        StoreError: at once, if a result cannot be saved: what follows could not be either.
    """
    runs = list(runs)
    results = {run: result for run in runs if (result := store.load(run.name, run.describe())) is not None}
    missing = [run for run in dict.fromkeys(runs) if run not in results]
    failures: dict[str, list[Run]] = {}  # by traceback: a hundred runs may share one cause
    if missing:
        with bar(total=len(missing), desc="runs", unit="run") as progress:
            for run, outcome in _carry_out(missing, executor):
                if isinstance(outcome, Result):
                    store.save(outcome)
                    results[run] = outcome
                else:
                    failures.setdefault("".join(traceback.format_exception(outcome)), []).append(run)
                progress.update()
    if failures:
        failed = sum(map(len, failures.values()))
        causes = ("\n".join([*map(str, group), cause]) for cause, group in failures.items())
        raise SweepError(
            f"{failed} of {len(missing)} runs failed; the other {len(missing) - failed} are saved\n\n"
            + "\n".join(causes)
        )
    return [results[run] for run in runs]


def _carry_out(runs: list[Run], executor: Executor | None) -> Iterator[tuple[Run, Result | Exception]]:
    if executor is None:
        for run in runs:
            yield run, _outcome(partial(train_result, run))
        return
    futures = {executor.submit(train_result, run): run for run in runs}
    try:
        for future in as_completed(futures):
            yield futures[future], _outcome(future.result)
    finally:
        for future in futures:
            future.cancel()


def _outcome(result: Callable[[], Result]) -> Result | Exception:
    try:
        return result()
    except Exception as error:  # any failure of one run is reported at the end, and the others go on
        return error


def worker_setup(threads: int) -> None:
    """What a worker process does first: ProcessPoolExecutor(n, context, worker_setup, (1,)).

    It takes its share of threads, and ends when the process that started it does: a worker whose sweep was killed
    would train on with nobody to save the result.
    """
    torch.set_num_threads(threads)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def train_result(run: Run) -> Result:
    """`train` without the model: what a worker process sends back."""
    return train(run)[1]
