"""Training together is training alone: weights, course, stopping and failures of every member are those of `fit`."""

# ruff: noqa: F401 (fixtures are imported and named as parameters)

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_runs import ENDLESS, TINY, CountingStore, assert_same, own_cache, train_result
from torch import Tensor, nn

from laya_nb import data
from laya_nb.backbones import MLP
from laya_nb.data import DataError, Dataset, Examples
from laya_nb.heads import DepthClassifier, LAYAHead
from laya_nb.runs import ResultStore, Run, build_model, sweep
from laya_nb.training import NonFiniteLoss, TrainingConfig, TrainingHistory, fit
from laya_nb.training.optimizer import StackedAdam
from laya_nb.training.stacked import StackedModel, fit_stacked, stack

SMALL = Run(hidden_dims=(24, 16, 16))
# (seed, temperature, learning rate, patience, most epochs): they end early, late, by patience and by the limit.
COURSES = [
    (0, 1.5, 3e-3, 2, 14),
    (1, 0.5, 1e-2, 1, 14),
    (2, 4.0, 3e-3, 9, 3),
    (3, 1.0, 2e-3, 9, 11),
    (4, 1.0, 5e-2, 3, 14),
]


def small(dtype: torch.dtype) -> Dataset:
    """A tenth of the embedded sample. In float64, since there a mistake cannot pass for rounding."""
    whole = data.load("fashion_mnist_sample")
    parts = (Examples(part.x[:400].to(dtype), part.y[:400]) for part in (whole.train, whole.test))
    return Dataset("part", "of the sample", whole.classes, *parts)


def member(run: Run, course: tuple[int, float, float, int, int], dtype: torch.dtype = torch.float64) -> StackedModel:
    seed, temperature, learning_rate, patience, max_epochs = course
    run = run.replace(seed=seed, temperature=temperature if run.head == "laya" else run.temperature)
    protocol = TrainingConfig(learning_rate, batch_size=64, max_epochs=max_epochs, patience=patience)
    return StackedModel(build_model(run, 784, 10).to(dtype), seed, protocol)


def members(run: Run, dtype: torch.dtype = torch.float64) -> list[StackedModel]:
    return [member(run, course, dtype) for course in COURSES]


def outcomes(members: Sequence[StackedModel], dataset: Dataset) -> list[Any]:
    """What `fit_stacked` gives, in the members' order."""
    found = dict(fit_stacked(members, dataset, device="cpu"))
    return [found[number] for number in range(len(members))]


def alone(member: StackedModel, dataset: Dataset) -> TrainingHistory:
    splits = dataset.split(member.seed, member.protocol.validation)
    return fit(member.model, splits, seed=member.seed, protocol=member.protocol, device="cpu")


def assert_equal(
    ours: StackedModel,
    fitted: TrainingHistory,
    theirs: StackedModel,
    expected: TrainingHistory,
    tolerance: float = 1e-10,
) -> None:
    assert fitted.validation_accuracy == expected.validation_accuracy
    assert (fitted.epochs, fitted.best_epoch) == (expected.epochs, expected.best_epoch)
    assert fitted.train_loss == pytest.approx(expected.train_loss, rel=tolerance)
    found, wanted = ours.model.state_dict(), theirs.model.state_dict()
    assert list(found) == list(wanted)
    for name, weight in wanted.items():
        np.testing.assert_allclose(found[name], weight, rtol=0, atol=tolerance, err_msg=name)
    assert not ours.model.training


def assert_as_fit(run: Run, dtype: torch.dtype = torch.float64, tolerance: float = 1e-10) -> list[TrainingHistory]:
    dataset = small(dtype)
    ours, theirs = members(run, dtype), members(run, dtype)
    fits = outcomes(ours, dataset)
    for one, fitted, other in zip(ours, fits, theirs, strict=True):
        assert_equal(one, fitted, other, alone(other, dataset), tolerance)
    return fits


# --- equal to fit


@pytest.mark.parametrize(
    "run",
    [
        SMALL.replace(d_star=8, scorer_width=12),
        SMALL.replace(d_star=8, scorer_width=12, psi="mlp"),
        Run(head="concat", hidden_dims=SMALL.hidden_dims, d_star=8),
        Run(head="scalar_mix", hidden_dims=SMALL.hidden_dims, d_star=8),
        Run(head="equal_mix", hidden_dims=SMALL.hidden_dims, d_star=8),
        Run(head="concat_linear", hidden_dims=SMALL.hidden_dims),
        Run(head="last_layer", hidden_dims=SMALL.hidden_dims),
        Run(head="last_layer_mlp", hidden_dims=SMALL.hidden_dims, d_star=8),
        Run(hidden_dims=(16, 16, 16), tied=True, d_star=8),
        SMALL.replace(d_star=8, view=("h1", "h3", "h3", "noise2")),
    ],
    ids=["laya", "laya psi=mlp", "concat", "scalar_mix", "equal", "linear", "last", "last_mlp", "tied", "view"],
)
def test_every_member_comes_out_as_fit_leaves_it(run: Run) -> None:
    fits = assert_as_fit(run)
    assert len({fitted.epochs for fitted in fits}) >= 3  # else nothing was seen of members that leave


