"""Draw the embedded sample from the full Fashion-MNIST: the same number of images of every class, the same each time.

usage: python tools/make_sample.py   (needs the full set: LAYA_NB_DATA, or a network)
"""

import hashlib

import numpy as np
import torch

from laya_nb import data
from laya_nb.data import images
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
    path = paths.PUBLISHED / images.SAMPLE
    np.savez_compressed(path, **arrays)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    print("as before" if found == images.SAMPLE_SHA256 else f"changed: set SAMPLE_SHA256 in images.py to {found}")


if __name__ == "__main__":
    main()
