"""Runs and sweeps: keys that last, and no finished training lost or done twice."""

import copy
import errno
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from laya_nb import data
from laya_nb.data import DataError
from laya_nb.heads import LAYAHead
from laya_nb.heads import catalog as heads
from laya_nb.runs import (
    BENCHMARK_HEADS,
    HEADS,
    Result,
    ResultStore,
    Run,
    StoreError,
    SweepError,
    build_model,
    grid,
    sweep,
    train,
    worker_setup,
)
from laya_nb.runs.scores import ScoreTable
from laya_nb.runs.sweep import fair_stack
from laya_nb.training import TrainingConfig

TINY = Run(
    dataset="fashion_mnist_sample",
    hidden_dims=(16, 8),
    d_star=4,
    protocol=TrainingConfig(batch_size=500, max_epochs=1, learning_rate=3e-3),
)
DIVERGES = replace(TINY, protocol=replace(TINY.protocol, learning_rate=1e30))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """What is this small gains nothing from a second thread, and loses much where others use the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep keeps its models in the reader's cache."""
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path / "cache"))


def train_result(run: Run) -> Result:
    return train(run)[1]


class CountingStore(ResultStore):
    """A store that notes, in order, what was trained for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, published=False)
        self.saved: list[str] = []

    def save(self, result: Result) -> Path:
        self.saved.append(result.name)
        return super().save(result)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path / "results")


def numbers(result: Result) -> tuple[Any, ...]:
    """A result without what may differ from one carrying-out to the next."""
    arrays = {name: (array.dtype, array.shape, array.tobytes()) for name, array in result.arrays.items()}
    return result.name, result.run, result.metrics, result.history, arrays


def assert_same(results: list[Result], others: list[Result]) -> None:
    """The same runs with the same outcome, up to the rounding that training together brings."""
    assert [result.run for result in results] == [other.run for other in others]
    for result, other in zip(results, others, strict=True):
        np.testing.assert_allclose(result.history["train_loss"], other.history["train_loss"], rtol=1e-5)
        assert result.history["validation_accuracy"] == pytest.approx(other.history["validation_accuracy"], abs=0.006)
        assert (result.arrays["prediction"] == other.arrays["prediction"]).mean() > 0.99


# --- descriptions and keys


def test_keys_of_published_runs_never_change() -> None:
    """A changed key orphans every committed result: if this fails, the change is wrong, not the test."""
    assert Run().key == "dfc1f210ab0f341c"
    assert {head: Run(head=head).key for head in BENCHMARK_HEADS} == {
        "last_layer": "57d22322e1c9030c",
        "last_layer_mlp": "cfd80ca361e5b8bf",
        "concat": "0d7e0d529ab066df",
        "scalar_mix": "e5a411a93e340ae9",
        "laya": "dfc1f210ab0f341c",
    }
    assert Run(seed=3).name.startswith("fashion_mnist/laya-seed3-")
    assert {name: Run(dataset=name).key for name in ("imdb", "imdb/minilm")} == {
        "imdb": "225f6cf9c3ba0a03",
        "imdb/minilm": "c66dda453f8605f1",
    }


@pytest.mark.parametrize(
    "same",
    [
        {"temperature": 1.5},
        {"d_star": 96, "psi": "identity", "scorer_width": 192},
        {"hidden_dims": [512, 256, 128]},
        {"protocol": TrainingConfig(learning_rate=0.0003)},
        {"backbone": "mlp"},
    ],
)
def test_a_default_spelt_out_is_the_same_run(same: dict[str, Any]) -> None:
    assert Run(**same) == Run()
    assert Run(**same).key == Run().key


@pytest.mark.parametrize(
    ("dataset", "chosen"),
    [
        ("fashion_mnist", {"d_star": 96, "temperature": 1.5, "psi": "identity", "scorer_width": 192}),
        ("cifar10", {"d_star": 128, "temperature": 1.0, "psi": "identity", "scorer_width": 128}),
        ("imdb", {"d_star": 96, "temperature": 1.3, "psi": "mlp", "scorer_width": 192}),
    ],
)
def test_the_head_has_what_the_paper_chose_for_the_data_set(dataset: str, chosen: dict[str, Any]) -> None:
    described = Run(dataset=dataset).describe()
    assert {name: described[name] for name in chosen} == chosen
    assert Run(dataset=dataset, head="concat").d_star == chosen["d_star"]
    assert Run(dataset=dataset, d_star=10).scorer_width == 10 * chosen["scorer_width"] // chosen["d_star"]


def test_a_number_has_one_key_however_it_is_spelt() -> None:
    assert Run(temperature=2).key == Run(temperature=2.0).key
    one, same = (Run(protocol=TrainingConfig(learning_rate=rate)) for rate in (1, 1.0))
    assert one.key == same.key


def test_whatever_decides_the_result_decides_the_key() -> None:
    changes: list[dict[str, Any]] = [
        {"seed": 1}, {"head": "concat"}, {"dataset": "fashion_mnist_sample"}, {"hidden_dims": (512, 256)},
        {"backbone": "cnn"}, {"backbone": "cnn", "hidden_dims": (512, 256, 128)}, {"dataset": "cifar10"},
        {"dataset": "imdb"}, {"dataset": "imdb/minilm"}, {"dataset": "docstrings/minilm"},
        {"d_star": 95}, {"temperature": 1.0}, {"psi": "mlp"}, {"scorer_width": 96},
        *({"protocol": TrainingConfig(**change)} for change in (
            {"learning_rate": 1e-3}, {"batch_size": 64}, {"max_epochs": 49}, {"patience": 4}, {"validation": 0.2},
        )),
    ]  # fmt: skip
    runs = [Run(), *(Run(**change) for change in changes)]
    assert len({run.key for run in runs}) == len({run.name for run in runs}) == len(runs)


some_runs = st.builds(
    lambda head, **common: Run(head=head, **common),
    head=st.sampled_from(list(HEADS)),
    seed=st.integers(0, 10**9),
    hidden_dims=st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple),
    protocol=st.builds(TrainingConfig, learning_rate=st.floats(1e-8, 10), validation=st.floats(0.01, 0.99)),
)


@settings(max_examples=25, deadline=None)
@given(run=some_runs)
def test_a_description_survives_json(run: Run) -> None:
    described = json.loads(json.dumps(run.describe()))
    assert described == run.describe()  # else the store would take it for another run
    again = Run.from_description(described)
    assert again == run
    assert again.key == run.key


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        (
            {"head": "layer"},
            f"unknown head 'layer'; known: {', '.join(HEADS)}",
        ),
        ({"head": "last_layer", "d_star": 96}, "head 'last_layer' has no d_star; it takes: nothing"),
        ({"head": "concat", "temperature": 1.0}, "head 'concat' has no temperature; it takes: d_star"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"seed": 0.5}, "seed must be an integer of at least 0, got 0.5"),
        ({"dataset": "mnist"}, "unknown data set 'mnist'; known: 'fashion_mnist', 'fashion_mnist_sample'"),
        ({"dataset": "mnist/minilm"}, "unknown data set 'mnist'; known: 'fashion_mnist', 'fashion_mnist_sample'"),
        ({"dataset": "imdb/bert"}, r"unknown encoder 'bert'; known: 'minilm'"),
        ({"backbone": "resnet"}, "unknown backbone 'resnet' for 'fashion_mnist'; known: mlp, cnn"),
        ({"backbone": "bilstm"}, "unknown backbone 'bilstm' for 'fashion_mnist'; known: mlp, cnn"),
        ({"dataset": "imdb", "backbone": "mlp"}, "unknown backbone 'mlp' for 'imdb'; known: bilstm"),
        ({"dataset": "imdb", "tied": True}, "tied must be True, for an MLP, or None, got True for 'bilstm'"),
        ({"hidden_dims": ()}, r"hidden_dims must be a list of at least one integer of 1 or more, got \(\)"),
        ({"hidden_dims": (8, 0)}, r"hidden_dims must be .* 1 or more, got \(8, 0\)"),
        ({"hidden_dims": (8.0,)}, r"hidden_dims must be .* 1 or more, got \(8.0,\)"),
        ({"hidden_dims": 512}, r"hidden_dims must be a list .*, got 512"),
        ({"hidden_dims": (8, 4), "tied": True}, r"tied layers need equal widths, got \(8, 4\)"),
        ({"view": "h1"}, "view must be a list of hidden states, got 'h1'"),
        ({"view": ("h4",)}, "unknown hidden state 'h4'; known: h1, noise1, h2"),
        ({"head": "concat", "d_star": 0}, "d_star must be an integer of at least 1, got 0"),
        ({"head": "last_layer_mlp", "temperature": -1}, "temperature must be a finite number above 0, got -1"),
        ({"d_star": 0}, "d_star must be an integer of at least 1, got 0"),
        ({"temperature": 0}, "temperature must be a finite number above 0, got 0"),
        ({"temperature": "1.5"}, "temperature must be a finite number above 0, got '1.5'"),
        ({"temperature": float("nan")}, "temperature must be a finite number above 0, got nan"),
        ({"temperature": True}, "temperature must be a finite number above 0, got True"),
        ({"psi": "relu"}, "psi must be 'identity' or 'mlp', got 'relu'"),
        ({"scorer_width": True}, "scorer_width must be an integer of at least 1, got True"),
        ({"protocol": {"patience": 3}}, r"protocol must be a TrainingConfig, got \{'patience': 3\}"),
    ],
)
def test_a_run_names_what_it_refuses(settings_: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Run(**settings_)


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"unknown settings \['depth'\]; known: \['attention_dropout', 'backbone', .*'view'\]"
    ):
        Run.from_description(Run().describe() | {"depth": 3})
    with pytest.raises(TypeError, match=r"a run has no settings \['colour'\]; known: seed, head, .*, scorer_width"):
        grid(colour=["red"])
    with pytest.raises(AttributeError, match="a run has no 'colour'"):
        _ = Run().colour


def test_a_head_s_setting_is_an_attribute_of_the_run() -> None:
    run = Run(temperature=2, d_star=10)
    assert (run.temperature, run.d_star, run.psi, run.scorer_width) == (2.0, 10, "identity", 20)
    assert Run(head="concat").temperature is None
    changed = run.replace(temperature=0.5, seed=3)
    assert (changed.temperature, changed.d_star, changed.scorer_width, changed.seed) == (0.5, 10, 20, 3)
    assert pickle.loads(pickle.dumps(run)) == copy.deepcopy(run) == run


def test_a_description_builds_nothing_and_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def built(*_: Any, **__: Any) -> None:
        raise AssertionError("a layer was built")

    monkeypatch.setattr(torch.nn.Linear, "__init__", built)
    state = torch.get_rng_state()
    for head in HEADS:
        Run(head=head)
    assert torch.equal(torch.get_rng_state(), state)


class Noisy(LAYAHead):
    """A head with a setting and parameters that nobody else has: drawn on construction, one layer of a new kind."""

    def __init__(self, in_dims: Sequence[int], num_classes: int, d_star: int = 96, spread: float = 1.0) -> None:
        super().__init__(in_dims, num_classes, d_star=d_star)
        self.spread = nn.Parameter(spread * torch.randn(3))
        self.mixer = nn.Bilinear(2, 2, 2)

    @classmethod
    def check_settings(cls, **settings: Any) -> None:
        pass


@pytest.fixture
def noisy_head(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = heads.Entry(Noisy, "Noisy", {"d_star": 96, "spread": 1.0}, per_input=True)
    monkeypatch.setitem(heads.CATALOG, "noisy", entry)


@pytest.mark.usefixtures("noisy_head")
def test_every_parameter_of_a_head_comes_from_the_seed() -> None:
    """Also those that no initialisation of ours knows, and whatever was drawn before; global state stays."""
    first = build_model(Run(head="noisy"), 784, 10).state_dict()
    torch.manual_seed(123)
    torch.randn(7)
    state = torch.get_rng_state()
    again = build_model(Run(head="noisy"), 784, 10).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    other = build_model(Run(head="noisy", seed=1), 784, 10).state_dict()
    for name, value in first.items():
        assert torch.equal(again[name], value), name
    assert not torch.equal(other["head.spread"], first["head.spread"])
    assert not torch.equal(other["head.mixer.weight"], first["head.mixer.weight"])
    plain = build_model(Run(), 784, 10).state_dict()
    assert torch.equal(plain["backbone.blocks.0.0.weight"], first["backbone.blocks.0.0.weight"])


@pytest.mark.usefixtures("noisy_head")
def test_a_setting_at_its_default_is_left_out_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a setting or a field that is added later changes no key of what was there before."""
    described = Run(head="noisy").describe()
    assert "spread" not in described
    assert Run(head="noisy", spread=2.0).describe()["spread"] == 2.0
    assert Run(head="noisy", spread=2.0).key != Run(head="noisy").key == Run(head="noisy", spread=1.0).key
    assert Run.from_description(Run(head="noisy", spread=2.0).describe()) == Run(head="noisy", spread=2.0)

    @dataclass(frozen=True)
    class Decayed(TrainingConfig):
        weight_decay: float = 0.0

    assert Run(protocol=Decayed()).key == Run().key
    decayed = Run(protocol=Decayed(weight_decay=0.1))
    assert decayed.describe()["protocol"]["weight_decay"] == 0.1
    assert decayed.key != Run().key
    assert decayed.stacking_key != Run().stacking_key  # what nobody named may not differ within a stack
    assert Run(seed=1, temperature=3.0, protocol=Decayed(1e-3, max_epochs=7)).stacking_key == Run().stacking_key
    for apart in (Run(d_star=8), Run(protocol=TrainingConfig(batch_size=64)), Run(head="concat"), Run(view=("h1",))):
        assert apart.stacking_key != Run().stacking_key


