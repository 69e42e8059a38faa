"""What the explorer needs of a trained model, kept as measurements are: to play, no checkpoint has to be there."""

from typing import Any

from laya_nb.analysis.decomposition import decompose
from laya_nb.data import Dataset, load
from laya_nb.heads import DepthClassifier
from laya_nb.runs.measurements import measurement

IMAGES = 200  # the first test images of the embedded sample, which stand in every checkout


@measurement(version=1)
def decomposed(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """The fields of `Decomposition` for the first 200 test images of the embedded sample of Fashion-MNIST.

    Raises:
        ValueError: for a model of another data set, and from `decompose`.
    """
    if not dataset.name.startswith("fashion_mnist"):
        raise ValueError(f"these are images of Fashion-MNIST, and the model is for {dataset.name!r}")
    return decompose(model, load("fashion_mnist_sample").test.x[:IMAGES])._asdict()
