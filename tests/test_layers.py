"""The measures of a layer, those of all layers of a network, and the report on them."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from laya_nb import figures
from laya_nb.analysis import layers, representation
from laya_nb.analysis.layer_choice import SIGNS
from laya_nb.analysis.rows import centred, unit_rows
from laya_nb.analysis.statistics import Estimate, estimate
from laya_nb.backbones import MLP, BiLSTM, DepthwiseCNN, HiddenStates
from laya_nb.features import encoders, vision
from laya_nb.features.layer_states import layer_states
from laya_nb.report import layer_report as layer_report_module
from laya_nb.report.layer_report import layer_report, recommendation
from laya_nb.runs import ResultStore
from laya_nb.runs.layer_measures import averaged, layer_measures, layer_names
from laya_nb.support.files import DataError

rng = np.random.default_rng(0)
TEXTS = [f"{word} film with {number} scenes" for number in range(4) for word in ("A good", "Quite a dull", "One odd")]
LABELS = [0, 1] * 6
DRAW = torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYA_NB_CACHE", str(tmp_path))


def test_rows_are_centred_and_brought_to_length_one() -> None:
    rows, last = 5 + rng.standard_normal((30, 4)), rng.standard_normal((30, 6))
    found = layers.of_rows(rows, last)
    assert tuple(found) == layers.OF_ROWS
    ready = unit_rows(centred(rows))
    assert found["dataset_entropy"] == representation.matrix_entropy(ready)
    assert found["effective_rank"] == representation.effective_rank(ready)
    assert found["entropy_below_noise"] == representation.expected_entropy(29, 4) - found["dataset_entropy"]
    assert found["cka_last"] == representation.unbiased_cka(rows, last)


def test_noise_has_the_entropy_of_noise_whatever_the_width() -> None:
    for width in (20, 80, 300):
        rows = rng.standard_normal((150, width))
        assert layers.of_rows(rows, rows)["entropy_below_noise"] == pytest.approx(0, abs=0.02)


def test_views_are_compared_in_pairs_and_all_together() -> None:
    views = 3 + rng.standard_normal((20, 1, 5)) + 0.3 * rng.standard_normal((20, 4, 5))
    found = layers.of_views(views)
    assert tuple(found) == layers.OF_VIEWS
    first, second = centred(views[:, 0]), centred(views[:, 1])
    assert found["info_nce"] == pytest.approx(representation.info_nce(first, second))
    assert found["dime"] == representation.dime(unit_rows(first), unit_rows(second), layers.PERMUTATIONS)
    assert found["lidar"] == representation.lidar(views)
    assert found["lidar_delta_share"] == pytest.approx(1e-4 / 0.09, rel=0.3)


def test_tokens_of_prompts_are_averaged_where_they_are_defined() -> None:
    straight, corner, single = np.arange(8.0).reshape(4, 2), np.array([[0.0, 0], [1, 0], [1, 1]]), np.ones((1, 2))
    same = np.ones((3, 2))
    measured = [layers.tokens_measured(prompt) for prompt in (straight, corner, single, same)]
    assert measured[2][0] == measured[2][2] == measured[3][0] == -1
    found = layers.of_tokens(np.array(measured))
    assert tuple(found) == layers.OF_TOKENS
    entropy = representation.matrix_entropy(unit_rows(centred(corner)))
    assert found["prompt_entropy"] == pytest.approx(entropy / 2)  # those on a line have 0
    noise = [representation.expected_entropy(tokens - 1, 2) for tokens in (4, 3)]
    assert found["prompt_entropy_below_noise"] == pytest.approx((sum(noise) - entropy) / 2)
    assert found["curvature"] == pytest.approx(math.pi / 4)
    assert (found["without_entropy"], found["without_curvature"]) == (2, 2)
    assert layers.tokens_measured(corner, in_order=False)[2] == -1


def test_a_probe_tells_classes_that_differ_and_only_those() -> None:
    labels = np.arange(200) % 2
    rows = rng.standard_normal((200, 5))
    told, blind = layers.probed(rows + 1.5 * labels[:, None], labels), layers.probed(rows, labels)
    assert told.mean > 0.9
    assert told.low < told.mean < told.high <= 1
    assert blind.low < 0.5 < blind.high
    assert blind.high - blind.low == pytest.approx(0.137, abs=0.002)
    assert layers.probed(rows, labels, seed=1).mean != blind.mean


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0] * 12, "at least 2 classes with at least 5 examples each, got 12 of 0"),
        ([0] * 8 + [1] * 4, "got 8 of 0, 4 of 1"),
        ([0, 1] * 5, r"one for each of the 12 rows, got \(10,\)"),
    ],
)
def test_labels_that_do_not_fit(labels: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        layers.probed(rng.standard_normal((12, 3)), labels)


class Words(nn.Module):
    """A tiny network over tokens: two layers that keep them apart."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.mix = nn.Embedding(50, 6), nn.Linear(6, 6)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.mix(self.embed(input_ids).tanh())


