"""The tasks: which pictures, which answers, and that a picture shows its answer."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet
from scipy.stats import chi2_contingency
from torch import Tensor

from laya_nb.data import DataError, renderings, tasks
from laya_nb.data.catalog import entry
from laya_nb.data.dataset import Dataset
from laya_nb.data.renderings import RENDERINGS, TURNS
from laya_nb.data.tasks import PICTURES, TASKS
from laya_nb.support.seeds import numpy_generator

FULL = os.environ.get("LAYA_NB_DATA")
needs_full_set = pytest.mark.skipif(not FULL, reason="LAYA_NB_DATA is not set")


def params(*names: str) -> list[ParameterSet]:
    """All but the world are made of files."""
    return [pytest.param(name, marks=() if name.startswith("world") else needs_full_set) for name in names]


@lru_cache
def known(part: tasks.Part) -> dict[int, int]:
    """The class of every picture of the JPEG copy of CIFAR-10, by the hash of every third pixel."""
    x, y = entry("cifar10_jpeg").raw(part)
    assert isinstance(x, Tensor)
    return dict(zip(hashes(x[..., ::3, ::3]), y.tolist(), strict=True))


def hashes(x: Tensor) -> list[int]:
    """Of pictures with values in [0, 1]."""
    return [hash(row.tobytes()) for row in as_bytes(x).flatten(1).numpy()]


def as_bytes(x: Tensor) -> Tensor:
    return (x * 255).round().to(torch.uint8)


# --- every task


@pytest.mark.parametrize("key", params(*PICTURES))
def test_a_set_and_its_questions(key: str) -> None:
    names = [name for name, task in TASKS.items() if task.pictures == key]
    assert [TASKS[name].question for name in names] == list(PICTURES[key].questions)
    loaded = {name: tasks.load(name, examples=130) for name in names}
    for part in tasks.PARTS:
        x = tasks.pictures(key, part, examples=130)
        assert (x.shape[:2], x.dtype) == ((130, 3), torch.float32)
        assert 0 <= x.min() < 0.2
        assert 0.8 < x.max() <= 1
        assert torch.equal(as_bytes(x).float() / 255, x)
        for name in names:
            examples, num_classes = getattr(loaded[name], part), len(TASKS[name].classes)
            assert torch.equal(examples.x, x)  # all questions of a set are about the very same pictures
            assert torch.equal(examples.y, tasks.labels(name, part, examples=130))
            for n in (30, 77, 130):
                of_each = examples.y[:n].bincount(minlength=num_classes)
                assert len(of_each) == num_classes
                assert of_each.max() - of_each.min() <= 1
    dataset = loaded[names[0]]
    assert not set(hashes(dataset.train.x)) & set(hashes(dataset.test.x))


@pytest.mark.parametrize("name", params("world/count", "letters", "rendering"))
def test_more_examples_begin_with_the_same_and_another_seed_draws_others(name: str) -> None:
    key = TASKS[name].pictures
    x, few, other = (tasks.pictures(key, "test", *arguments) for arguments in ((130, 0), (60, 0), (60, 1)))
    assert torch.equal(x[:60], few)
    assert torch.equal(tasks.labels(name, "test", 130)[:60], tasks.labels(name, "test", 60))
    assert not torch.equal(few, other)
    tasks._kept.cache_clear()
    assert torch.equal(tasks.pictures(key, "test", 60), few)


@needs_full_set
def test_pictures_made_from_the_same_ones_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks.load("rendering", examples=130)
    monkeypatch.setattr(tasks.images, "raw_cifar10_jpeg", None)  # a second reading would fail
    for name in ("rotation", "pictures/class", "pictures/rendering", "pictures/turn"):
        tasks.load(name, examples=130)


def test_the_draw_is_the_one_that_was_published() -> None:
    """A change of what a seed draws changes results: it must be meant."""
    x = as_bytes(tasks.pictures("world", "test", 130))[:20]
    assert hashlib.sha256(x.numpy().tobytes()).hexdigest()[:16] == "b9469e58bc8e74c9"


@needs_full_set
def test_the_draw_of_a_data_set_is_the_one_that_was_published() -> None:
    x = as_bytes(tasks.pictures("rotation", "test", 130))[:20]
    assert hashlib.sha256(x.numpy().tobytes()).hexdigest()[:16] == "32773e8a9c9f600d"


# --- what single tasks are


@needs_full_set
@pytest.mark.parametrize("part", tasks.PARTS)
def test_pictures_come_from_their_part_with_their_labels(part: tasks.Part) -> None:
    x, y = tasks.pictures("cifar10_jpeg", part, 130), tasks.labels("cifar10_jpeg", part, 130)
    assert [known(part)[picture] for picture in hashes(x[..., ::3, ::3])] == y.tolist()


@needs_full_set
def test_animals_and_vehicles_are_as_many_and_each_evenly_of_its_classes() -> None:
    x, kind = tasks.pictures("cifar10_coarse", "test", 240), tasks.labels("cifar10_coarse", "test", 240)
    classes = torch.tensor([known("test")[picture] for picture in hashes(x[..., ::3, ::3])])
    assert classes.bincount().tolist() == [30, 30, 20, 20, 20, 20, 20, 20, 30, 30]
    assert torch.equal(torch.isin(classes, torch.tensor(tasks.VEHICLES)).long(), kind)


@needs_full_set
def test_letters_are_parted_once_for_all() -> None:
    (train, train_labels), (test, test_labels) = (tasks.raw_letters(part) for part in tasks.PARTS)
    assert train.shape == test.shape == (5200, 1, 28, 28)
    assert train_labels.bincount().tolist() == test_labels.bincount().tolist() == [200] * 26
    assert not set(hashes(train)) & set(hashes(test))
    drawn = tasks.load("letters", examples=5200, seed=5)  # another seed: all of each part, in another order
    assert sorted(hashes(drawn.train.x[:, :1])) == sorted(hashes(train))
    assert sorted(hashes(drawn.test.x[:, 2:])) == sorted(hashes(test))


@needs_full_set
def test_turned_back_a_picture_is_the_original() -> None:
    original = tasks.pictures("cifar10_jpeg", "test", 130)
    x, turn = tasks.pictures("rotation", "test", 130), tasks.labels("rotation", "test", 130)
    for picture, turned, quarters in zip(original, x, turn.tolist(), strict=True):
        assert torch.equal(torch.rot90(turned, -quarters, dims=(1, 2)), picture)
    assert len(tasks.labels("rotation", "test", examples=4)) == 4  # fewer than there are classes of pictures
    assert TURNS[1] == "quarter turn left"  # what was at the right edge is at the top
    assert torch.equal(renderings.turned(original, torch.ones(130))[:, :, 0], original[:, :, :, -1])


@needs_full_set
def test_pictures_of_three_questions_are_turned_then_rendered() -> None:
    original = tasks.pictures("cifar10_jpeg", "train", examples=400)
    assert torch.equal(tasks.labels("pictures/class", "train", 400), tasks.labels("cifar10_jpeg", "train", 400))
    x, turn = tasks.pictures("pictures", "train", 400), tasks.labels("pictures/turn", "train", 400)
    rendering = tasks.labels("pictures/rendering", "train", examples=400)
    plain = rendering == 0
    assert torch.equal(x[plain], renderings.turned(original, turn)[plain])
    masked = rendering == RENDERINGS.index("checker mask")
    for quarters in range(4):  # the mask does not turn with the picture, or it would answer the question
        assert (as_bytes(x[masked & (turn == quarters)])[..., :4, 4:8] == 128).all()
    table = torch.zeros(10, 4).index_put((rendering, turn), torch.ones(400), accumulate=True)
    assert chi2_contingency(table.numpy()).pvalue > 0.001  # the two answers are drawn independently


# --- renderings


@pytest.fixture(scope="module")
def originals() -> Tensor:
    """Smooth colourful pictures (40, 3, 32, 32) uint8 that need no files."""
    rng = numpy_generator(0, "test")
    coarse = torch.from_numpy(rng.integers(0, 256, (40, 3, 5, 5)).astype(np.float32))
    return torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bicubic").clamp(0, 255).to(torch.uint8)


def roughness(x: Tensor) -> Tensor:
    """Mean difference between neighbours, (N,)."""
    return x.float().diff(dim=3).abs().mean(dim=(1, 2, 3))


def test_renderings_differ_and_each_is_what_its_name_says(originals: Tensor) -> None:
    of = {name: renderings.render(originals, name, numpy_generator(0, "noise")) for name in RENDERINGS}
    for name, x in of.items():
        assert (x.shape, x.dtype) == (originals.shape, torch.uint8)
        for other in RENDERINGS[: RENDERINGS.index(name)]:
            assert (x != of[other]).flatten(1).float().mean(dim=1).min() > 0.2, (name, other)
    assert torch.equal(of["none"], originals)
    assert (roughness(of["blur"]) < roughness(originals)).all()
    noise = (of["noise"].float() - originals)[(originals > 110) & (originals < 145)]
    assert noise.std().item() == pytest.approx(0.12 * 255, rel=0.05)
    assert set(of["posterise"].unique().tolist()) == {0, 64, 128, 192}
    for name in ("grey", "edges"):
        assert (of[name] == of[name][:, :1]).all()
    flat = torch.full((1, 3, 32, 32), 90, dtype=torch.uint8)
    assert renderings.render(flat, "edges", numpy_generator(0, "noise")).max() == 0
    step = torch.cat([flat[..., :16], flat[..., 16:] + 60], dim=3)
    edges = renderings.render(step, "edges", numpy_generator(0, "noise"))
    assert (edges[..., 15:17] == 60).all()  # the height of the step
    assert torch.equal(of["channels swapped"][:, [1, 2, 0]], originals)
    assert torch.equal(of["checker mask"][..., :4, :4], originals[..., :4, :4])
    assert (of["checker mask"] == 128).float().mean() >= 0.5
    spread = of["contrast"].float().std(dim=(1, 2, 3)) / originals.float().std(dim=(1, 2, 3))
    assert spread.max() < 0.4
    jpeg = (of["JPEG"].float() - originals).abs().mean()
    assert 1 < jpeg < 30


def test_each_picture_gets_the_rendering_of_its_label(originals: Tensor) -> None:
    labels = torch.arange(40) % len(RENDERINGS)
    x = renderings.rendered(originals, labels, numpy_generator(0, "noise"))
    for place, name in enumerate(RENDERINGS):
        here = labels == place
        assert torch.equal(x[here], renderings.render(originals[here], name, numpy_generator(0, "noise")))
    assert torch.equal(renderings.rendered(originals[:25], labels[:25], numpy_generator(0, "noise")), x[:25])


@needs_full_set
def test_renderings_of_real_pictures_are_labelled_right() -> None:
    original = tasks.pictures("cifar10_jpeg", "test", 130)
    x, rendering = tasks.pictures("rendering", "test", 130), tasks.labels("rendering", "test", 130)
    colourful = (original.amax(dim=1) - original.amin(dim=1)).mean(dim=(1, 2)) > 0.05
    assert colourful.sum() > 80
    same = (x == original).flatten(1).all(dim=1)
    assert same[rendering == 0].all()
    assert not same[colourful & (rendering != 0)].any()
    equal_channels = (x == x[:, :1]).flatten(1).all(dim=1)
    colourless = torch.isin(rendering, torch.tensor([RENDERINGS.index(name) for name in ("grey", "edges")]))
    assert torch.equal(equal_channels[colourful], colourless[colourful])


# --- what is refused


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("world/cuont", r"unknown task 'world/cuont'; nearest: 'world/count'"),
        ("cifar10", r"unknown task 'cifar10'; nearest: 'cifar10_jpeg', 'cifar10_coarse'"),
        ("@", r"unknown task '@'; nearest: 'cifar10_jpeg', .*'world/shape'"),
    ],
)
def test_an_unknown_task_is_answered_with_the_nearest(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.load(name)


@pytest.mark.parametrize(
    ("name", "examples", "seed", "message"),
    [
        ("world/count", 8, 0, "examples of 'world' must be an integer of at least 9, got 8"),
        ("letters", 25, 0, "examples of 'letters' must be an integer of at least 26, got 25"),
        ("rotation", 20.0, 0, r"examples of 'rotation' must be an integer of at least 4, got 20\.0"),
        ("cifar10_coarse", 20, -1, "seed must be an integer of at least 0, got -1"),
        ("world/size", 20, True, "seed must be an integer of at least 0, got True"),
    ],
)
def test_bad_values_are_named(name: str, examples: int, seed: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.load(name, examples=examples, seed=seed)


def test_an_unknown_set_or_part_is_named() -> None:
    with pytest.raises(ValueError, match=r"pictures must be 'cifar10_jpeg' or .* or 'world', got 'world/count'"):
        tasks.pictures("world/count", "train")
    with pytest.raises(ValueError, match=r"part must be 'train' or 'test', got 'validation'"):
        tasks.labels("world/count", "validation")  # type: ignore[arg-type]


@needs_full_set
@pytest.mark.parametrize(
    ("name", "most", "part"),
    [("letters", 5200, "train"), ("cifar10_jpeg", 10_000, "test"), ("cifar10_coarse", 8000, "test")],
)
def test_more_examples_than_there_are(name: str, most: int, part: tasks.Part) -> None:
    assert len(tasks.labels(name, part, examples=most)) == most
    with pytest.raises(
        ValueError, match=rf"examples must be at most {most} in the {part} part of .*, got {most + 100}"
    ):
        tasks.labels(name, part, examples=most + 100)


@pytest.mark.parametrize(("name", "folder"), [("pictures/turn", "cifar10"), ("letters", "emnist_letters")])
def test_files_that_are_not_there_are_named(
    name: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAYA_NB_DATA", raising=False)
    with pytest.raises(
        DataError, match=rf"reads the folder '{folder}'.*point LAYA_NB_DATA at.*LAYA_NB_DATA is not set"
    ):
        tasks.load(name)
    monkeypatch.setenv("LAYA_NB_DATA", str(tmp_path))
    with pytest.raises(DataError, match=rf"{tmp_path} does not"):
        tasks.load(name)


@needs_full_set
def test_a_damaged_file_of_letters_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "emnist_letters").mkdir()
    (tmp_path / "emnist_letters" / tasks.LETTERS_FILE).write_bytes(b"PAR1")
    monkeypatch.setenv("LAYA_NB_DATA", str(tmp_path))
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=rf"{tasks.LETTERS_FILE} is damaged: 4 bytes"):
        tasks.load("letters")


def test_the_sample_does_not_stand_in_for_fashion_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYA_NB_DATA", "/nowhere")
    monkeypatch.setattr(tasks.images, "fashion_mnist", tasks.images.fashion_mnist_sample)
    with pytest.raises(DataError, match="needs the full Fashion-MNIST"):
        tasks.load("fashion_mnist")


def test_the_result_is_a_data_set_like_any_other() -> None:
    dataset = tasks.load("world/shape", examples=50)
    assert isinstance(dataset, Dataset)
    assert str(dataset) == "world/shape: 50 training and 50 test examples, drawn by laya_nb.data.world"
    assert len(dataset.split(0).train.y) == 45


def test_the_sample_is_what_the_task_shows_first() -> None:
    sample = tasks.sample()
    assert sample.shape == (8, 3, 32, 32)
    assert 0 <= sample.min() < sample.max() <= 1
    if os.environ.get("LAYA_NB_DATA"):
        assert torch.equal(sample, tasks.pictures("pictures", "test")[:8])
