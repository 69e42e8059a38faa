"""Training: same seed, same bits; the best weights win; what cannot be trained on is named."""

import hashlib
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from laya_nb import data
from laya_nb.backbones import MLP
from laya_nb.data import DataError, Examples, Splits
from laya_nb.heads import DepthClassifier, LAYAHead
from laya_nb.runs import Run, build_model
from laya_nb.support import seeds
from laya_nb.support.keras_defaults import ADAM_EPS
from laya_nb.training import NonFiniteLoss, Predictions, TrainingConfig, evaluate, fit, predict
from laya_nb.training.fit import batch_sizes
from laya_nb.training.optimizer import Adam

SMALL = Run(dataset="fashion_mnist_sample", hidden_dims=(32, 16), d_star=8)
TWO_EPOCHS = TrainingConfig(max_epochs=2, batch_size=64)


def splits(count: int = 600, seed: int = 0) -> Splits:
    """A small part of the embedded sample, split as a run would split it."""
    sample = data.load("fashion_mnist_sample")
    return Splits(*(Examples(part.x[:count], part.y[:count]) for part in sample.split(seed)))


def digest(model: DepthClassifier) -> str:
    tensors = model.state_dict().values()
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """What is this small gains nothing from a second thread, and loses much where others use the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fitted_digest(init_seed: int = 0, order_seed: int = 0) -> str:
    model = build_model(SMALL.replace(seed=init_seed), 784, 10)
    fit(model, splits(), seed=order_seed, protocol=TWO_EPOCHS, device="cpu")
    return digest(model)


# --- the same bits


def test_one_seed_gives_the_same_bits_whatever_was_drawn_before() -> None:
    first = fitted_digest()
    torch.manual_seed(99)
    assert fitted_digest() == first


def test_the_callers_random_stream_is_left_as_it_was() -> None:
    model, state = build_model(SMALL, 784, 10), torch.get_rng_state()
    fit(model, splits(), seed=0, protocol=TWO_EPOCHS, device="cpu")
    assert torch.equal(torch.get_rng_state(), state)


def test_a_look_after_every_epoch_sees_the_model_as_it_is_then() -> None:
    """And changes nothing in what comes out."""
    model = build_model(SMALL, 784, 10)
    seen = []
    fit(model, splits(), seed=0, protocol=TWO_EPOCHS, device="cpu", after_epoch=lambda: seen.append(digest(model)))
    assert len(set(seen)) == TWO_EPOCHS.max_epochs
    assert digest(model) == fitted_digest()
    assert digest(model) in seen


def test_the_training_loss_is_a_mean_over_examples_not_batches() -> None:
    """With steps too small to matter; the last of nine batches has 28 examples, the others 64."""
    model, parts = build_model(SMALL, 784, 10), splits()
    still = TrainingConfig(max_epochs=1, batch_size=64, learning_rate=1e-12)
    history = fit(model, parts, seed=0, protocol=still, device="cpu")
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(model(parts.train.x).logits, parts.train.y).item()
    assert len(parts.train.y) % 64 != 0
    assert history.train_loss == pytest.approx([expected], rel=1e-5)


@pytest.mark.parametrize(
    ("examples", "batch_size", "sizes"),
    [(256, 128, [128, 128]), (258, 128, [128, 128, 2]), (257, 128, [128, 129]), (1, 128, [1]), (3, 1, [1, 1, 1])],
)
def test_no_batch_of_one_example_is_left_over(examples: int, batch_size: int, sizes: list[int]) -> None:
    assert batch_sizes(examples, batch_size) == sizes


def test_a_fresh_process_gives_the_same_bits() -> None:
    """With one thread and with two, each compared with itself: the thread count may decide the order of sums."""
    script = (
        "import torch, test_training\n"
        "for threads in (1, 2):\n"
        "    torch.set_num_threads(threads); print(test_training.fitted_digest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    here = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        here.append(fitted_digest())
    assert done.stdout.split() == here


def test_each_seed_matters_and_only_for_its_own_stream() -> None:
    assert len({fitted_digest(0, 0), fitted_digest(1, 0), fitted_digest(0, 1)}) == 3
    before = digest(build_model(SMALL, 784, 10))
    torch.randn(3)
    splits(seed=5)
    assert digest(build_model(SMALL, 784, 10)) == before  # initialisation knows nothing of split and order


def test_streams_are_unrelated() -> None:
    purposes: list[seeds.Purpose] = ["split", "initialisation", "batch order", "dropout"]
    drawn = {seeds.stream_seed(seed, purpose) for seed in range(100) for purpose in purposes}
    assert len(drawn) == 400
    rows = torch.stack([torch.randn(1000, generator=seeds.generator(seed, p)) for seed in (0, 1) for p in purposes])
    assert (torch.corrcoef(rows) - torch.eye(8)).abs().max() < 0.15


@pytest.mark.parametrize("seed", [-1, 1.0, True, None, "0"])
def test_what_is_no_seed_is_named(seed: Any) -> None:
    with pytest.raises(ValueError, match=f"seed must be an integer of at least 0, got {seed!r}"):
        seeds.generator(seed, "split")


# --- learning


@pytest.mark.parametrize("head", ["laya", "last_layer"])
def test_training_learns_real_images(head: Any) -> None:
    model = build_model(Run(head=head, hidden_dims=(128, 64)), 784, 10)
    parts = splits(4000)
    result = fit(model, parts, seed=0, protocol=TrainingConfig(learning_rate=1e-3, max_epochs=4), device="cpu")
    test = data.load("fashion_mnist_sample").test
    assert evaluate(predict(model, test.x), test.y)["accuracy"] > 0.72  # chance is 0.1
    assert result.epochs == len(result.train_loss) == len(result.validation_accuracy) == 4
    assert result.train_loss[-1] < 0.6 * result.train_loss[0]
    assert not model.training


def noisy_splits(seed: int) -> Splits:
    """Two classes that one input tells apart, with a third of the labels turned over: accuracy goes up and down."""
    stream = torch.Generator().manual_seed(seed)
    x = torch.randn(160, 6, generator=stream)
    y = ((x[:, 0] > 0) ^ (torch.rand(160, generator=stream) < 0.33)).long()
    return Splits(Examples(x[:80], y[:80]), Examples(x[80:], y[80:]))


def test_early_stopping_keeps_the_best_epoch() -> None:
    """Whatever the course: the first best epoch wins, its weights come back, and patience counts epochs after it."""
    stopped, ended_past_best = 0, 0
    for seed in range(6):
        parts = noisy_splits(seed)
        protocol = TrainingConfig(learning_rate=0.02, batch_size=16, max_epochs=12, patience=3)
        model = build_model(Run(seed=seed, hidden_dims=(8, 8), d_star=4), 6, 2)
        result = fit(model, parts, seed=seed, protocol=protocol, device="cpu")

        accuracies = result.validation_accuracy
        assert result.best_epoch == 1 + accuracies.index(max(accuracies))
        assert result.epochs == min(protocol.max_epochs, result.best_epoch + 3)
        found = (predict(model, parts.validation.x).labels == parts.validation.y).float().mean().item()
        assert found == max(accuracies)
        stopped += result.epochs < protocol.max_epochs
        ended_past_best += accuracies[-1] < max(accuracies)
    assert stopped
    assert ended_past_best  # else the weights of the last epoch would have passed, too


def test_the_best_weights_are_those_of_a_training_that_stops_there() -> None:
    parts = noisy_splits(1)
    run = Run(seed=1, hidden_dims=(8, 8), d_star=4)
    long, short = build_model(run, 6, 2), build_model(run, 6, 2)
    result = fit(long, parts, seed=1, protocol=TrainingConfig(0.02, 16, max_epochs=12, patience=3), device="cpu")
    fit(short, parts, seed=1, protocol=TrainingConfig(0.02, 16, max_epochs=result.best_epoch), device="cpu")
    assert digest(long) == digest(short)


# --- what is refused


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"learning_rate": 0}, "learning_rate must be a finite number above 0, got 0"),
        ({"learning_rate": math.nan}, "learning_rate must be a finite number above 0, got nan"),
        ({"learning_rate": "fast"}, "learning_rate must be a finite number above 0, got 'fast'"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"batch_size": 12.5}, "batch_size must be an integer of at least 1, got 12.5"),
        ({"max_epochs": -1}, "max_epochs must be an integer of at least 1, got -1"),
        ({"patience": True}, "patience must be an integer of at least 1, got True"),
        ({"validation": 1}, "validation must lie between 0 and 1, got 1"),
        ({"validation": math.nan}, "validation must lie between 0 and 1, got nan"),
        ({"validation": None}, "validation must lie between 0 and 1, got None"),
    ],
)
def test_protocol_names_what_it_refuses(value: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**value)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("position", [0, 57, 79])
def test_training_stops_at_the_step_that_meets_a_bad_input(bad: float, position: int) -> None:
    """The step is known beforehand: the batch order is the seed's. No weight was touched by that step."""
    parts = noisy_splits(0)
    order = torch.randperm(80, generator=seeds.generator(7, "batch order"))
    parts.train.x[order[position], 2] = bad
    model = build_model(Run(hidden_dims=(8, 8), d_star=4), 6, 2)
    with pytest.raises(NonFiniteLoss, match=rf"the loss is nan at step {position // 16 + 1} of epoch 1: look for NaN"):
        fit(model, parts, seed=7, protocol=TrainingConfig(batch_size=16), device="cpu")
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_a_training_that_diverges_stops_too() -> None:
    model = build_model(Run(hidden_dims=(8, 8), d_star=4), 6, 2)
    with pytest.raises(NonFiniteLoss, match=r"at step 2 of epoch 1.*lower the learning rate"):
        fit(model, noisy_splits(0), seed=0, protocol=TrainingConfig(learning_rate=1e30, batch_size=16), device="cpu")


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "there are no examples"),
        ([1, 1, 1], "all labels are 1; at least two classes are needed"),
        ([0, 1, 2], r"labels must lie in 0\.\.1, found 0\.\.2"),
        ([-1, 0, 1], r"labels must lie in 0\.\.1, found -1\.\.1"),
    ],
)
def test_data_that_cannot_be_trained_on_are_named(part: str, labels: list[int], message: str) -> None:
    bad = Examples(torch.zeros(len(labels), 6), torch.tensor(labels, dtype=torch.int64))
    model = DepthClassifier(MLP(6, (4,)), LAYAHead((4,), 2, d_star=3))
    before = digest(model)
    with pytest.raises(DataError, match=f"{part} part: {message}"):
        fit(model, noisy_splits(0)._replace(**{part: bad}), seed=0)
    assert digest(model) == before