class Tokens:
    """Inputs as `extract` takes them: rows of token ids of several lengths."""

    def __init__(self, ids: list[list[int]]) -> None:
        self.ids, self.key, self.lengths = ids, str(ids), [len(one) for one in ids]

    def batch(self, rows: Any) -> dict[str, Tensor]:
        longest = max(self.lengths[row] for row in rows)
        pad = [self.ids[row] + [0] * (longest - self.lengths[row]) for row in rows]
        mask = [[1] * self.lengths[row] + [0] * (longest - self.lengths[row]) for row in rows]
        return {"input_ids": torch.tensor(pad), "attention_mask": torch.tensor(mask)}


def test_tokens_are_measured_without_padding(tmp_path: Path) -> None:
    ids = [[1, 2, 3, 4], [5, 6, 7, 8, 9, 10], [7]]
    module = Words().requires_grad_(False)
    backbone = HiddenStates(module, ["embed", "mix"], example=Tokens(ids).batch([0]))
    encoder = encoders.Encoder("words", "texts", backbone, lambda texts: Tokens([ids[int(text)] for text in texts]))
    found = layer_states(encoder, ["0", "1", "2"], tmp_path / "words")
    assert found.names == ("embed", "mix")
    assert found.views is None
    for row, one in enumerate(ids):
        tokens = module.embed(torch.tensor(one))
        torch.testing.assert_close(found.rows[0][row], tokens.mean(dim=0))
        expected = torch.tensor(layers.tokens_measured(tokens))
        assert found.tokens[0] is not None
        torch.testing.assert_close(found.tokens[0][row], expected.float())
    first, second = found.tokens
    assert first is not None
    assert second is not None
    assert not torch.equal(first, second)


def test_views_of_every_layer_lie_beside_one_another(tmp_path: Path) -> None:
    images = torch.rand(5, 3, 16, 16)
    torch.manual_seed(0)
    backbone = DepthwiseCNN(3, (4, 6)).eval()
    found = layer_states(backbone, images, tmp_path / "cnn", views=3)
    assert found.views is not None
    assert found.tokens == (None, None)
    assert [tuple(found.views(i).shape) for i in range(2)] == [(5, 3, 4), (5, 3, 6)]
    assert not torch.equal(found.views(0)[:, 0], found.views(0)[:, 1])
    again = layer_states(backbone, images[[1, 0]], tmp_path / "cnn", views=3)
    assert again.views is not None
    torch.testing.assert_close(again.views(1)[0], found.views(1)[1])


def a_vit() -> Any:
    return vision.load("vit_tiny_patch16_224+32px", pretrained=False, depth=3)


def a_convolutional_network() -> Any:
    return vision.load("efficientnet_lite0+64px", pretrained=False)