@pytest.mark.usefixtures("noisy_head")
def test_a_head_that_no_stack_knows_is_trained_one_by_one(store: CountingStore) -> None:
    runs = [Run(seed, "noisy", TINY.dataset, TINY.hidden_dims, d_star=4, protocol=TINY.protocol) for seed in (0, 1)]
    results = sweep(runs, store)
    assert [result.provenance["stack"] for result in results] == [1, 1]
    assert [numbers(result) for result in results] == [numbers(train_result(run)) for run in runs]
    assert "score_range" in results[0].metrics


def test_grid_is_every_combination_in_order() -> None:
    runs = grid(seed=range(2), head=["laya", "concat"])
    assert runs == [Run(seed, head) for seed in (0, 1) for head in ("laya", "concat")]
    assert grid() == [Run()]
    assert grid(seed=[]) == []


# --- one run


def test_a_run_gives_whole_and_consistent_figures() -> None:
    model, result = train(TINY)
    label, prediction = result.arrays["label"], result.arrays["prediction"]
    assert label.tolist() == data.load(TINY.dataset).test.y.tolist()
    assert result.metrics["accuracy"] == pytest.approx((label == prediction).mean()) == result.correct.mean()
    assert result.metrics["parameters"] == sum(p.numel() for p in model.parameters())
    assert result.attention.shape == (1000, 2)
    assert (result.metrics["epochs"], result.metrics["best_epoch"]) == (1, 1)
    assert result.metrics["validation_accuracy"] == result.history["validation_accuracy"][0]
    assert (result.name, result.run) == (TINY.name, TINY.describe())
    assert set(result.provenance) == {"commit", "torch", "python", "device", "threads", "precision", "stack", "seconds"}


