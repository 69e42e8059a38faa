"""Trained models that the book publishes, so that a chapter can show one without training it."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from laya_nb import data, paths
from laya_nb.models import DepthClassifier
from laya_nb.runs import Run, build_model, input_size, train


def file_name(run: Run) -> str:
    return f"checkpoints/{run.name}.safetensors"


def save(model: DepthClassifier, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), path)


def trained_model(run: Run) -> DepthClassifier:
    """The run's trained model: the published checkpoint where there is one, else trained here and now.

    Raises:
        DataError: for a checkpoint that is damaged or belongs to another model.
    """
    path = paths.published(file_name(run))
    if not path.is_file():
        return train(run)[0]
    dataset = data.load("fashion_mnist_sample")  # the same shapes and classes as the full set
    model = build_model(run, input_size(run, dataset.train.x), len(dataset.classes))
    try:
        model.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise data.DataError(f"{path} is damaged ({error}); restore it from the repository") from error
    return model.eval()