# --- measuring


def test_predictions_do_not_depend_on_the_batches() -> None:
    model = DepthClassifier(MLP(6, (8, 4)), LAYAHead((8, 4), 3, d_star=5)).train()
    x = torch.randn(4100, 6, generator=torch.Generator().manual_seed(0))
    whole = predict(model, x)
    assert not model.training
    assert whole.attention is not None
    assert (whole.logits.shape, whole.attention.shape) == ((4100, 3), (4100, 2))
    with torch.no_grad():
        expected = model(x)
    torch.testing.assert_close(whole.logits, expected.logits)
    torch.testing.assert_close(whole.attention, expected.attention)


def test_accuracy_and_macro_f1_by_hand() -> None:
    """Class 0: 2 of 2 found, 1 false alarm; class 1: 1 of 2 found; class 2: never there, never guessed."""
    logits = torch.eye(3)[[0, 0, 0, 1]]
    found = evaluate(Predictions(logits, None), torch.tensor([0, 0, 1, 1]))
    assert found["accuracy"] == 0.75
    assert found["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)


def test_our_adam_is_torchs_to_the_bit() -> None:
    parts = splits()
    ours, theirs = build_model(SMALL, 784, 10), build_model(SMALL, 784, 10)
    optimizers: tuple[Any, Any] = (
        Adam(ours.parameters(), 3e-4),
        torch.optim.Adam(theirs.parameters(), lr=3e-4, eps=ADAM_EPS, fused=True),
    )
    for index in torch.arange(600).split(64):
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            loss = torch.nn.functional.cross_entropy(model(parts.train.x[index]).logits, parts.train.y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert digest(ours) == digest(theirs)
