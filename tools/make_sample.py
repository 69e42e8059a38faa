"""Draw the embedded samples, the same each time.

Of Fashion-MNIST the same number of images of every class; and the first test pictures of the tasks `pictures/...`.

usage: python tools/make_sample.py   (needs the full sets: LAYA_NB_DATA)
"""

import hashlib

import numpy as np
import torch

from laya_nb import data
from laya_nb.data import images, tasks
from laya_nb.support import paths, seeds

PER_CLASS = {"train": 400, "test": 100}


def main() -> None:
    dataset = data.load("fashion_mnist")
    if dataset.name != "fashion_mnist":
        raise SystemExit("the sample is drawn from the full set, which is not here")
    stream = seeds.generator(0, "split")
    arrays = {}
    for part, count in PER_CLASS.items():
        x, y = getattr(dataset, part)
        order = torch.randperm(len(y), generator=stream)
        index = torch.cat([order[y[order] == label][:count] for label in range(len(dataset.classes))]).sort().values
        arrays[f"{part}_images"] = (x[index, 0] * 255).round().to(torch.uint8).numpy()
        arrays[f"{part}_labels"] = y[index].to(torch.uint8).numpy()
        arrays[f"{part}_index"] = index.to(torch.int32).numpy()
    write(images.SAMPLE, images.SAMPLE_SHA256, arrays)
    pictures = (tasks.pictures("pictures", "test")[:8] * 255).round().to(torch.uint8)
    write(tasks.SAMPLE, tasks.SAMPLE_SHA256, {"pictures": pictures.numpy()})


def write(name: str, known: str, arrays: dict[str, np.ndarray]) -> None:
    path = paths.PUBLISHED / name
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{name}: as before" if found == known else f"{name} changed: set SAMPLE_SHA256 to {found}")


if __name__ == "__main__":
    main()