def test_in_float32_up_to_rounding() -> None:
    """What is left of a sum's order after some 80 steps; a wrong moment or split shows from the second digit on."""
    assert_as_fit(SMALL.replace(d_star=8), torch.float32, tolerance=1e-3)


def test_members_that_leave_with_anothers_moments_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def shuffled(self: StackedAdam, parameters: Iterable[nn.Parameter], rows: Sequence[int]) -> None:
        keep(self, parameters, rows)
        for moments in (self.means, self.squares):
            moments[:] = [tensor.roll(1, dims=0) for tensor in moments]

    keep = StackedAdam.keep
    monkeypatch.setattr(StackedAdam, "keep", shuffled)
    with pytest.raises(AssertionError):
        assert_as_fit(SMALL.replace(d_star=8))


def test_a_member_that_diverges_takes_no_other_with_it() -> None:
    dataset, run = small(torch.float64), SMALL.replace(d_star=8)
    diverges = (9, 1.0, 1e300, 5, 9)
    ours, theirs = members(run), members(run)
    ours.insert(2, member(run, diverges))
    fits, expected = outcomes(ours, dataset), outcomes(theirs, dataset)

    error = fits.pop(2)
    assert isinstance(error, NonFiniteLoss)
    with pytest.raises(NonFiniteLoss) as raised:
        alone(member(run, diverges), dataset)
    assert str(error) == str(raised.value)
    del ours[2]
    for parts in zip(ours, fits, theirs, expected, strict=True):
        assert_equal(*parts)


# --- what is refused


class Reversed(MLP):
    """A backbone with a forward of its own, which nobody wrote with stacked inputs in mind."""

    def forward(self, x: Tensor) -> list[Tensor]:
        return super().forward(x.flip(0))


def laya(backbone: nn.Module, **settings: Any) -> DepthClassifier:
    return DepthClassifier(backbone, LAYAHead(backbone.out_dims, 10, d_star=4, **settings))  # type: ignore[arg-type]


def viewed(*view: str) -> DepthClassifier:
    return build_model(Run(hidden_dims=(8, 8), view=view), 784, 10)


def without_bias() -> DepthClassifier:
    model = laya(MLP(784, (8,)))
    model.head.classifier = nn.Linear(4, 10, bias=False)
    return model


def frozen() -> DepthClassifier:
    model = laya(MLP(784, (8,)))
    backbone: Any = model.backbone
    backbone.requires_grad_(False)
    return model


