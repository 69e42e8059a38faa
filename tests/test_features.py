"""Frozen features: computed once, whatever interrupts it, and read as they were."""

import multiprocessing
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from laya_nb import data, features
from laya_nb.backbones import FrozenFeatures, HiddenStates, LayerSelection
from laya_nb.data import DataError, Dataset, Examples, catalog
from laya_nb.data.dataset import Part
from laya_nb.features import dataset as feature_data
from laya_nb.features import encoders, extract, vision
from laya_nb.heads import DepthClassifier, LastLayerHead, LAYAHead
from laya_nb.training import StackedModel, TrainingConfig, evaluate, fit, fit_stacked, predict

extraction = sys.modules["laya_nb.features.extract"]  # the package's function of that name hides its module

COUNT = 43


class Sequences:
    """Inputs of one to nine vectors; `seen` collects the rows of every batch."""

    def __init__(self, name: str = "sequences") -> None:
        self.key = name
        generator = torch.Generator().manual_seed(0)
        self.lengths = torch.randint(1, 10, (COUNT,), generator=generator).tolist()
        self.values = [torch.randn(length, 5, generator=generator) for length in self.lengths]
        self.seen: list[list[int]] = []

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        self.seen.append(list(rows))
        values = [self.values[row] for row in rows]
        return {
            "x": nn.utils.rnn.pad_sequence(values, batch_first=True),
            "attention_mask": nn.utils.rnn.pad_sequence([torch.ones(len(v)) for v in values], batch_first=True),
        }


class Network(nn.Module):
    """Three layers; each mixes the vectors of a sequence, those that are no padding."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(5, 5) for _ in range(3))

    def forward(self, x: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask.unsqueeze(-1)
        for layer in self.layers:
            x = torch.tanh(layer(x + (x * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)))
        return x


def backbone(layers: Sequence[str] = ("layers.*",), seed: int = 0, pool: Any = "mean") -> HiddenStates:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Network()
    return HiddenStates(network.requires_grad_(False), layers, example=Sequences().batch([0, 1]), pool=pool)


def largest(h: Tensor, x: Any) -> Tensor:
    """A pool that has a name: the largest value over the tokens, padding included."""
    return h.amax(dim=1)


def kept(folder: Path) -> set[str]:
    """What stands in a folder, lock files aside."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


@pytest.fixture(autouse=True)
def quick_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "RECORD_EVERY", 8)


# --- what is computed


def test_rows_are_those_of_each_input_alone(tmp_path: Path) -> None:
    """Sorting by length, padding and writing back change nothing but rounding."""
    inputs = Sequences()
    found = extract(backbone(), inputs, tmp_path / "f", batch_size=4)
    alone = torch.cat([torch.cat(backbone()(inputs.batch([row])), dim=1) for row in range(COUNT)])
    assert found.shape == (COUNT, 15)
    torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-6)


def test_batches_hold_inputs_of_like_length(tmp_path: Path) -> None:
    inputs = Sequences()
    extract(backbone(), inputs, tmp_path / "f", batch_size=4)
    lengths = [inputs.lengths[row] for rows in inputs.seen for row in rows]
    assert lengths == sorted(inputs.lengths, reverse=True)


def test_features_that_are_not_finite_are_named(tmp_path: Path) -> None:
    inputs = Sequences()
    inputs.values[17][0, 0] = torch.nan
    with pytest.raises(DataError, match="the features of example 17 are not all finite"):
        extract(backbone(), inputs, tmp_path / "f")


# --- what is kept


def test_features_are_computed_once(tmp_path: Path) -> None:
    first = extract(backbone(), Sequences(), tmp_path / "f")
    again = Sequences()
    assert torch.equal(extract(backbone(), again, tmp_path / "f"), first)
    assert again.seen == []
    assert len(kept(tmp_path)) == 1  # no half-finished work stays


def test_writing_to_the_tensor_leaves_the_file_alone(tmp_path: Path) -> None:
    first = extract(backbone(), Sequences(), tmp_path / "f")
    exact = first.clone()
    first.zero_()
    again = Sequences()
    assert torch.equal(extract(backbone(), again, tmp_path / "f"), exact)
    assert again.seen == []


