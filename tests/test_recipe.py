"""The recipe of attentive layer fusion: each of its parts against PyTorch's own, and what it refuses."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laya_nb.backbones import FrozenFeatures
from laya_nb.data import DataError, Dataset, Examples, Splits
from laya_nb.heads import DepthClassifier, LastLayerHead
from laya_nb.heads.catalog import entry
from laya_nb.runs import Run, build_model
from laya_nb.support import seeds
from laya_nb.support.keras_defaults import ADAM_EPS
from laya_nb.training import StackedModel, TrainingConfig, fit, fit_stacked, predict
from laya_nb.training.config import FUSION

WIDTHS = (4, 4)
PLAIN = replace(FUSION, min_steps=1, max_epochs=7, validation=0.0, jitter=0.0, learning_rate=0.05, clip_norm=None)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def examples(counts: tuple[int, ...] = (70, 20, 13), seed: int = 0) -> Examples:
    """Of each class so many, in a drawn order."""
    stream = torch.Generator().manual_seed(seed)
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    y = y[torch.randperm(len(y), generator=stream)]
    return Examples(torch.randn(len(y), sum(WIDTHS), generator=stream) + y.unsqueeze(1) / 2, y)


def all_of(train: Examples) -> Splits:
    return Splits(train, Examples(train.x[:0], train.y[:0]))


def probe(classes: int = 3) -> DepthClassifier:
    torch.manual_seed(0)
    return DepthClassifier(FrozenFeatures(WIDTHS), LastLayerHead(WIDTHS, classes))


def linear(model: DepthClassifier) -> nn.Linear:
    assert isinstance(model.head, LastLayerHead)
    return model.head.classifier


def as_torch_does(protocol: TrainingConfig, train: Examples, seed: int) -> Tensor:
    """The weights after the same recipe, written with PyTorch's optimiser, schedule and clipping."""
    layer = nn.Linear(WIDTHS[-1], 3)
    layer.load_state_dict(linear(probe()).state_dict())
    optimizer = torch.optim.AdamW(
        layer.parameters(), lr=protocol.learning_rate, weight_decay=protocol.weight_decay or 0.0, eps=ADAM_EPS
    )
    order, count = seeds.generator(seed, "batch order"), len(train.y)
    steps = protocol.max_epochs * -(-count // protocol.batch_size)
    lowest = protocol.learning_rate if protocol.final_learning_rate is None else protocol.final_learning_rate
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=lowest)
    weights = count / (3 * train.y.bincount()) if protocol.balanced else None
    for _ in range(protocol.max_epochs):
        for index in torch.randperm(count, generator=order).split(protocol.batch_size):
            optimizer.zero_grad()
            F.cross_entropy(layer(train.x[index][:, 4:]), train.y[index], weights).backward()
            if protocol.clip_norm is not None:
                nn.utils.clip_grad_norm_(layer.parameters(), protocol.clip_norm)
            optimizer.step()
            schedule.step()
    return layer.weight.detach()


@pytest.mark.parametrize(
    "changes",
    [
        {"weight_decay": 0.3},
        {"clip_norm": 0.2},
        {"final_learning_rate": None},
        {"balanced": False},
        {"weight_decay": 0.5, "clip_norm": 0.2, "final_learning_rate": 1e-3},
    ],
)
def test_each_part_is_pytorchs(changes: dict[str, Any]) -> None:
    """And does something: without it the weights are others."""
    protocol, train, model = replace(PLAIN, **changes), examples(), probe()
    fit(model, all_of(train), seed=3, protocol=protocol)
    torch.testing.assert_close(linear(model).weight, as_torch_does(protocol, train, 3), rtol=0, atol=1e-6)
    assert (linear(model).weight - as_torch_does(PLAIN, train, 3)).abs().max() > 1e-3


def test_without_patience_the_last_weights_stay() -> None:
    """Validated once, at the end; with 0 set aside, never."""
    train, model, seen = examples(), probe(), []
    dataset = Dataset("mine", "made here", ("a", "b", "c"), train, train)
    splits = dataset.split(0, 0.2)
    protocol = replace(PLAIN, validation=0.2)
    history = fit(
        model, splits, seed=0, protocol=protocol, after_epoch=lambda: seen.append(linear(model).weight.clone())
    )
    assert torch.equal(linear(model).weight, seen[-1])
    assert not model.training
    assert (history.epochs, history.best_epoch, len(history.validation_accuracy)) == (7, 7, 1)
    guess, truth = predict(model, splits.validation.x).labels, splits.validation.y
    recalls = [(guess[truth == label] == label).float().mean().item() for label in range(3)]
    assert history.validation_accuracy == pytest.approx([sum(recalls) / 3])
    assert fit(probe(), dataset.split(0, 0.0), seed=0, protocol=PLAIN).validation_accuracy == []
    assert len(dataset.split(0, 0.0).train.y) == len(train.y)


