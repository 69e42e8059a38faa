"""One experiment, carried out: load, split, build, train, measure on the test part."""

import platform
import subprocess
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laya_nb.backbones import MLP, LayerSelection
from laya_nb.data import DataError, Dataset, Examples
from laya_nb.heads import DepthClassifier, count_parameters
from laya_nb.heads import catalog as heads
from laya_nb.runs import catalog
from laya_nb.runs.run import Run
from laya_nb.runs.store import Result
from laya_nb.support import device as devices
from laya_nb.support import keras_defaults, seeds
from laya_nb.support.paths import IS_CHECKOUT, PUBLISHED
from laya_nb.training import StackedModel, TrainingHistory, evaluate, fit, fit_stacked, predict


@dataclass(frozen=True)
class Trained:
    """What training a run gave: its result, the model on the CPU, and what `build_model` was told of the inputs."""

    result: Result
    model: DepthClassifier
    input_size: int


def build_model(run: Run, input_size: int, num_classes: int) -> DepthClassifier:
    """The run's model, initialised from the run's seed: one seed gives the same backbone whatever the head.

    All parameters come from the seed: layers that `keras_defaults.glorot_` knows from its draw, others from what
    their constructor draws. Global random state is left as it was.

    Args:
        run: what to build.
        input_size: what the backbone must know of its inputs (`input_size`).
        num_classes: C.
    """
    settings = dict(run.settings)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seeds.stream_seed(run.seed, "initialisation"))
        if run.tied:
            backbone: Any = MLP(input_size, run.hidden_dims, tied=True)
        else:
            backbone = catalog.BACKBONES[run.backbone].build(input_size, run.hidden_dims)
        if run.view is not None:
            backbone = LayerSelection(backbone, run.view)
        head = heads.entry(run.head).head.from_settings(backbone.out_dims, num_classes, **settings)
    model = DepthClassifier(backbone, head)
    drawn = model if head.keras_initialisation else backbone
    keras_defaults.glorot_(drawn, seeds.generator(run.seed, "initialisation"))
    return model


def input_size(run: Run, x: Tensor) -> int:
    """What the run's backbone must know of inputs x (N, ...): see `catalog.BackboneEntry`."""
    return catalog.BACKBONES[run.backbone].input_size(x)


def model_for(run: Run, dataset: Dataset) -> DepthClassifier:
    """The run's model before training, for the inputs and classes of a data set."""
    return build_model(run, input_size(run, dataset.train.x), len(dataset.classes))


def train(run: Run, device: torch.device | str | None = None) -> tuple[DepthClassifier, Result]:
    """Carry out one run: load, split, build, fit, measure on the test part.

    Raises:
        DataError: if the run's data set is not to be had. Another set never stands in for it here.
    """
    commit()
    dataset = run_data(run)
    splits = dataset.split(run.seed, run.protocol.validation)
    device = devices.resolve(device)
    model = model_for(run, dataset)
    history = fit(model, splits, seed=run.seed, protocol=run.protocol, device=device)
    return model, _result(run, model, history, dataset.test, device)


def train_stacked(
    runs: Sequence[Run], device: torch.device | str | None = None
) -> Generator[tuple[Run, Trained | Exception], None, None]:
    """Carry out runs of one `stacking_key` as one program; each one's outcome as soon as it is finished.

    What fails in one run is its outcome. Runs that cannot be stacked are trained one after the other.
    """
    commit()
    waiting = list(runs)
    try:
        dataset, device = run_data(runs[0]), devices.resolve(device)
        models = [StackedModel(model_for(run, dataset), run.seed, run.protocol) for run in runs]
        for number, outcome in fit_stacked(models, dataset, device=device):
            run, model = runs[number], models[number].model
            waiting.remove(run)
            if isinstance(outcome, TrainingHistory):
                result = _result(run, model, outcome, dataset.test, device)
                yield run, Trained(result, model.cpu(), input_size(run, dataset.train.x))
            else:
                yield run, outcome
    except Exception as error:  # what stops the stack stops all that are left in it
        yield from ((run, error) for run in waiting)


def run_data(run: Run) -> Dataset:
    """The data set that a run names.

    Raises:
        DataError: where only another one is to be had.
    """
    dataset = catalog.load(run.dataset)
    if dataset.name != run.dataset:
        raise DataError(
            f"this run is about {run.dataset!r}, and only {dataset.name!r} is here; connect to the network, point "
            f"LAYA_NB_DATA at the data, or describe the run with dataset={dataset.name!r}"
        )
    return dataset


def _result(run: Run, model: DepthClassifier, history: TrainingHistory, test: Examples, device: torch.device) -> Result:
    predictions = predict(model, test.x)
    confidence = predictions.logits.softmax(dim=1).amax(dim=1)
    arrays: dict[str, np.ndarray] = {
        "label": test.y.numpy().astype(np.uint8),
        "prediction": predictions.labels.numpy().astype(np.uint8),
        "confidence": confidence.numpy().astype(np.float16),
    }
    metrics = evaluate(predictions, test.y)
    if history.validation_accuracy:
        metrics["validation_accuracy"] = max(history.validation_accuracy)
    metrics |= {
        "best_epoch": history.best_epoch,
        "epochs": history.epochs,
        "parameters": count_parameters(model),
        "head_parameters": count_parameters(model.head),
    }
    # Weights that are the same for every input are kept once.
    per_input = heads.entry(run.head).per_input
    if predictions.attention is not None:
        rows = predictions.attention if per_input else predictions.attention[:1]
        arrays["attention"] = rows.numpy().astype(np.float16)
    if predictions.scores is not None and per_input:
        metrics["score_range"] = float(np.median(np.ptp(predictions.scores.numpy(), axis=1)))
    where = provenance(device) | {"stack": history.stack, "seconds": round(history.seconds, 1)}
    curves = {"train_loss": history.train_loss, "validation_accuracy": history.validation_accuracy}
    return Result(run.name, run.describe(), metrics, curves, where, arrays)


def provenance(device: torch.device | None = None) -> dict[str, Any]:
    """Where numbers came from: enough to tell why a recomputation may differ in the last digits."""
    on_gpu = device is not None and device.type == "cuda"
    return {
        "commit": commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name(device) if on_gpu else f"CPU, {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
        "precision": "float32",
    }


@lru_cache
def commit() -> str:
    """The checkout's commit, with a plus if the package differs from it; "unknown" for an installed package.

    Asked once per process, before its first run: that is the code which runs, whatever is committed meanwhile.
    """
    if not IS_CHECKOUT:
        return "unknown"
    try:
        git = ["git", "-C", str(PUBLISHED.parent)]
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "src"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