def test_another_data_set_never_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for the full set where only the sample is, a run stops: its result would bear the wrong name."""

    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr("socket.getaddrinfo", unreachable)
    monkeypatch.setattr("socket.socket.connect", unreachable)
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path))
    monkeypatch.delenv("LAYA_NB_DATA", raising=False)
    data.load.cache_clear()
    with (
        pytest.warns(UserWarning, match="embedded sample"),
        pytest.raises(DataError, match="this run is about 'fashion_mnist', and only 'fashion_mnist_sample' is here"),
    ):
        train(Run())
    data.load.cache_clear()


# --- sweeps


def test_a_sweep_trains_what_lacks_and_nothing_else(store: CountingStore) -> None:
    first, second, third = (replace(TINY, seed=seed) for seed in range(3))
    marked = replace(train_result(first), provenance={"mark": "was there before"})
    ResultStore(store.folder, published=False).save(marked)

    results = sweep([third, first, second, third, first], store)

    assert store.saved == [third.name, second.name]
    assert [result.name for result in results] == [run.name for run in (third, first, second, third, first)]
    assert results[1].provenance == marked.provenance
    assert [result.name for result in sweep([second, third], store)] == [second.name, third.name]
    assert len(store.saved) == 2
    assert sweep([], store) == []


def test_a_damaged_result_is_trained_again(store: CountingStore) -> None:
    before = sweep([TINY], store)[0]
    path = store.folder / f"{TINY.name}.json"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="is damaged .* the run will be redone"):
        after = sweep([TINY], store)[0]
    assert numbers(after) == numbers(before)
    assert store.saved == [TINY.name] * 2


def test_one_failing_run_takes_no_other_with_it(store: CountingStore) -> None:
    good = [TINY, replace(TINY, seed=1)]
    failing = [DIVERGES, replace(DIVERGES, seed=1)]
    with pytest.raises(SweepError, match="2 of 4 runs failed; the other 2 are saved") as caught:
        sweep([failing[0], good[0], failing[1], good[1]], store)
    assert store.saved == [run.name for run in good]
    message = str(caught.value)
    assert all(str(run) in message for run in failing)
    assert not any(str(run) in message for run in good)
    assert "Traceback" in message
    assert "NonFiniteLoss: the loss is nan at step 2 of epoch 1" in message
    assert message.count("Traceback") == 1  # one cause, told once


def test_a_result_that_cannot_be_saved_stops_the_sweep(store: CountingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no use in training what cannot be kept; what was trained is in the exception."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="No space left") as caught:
            sweep([TINY, replace(TINY, seed=1)], store)
    assert store.saved == [TINY.name]
    assert_same([caught.value.result], [train_result(TINY)])


def test_processes_give_what_one_process_gives(tmp_path: Path) -> None:
    runs = [TINY, DIVERGES, Run(0, "last_layer", TINY.dataset, TINY.hidden_dims, protocol=TINY.protocol)]
    stores = CountingStore(tmp_path / "serial"), CountingStore(tmp_path / "parallel")
    with pytest.raises(SweepError):
        sweep(runs, stores[0])
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(2, context, worker_setup, (1,)) as executor,
        pytest.raises(SweepError, match=r"(?s)1 of 3 runs failed; the other 2 are saved.*NonFiniteLoss"),
    ):
        sweep(runs, stores[1], executor)
    assert len(stores[0].saved) == 2
    serial, parallel = (sweep([runs[0], runs[2]], store) for store in stores)
    assert_same(serial, parallel)
    assert [numbers(result) for result in parallel] == [numbers(train_result(run)) for run in (runs[0], runs[2])]


def test_processes_train_stacks(store: CountingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task carries a stack; the variable is what `make train` sets."""
    monkeypatch.setenv("LAYA_NB_PROCESSES", "2")
    runs = [replace(TINY, seed=seed) for seed in range(3)]
    results = sweep(runs, store)
    assert [result.provenance["stack"] for result in results] == [2, 2, 1]
    assert sorted(store.saved) == sorted(run.name for run in runs)
    assert_same(results, [train_result(run) for run in runs])
    assert [fair_stack(*case) for case in ((1, 2), (3, 2), (40, 2), (2, 8))] == [1, 2, 8, 1]