def test_balanced_accuracy_is_a_mean_over_classes() -> None:
    """A model that always says 0: right for 70 of 103, and for one class of three."""
    model, train = probe(), examples()
    nn.init.zeros_(linear(model).weight)
    linear(model).bias.data = torch.tensor([9.0, 0.0, 0.0])
    still = replace(PLAIN, validation=0.5, learning_rate=1e-12, final_learning_rate=None, weight_decay=0.0)
    for balanced, right in ((True, 1 / 3), (False, 70 / 103)):
        found = fit(model, Splits(train, train), seed=0, protocol=replace(still, balanced=balanced))
        assert found.validation_accuracy == pytest.approx([right])


@pytest.mark.parametrize(("least", "epochs"), [(1, 7), (21, 7), (22, 8), (100, 34)])
def test_epochs_are_added_until_there_are_enough_steps(least: int, epochs: int) -> None:
    """Of 103 examples, three steps an epoch; and the cosine ends with the last of them."""
    model = probe()
    history = fit(model, all_of(examples()), seed=0, protocol=replace(PLAIN, min_steps=least))
    assert history.epochs == epochs
    longer = as_torch_does(replace(PLAIN, max_epochs=epochs), examples(), 0)
    torch.testing.assert_close(linear(model).weight, longer, rtol=0, atol=1e-6)


class Watched(LastLayerHead):
    """It notes what it is given in training."""

    def forward(self, hidden_states: Any) -> Any:
        if self.training:
            self.seen = [h.detach().clone() for h in hidden_states]
        return super().forward(hidden_states)


def test_jitter_falls_on_all_hidden_states_of_half_the_inputs_in_training_alone() -> None:
    train = Examples(torch.zeros(4000, 8), torch.arange(4000) % 2)
    head = Watched(WIDTHS, 2)
    model = DepthClassifier(FrozenFeatures(WIDTHS), head)
    protocol = replace(PLAIN, jitter=0.05, batch_size=4000, max_epochs=1, validation=0.5)
    fit(model, Splits(train, train), seed=0, protocol=protocol)
    first, second = head.seen
    moved = (first != 0).any(dim=1)
    assert torch.equal(moved, (second != 0).any(dim=1))  # one coin for the whole stack
    assert 0.46 < moved.float().mean() < 0.54
    for h in (first, second):
        assert h[moved].std().item() == pytest.approx(0.05, rel=0.05)
    assert abs(torch.corrcoef(torch.stack([first[moved][:, 0], second[moved][:, 0]]))[0, 1]) < 0.1
    assert train.x.count_nonzero() == 0


def test_a_class_without_examples_cannot_count() -> None:
    train = examples((50, 50))
    with pytest.raises(DataError, match="train part: no examples of class 2; all 3 are to count"):
        fit(probe(), all_of(train), seed=0, protocol=PLAIN)
    with pytest.raises(DataError, match="validation part: no examples of class 2"):
        fit(probe(), Splits(examples(), train), seed=0, protocol=replace(PLAIN, validation=0.2))
    fit(probe(), all_of(train), seed=0, protocol=replace(PLAIN, balanced=False))


def test_what_a_stack_does_not_have_is_trained_one_by_one() -> None:
    train = examples()
    dataset = Dataset("mine", "made here", ("a", "b", "c"), train, train)
    models = [StackedModel(probe(), seed, PLAIN) for seed in (0, 1)]
    outcomes = dict(fit_stacked(models, dataset))
    alone = probe()
    fit(alone, dataset.split(1, 0.0), seed=1, protocol=PLAIN)
    assert torch.equal(linear(models[1].model).weight, linear(alone).weight)
    assert [outcome.stack for outcome in outcomes.values()] == [1, 1]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"validation": 0},
            "validation must lie between 0 and 1, got 0; it may be 0 where patience is None, which is 5",
        ),
        ({"patience": 0}, "patience must be an integer of at least 1, got 0"),
        ({"weight_decay": -1}, "weight_decay must be a finite number above 0, got -1"),
        ({"final_learning_rate": 0}, "final_learning_rate must be a finite number above 0, got 0"),
        ({"clip_norm": 0}, "clip_norm must be a finite number above 0, got 0"),
        ({"jitter": "a"}, "jitter must be a finite number above 0, got 'a'"),
        ({"min_steps": 0}, "min_steps must be an integer of at least 1, got 0"),
        ({"balanced": 1}, "balanced must be True or False, got 1"),
    ],
)
def test_settings_that_make_no_sense(value: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**value)


def test_the_recipe_changes_no_older_key() -> None:
    assert list(TrainingConfig().describe()) == [
        "learning_rate", "batch_size", "max_epochs", "patience", "validation",
    ]  # fmt: skip
    run = Run(protocol=FUSION)
    assert Run.from_description(run.describe()) == run
    assert run.describe()["protocol"]["jitter"] == 0.05


def test_the_fusion_head_starts_as_pytorch_draws_it() -> None:
    """Others as Keras does: no bias but 0."""
    for head, zero in (("fusion", False), ("scalar_mix", True)):
        model = build_model(Run(head=head, dataset="docstrings/minilm+cls+l2", temperature=None), 12 * 384, 2)
        bias = model.head.get_parameter("classifier.bias")
        assert bool((bias == 0).all()) == zero
        assert entry(head).head.keras_initialisation == zero
