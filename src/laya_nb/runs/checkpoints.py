"""Trained models: published where a chapter must show one from the start, else kept in the reader's cache."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from laya_nb.data import DataError
from laya_nb.heads import DepthClassifier
from laya_nb.runs.agreement import differences
from laya_nb.runs.run import Run
from laya_nb.runs.store import ResultStore, Store
from laya_nb.runs.train import Trained, build_model, train_stacked
from laya_nb.support import paths
from laya_nb.support.files import write_whole


class DisagreementError(RuntimeError):
    """A run that was trained again came out otherwise than its stored result says."""


def file_name(run: Run) -> str:
    """Where a run's checkpoint stands below the published folder, and below the cache."""
    return f"checkpoints/{run.name}.safetensors"


def keep(run: Run, trained: Trained, folder: Path | None = None) -> Path:
    """Write a run's model, whole or not at all, below `folder` (by default the reader's cache)."""
    path = (paths.cache() if folder is None else folder) / file_name(run)
    sizes = {"input_size": str(trained.input_size), "num_classes": str(trained.model.head.num_classes)}
    write_whole(path, lambda unfinished: save_file(trained.model.state_dict(), unfinished, sizes))
    return path


def trained_model(run: Run, store: Store | None = None) -> DepthClassifier:
    """The trained model of one run: see `trained_models`."""
    return next(trained_models([run], store))


def trained_models(runs: Sequence[Run], store: Store | None = None) -> Iterator[DepthClassifier]:
    """The trained models of runs, in their order, in evaluation mode on the CPU, read one at a time.

    A model is looked for among the published checkpoints, then in the cache. What is in neither is trained first,
    together where possible, compared with its result in the store if that has one, and kept in the cache.

    Args:
        runs: what to load.
        store: whose results a model that is trained again must agree with; by default the reader's own and the
            published ones.

    Raises:
        DataError: for a checkpoint that is damaged or belongs to another model, or data that are not to be had.
        DisagreementError: if a run came out otherwise than its stored result (`agreement.differences`).
    """
    store = ResultStore() if store is None else store
    missing: dict[str, list[Run]] = {}
    for run in dict.fromkeys(runs):
        if _find(run) is None:
            missing.setdefault(run.stacking_key, []).append(run)
    for group in missing.values():
        for run, outcome in train_stacked(group):
            if isinstance(outcome, Exception):
                raise outcome
            stored = store.load(run.name, run.describe())
            if stored is not None and (found := differences(stored, outcome.result)):
                raise DisagreementError(f"{run.name}, trained again: {'; '.join(found)}")
            keep(run, outcome)
    for run in runs:
        path = _find(run)
        assert path is not None
        yield _read(run, path)


def _find(run: Run) -> Path | None:
    places = (paths.published(file_name(run)), paths.cache() / file_name(run))
    return next((path for path in places if path.is_file()), None)


def _read(run: Run, path: Path) -> DepthClassifier:
    try:
        with safe_open(path, framework="pt") as file:
            sizes = file.metadata()
            model = build_model(run, int(sizes["input_size"]), int(sizes["num_classes"]))
            model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it, or restore it from the repository") from error
    return model.eval()
