"""What is measured of errors, strangers and confidence: planted cases, and a network trained in seconds."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from laya_nb import data
from laya_nb.analysis import detection
from laya_nb.analysis.calibration import calibration
from laya_nb.backbones import MLP, FrozenFeatures
from laya_nb.data import Dataset, Examples
from laya_nb.data.strangers import held_out, strangers
from laya_nb.heads import (
    AttentiveFusionHead,
    DepthClassifier,
    EqualMixHead,
    Head,
    HeadOutput,
    LastLayerHead,
    LastLayerMLPHead,
    LAYAHead,
)
from laya_nb.runs import Run, anew, doubts
from laya_nb.runs.train import model_for
from laya_nb.training import TrainingConfig, fit

CLASSES, LAYERS = 4, 3
OF_LOGITS = ["max softmax", "margin", "energy"]


class Planted(Head):
    """Its first hidden state is the logits; the second, the logarithm of the attention."""

    def __init__(self, in_dims: Sequence[int] = (CLASSES, LAYERS), num_classes: int = CLASSES) -> None:
        super().__init__(in_dims, num_classes)
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        logits, scores = hidden_states
        return HeadOutput(logits, torch.softmax(scores, dim=1), scores)


PLANTED = DepthClassifier(FrozenFeatures((CLASSES, LAYERS)), Planted())


def planted(attention: Callable[[Tensor, Tensor], Tensor], n: int = 6000, too_sure: float = 1.0) -> Dataset:
    """Labels drawn as the logits say, which are then multiplied by `too_sure`; scores (N, L) of attention from the
    probabilities of the predicted class and whether it is wrong."""
    generator = torch.Generator().manual_seed(0)
    logits = 1.5 * torch.randn(n, CLASSES, generator=generator)
    y = torch.multinomial(logits.softmax(1), 1, generator=generator).flatten()
    scores = attention(logits.softmax(1).amax(dim=1), logits.argmax(dim=1) != y)
    x = torch.cat([too_sure * logits, scores + 0.1 * torch.randn(scores.shape, generator=generator)], dim=1)
    half = n // 2
    return Dataset("planted", "made here", tuple("abcd"), Examples(x[:half], y[:half]), Examples(x[half:], y[half:]))


def test_attention_that_knows_the_mistakes_finds_them_where_confidence_cannot() -> None:
    dataset = planted(lambda confidence, wrong: (~wrong)[:, None] * torch.tensor([2.0, 0, 0]))
    values = doubts.errors(PLANTED, dataset)
    accuracy = values["accuracy"]
    assert accuracy == pytest.approx((dataset.test.x[:, :CLASSES].argmax(1) == dataset.test.y).float().mean())
    for where in ("auroc", "auroc within class", "auroc within confidence"):
        assert values[f"attention entropy/{where}"] > 0.999
        assert values[f"attention distance/{where}"] > 0.75  # mistakes are the rarer kind in every class
    assert values["attention entropy/accuracy at 80"] == pytest.approx(accuracy / 0.8, abs=0.01)
    assert values["attention entropy/augrc"] == pytest.approx((1 - accuracy) ** 2 / 2, rel=0.01)
    for name in OF_LOGITS[:2]:
        assert 0.6 < values[f"{name}/auroc"] < 0.9
        assert values[f"{name}/aurc"] > 2 * values["attention entropy/aurc"]
    assert {name.split("/")[0] for name in values} == {"accuracy", *doubts.DOUBTS}


def test_attention_that_repeats_confidence_adds_nothing_to_it() -> None:
    dataset = planted(lambda confidence, wrong: 3 * confidence[:, None] * torch.tensor([1.0, 0, 0]), n=20_000)
    values = doubts.errors(PLANTED, dataset)
    assert values["attention entropy/auroc"] > 0.65
    assert values["attention entropy/auroc within confidence"] == pytest.approx(0.5, abs=0.02)
    assert values["max softmax/auroc within confidence"] == pytest.approx(0.5, abs=0.02)


def test_a_model_without_mistakes_has_no_auroc() -> None:
    dataset = planted(lambda confidence, wrong: confidence[:, None] * torch.ones(LAYERS), n=600)
    right = Examples(dataset.test.x, dataset.test.x[:, :CLASSES].argmax(dim=1))
    values = doubts.errors(PLANTED, Dataset("", "", dataset.classes, dataset.train, right))
    assert math.isnan(values["energy/auroc"])
    assert values["energy/aurc"] == 0
    assert values["energy/accuracy at 95"] == 1


def test_doubts_of_logits() -> None:
    logits = np.array([[0.0, np.log(2), np.log(5)], [3.0, 3.0, 3.0]])
    found = doubts.logit_doubts(logits)
    np.testing.assert_allclose(found["max softmax"], [-5 / 8, -1 / 3])
    np.testing.assert_allclose(found["margin"], [-3 / 8, 0], atol=1e-12)
    np.testing.assert_allclose(found["energy"], [-np.log(8), -3 - np.log(3)])


def test_where_nothing_is_usual_attention_is_as_far_away_as_can_be() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, scores = torch.eye(CLASSES)[torch.arange(400) % 3], torch.randn(400, LAYERS, generator=generator)
    logits[:3] = torch.eye(CLASSES)[3]  # a class of no more examples than layers
    train = doubts.Predictions(logits, scores.softmax(1))
    found = doubts.attention_scores(train)(train)["attention distance"]
    assert (found[:3] == doubts.FARTHEST).all()
    assert (found[3:] < 100).all()
    assert detection.judge(found[3:], found[:3])["auroc"] == 1


def test_attention_that_knows_the_mistakes_adds_to_confidence_and_a_copy_of_it_does_not() -> None:
    def knows(confidence: Tensor, wrong: Tensor) -> Tensor:
        return (~wrong)[:, None] * torch.tensor([2.0, 0, 0])

    def repeats(confidence: Tensor, wrong: Tensor) -> Tensor:
        return confidence[:, None] * torch.tensor([2.0, 0, 0])

    for attention, least, most in ((knows, 0.1, 0.7), (repeats, -0.01, 0.01)):
        dataset = planted(attention)
        values = doubts.errors(PLANTED, dataset)
        assert least < values["attention entropy/gain in auroc"] < most
        assert least < values["attention entropy/gain in log-loss"] < most
        assert "max softmax/gain in auroc" not in values


# --- confidence


def test_a_model_that_is_too_sure_is_found_out_and_cured() -> None:
    flat = planted(lambda confidence, wrong: torch.zeros(len(wrong), LAYERS), n=20_000, too_sure=2.5)
    values = doubts.confidence(PLANTED, flat)
    assert values["as it is/temperature"] == 1
    assert values["scaled/temperature"] == pytest.approx(2.5, rel=0.05)
    assert values["as it is/overconfidence"] > 0.1
    assert values["scaled/ece"] < 0.03 < 0.1 < values["as it is/ece"]
    assert values["scaled/log_loss"] < values["as it is/log_loss"]
    logits, y = flat.test.x[:, :CLASSES].numpy(), flat.test.y.numpy()
    assert set(values) == {
        f"{row}/{name}" for row in ("as it is", "scaled") for name in calibration(logits, y, logits, y)
    }
    everything = calibration(logits, y, logits, y)
    # Means over halves of equal size are means over all.
    assert values["as it is/log_loss"] == pytest.approx(everything.loc["as it is", "log_loss"])
    # No half was judged under its own best temperature.
    assert values["scaled/log_loss"] > everything.loc["scaled", "log_loss"]


# --- strangers


@lru_cache
def trained(head: str) -> tuple[DepthClassifier, Dataset, Tensor]:
    """On eight classes of the sample; the test pictures of the other two."""
    dataset, strange = held_out(data.load("fashion_mnist_sample"), [8, 9])
    run = Run(head=head, dataset="fashion_mnist_sample", hidden_dims=[32, 16], protocol=TrainingConfig(max_epochs=1))
    model = model_for(run, dataset)
    fit(model, dataset.split(0), seed=0, protocol=run.protocol, device="cpu")
    return model.eval(), dataset, strange


@pytest.mark.parametrize("head", ["laya", "last_layer", "equal_mix"])
def test_a_trained_network_among_strangers(head: str) -> None:
    model, dataset, strange = trained(head)
    kinds = {"left out": strange, "noise": strangers("fashion_mnist_sample", "noise", 300), "own": dataset.test.x}
    values = doubts.judge_strangers(model, dataset, kinds)
    scores = [name for name in doubts.DETECTORS if head == "laya" or name not in doubts.OF_ATTENTION]
    assert [name.split("/")[1] for name in values if name.startswith("noise/") and name.endswith("/auroc")] == scores
    assert len(values) == 3 * len(scores) * 5
    for score in scores:
        assert values[f"own/{score}/auroc"] == pytest.approx(0.5)
    assert values["noise/all layers/auroc"] > 0.75
    assert values["left out/all layers/auroc"] > 0.55
    assert doubts.errors(model, dataset)["max softmax/auroc"] > 0.6
    assert any(name.startswith("attention") for name in doubts.errors(model, dataset)) == (head == "laya")
    confidence = doubts.confidence(model, dataset)
    assert confidence["scaled/log_loss"] < confidence["as it is/log_loss"] + 0.02


@pytest.mark.skipif(not os.environ.get("LAYA_NB_DATA"), reason="LAYA_NB_DATA is not set")
def test_every_kind_of_stranger_is_judged() -> None:
    model, _, _ = trained("laya")
    values = doubts.strangeness(model, data.load("fashion_mnist_sample"))
    assert {name.split("/")[0] for name in values} == {"letters", "noise", "reversed"}
    assert len(values) == 3 * len(doubts.DETECTORS) * 5


def test_strangers_that_are_not_known_or_not_there_are_refused() -> None:
    dataset = planted(lambda confidence, wrong: torch.zeros(len(wrong), LAYERS))
    with pytest.raises(ValueError, match=r"no strangers to 'planted', only to 'fashion_mnist', .*; judge_strangers"):
        doubts.strangeness(PLANTED, dataset)
    with pytest.raises(ValueError, match="no stranger of the kind 'nobody'"):
        doubts.judge_strangers(PLANTED, dataset, {"nobody": dataset.test.x[:0]})


X = torch.randn(200, 10, generator=torch.Generator().manual_seed(0))
Y = torch.arange(200) % CLASSES


def network(make: Callable[..., Head], **settings: int) -> DepthClassifier:
    torch.manual_seed(0)
    return DepthClassifier(MLP(10, (8, 8)), make((8, 8), CLASSES, **settings)).eval()


class Doubled(LastLayerHead):
    """Its classifier is not the last thing that it does."""

    def forward(self, hidden_states: Sequence[Tensor]) -> HeadOutput:
        return HeadOutput(2 * super().forward(hidden_states).logits)


@pytest.mark.parametrize(
    ("make", "settings"), [(LAYAHead, {"d_star": 6}), (EqualMixHead, {"d_star": 6}), (LastLayerHead, {})]
)
@torch.no_grad()
def test_vim_reads_what_the_last_linear_layer_reads(make: Callable[..., Head], settings: dict[str, int]) -> None:
    model = network(make, **settings)
    h, classifier = model.backbone(X), model.head.classifier
    read = h[-1]
    if isinstance(model.head, LAYAHead | EqualMixHead):
        z = torch.stack([adapter(states) for adapter, states in zip(model.head.adapters, h, strict=True)], dim=1)
        read = torch.einsum("bl,bld->bd", model(X).attention, z)
    assert isinstance(classifier, nn.Linear)
    expected = detection.Residual(read.numpy(), classifier.weight.numpy(), classifier.bias.numpy())
    found = doubts.strangeness_scores(model, Examples(X, Y))(X[:50])
    np.testing.assert_allclose(found["ViM"], expected(read[:50].numpy()), rtol=1e-4, atol=1e-4)


def test_heads_whose_last_linear_layer_is_not_known_have_no_vim() -> None:
    for make, settings in ((LastLayerMLPHead, {"parameter_budget": 500}), (Doubled, {})):
        scores = doubts.strangeness_scores(network(make, **settings), Examples(X, Y))
        assert "ViM" not in scores(X[:50])
    assert "ViM" in doubts.strangeness_scores(network(AttentiveFusionHead), Examples(X, Y))(X[:50])


@torch.no_grad()
def test_scores_are_those_of_the_detectors_on_the_hidden_states() -> None:
    model, y = network(LAYAHead, d_star=6), Y.numpy()
    found, h = doubts.strangeness_scores(model, Examples(X, Y))(X[:50]), [z.numpy() for z in model.backbone(X)]
    last, output = h[-1], model(X)
    expected = {
        "max logit": detection.max_logit(output.logits.numpy()),
        "Mahalanobis": detection.Mahalanobis(last, y)(last),
        "all layers": detection.AllLayers(h, y)(h),
        "neighbours": detection.Neighbours(last, 50)(last),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values[:50], rtol=1e-4, atol=1e-4)
    assert not any(module._forward_pre_hooks for module in model.modules())  # it is left as it was


def test_vim_looks_where_hidden_states_can_be_at_all() -> None:
    """Wide adapters on narrow layers fill a small part of their space: the rest holds rounding alone."""
    model = network(LAYAHead, d_star=64)
    seen = doubts._see(model, X)
    residual = doubts._residual(model.head, seen)
    assert residual is not None
    assert seen.read is not None
    assert 64 - residual.outside.shape[1] == (8 + 8 + 2) // 2  # two layers, and a bias of each
    lengths = np.linalg.norm((seen.read - residual.origin) @ residual.outside, axis=1)
    assert lengths.std() > 1e-3


# --- networks that are trained anew


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> TrainingConfig:
    protocol = TrainingConfig(batch_size=50, max_epochs=6, learning_rate=3e-3, patience=None, validation=0.0)
    monkeypatch.setattr(anew, "PROTOCOL", protocol)
    return protocol


def test_classes_that_were_left_out_are_strange(short: TrainingConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    model, dataset, _ = trained("laya")
    asked: list[tuple[Dataset, Tensor]] = []
    judge = doubts.judge_strangers

    def watched(model: DepthClassifier, known: Dataset, strange: dict[str, Tensor]) -> dict[str, float]:
        assert model.head.num_classes == len(known.classes) == 6
        asked.append((known, strange["left-out classes"]))
        return judge(model, known, strange)

    monkeypatch.setattr(doubts, "judge_strangers", watched)
    values = doubts.left_out(model, dataset)
    assert {name.split("/")[0] for name in values} == {"left-out classes"}
    assert max(value for name, value in values.items() if name.endswith("/auroc")) > 0.6
    ((known, strange),) = asked
    assert len(known.test.y) + len(strange) == len(dataset.test.y)
    assert model.head.num_classes == 8
    with pytest.raises(ValueError, match="two classes can be left out of at least four, and 'few' has 3"):
        doubts.left_out(model, replace(held_out(dataset, [0, 1, 2, 3, 4])[0], name="few"))


def test_flipped_labels_are_found_by_their_loss(short: TrainingConfig) -> None:
    model, dataset, _ = trained("laya")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    values = doubts.mislabelled(model, dataset)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert values["accuracy"] > 0.6
    assert values["loss/auroc"] > 0.85
    assert values["loss/found"] > 0.4
    for name in ("max softmax", "attention entropy", "attention distance"):
        assert 0 <= values[f"{name}/found"] < values["loss/found"]
    assert values == doubts.mislabelled(model, dataset)