@pytest.mark.parametrize(
    ("make", "inputs", "tokens", "viewed"),
    [
        (lambda: "minilm", TEXTS, True, True),
        (a_vit, torch.rand(12, 3, 32, 32, generator=DRAW), True, True),
        (a_convolutional_network, torch.rand(12, 3, 64, 64, generator=DRAW), False, True),
        (lambda: MLP(9, (8, 5)).eval(), torch.randn(12, 9, generator=DRAW), False, False),
        (lambda: BiLSTM(20, (8, 8)).eval(), torch.randint(1, 20, (12, 6), generator=DRAW), False, False),
    ],
    ids=["minilm", "vit", "efficientnet", "mlp", "bilstm"],
)
def test_a_report_on_five_architectures(make: Callable[[], Any], inputs: Any, tokens: bool, viewed: bool) -> None:
    torch.manual_seed(0)
    network = make()
    table = layer_report(network, inputs, LABELS, views=2)
    assert len(table) == len(table["layer"].unique()) > 1
    for columns, there in ((layers.OF_ROWS, True), (layers.OF_VIEWS, viewed), (layers.OF_TOKENS[:2], tokens)):
        assert table[list(columns)].notna().all(axis=None) == there
        assert table[list(columns)].isna().all(axis=None) != there
    assert table["curvature"].notna().all() == isinstance(network, str)
    # 12 examples: a probe may be right, or wrong, on all of them, and is then at an end of its interval.
    assert ((table["accuracy_low"] <= table["accuracy"]) & (table["accuracy"] <= table["accuracy_high"])).all()
    assert (table["accuracy_low"] < table["accuracy_high"]).all()
    assert table["undefined"].str.contains("views").all() != viewed
    assert table["undefined"].str.contains("no sequence of tokens").all() != tokens
    assert table["cka_last"].iloc[-1] == pytest.approx(1)
    drawn = {ax.get_title(loc="left"): ax.get_lines()[0].get_ydata() for ax in figures.layers(table).axes}
    assert "LiDAR" in drawn if viewed else "LiDAR" not in drawn
    for title, column in (("probe accuracy", "accuracy"), ("data-set entropy", "dataset_entropy")):
        np.testing.assert_array_equal(drawn[title], table[column])


def test_a_report_is_read_from_the_cache_and_depends_on_the_seed() -> None:
    torch.manual_seed(0)
    backbone, images = DepthwiseCNN(1, (4, 6)).eval(), torch.rand(12, 1, 16, 16)
    first = layer_report(backbone, images, views=2)
    pd.testing.assert_frame_equal(first, layer_report(backbone, images, views=2))
    assert "accuracy" not in first
    assert (first["dime"] != layer_report(backbone, images, views=2, seed=1)["dime"]).any()
    assert layer_report(backbone, images, views=0)["lidar"].isna().all()


def test_what_is_undefined_is_said() -> None:
    torch.manual_seed(0)
    backbone = MLP(4, (3, 1)).eval()
    one = layer_report(backbone, torch.randn(1, 4))
    assert one["dataset_entropy"].isna().all()
    assert one["undefined"].str.contains("dataset_entropy.*: there are too few inputs").all()
    same = layer_report(backbone, torch.ones(6, 4))
    assert same["undefined"].str.contains("an input is the mean of all, or all are the same").all()
    assert same["effective_rank"].isna().all()


def report(kind: str | None, labels: list[int] | None = None, **columns: list[float]) -> pd.DataFrame:
    """A report of three layers."""
    named = {"layer": ["a", "b", "c"]} | dict.fromkeys(SIGNS, [math.nan] * 3) | columns
    table = pd.DataFrame(named)
    table.attrs = {"kind": kind, "labels": labels}
    return table


def lost(of: dict[str, float]) -> dict[str, Estimate]:
    return {way: estimate([mean - 1, mean + 1]) for way, mean in of.items()}


def test_without_labels_the_measure_that_lost_least_recommends(monkeypatch: pytest.MonkeyPatch) -> None:
    known = lost({"last": 8, "dime": 5, "curvature": 3, "10 labels": 1})
    monkeypatch.setattr(layer_report_module, "regrets_of", lambda kind: {"texts": known}[kind])
    found = recommendation(report("texts", dime=[0, 1, 2], curvature=[2, 1, 2]))
    assert (found.layer, found.by) == ("b", "curvature")
    assert "Read b, which has the least curvature" in str(found)
    assert "3.0 [" in str(found)
    assert "the last layer 8.0 [" in str(found)
    found = recommendation(report("texts", dime=[0, 1, 2], curvature=[2, 1, math.nan]))
    assert (found.layer, found.by) == ("c", "dime")
    assert recommendation(report("texts", lidar=[2, 1, 0])).by == "last"  # the book does not know what it loses


