"""Fashion-MNIST and CIFAR-10: where their files are looked for, and how they become tensors."""

import logging
import os
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from laya_nb.data.dataset import Dataset, Examples, Part
from laya_nb.support import paths
from laya_nb.support.files import DataError, cached, check_sha256

log = logging.getLogger(__name__)

FASHION_MNIST_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
SAMPLE = "fashion_mnist_sample.npz"
SAMPLE_SHA256 = "48e1dbe23d996ca1636df7b3f1ed19184f2edc31c2eeef894a37e1e89d52a01d"

# SHA-256 of the four files as torchvision unpacks them.
FASHION_MNIST_FILES = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# The binary version: the Python version is a pickle, and pickles from elsewhere are programs.
CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR10_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
CIFAR10_JPEG_FILES = {
    "train-00000-of-00001.parquet": "e1d042c03376f420a93e964ad9718c53bf17826f29c88097933a5f8baab36245",
    "test-00000-of-00001.parquet": "0b9865e1ce4bc0d9271ad1544920cdbf873b7fab6846b9c63ad7161033d209ff",
}


def fashion_mnist() -> Dataset:
    """From the folder LAYA_NB_DATA, else torchvision's download, else, with a warning, the embedded sample."""
    folder = os.environ.get("LAYA_NB_DATA")
    if folder and (Path(folder) / "FashionMNIST" / "raw").is_dir():
        return _fashion_mnist(Path(folder), "from the folder LAYA_NB_DATA")
    try:
        return _fashion_mnist(_downloaded(), "from torchvision's download")
    except OSError as error:
        warnings.warn(
            f"The full Fashion-MNIST could not be had ({error}); using the embedded sample instead. "
            "For the full set, connect to the network or point LAYA_NB_DATA at a folder that holds FashionMNIST/raw"
            + (f"; {folder} does not." if folder else "."),
            stacklevel=2,
        )
        return fashion_mnist_sample()


def _fashion_mnist(root: Path, source: str) -> Dataset:
    """Read torchvision's layout under `root`, after comparing every file's checksum."""
    for file, expected in FASHION_MNIST_FILES.items():
        check_sha256(root / "FashionMNIST" / "raw" / file, expected, "delete it and load again")
    from torchvision.datasets import FashionMNIST  # slow to import, so only here

    train, test = (FashionMNIST(str(root), train=part, download=False) for part in (True, False))
    log.info("Fashion-MNIST read %s", source)
    return Dataset(
        "fashion_mnist",
        source,
        FASHION_MNIST_CLASSES,
        Examples(_pixels(train.data), train.targets),
        Examples(_pixels(test.data), test.targets),
    )


def fashion_mnist_sample() -> Dataset:
    path = paths.published(SAMPLE)
    check_sha256(path, SAMPLE_SHA256, "restore it from the repository")
    with np.load(path, allow_pickle=False) as file:
        train, test = (
            Examples(_pixels(torch.from_numpy(file[f"{part}_images"])), torch.from_numpy(file[f"{part}_labels"]).long())
            for part in ("train", "test")
        )
    return Dataset("fashion_mnist_sample", "embedded in the project", FASHION_MNIST_CLASSES, train, test)


def sample_test_rows() -> np.ndarray:
    """Which rows of the full test set the sample's test images are, (1000,), in the sample's order.

    With these, results on the full set can be shown beside their images without the full set being there.
    """
    with np.load(paths.published(SAMPLE), allow_pickle=False) as file:
        return file["test_index"].astype(np.int64)


def _pixels(images: Tensor) -> Tensor:
    return images.unsqueeze(1).float().div_(255)


