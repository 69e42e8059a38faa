"""Exits on prefixes of the layers: what their heads read and say, who leaves where, and what that costs."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from laya_nb import data
from laya_nb.analysis import early_exit
from laya_nb.analysis.pruning import multiply_adds
from laya_nb.backbones import MLP, FrozenFeatures, HiddenStates, LayerSelection
from laya_nb.data import Dataset, Examples
from laya_nb.heads import DepthClassifier, Head, HeadOutput, LastLayerHead, LAYAHead
from laya_nb.runs import Run, exits, train
from laya_nb.runs.anew import train_anew
from laya_nb.runs.new_heads import head_seed, hidden_dataset, own_seed, select, train_head
from laya_nb.training import NonFiniteLoss, TrainingConfig, predict

WIDTHS, D_STAR, CLASSES = (32, 16, 8), 6, 10
SHORT = TrainingConfig(batch_size=100, max_epochs=2, patience=None, learning_rate=3e-3, final_learning_rate=1e-5)
SAMPLE = data.load("fashion_mnist_sample")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """What is this small gains nothing from a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(one_thread: None) -> DepthClassifier:
    protocol = TrainingConfig(batch_size=50, max_epochs=1, learning_rate=3e-3)
    run = Run(
        dataset=SAMPLE.name, hidden_dims=WIDTHS, d_star=D_STAR, temperature=2.0, scorer_width=7, protocol=protocol
    )
    return train(run, device="cpu")[0]


@pytest.fixture(scope="module")
def heads(trained: DepthClassifier) -> list[LAYAHead]:
    return exits.prefix_heads(trained, hidden_dataset(trained, SAMPLE, exits.LEARN_FROM), [1, 2, 3])


def changed(model: DepthClassifier, backbone: Any, head: Any = LAYAHead) -> DepthClassifier:
    return DepthClassifier(backbone, head(backbone.out_dims, model.head.num_classes))


# --- heads on frozen prefixes


def test_exits_are_heads_on_prefixes_and_the_model_itself(trained: DepthClassifier, heads: list[LAYAHead]) -> None:
    found = exits.prefix_exits(trained, SAMPLE)
    own, n = predict(trained, SAMPLE.test.x), len(SAMPLE.test.y)
    assert own.attention is not None
    assert {name: (value.shape, str(value.dtype)) for name, value in found.items()} == {
        "label": ((n,), "uint8"), "answers": ((n, 3), "uint8"), "confidence": ((n, 3), "float16"),
        "entropy": ((n, 3), "float16"), "later": ((n, 2), "float16"), "gate": ((n, 2), "float16"),
    }  # fmt: skip
    assert np.array_equal(found["label"], SAMPLE.test.y)
    assert np.array_equal(found["answers"][:, -1], own.labels)
    np.testing.assert_allclose(found["confidence"][:, -1], own.logits.softmax(1).amax(1), atol=1e-3)
    np.testing.assert_allclose(found["later"], np.stack([1 - own.attention[:, 0], own.attention[:, 2]], 1), atol=1e-3)
    assert (found["entropy"][:, 0] == 0).all()
    assert 0 < found["entropy"][:, 1:].min() <= found["entropy"].max() <= 1
    assert ((found["answers"] == found["label"][:, None]).mean(axis=0) > 0.35).all()  # 90 steps; a guess gets 0.1
    for k in range(2):
        assert np.corrcoef(found["gate"][:, k], found["later"][:, k])[0, 1] > 0.8

    # The second exit, made by hand: it reads h_1 and h_2 alone, and has the settings of the model's own head.
    states = select(hidden_dataset(trained, SAMPLE, exits.LEARN_FROM), WIDTHS, [0, 1])
    head = LAYAHead(WIDTHS[:2], CLASSES, D_STAR, temperature=2.0, scorer_width=7)
    expected = predict(train_head(head, states, head_seed(trained)), states.test.x)
    assert np.array_equal(found["answers"][:, 1], expected.labels)
    assert all(torch.equal(*pair) for pair in zip(heads[1].parameters(), head.parameters(), strict=True))
    assert heads[1].temperature == 2.0