def longer() -> DepthClassifier:
    model = laya(MLP(784, (8,)))
    backbone: Any = model.backbone
    backbone.blocks.append(nn.GELU())
    return model


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (
            [laya(MLP(784, (8, 4))), laya(MLP(784, (8, 5)))],
            r"differ in backbone: out_dims is \(8, 4\) in one and \(8, 5\) in another",
        ),
        ([laya(MLP(784, (8,))), laya(MLP(784, (8,)), psi="mlp")], "differ in head.psi: type is .*Identity.*Sequential"),
        ([laya(MLP(784, (8,))), laya(MLP(784, (8,)), scorer_width=3)], "differ in head.scorer.0: out_features is 8"),
        (
            [viewed("h1", "h2"), viewed("h2", "h1")],
            r"differ in backbone: names is \('h1', 'h2'\) in one and \('h2', 'h1'\)",
        ),
        (
            [viewed("h1", "h2"), viewed("h1", "noise2")],
            r"differ in backbone: names is \('h1', 'h2'\) in one and \('h1', 'noise2'\)",
        ),
        ([laya(MLP(784, (8,))), longer()], "differ in backbone.blocks.1, which not all have"),
        ([longer(), laya(MLP(784, (8,)))], "differ in backbone.blocks.1, which not all have"),
        ([laya(Reversed(784, (8,)))], "backbone is a Reversed, which cannot be stacked; train with fit"),
        ([without_bias()], "head.classifier has no bias, or is frozen; it cannot be stacked"),
        ([frozen()], "backbone.blocks.0.0 has no bias, or is frozen; it cannot be stacked"),
    ],
)
def test_models_that_cannot_be_stacked_are_named(models: list[DepthClassifier], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stack(models)


def test_a_layer_that_cannot_be_stacked_is_named() -> None:
    model = laya(MLP(784, (8,)))
    backbone: Any = model.backbone
    backbone.blocks[0].append(nn.Dropout(0.5))
    with pytest.raises(ValueError, match=r"backbone\.blocks\.0\.3 is a Dropout, which cannot be stacked"):
        stack([model])


@pytest.mark.parametrize(
    ("protocols", "message"),
    [
        ([], "there are no models to train"),
        (
            [TrainingConfig(batch_size=64), TrainingConfig(batch_size=32)],
            r"models of a stack need one protocol: .*batch_size=32.* and .*batch_size=64.* differ",
        ),
        (
            [TrainingConfig(validation=0.1), TrainingConfig(validation=0.2)],
            r"models of a stack need one protocol: .*validation=0.2.* and .*validation=0.1.* differ",
        ),
    ],
)
def test_members_that_cannot_be_stacked_are_named(protocols: list[TrainingConfig], message: str) -> None:
    several = [StackedModel(laya(MLP(784, (8,))), seed, protocol) for seed, protocol in enumerate(protocols)]
    with pytest.raises(ValueError, match=message):
        list(fit_stacked(several, small(torch.float32)))


def test_data_that_fit_refuses_are_refused() -> None:
    dataset = small(torch.float32)
    one = StackedModel(DepthClassifier(MLP(784, (8,)), LAYAHead((8,), 4, d_star=4)), 0)
    with pytest.raises(DataError, match=r"train part: labels must lie in 0\.\.3, found 0\.\.9"):
        list(fit_stacked([one], dataset))


def test_models_that_cannot_be_stacked_are_trained_by_fit() -> None:
    """A backbone that no stack knows, among others a diverging model; what comes out is what `fit` leaves."""
    dataset = small(torch.float32)

    def unknown(seed: int, learning_rate: float) -> StackedModel:
        torch.manual_seed(seed)
        return StackedModel(laya(Reversed(784, (8,))), seed, TrainingConfig(learning_rate, 64, max_epochs=2))

    ours = [unknown(0, 3e-3), unknown(1, 1e30), unknown(2, 1e-3)]
    found = outcomes(ours, dataset)
    assert isinstance(found[1], NonFiniteLoss)
    for number, rate in ((0, 3e-3), (2, 1e-3)):
        theirs = unknown(number, rate)
        expected = alone(theirs, dataset)
        assert found[number].stack == 1
        assert found[number].train_loss == expected.train_loss
        for name, value in theirs.model.state_dict().items():
            assert torch.equal(ours[number].model.state_dict()[name], value)


# --- sweeps


def stacks(results: Iterable[Any]) -> list[int]:
    return [result.provenance["stack"] for result in results]


def test_a_sweep_trains_runs_of_one_stacking_key_together(tmp_path: Path) -> None:
    """Seed, temperature, learning rate and stopping may differ; head and widths may not."""
    laya = [
        TINY,
        TINY.replace(seed=1, temperature=0.5),
        TINY.replace(seed=2, protocol=replace(TINY.protocol, learning_rate=1e-3)),
    ]
    concat = [Run(seed, "concat", TINY.dataset, TINY.hidden_dims, d_star=4, protocol=TINY.protocol) for seed in (0, 1)]
    single = [Run(0, "last_layer", TINY.dataset, TINY.hidden_dims, protocol=TINY.protocol)]
    mixed = [laya[0], concat[0], single[0], laya[1], concat[1], laya[2]]
    store = CountingStore(tmp_path)
    results = sweep(mixed, store)
    assert stacks(results) == [3, 2, 1, 3, 2, 3]
    assert Counter(store.saved) == Counter(run.name for run in mixed)
    assert_same(results, [train_result(run) for run in mixed])

    assert stacks(sweep(laya, CountingStore(tmp_path / "others"), stack=2)) == [2, 2, 1]


KILLED = """
import sys
from pathlib import Path
from test_runs import ENDLESS, TINY
from laya_nb.runs import sweep
from laya_nb.runs import ResultStore

sweep([ENDLESS, TINY], ResultStore(Path(sys.argv[1]), published=False))
"""


def test_a_stack_that_is_killed_keeps_the_members_that_had_finished(tmp_path: Path) -> None:
    """Saved while another member trains on: that one never ends, so the file can come from nowhere else."""
    store = ResultStore(tmp_path / "results", published=False)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(store.folder)], env=environment)
    try:
        deadline = time.monotonic() + 120
        while not list(store.folder.rglob("*.json")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    finished = store.load(TINY.name, TINY.describe())
    assert finished is not None
    assert finished.provenance["stack"] == 2
    assert_same([finished], [train_result(TINY)])
    assert [path.stem for path in store.folder.rglob("*.json")] == [TINY.name.split("/")[1]]
    assert store.load(ENDLESS.name, ENDLESS.describe()) is None