def test_a_measure_that_lost_more_than_the_last_layer_recommends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_report_module, "regrets_of", lambda kind: lost({"last": 2, "dime": 5}))
    found = recommendation(report("images", dime=[2, 1, 0]))
    assert (found.layer, found.by) == ("c", "last")
    assert "which was 2.0 [" in str(found)
    other = recommendation(report(None, dime=[2, 1, 0]))
    assert (other.layer, other.by) == ("c", "last")
    assert "points" not in str(other)


def test_labels_recommend_the_best_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    known = lost({"last": 8, "10 labels": 4, "50 labels": 2, "250 labels": 1})
    monkeypatch.setattr(layer_report_module, "regrets_of", lambda kind: known)
    found = recommendation(report("texts", [0, 1] * 40, accuracy=[0.5, 0.75, 0.7], dime=[0, 1, 2]))
    assert (found.layer, found.by) == ("b", "labels")
    assert "right for 75.0%, that of the last layer for 70.0% of 80 examples" in str(found)
    assert "chosen with 50 labels was 2.0 [" in str(found)
    few = recommendation(report("texts", [0, 1] * 4, accuracy=[0.5, 0.75, 0.7]))
    assert "In this book" not in str(few)


@pytest.mark.parametrize(
    ("inputs", "options", "said"),
    [
        ([], {}, r"at least one example, got \[\]"),
        ("a text", {}, "at least one example, got 'a text'"),
        (torch.rand(3, 4), {"views": 1}, "views must be 0, or at least 2, got 1"),
        (torch.rand(3, 4), {"labels": [0, 0, 0]}, "got 3 of 0"),
        (torch.full((3, 4), torch.nan), {}, "not all finite"),
    ],
)
def test_bad_input_says_what_would_do(inputs: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises((ValueError, DataError), match=said):
        layer_report(MLP(4, (3, 2)).eval(), inputs, **options)


def test_measures_of_an_encoder_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ResultStore(tmp_path / "results", published=False)
    name, data = "vit_tiny_patch16_224+32px+random", "world/size@12"
    first, second = (layer_measures(name, data, store, views=2, seed=seed) for seed in (0, 1))
    depth = len(first.arrays["dime"])
    assert first.arrays["cka"].shape == (depth, depth)
    assert depth == len(layer_names(name)) == 12  # of 24 hidden states: class tokens are left out
    np.testing.assert_allclose(first.arrays["cka"].diagonal(), 1, rtol=1e-6)
    np.testing.assert_allclose(first.arrays["cka"][:, -1], first.arrays["cka_last"], rtol=1e-6)
    np.testing.assert_array_equal(first.arrays["dataset_entropy"], second.arrays["dataset_entropy"])
    assert (first.arrays["lidar"] != second.arrays["lidar"]).all()
    fewer = layer_measures(name, data, store, views=2, examples=6)
    assert (fewer.arrays["effective_rank"] <= 5).all()
    with pytest.raises(ValueError, match="unknown data set 'nothing'"):
        layer_measures(name, "nothing", store)
    monkeypatch.setattr("laya_nb.features.encoders.load", None)  # nothing is computed again
    again = layer_measures(name, data, store, views=2, seed=1)
    assert again.run == second.run
    np.testing.assert_array_equal(again.arrays["lidar"], second.arrays["lidar"])


def test_class_tokens_are_left_out_where_there_are_means() -> None:
    assert averaged(("a:cls", "a:ap", "b:cls", "b:ap")) == [1, 3]
    assert averaged(("a", "b")) == [0, 1]
    assert averaged(("a:cls", "b:cls")) == [0, 1]
