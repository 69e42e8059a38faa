"""The findings of the benchmarks say what was planted in the runs."""

import re

import numpy as np
import pytest
from test_findings import attention, result

from laya_nb.report.findings import base, benchmark, cifar10, fashion_mnist, frozen_transformer, imdb
from laya_nb.runs import Result, Run, paper
from laya_nb.statistics import Comparison, estimate


def heads(gains: dict[str, float], dataset: str = "fashion_mnist", seeds: int = 5) -> list[Result]:
    """Runs of heads that stand so many points above 80, but for a little noise."""
    rng = np.random.default_rng(0)
    hidden_dims = (8, 8, 8)
    return [
        result(
            Run(seed=seed, head=head, dataset=dataset, hidden_dims=hidden_dims),
            0.8 + gain / 100 + 1e-4 * rng.normal(),
            attention(3, seed),
        )
        for head, gain in gains.items()
        for seed in range(seeds)
    ]


@pytest.mark.parametrize(
    ("laya", "control", "answers"),
    [
        (2.0, 2.0, ["Yes", "No: the same within ±0.5 points"]),
        (-2.0, 0.0, ["No: less accurate", "No: less accurate"]),
        (0.0, -1.0, ["No: the same within ±0.5 points", "Yes"]),
    ],
)
def test_fashion_mnist_compares_laya_with_both(laya: float, control: float, answers: list[str]) -> None:
    results = heads({"last_layer": 0.0, "last_layer_mlp": control, "laya": laya})
    found = fashion_mnist.findings_of(results)
    assert [one.answer for one in found] == answers
    assert float(found[0].measured.split()[0]) == pytest.approx(laya, abs=0.05)
    assert found[0].measured.endswith("points, 5 seeds")


def test_a_comparison_needs_both_heads() -> None:
    assert fashion_mnist.findings_of(heads({"last_layer": 0.0, "concat": 1.0})) == []
    assert len(fashion_mnist.findings_of(heads({"last_layer_mlp": 0.0, "laya": 1.0}))) == 1
    assert len(cifar10.findings_of(heads({"concat": 0.0, "laya": 1.0}))) == 1
    assert benchmark.headline(heads({"concat": 0.0, "laya": 1.0})) is None


@pytest.mark.parametrize(("spread", "answer"), [(0.3, "the seed decides"), (0.1, "much the same in every run")])
def test_the_last_layers_weight_is_the_seeds_or_not(spread: float, answer: str) -> None:
    last = [0.5, 0.5 + spread]
    weights = [np.tile([(1 - weight) / 2, (1 - weight) / 2, weight], (40, 1)) for weight in last]
    results = [result(Run(seed=seed), 0.9, one) for seed, one in enumerate(weights)]
    assert benchmark.last_layer_weight(results, "?", "imdb").answer == f"From 0.50 to {last[1]:.2f}: {answer}".replace(
        ": much", ", much"
    )


@pytest.mark.parametrize(
    ("chapter", "dataset", "title"), [(cifar10, "cifar10_jpeg", "CIFAR-10 (JPEG copy)"), (imdb, "imdb", "IMDB")]
)
def test_benchmarks_name_their_data(chapter: object, dataset: str, title: str) -> None:
    results = heads({"last_layer": 0.0, "laya": -2.0}, dataset)
    gain, weight = chapter.findings_of(results)  # type: ignore[attr-defined]
    assert gain.question == f"{title}: is LAYA more accurate than the last layer alone?"
    assert gain.answer == "No: less accurate"
    assert weight.question == f"{title}: how much weight does the last layer get?"
    assert f"paper: about {paper.LAST_LAYER_WEIGHT[dataset.partition('_')[0]]}" in weight.measured
    assert chapter.headline(results).startswith(f"{title}: -2.0")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("gain", "ending"),
    [
        (0.0, r"5 paired seeds\), too small to matter \(less than 0.5 points, p = \S+\)"),
        (2.0, r"a real gain \(p = \S+\)"),
        (-2.0, r"a real loss \(p = \S+\)"),
    ],
)
def test_a_headline_gives_outcome_and_uncertainty(gain: float, ending: str) -> None:
    line = fashion_mnist.headline(heads({"last_layer": 0.0, "laya": gain}))
    assert line is not None
    found = re.match(rf"Fashion-MNIST: ([+-]\d\.\d\d) points \(95 % interval ([+-]\S+) to ([+-]\S+), .*{ending}$", line)
    assert found, line
    mean, low, high = map(float, found.groups())
    assert mean == pytest.approx(gain, abs=0.05)
    assert low <= mean <= high


@pytest.mark.parametrize(
    ("laya", "answers"),
    [
        (0.85, ["Yes", "Undecided", "No: less accurate"]),
        (0.88, ["Yes", "Yes", "Undecided"]),
        (0.8, ["Undecided", "No: less accurate", "No: less accurate"]),
    ],
)
def test_layers_of_a_frozen_network(laya: float, answers: list[str]) -> None:
    """The second of three layers is the best by validation, though not on the test set: there the first is."""
    rng = np.random.default_rng(4)
    read, probes = [], []
    for seed in range(5):
        common = {"dataset": "imdb/minilm", "hidden_dims": (8, 8, 8), "seed": seed}
        read.append(result(Run(**common), laya + 0.006 * rng.normal(), attention(3, seed)))  # type: ignore[arg-type]
        mix = result(Run(head="scalar_mix", **common), 0.88 + 1e-4 * rng.normal(), attention(3, seed))  # type: ignore[arg-type]
        read.append(mix)
        for layer, (test, validation) in {"h1": (0.9, 0.8), "h2": (0.85, 0.9), "h3": (0.8, 0.7)}.items():
            run = Run(head="last_layer", view=(layer,), **common)  # type: ignore[arg-type]
            probe = result(run, test + 1e-4 * rng.normal(), attention(1, seed))
            probe.arrays.pop("attention")
            probe.metrics["validation_accuracy"] = validation
            probes.append(probe)
    found = frozen_transformer.findings_of(read, probes)
    assert [finding.answer for finding in found] == answers
    assert [finding.question for finding in found] == [
        "Frozen transformer: is LAYA more accurate than a probe of the last layer?",
        "Frozen transformer: is LAYA more accurate than a probe of the best layer, h2?",
        "Frozen transformer: is LAYA more accurate than ScalarMix, one weight per layer for all inputs?",
    ]
    without_mix = [one for one in read if one.run["head"] == "laya"]
    assert len(frozen_transformer.findings_of(without_mix, probes)) == 2
    assert frozen_transformer.findings_of([one for one in read if one.run["head"] != "laya"], probes) == []
    assert frozen_transformer.headline(read) is None


def test_a_frozen_networks_headline() -> None:
    results = heads({"last_layer": 0.0, "laya": 2.0}, "imdb/minilm")
    line = frozen_transformer.headline(results)
    assert line is not None
    assert line.startswith("IMDB, read by a frozen transformer: +")


def test_every_answer_to_more_accurate() -> None:
    above, below = estimate([1.0, 1.1]), estimate([-1.0, -1.1])
    for difference, p, equivalent, answer in (
        (above, 0.01, 0.9, "Yes"),
        (below, 0.01, 0.9, "No: less accurate"),
        (above, 0.5, 0.01, "No: the same within ±0.25 points"),
        (above, 0.5, 0.5, "Undecided"),
    ):
        assert base.more_accurate(Comparison(difference, p, equivalent, 0.25)) == answer