class SaysWhereToLook(Head):
    """Reads labels off h_2, and puts the weight 0.9 on it where h_1 begins with a 1, else 0.2."""

    def __init__(self, in_dims: Sequence[int], num_classes: int) -> None:
        super().__init__(in_dims, num_classes)
        self.scale = nn.Parameter(torch.tensor(9.0))

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        later = 0.2 + 0.7 * hidden_states[0][:, 0]
        return HeadOutput(self.scale * hidden_states[1], torch.stack([1 - later, later], dim=1))


def test_an_exit_knows_what_its_prefix_tells_and_the_gate_sees_what_is_to_come() -> None:
    """Planted: half of the examples show their class in h_1 already, the others in h_2 alone, and h_1 says which."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, 4, (4000,), generator=generator)
    hard = torch.randint(0, 2, (4000, 1), generator=generator)
    x = torch.cat([hard, (1 - hard) * torch.eye(4)[y], torch.eye(4)[y]], dim=1)
    parts = (Examples(x[:3000], y[:3000]), Examples(x[3000:], y[3000:]))
    model = DepthClassifier(FrozenFeatures((5, 4)), SaysWhereToLook((5, 4), 4))
    dataset = Dataset("toy", "made here", tuple("abcd"), *parts)
    found = exits.prefix_exits(model, dataset)
    hard_ones = hard[3000:, 0].numpy() == 1
    right = found["answers"] == found["label"][:, None]
    assert right[:, 1].all()
    assert right[~hard_ones, 0].all()
    assert right[hard_ones, 0].mean() < 0.4
    assert found["confidence"][~hard_ones, 0].min() > found["confidence"][hard_ones, 0].max() + 0.3
    np.testing.assert_allclose(found["later"][:, 0], np.where(hard_ones, 0.9, 0.2), atol=1e-3)
    np.testing.assert_allclose(found["gate"], found["later"], atol=0.05)

    # Over a frozen network each model has exits of its own: all of them have the same hidden states.
    states = hidden_dataset(model, dataset, exits.LEARN_FROM)
    by_hand = train_head(LAYAHead((5,), 4), select(states, (5, 4), [0]), head_seed(model))
    confidence = predict(by_hand, states.test.x[:, :5]).logits.softmax(1).amax(1)
    np.testing.assert_allclose(found["confidence"][:, 0], confidence, atol=1e-3)


def test_the_hidden_states_of_a_layer_stay_together() -> None:
    def ends(backbone: Any, name: str = "toy") -> list[int]:
        model = DepthClassifier(backbone, LAYAHead(backbone.out_dims, CLASSES, 4))
        return exits.prefixes(model, Dataset(name, "", SAMPLE.classes, SAMPLE.train, SAMPLE.test))

    module = nn.Sequential(nn.Linear(784, 8), nn.Linear(8, 6), nn.Linear(6, 4))
    example = SAMPLE.test.x[:2].flatten(1)
    assert ends(HiddenStates(module, ["*"], example=example, pool=["mean", "cls"])) == [2, 4, 6]
    assert ends(MLP(784, WIDTHS)) == [1, 2, 3]
    twelve = FrozenFeatures((384,) * 12)
    assert ends(twelve, "imdb/minilm+cls") == ends(twelve, "imdb/minilm+cls+l2") == [2, 4, 6, 8, 10, 12]
    assert ends(LayerSelection(twelve, ["h1", "h2", "h8", "h11", "h12"]), "imdb/minilm+cls") == [2, 3, 5]
    assert ends(LayerSelection(MLP(784, WIDTHS), ["h1", "h3"])) == [1, 2]


@pytest.mark.parametrize(
    ("backbone", "head", "said"),
    [
        (MLP(784, [8]), LAYAHead, "needs at least two layers"),
        (LayerSelection(MLP(784, [8, 8]), ["h2", "h1"]), LAYAHead, r"own order.* the view is \('h2', 'h1'\)"),
        (LayerSelection(MLP(784, [8, 8]), ["h1", "noise2"]), LAYAHead, "as it is; the view is"),
        (MLP(784, [8, 8]), LastLayerHead, "LastLayerHead gives no weights to layers"),
    ],
)
def test_models_without_early_exits_are_named(trained: DepthClassifier, backbone: Any, head: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        exits.prefix_exits(changed(trained, backbone, head), SAMPLE)


# --- exits that are trained with their network


class Watched(MLP):
    modes: set[bool]

    def forward(self, x: Tensor) -> list[Tensor]:
        Watched.modes.add(self.training)
        return super().forward(x)


def test_a_network_learns_with_all_its_exits(trained: DepthClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exits, "JOINT", SHORT)
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    state = torch.get_rng_state()
    network = exits.train_jointly(trained, SAMPLE, SHORT)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
    assert [head.in_dims for head in network.heads] == [WIDTHS[:1], WIDTHS[:2], WIDTHS]
    with torch.no_grad():
        answers = [output.logits.argmax(dim=1) for output in network(SAMPLE.test.x)]
    right = [float((answer == SAMPLE.test.y).float().mean()) for answer in answers]
    assert min(right) > 0.6
    monkeypatch.setattr(exits, "train_jointly", lambda *_: network)
    found = exits.joint_exits(trained, SAMPLE)
    assert set(found) == {"label", "answers", "confidence", "entropy", "alone"}
    assert np.array_equal(found["answers"], torch.stack(answers, dim=1))
    by_itself = predict(train_anew(trained, SAMPLE, own_seed(trained), SHORT), SAMPLE.test.x)
    assert np.array_equal(found["alone"], by_itself.labels)
    assert not np.array_equal(found["alone"], answers[-1])


def test_a_network_is_drawn_anew_from_its_own_models_seed() -> None:
    """At a learning rate of next to nothing what is left is how training began."""
    still = TrainingConfig(batch_size=1000, max_epochs=1, patience=None, learning_rate=1e-12)
    torch.manual_seed(0)
    backbone = Watched(784, (8, 4))
    models = [DepthClassifier(backbone, LAYAHead((8, 4), CLASSES, 3)).eval() for _ in range(2)]
    blocks: Any = backbone.blocks
    with torch.no_grad():
        blocks[0][1].weight.fill_(5.0)
    Watched.modes = set()
    first, again, other = (exits.train_jointly(model, SAMPLE, still) for model in (models[0], *models))
    assert Watched.modes == {True}  # where there is dropout, it is on
    assert not first.training
    assert torch.allclose(first.backbone.blocks[0][1].weight, torch.ones(8))
    assert first.backbone.blocks[0][0].bias.abs().max() < 1e-6  # as the paper's own networks begin
    linear = [network.backbone.blocks[0][0].weight for network in (first, again, other)]
    assert torch.equal(linear[0], linear[1])
    assert not torch.allclose(linear[0], linear[2])
    assert not torch.allclose(linear[0], blocks[0][0].weight)


class Bare(MLP):
    """Has a weight that no layer draws."""

    def __init__(self) -> None:
        super().__init__(784, (8, 4))
        self.bare = nn.Parameter(torch.ones(3))


@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        (FrozenFeatures((400, 384)), "FrozenFeatures is frozen"),
        (MLP(784, (8, 4)).requires_grad_(False), "MLP is frozen"),
        (Bare(), "Bare has weights, and no `reset_parameters`"),
    ],
)
def test_what_cannot_be_trained_jointly_is_named(trained: DepthClassifier, backbone: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        exits.joint_exits(changed(trained, backbone), SAMPLE)


def test_a_training_that_diverges_stops(trained: DepthClassifier) -> None:
    with pytest.raises(NonFiniteLoss):
        exits.train_jointly(trained, SAMPLE, TrainingConfig(batch_size=500, patience=None, learning_rate=1e30))


# --- what leaving costs, and leaving


def test_leaving_costs_the_layers_so_far_and_all_their_heads(trained: DepthClassifier) -> None:
    found = exits.exit_cost(trained, SAMPLE)
    backbone = np.cumsum([784 * 32, 32 * 16, 16 * 8])
    adapters = np.cumsum([width * D_STAR for width in WIDTHS])
    heads = adapters + [k * D_STAR * 7 + 7 * k + D_STAR * CLASSES for k in (1, 2, 3)]
    assert found["multiply_adds"].tolist() == (backbone + np.cumsum(heads)).tolist()
    assert found["fixed/multiply_adds"].tolist() == (backbone + heads).tolist()
    assert found["fixed/multiply_adds"][-1] == multiply_adds(trained, SAMPLE.test.x[:1])
    for name in ("ms_1", "ms_many", "fixed/ms_1", "fixed/ms_many"):
        assert found[name].shape == (3,)
        assert found[name].dtype == np.float32
        assert (found[name] > 0).all()
    assert found["ms_1"][2] > found["fixed/ms_1"][0]
    assert (found["batch"], found["threads"]) == (256, 1)


def test_the_time_of_those_that_leave_and_of_the_whole(trained: DepthClassifier) -> None:
    found = exits.leaving_time(trained, SAMPLE)
    by_exit = {name: value.shape for name, value in found.items() if isinstance(value, np.ndarray)}
    assert by_exit == dict.fromkeys(("left", "lost", "ms_1", "ms_many"), (2,))
    assert ((found["left"] >= 0) & (found["left"] <= 1)).all()
    assert (found["lost"] <= found["left"]).all()
    assert (found["lost"] < 0.03).all()
    assert found["whole/ms_1"] > found["whole/ms_many"] > 0
    assert (found["ms_1"] > found["ms_many"]).all()


def test_the_cost_of_a_frozen_network_is_that_of_its_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = MLP(784, (8, 8)).eval()
    monkeypatch.setattr(exits, "_inputs", lambda *_: (SAMPLE.test.x[:32], encoder))
    model = DepthClassifier(FrozenFeatures((8, 8)), LAYAHead((8, 8), CLASSES, 4))
    found = exits.exit_cost(model, SAMPLE)
    assert np.diff(found["fixed/multiply_adds"]).tolist() == [8 * 8 + 8 * 4 + 4 * 8 + 8]
    assert found["batch"] == 32


def test_a_backbone_that_cannot_end_early_is_named(trained: DepthClassifier) -> None:
    with pytest.raises(ValueError, match="LayerSelection cannot end early"):
        exits.exit_cost(changed(trained, LayerSelection(MLP(784, WIDTHS), ["h1", "h3"])), SAMPLE)


@pytest.mark.parametrize("tied", [False, True])
def test_who_leaves_is_not_run_any_further(tied: bool, trained: DepthClassifier, heads: list[LAYAHead]) -> None:
    """Answers and exits are those of the whole network, and each layer runs on those alone that are still there."""
    ways: list[Head] = [*heads, trained.head]
    model = trained
    if tied:
        torch.manual_seed(0)
        model = DepthClassifier(MLP(784, (8, 8, 8), tied=True), LAYAHead((8, 8, 8), CLASSES, 4))
        ways = [LAYAHead((8,) * k, CLASSES, 4) for k in (1, 2)] + [model.head]
    x = SAMPLE.test.x[:256]
    with torch.no_grad():
        logits = torch.stack([output.logits for output in exits.Exits(model.backbone, ways).eval()(x)], dim=1)
    confidence, answers = logits.softmax(dim=2).amax(dim=2).numpy(), logits.argmax(dim=2).numpy()
    sizes: list[int] = []
    blocks: Any = model.backbone.blocks  # type: ignore[attr-defined]
    handles = [block.register_forward_hook(lambda module, x, output: sizes.append(len(output))) for block in blocks]
    for threshold in (0.0, *np.quantile(confidence[:, 0], [0.3, 0.7], method="nearest").tolist(), math.inf):
        sizes.clear()
        expected = early_exit.exits(confidence[:, :2], threshold)
        given, taken = exits.leave(model, ways[:2], x, threshold)
        assert np.array_equal(taken, expected)
        assert np.array_equal(given, np.take_along_axis(answers, expected[:, None], axis=1)[:, 0])
        still_there = [(expected >= k).sum() for k in range(3)]
        assert sizes == [count for count in still_there if count]
    threshold = float(np.quantile(confidence[:, 1], 0.5).round(3))
    given, taken = exits.leave(model, [None, ways[1]], x, threshold)  # no exit after the first layer
    assert np.array_equal(taken, np.where(confidence[:, 1] >= threshold, 1, 2))
    given, taken = exits.leave(model, ways[:2], x[:1], threshold)
    assert given.shape == taken.shape == (1,)
    for handle in handles:
        handle.remove()


def test_whom_no_one_can_leave_is_named(trained: DepthClassifier, heads: list[LAYAHead]) -> None:
    with pytest.raises(ValueError, match="3 layers have 2 exits before the end, got 1 heads"):
        exits.leave(trained, heads[:1], SAMPLE.test.x[:2], 0.5)
    with pytest.raises(ValueError, match="leave an MLP between its layers, not a FrozenFeatures"):
        exits.leave(changed(trained, FrozenFeatures((400, 384))), heads[:1], SAMPLE.test.x[:2], 0.5)
