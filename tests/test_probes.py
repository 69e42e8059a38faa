"""Probes of a frozen network: what they read, that all are searched alike, and that the best one is taken."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm

from laya_nb import features
from laya_nb.runs import ResultStore, Run, probes
from laya_nb.runs.scores import ScoreTable
from laya_nb.training import TrainingConfig
from laya_nb.training.config import FUSION

VIT, CNN, TEXT = "vit_s_saliency+bf16", "efficientnet_lite0", "minilm+cls"
SMALL = "vit_s_saliency+28px"  # four patches
QUICK = TrainingConfig(max_epochs=2, patience=None, validation=0.5, weight_decay=0.0)


@pytest.fixture
def own_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAYA_NB_RESULTS", str(tmp_path))
    return tmp_path


def test_what_is_read_of_a_network() -> None:
    """ALF's own two and four layers of twelve blocks: taps 6 and the last; 3, 6, 9 and the last, counted from 0."""
    names = features.names(VIT)
    shown = {
        reads: [names[int(state[1:]) - 1] for state in probes.view(VIT, reads) or []]
        for reads in ("last", "last pair", "two", "four", "all", "tokens")
    }
    assert shown["last"] == ["norm:cls"]
    assert shown["last pair"] == ["norm:cls", "norm:ap"]
    assert shown["two"] == ["blocks.6.norm2:cls", "blocks.6.norm2:ap", "norm:cls", "norm:ap"]
    assert shown["four"][::2] == ["blocks.3.norm2:cls", "blocks.6.norm2:cls", "blocks.9.norm2:cls", "norm:cls"]
    assert shown["all"] == shown["tokens"] == []
    assert len(names) == len(features.widths(VIT + "+l2")) == 24
    assert probes.view(CNN, "last") == ["h7"]
    assert probes.view(CNN, "four") == ["h1", "h3", "h5", "h7"]
    assert probes.view(TEXT, "last pair") == ["h11", "h12"]
    with pytest.raises(ValueError, match="'efficientnet_lite0' shows no pair of CLS and AP for its last layer"):
        probes.view(CNN, "last pair")


@pytest.mark.parametrize("probe", list(probes.PROBES))
def test_every_probe_has_the_same_search_but_laya_with_fewer_rates(probe: str) -> None:
    found = probes.candidates(probe, "letters@2000", VIT)
    rates = (0.01, 0.001) if probe == "laya_low_rate" else (0.1, 0.01, 0.001)
    assert [(run.protocol.learning_rate, run.protocol.weight_decay) for run in found] == [
        (rate, decay) for rate in rates for decay in (0.001, 1.0)
    ]
    assert len(set(found)) == len(found)
    for run in found:
        assert run.protocol.clip_norm == 5
        assert run.protocol.jitter == 0.05
        assert run.dataset.endswith("+l2")
        if run.head == "fusion":
            assert run.attention_dropout == (0.3 if run.protocol.weight_decay == 1 else 0.0)
    assert (found[0].dataset == f"letters@2000/{VIT}+tokens+l2") == (probe == "all_tokens")


def test_an_unknown_probe_is_named() -> None:
    with pytest.raises(ValueError, match=r"probe must be 'cls_linear' or .*, got 'aat'"):
        probes.candidates("aat", "letters@2000", VIT)


def test_the_best_in_validation_is_taken_and_trained_on_all(own_results: Path) -> None:
    run = Run(0, "last_layer", f"world/size@60/{SMALL}+l2", protocol=QUICK)
    group = [
        run.replace(protocol=TrainingConfig(**vars(QUICK) | {"learning_rate": rate})) for rate in (1e-6, 1e-1, 1e-5)
    ]
    table = ScoreTable("search")
    (best,) = probes.best([group], table)
    scores = [table.load(one.name, one.describe()).metrics["validation_accuracy"] for one in group]  # type: ignore[union-attr]
    assert scores.index(max(scores)) == group.index(best)
    assert len(set(scores)) > 1
    final = probes.on_all_examples(best, [3, 4])
    assert [one.seed for one in final] == [3, 4]
    assert {one.protocol.validation for one in final} == {0.0}
    assert {one.protocol.learning_rate for one in final} == {best.protocol.learning_rate}
    assert (own_results / "tables" / "search.jsonl").is_file()


def test_the_benchmark_keeps_what_its_chapters_read(own_results: Path) -> None:
    """Six candidates and two seeds a probe; weights over layers are kept, and a second call trains nothing."""
    datasets, chosen = ["world/size@60"], ["cls_linear", "scalar_mix"]
    found = probes.benchmark(datasets, chosen, SMALL, [0, 1])
    assert {key: [r.run["seed"] for r in of] for key, of in found.items()} == {
        ("world/size@60", probe): [0, 1] for probe in chosen
    }
    for (_, probe), of in found.items():
        for result in of:
            assert result.run["protocol"]["validation"] == 0
            assert "validation_accuracy" not in result.metrics
            assert ("attention" in result.arrays) == probes.PROBES[probe].weights_kept == (probe == "scalar_mix")
            assert 0 < result.metrics["accuracy"] < 1
    tables = {path.stem: len(path.read_text().splitlines()) for path in (own_results / "tables").glob("*.jsonl")}
    assert tables == {"probe_search": 12, "probes": 2}
    assert len(list(own_results.rglob("scalar_mix-*.json"))) == 2
    features.load.cache_clear()
    before = sorted(path.stat().st_mtime_ns for path in own_results.rglob("*.json*"))
    again = probes.benchmark(datasets, chosen, SMALL, [0, 1])
    assert {key: [r.metrics for r in of] for key, of in again.items()} == {
        key: [r.metrics for r in of] for key, of in found.items()
    }
    assert sorted(path.stat().st_mtime_ns for path in own_results.rglob("*.json*")) == before
    single = probes.single_layers(datasets, SMALL, [0])
    assert len(single) == 24
    last = single["world/size@60", "h23"][0]
    assert last.metrics["accuracy"] == found["world/size@60", "cls_linear"][0].metrics["accuracy"]
    assert ResultStore().folder == own_results


def test_a_published_network_takes_the_same_way(own_results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name alone; here with random weights in place of a download."""
    create = timm.create_model
    asked: list[tuple[str, bool]] = []

    def without_weights(name: str, pretrained: bool = False, **options: Any) -> Any:
        asked.append((name, pretrained))
        return create(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", without_weights)
    monkeypatch.setenv("LAYA_NB_CACHE", str(own_results / "cache"))
    network = "vit_small_patch14_dinov2.lvd142m"
    quick = replace(FUSION, min_steps=1, max_epochs=1)
    found = probes.benchmark(["world/size@60"], ["cls_linear", "fusion"], f"{network}+28px", [0], quick)
    assert (network, True) in asked
    assert len(found["world/size@60", "fusion"][0].arrays["attention"][0]) == 24
    features.load.cache_clear()