def test_whatever_decides_the_features_has_a_folder_of_its_own(tmp_path: Path) -> None:
    nudged = backbone()
    weight = nudged.module.layers[2].weight  # type: ignore[union-attr, index]
    weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(9.0))
    made: list[Callable[[], Tensor]] = [
        lambda: extract(backbone(), Sequences(), tmp_path / "f"),
        lambda: extract(nudged, Sequences(), tmp_path / "f"),
        lambda: extract(backbone(["layers.0", "layers.1"]), Sequences(), tmp_path / "f"),
        lambda: extract(backbone(["layers.1", "layers.0"]), Sequences(), tmp_path / "f"),
        lambda: extract(backbone(pool="last"), Sequences(), tmp_path / "f"),
        lambda: extract(backbone(pool=["mean", "last"]), Sequences(), tmp_path / "f"),
        lambda: extract(backbone(pool=["last", "mean"]), Sequences(), tmp_path / "f"),
        lambda: extract(backbone(pool=["mean", largest]), Sequences(), tmp_path / "f"),
        lambda: extract(backbone(pool=largest), Sequences(), tmp_path / "f"),
        lambda: extract(backbone(), Sequences("others"), tmp_path / "f"),
    ]
    for count, make in enumerate(made, start=1):
        make()
        assert len(kept(tmp_path)) == count


def test_one_pool_in_a_list_is_the_pool(tmp_path: Path) -> None:
    exact = extract(backbone(), Sequences(), tmp_path / "f")
    again = Sequences()
    assert torch.equal(extract(backbone(pool=["mean"]), again, tmp_path / "f"), exact)
    assert again.seen == []


@pytest.mark.parametrize("several", [False, True])
def test_a_pool_without_a_name_of_its_own_is_refused(several: bool, tmp_path: Path) -> None:
    def first(h: Tensor, x: Any) -> Tensor:
        return h[:, 0]

    nameless = backbone(pool=["mean", first] if several else first)
    with pytest.raises(ValueError, match="pool must have a name that tells it from others"):
        extract(nameless, Sequences(), tmp_path / "f")


def test_several_pools_of_a_layer_stand_side_by_side(tmp_path: Path) -> None:
    both = extract(backbone(pool=["mean", "cls"]), Sequences(), tmp_path / "f", batch_size=4)
    mean = extract(backbone(), Sequences(), tmp_path / "f", batch_size=4).view(COUNT, 3, 5)
    cls = extract(backbone(pool="cls"), Sequences(), tmp_path / "f", batch_size=4).view(COUNT, 3, 5)
    assert torch.equal(both, torch.stack([mean, cls], dim=2).flatten(1))  # by layer, then by pool