def _downloaded() -> Path:
    """The cache's copy; files that it lacks are downloaded, and each appears there whole or not at all."""
    root = paths.cache() / "data"
    raw = root / "FashionMNIST" / "raw"
    if not all((raw / file).is_file() for file in FASHION_MNIST_FILES):
        from torchvision.datasets import FashionMNIST

        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as unfinished, _socket_timeout(20):
            try:
                FashionMNIST(unfinished, download=True)
            except RuntimeError as error:  # torchvision's word for 'no mirror answered'
                raise OSError(str(error)) from error
            raw.mkdir(parents=True, exist_ok=True)
            for file in FASHION_MNIST_FILES:
                (Path(unfinished) / "FashionMNIST" / "raw" / file).replace(raw / file)
    return root


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """torchvision sets no time limit, and a network that swallows packets would hang it for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def cifar10() -> Dataset:
    """The original images, from torchvision's download of the archive's binary version.

    Raises:
        DataError: if it is not in the cache and cannot be downloaded.
    """
    return _cifar10("cifar10", "from torchvision's download", _cifar10_arrays())


def _cifar10_arrays() -> dict[str, np.ndarray]:
    return cached(paths.cache() / "data" / "cifar10", _original)


def cifar10_jpeg() -> Dataset:
    """The same images, each of which went through JPEG (quality 75), from LAYA_NB_DATA/cifar10/*.parquet.

    Another data set: what is measured on it must carry its name.

    Raises:
        DataError: if the folder does not hold it.
    """
    return _cifar10("cifar10_jpeg", "JPEG copy from the folder LAYA_NB_DATA", _cifar10_jpeg_arrays())


def _cifar10_jpeg_arrays() -> dict[str, np.ndarray]:
    folder = Path(os.environ.get("LAYA_NB_DATA") or "nowhere") / "cifar10"
    if not folder.is_dir():
        raise DataError('the JPEG copy of CIFAR-10 is not here; use "cifar10", which is downloaded')

    def decode() -> dict[str, np.ndarray]:
        arrays = {}
        for file, expected in CIFAR10_JPEG_FILES.items():
            check_sha256(folder / file, expected, "restore it")
            part = file.split("-")[0]
            arrays[f"{part}_images"], arrays[f"{part}_labels"] = _parquet_images(folder / file)
        return arrays

    made_from = "-".join(expected[:8] for expected in CIFAR10_JPEG_FILES.values())
    return cached(paths.cache() / "data" / f"cifar10_jpeg-{made_from}", decode)


def _cifar10(name: str, source: str, arrays: dict[str, np.ndarray]) -> Dataset:
    """Each channel with mean 0 and standard deviation 1 over the training part; images (N, 32, 32, 3) to NCHW."""
    colours = {part: torch.tensor(arrays[f"{part}_images"]).float() for part in ("train", "test")}
    std, mean = torch.std_mean(colours["train"], dim=(0, 1, 2), correction=0)
    train, test = (
        Examples(x.sub_(mean).div_(std).permute(0, 3, 1, 2), torch.tensor(arrays[f"{part}_labels"]).long())
        for part, x in colours.items()
    )
    return Dataset(name, source, CIFAR10_CLASSES, train, test)


def raw_fashion_mnist(part: Part) -> tuple[Tensor, Tensor]:
    """Pixels in [0, 1], (N, 1, 28, 28), and labels (N,): what `fashion_mnist` holds."""
    return getattr(fashion_mnist(), part)


def raw_fashion_mnist_sample(part: Part) -> tuple[Tensor, Tensor]:
    """Pixels in [0, 1], (N, 1, 28, 28), and labels (N,): what `fashion_mnist_sample` holds."""
    return getattr(fashion_mnist_sample(), part)


def raw_cifar10(part: Part) -> tuple[Tensor, Tensor]:
    """Pixels in [0, 1], (N, 3, 32, 32), and labels (N,) of the original images."""
    return _raw_colours(_cifar10_arrays(), part)


def raw_cifar10_jpeg(part: Part) -> tuple[Tensor, Tensor]:
    """Pixels in [0, 1], (N, 3, 32, 32), and labels (N,) of the JPEG copy."""
    return _raw_colours(_cifar10_jpeg_arrays(), part)


def _raw_colours(arrays: dict[str, np.ndarray], part: Part) -> tuple[Tensor, Tensor]:
    pixels = torch.tensor(arrays[f"{part}_images"]).permute(0, 3, 1, 2).float().div_(255)
    return pixels, torch.tensor(arrays[f"{part}_labels"]).long()


def _parquet_images(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, H, W, 3) uint8 and labels (N,) of a parquet file in the public hub's layout."""
    import pyarrow.parquet  # slow to import, so only here
    from PIL import Image

    table = pyarrow.parquet.read_table(path)
    images = (Image.open(BytesIO(image["bytes"])).convert("RGB") for image in table["img"].to_pylist())
    return np.stack([np.asarray(image) for image in images]), table["label"].to_numpy()


def _original() -> dict[str, np.ndarray]:
    """Download the archive, compare its checksum, read its rows: a label, then 3 x 32 x 32 colours."""
    from torchvision.datasets.utils import download_and_extract_archive

    with tempfile.TemporaryDirectory() as folder, _socket_timeout(20):
        try:
            download_and_extract_archive(CIFAR10_URL, folder, md5=CIFAR10_MD5)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"CIFAR-10 could not be had ({error}); connect to the network, or point LAYA_NB_DATA at a folder that "
                'holds the JPEG copy and use "cifar10_jpeg"'
            ) from error
        batches = Path(folder) / "cifar-10-batches-bin"
        parts = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
        arrays = {}
        for part, files in parts.items():
            rows = np.concatenate([np.fromfile(batches / file, np.uint8) for file in files]).reshape(-1, 3073)
            arrays[f"{part}_labels"] = rows[:, 0]
            arrays[f"{part}_images"] = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return arrays