def test_a_sweep_of_scores_keeps_neither_arrays_nor_models(tmp_path: Path) -> None:
    table = ScoreTable("search", tmp_path, published=False)
    (trained,) = sweep([TINY], table)
    (read,) = sweep([TINY], ScoreTable("search", tmp_path, published=False))
    assert trained.arrays == read.arrays == {}
    assert trained.metrics == read.metrics == train_result(TINY).metrics
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


ENDLESS = replace(TINY, seed=2, protocol=replace(TINY.protocol, max_epochs=10**9, patience=10**9))
KILLED = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from test_runs import ENDLESS, TINY
from laya_nb.runs import sweep, worker_setup
from laya_nb.runs import ResultStore

if __name__ == "__main__":
    runs, store = [TINY, replace(TINY, seed=1), ENDLESS], ResultStore(Path(sys.argv[1]), published=False)
    sweep(runs, store, ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), worker_setup, (1,)))
"""


def test_a_killed_sweep_loses_the_run_in_flight_alone(store: CountingStore, tmp_path: Path) -> None:
    """Killed without warning in its third run: two are kept, nothing half is there, and no worker trains on."""
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    process = subprocess.Popen([sys.executable, str(script), str(store.folder)], env=environment)
    try:
        deadline = time.monotonic() + 120
        while len(list(store.folder.rglob("*.json"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)  # well into the endless run
        assert process.poll() is None
    finally:
        workers = children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    finished = [TINY, replace(TINY, seed=1)]
    assert {path.stem for path in store.folder.rglob("*.json")} == {run.name.split("/")[1] for run in finished}
    third = replace(TINY, seed=3)
    results = sweep([*finished, third], store)
    assert store.saved == [third.name]
    assert [numbers(result) for result in results[:2]] == [numbers(train_result(run)) for run in finished]

    assert workers or not PROC.is_dir()
    deadline = time.monotonic() + 20
    while any((PROC / str(worker)).exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


PROC = Path("/proc")  # Linux alone; elsewhere the test does without the workers


def children(pid: int) -> list[int]:
    file = PROC / str(pid) / "task" / str(pid) / "children"
    return [int(child) for child in file.read_text().split()] if file.is_file() else []