@pytest.mark.parametrize("damage", [lambda whole: whole[:-5], lambda whole: whole[:-1] + b"\x01", lambda whole: b""])
def test_damaged_features_are_made_anew(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    exact = extract(backbone(), Sequences(), tmp_path / "f").clone()
    (file,) = tmp_path.glob("*/features.npy")
    file.write_bytes(damage(file.read_bytes()))
    again = Sequences()
    assert torch.equal(extract(backbone(), again, tmp_path / "f"), exact)
    assert len(again.seen) == 2  # batches: the network did run


def test_a_full_disk_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    inputs = Sequences()
    with pytest.raises(OSError, match="MB of disk, 0 MB are free"):
        extract(backbone(), inputs, tmp_path / "f")
    assert inputs.seen == []


# --- interrupted, and two at once


class Stuck(Sequences):
    """Hangs at its sixth batch, and says so."""

    def __init__(self, sign: Path) -> None:
        super().__init__()
        self.sign = sign

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        if len(self.seen) == 5:
            self.sign.touch()
            time.sleep(600)
        return super().batch(rows)


def get_stuck(folder: Path, sign: Path) -> None:
    extraction.RECORD_EVERY = 8  # type: ignore[attr-defined]
    extract(backbone(), Stuck(sign), folder, batch_size=4)


def wait_for(sign: Path, process: multiprocessing.process.BaseProcess) -> None:
    while not sign.exists():
        assert process.is_alive()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a killed process leaves: it did 5 batches of 4 inputs, 4 of which it had recorded."""
    folder = tmp_path_factory.mktemp("half")
    process = multiprocessing.get_context("spawn").Process(
        target=get_stuck, args=(folder / "f", folder / "stuck"), daemon=True
    )
    process.start()
    wait_for(folder / "stuck", process)
    process.kill()  # SIGKILL
    process.join()
    assert process.exitcode == -9
    return folder


def test_a_killed_process_is_taken_over(half: Path, tmp_path: Path) -> None:
    """The next one runs what was not recorded, and only that; the bits are those of an undisturbed run."""
    shutil.copytree(half, tmp_path / "half")
    whole, rest = Sequences(), Sequences()
    undisturbed = extract(backbone(), whole, tmp_path / "f", batch_size=4)
    assert torch.equal(extract(backbone(), rest, tmp_path / "half" / "f", batch_size=4), undisturbed)
    assert rest.seen == whole.seen[4:]
    assert kept(tmp_path / "half") == {"stuck"} | {name for name in kept(tmp_path) if name != "half"}


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:700])


@pytest.mark.parametrize(
    "damage",
    [
        lambda unfinished: cut_in_half(unfinished / "features.npy"),
        lambda unfinished: (unfinished / "done").write_text("many"),
        lambda unfinished: (unfinished / "done").unlink(),
    ],
)
def test_half_finished_work_that_is_damaged_is_thrown_away(
    damage: Callable[[Path], None], half: Path, tmp_path: Path
) -> None:
    shutil.copytree(half, tmp_path / "half")
    (unfinished,) = (tmp_path / "half").glob(".f-*-by-4")
    damage(unfinished)
    inputs = Sequences()
    found = extract(backbone(), inputs, tmp_path / "half" / "f", batch_size=4)
    assert len(inputs.seen) == 11
    assert torch.equal(found, extract(backbone(), inputs, tmp_path / "f", batch_size=4))


def test_another_batch_size_does_not_go_on_from_it(half: Path, tmp_path: Path) -> None:
    """It rounds otherwise, so the result would not be that of an undisturbed run."""
    shutil.copytree(half, tmp_path / "half")
    inputs = Sequences()
    extract(backbone(), inputs, tmp_path / "half" / "f", batch_size=8)
    assert len(inputs.seen) == 6


class Waiting(Sequences):
    """Says that it runs, and takes its first batch when it is told to."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        (self.folder / "runs").touch()
        while not (self.folder / "go").exists():
            time.sleep(0.05)
        return super().batch(rows)


def extract_when_told(folder: Path) -> None:
    extract(backbone(), Waiting(folder), folder / "f")


def test_of_two_processes_one_computes_and_both_read(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=extract_when_told, args=(tmp_path,), daemon=True)
    process.start()
    wait_for(tmp_path / "runs", process)
    inputs = Sequences()
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(extract, backbone(), inputs, tmp_path / "f")
        with pytest.raises(TimeoutError):
            found.result(timeout=0.5)
        (tmp_path / "go").touch()
        assert torch.equal(found.result(), extract(backbone(), Sequences(), tmp_path / "other"))
    assert inputs.seen == []
    process.join()
    assert process.exitcode == 0


# --- heads on features


def test_features_are_taken_apart_and_wrong_ones_refused() -> None:
    x = torch.rand(7, 5).bfloat16()
    h1, h2 = FrozenFeatures((2, 3))(x)
    assert (h1.dtype, h2.dtype) == (torch.float32, torch.float32)
    assert torch.equal(torch.cat([h1, h2], dim=1), x.float())
    stacked = FrozenFeatures((2, 3))(x.expand(4, 7, 5))
    assert [h.shape for h in stacked] == [(4, 7, 2), (4, 7, 3)]
    with pytest.raises(ValueError, match=r"expected features of widths \(2, 3\) side by side, got shape \(7, 4\)"):
        FrozenFeatures((2, 3))(x[:, :4])
    with pytest.raises(ValueError, match="out_dims must be a list of at least one integer"):
        FrozenFeatures(())


def layered(seed: int, count: int = 400) -> Examples:
    """Three layers of width 4, of which the second alone tells the label."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 12, generator=generator)
    return Examples(x, (x[:, 5] > 0).long())


LAYERED = Dataset("layered", "made here", ("no", "yes"), layered(0), layered(1))
QUICK = TrainingConfig(learning_rate=0.03, max_epochs=8, batch_size=32)


def probe(layer: int) -> DepthClassifier:
    shown = LayerSelection(FrozenFeatures((4, 4, 4)), [f"h{layer}"])
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the same probe whatever ran before
        return DepthClassifier(shown, LastLayerHead(shown.out_dims, 2))


def accuracy(model: DepthClassifier) -> float:
    return evaluate(predict(model, LAYERED.test.x), LAYERED.test.y)["accuracy"]


def test_probes_find_the_layer_that_knows_alone_and_stacked() -> None:
    for train in (
        lambda models: [fit(model, LAYERED.split(0), seed=0, protocol=QUICK) for model in models],
        lambda models: list(fit_stacked([StackedModel(model, 0, QUICK) for model in models], LAYERED)),
    ):
        ignorant, knowing = [probe(1)], [probe(2)]
        train(ignorant)
        train(knowing)
        assert accuracy(ignorant[0]) < 0.65
        assert accuracy(knowing[0]) > 0.9


def test_laya_trains_on_features_and_the_features_stay() -> None:
    before = LAYERED.train.x.clone()
    model = DepthClassifier(FrozenFeatures((4, 4, 4)), LAYAHead((4, 4, 4), 2, d_star=8))
    fit(model, LAYERED.split(0), seed=0, protocol=QUICK)
    assert accuracy(model) > 0.9
    assert torch.equal(LAYERED.train.x, before)


# --- data sets


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path / "cache"))
    features.load.cache_clear()
    yield tmp_path / "cache"
    features.load.cache_clear()


def named(
    encoder: encoders.Encoder,
    dataset: Dataset,
    raw: Callable[[Part], tuple[Tensor | list[str], Tensor]],
    monkeypatch: pytest.MonkeyPatch,
    kind: Literal["images", "texts"],
) -> None:
    """Let this encoder and this data set, with what encoders read of it, stand for all."""
    monkeypatch.setattr(encoders, "load", lambda name: encoder)
    monkeypatch.setattr(data, "load", lambda name: dataset)
    entry = catalog.Entry(lambda: dataset, kind, "mlp", (4,), "imdb", raw)
    monkeypatch.setitem(catalog.CATALOG, dataset.name, entry)


def test_images_become_a_data_set_of_features(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a data set scales its pixels, the network sees them as it knows them."""
    encoder = vision.load("vit_tiny_patch16_224+32px", pretrained=False, depth=2)
    pixels = torch.rand(20, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 2
    scaled = (pixels - 0.473) / 0.251
    images = Dataset(
        "images", "made here", ("a", "b"), Examples(scaled[:14], labels[:14]), Examples(scaled[14:], labels[14:])
    )
    raw = {"train": (pixels[:14], labels[:14]), "test": (pixels[14:], labels[14:])}
    named(encoder, images, raw.__getitem__, monkeypatch, "images")
    found = features.load("images", "vit")
    assert str(found) == "images/vit: 14 training and 6 test examples, made here, through vit"
    assert found.classes == ("a", "b")
    assert (own_cache / "features" / "images").is_dir()
    exact = torch.cat(encoder.backbone(encoder.prepare(pixels).batch(range(20))), dim=1)
    exact = torch.from_numpy(StandardScaler().fit(exact[:14].numpy()).transform(exact.numpy()))
    torch.testing.assert_close(torch.cat([found.train.x, found.test.x]), exact, rtol=1e-3, atol=1e-3)
    assert torch.equal(torch.cat([found.train.y, found.test.y]), labels)


def test_vectors_get_length_1_layer_by_layer(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the scaling of each feature; the features on disk are the same."""
    encoder = vision.load("vit_tiny_patch16_224+32px", pretrained=False, depth=2)
    monkeypatch.setattr(encoders, "widths", lambda name: {"vit": encoder.backbone.out_dims}[name])
    pixels, labels = torch.rand(6, 3, 28, 28), torch.arange(6) % 2
    images = Dataset("images", "made here", ("a", "b"), Examples(pixels, labels), Examples(pixels, labels))
    named(encoder, images, lambda part: (pixels, labels), monkeypatch, "images")
    found = features.load("images", "vit+l2")
    assert found.name == "images/vit+l2"
    exact = encoder.backbone(encoder.prepare(pixels).batch(range(6)))
    expected = torch.cat([h / h.norm(dim=1, keepdim=True) for h in exact], dim=1)
    torch.testing.assert_close(found.test.x, expected, rtol=1e-3, atol=1e-4)
    features.load("images", "vit")
    assert (
        sum(not path.name.startswith(".") for path in (own_cache / "features" / "images").iterdir()) == 2
    )  # two parts


def test_every_token_is_kept_in_half_precision(tmp_path: Path) -> None:
    """Its features are those of a backbone that is kept whole, rounded; the two share no folder."""
    kept, whole = backbone(), backbone()
    kept.kept_as = "float16"  # type: ignore[assignment]
    half, full = (extract(one, Sequences(), tmp_path / "words") for one in (kept, whole))
    assert (half.dtype, full.dtype) == (torch.float16, torch.float32)
    assert torch.equal(half, full.half())
    assert vision.EveryToken.kept_as == "float16"


def test_values_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    layer = nn.Linear(2, 2)
    huge = HiddenStates(nn.Sequential(layer).requires_grad_(False), ["0"], example=torch.zeros(1, 2))
    huge.kept_as = "float16"  # type: ignore[assignment]
    layer.bias.data.fill_(1e6)
    inputs = SimpleNamespace(key="two", lengths=[1] * 3, batch=lambda rows: torch.zeros(len(rows), 2))
    with pytest.raises(DataError, match="the features of example 0 are not all finite"):
        extract(huge, inputs, tmp_path / "huge")


def test_a_feature_that_never_varies_tells_nothing() -> None:
    """Its deviation is one of rounding, not exactly 0."""
    train, test = torch.rand(1000, 3), torch.rand(10, 3)
    train[:, 1], train[:, 2] = 0.1, 0.0
    scaled, scaled_test = feature_data._standardised(train, test)
    assert scaled[:, 0].std(correction=0).item() == pytest.approx(1)
    assert scaled[:, 1:].count_nonzero() == scaled_test[:, 1:].count_nonzero() == 0


@pytest.mark.usefixtures("own_cache")
def test_texts_become_a_data_set_of_features_if_their_labels_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = torch.arange(COUNT) % 2
    encoder = encoders.Encoder("words", "texts", backbone(), lambda texts: Sequences("-".join(texts)))
    ids = Examples(torch.zeros(COUNT, 3, dtype=torch.int32), labels)
    mine = Dataset("mine", "made here", ("a", "b"), ids, ids)
    named(encoder, mine, lambda part: ([part] * COUNT, labels), monkeypatch, "texts")
    found = features.load("mine", "words")
    assert str(found) == "mine/words: 43 training and 43 test examples, made here, through words"
    features.load.cache_clear()
    named(encoder, mine, lambda part: ([part] * COUNT, 1 - labels), monkeypatch, "texts")
    with pytest.raises(DataError, match="mine, train part: the raw inputs are not in the order of the labels"):
        features.load("mine", "words")


@pytest.mark.usefixtures("own_cache")
def test_an_encoder_of_texts_does_not_read_images(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = Examples(torch.rand(2, 1, 4, 4), torch.tensor([0, 1]))
    encoder = encoders.Encoder("words", "texts", backbone(), lambda texts: texts)
    images = Dataset("images", "made here", ("a", "b"), examples, examples)
    named(encoder, images, lambda part: examples, monkeypatch, "images")
    with pytest.raises(ValueError, match="'words' reads texts, and 'images' holds none"):
        features.load("images", "words")
