"""The lines of the book's table say what was planted in the runs."""

import numpy as np
import pytest

from laya_nb.report import findings
from laya_nb.runs import paper
from laya_nb.runs import Run
from laya_nb.runs import Result


def result(run: Run, accuracy: float, attention: np.ndarray, score_range: float = 5.0) -> Result:
    labels = np.arange(len(attention), dtype=np.uint8) % 10
    metrics = {"accuracy": accuracy, "macro_f1": accuracy, "validation_accuracy": accuracy, "score_range": score_range}
    arrays: dict[str, np.ndarray] = {"label": labels, "prediction": labels, "attention": attention.astype(np.float16)}
    return Result(run.name, run.describe(), metrics, {}, {"seconds": 1.0}, arrays)


def attention(layers: int, seed: int, rows: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(layers), size=rows)


@pytest.mark.parametrize(
    ("trend", "answer"),
    [(0.0, "No: within 0."), (0.004, "Upwards from 0.1 to 10"), (-0.004, "Downwards from 0.1 to 10")],
)
def test_a_planted_trend_with_temperature(trend: float, answer: str) -> None:
    rng = np.random.default_rng(0)
    runs = [Run(seed=seed, temperature=tau) for seed in range(5) for tau in (0.1, 1.0, 10.0)]
    results = [
        result(
            run,
            0.9 + trend * np.log10(run.temperature or 1) + 1e-4 * rng.normal(),
            attention(3, run.seed),
            score_range=4.0 * (run.temperature or 1) ** 0.5 * (1 + 0.01 * rng.random()),
        )
        for run in runs
    ]
    accuracy, undone = findings.temperature(results)
    assert accuracy.answer.startswith(answer)
    assert "to the power 0.50" in undone.measured


@pytest.mark.parametrize(("gain", "answer"), [(0.002, "Yes"), (-0.002, "No: less"), (0.0, "Not shown, up to 4 layers")])
def test_a_planted_gain_with_depth(gain: float, answer: str) -> None:
    rng = np.random.default_rng(1)
    results = []
    for seed in range(5):
        for depth in (1, 2, 4):
            dims = (8,) * depth
            plain = 0.88 + 1e-4 * rng.normal()
            one_layer = np.eye(depth)[np.full(40, seed % depth)]
            results.append(result(Run(seed=seed, hidden_dims=dims), plain + gain * depth, one_layer))
            last = result(Run(seed=seed, hidden_dims=dims, head="last_layer"), plain, one_layer)
            last.arrays.pop("attention")
            results.append(last)
    slope, used = findings.depth(results)
    assert slope.answer == answer
    assert used.measured.startswith("1.0")
    assert used.answer.startswith("On average fewer")


@pytest.mark.parametrize(("sharp", "answer"), [(True, "No: copies"), (False, "Copies give a more diffuse one")])
def test_planted_copies_and_noise(sharp: bool, answer: str) -> None:
    one_layer, uniform = np.eye(3)[np.arange(40) % 3], np.full((40, 3), 1 / 3)
    ignored = np.tile([0.01, 0.49, 0.5], (40, 1))
    as_it_is = [result(Run(seed=seed), 0.9, one_layer) for seed in range(4)]
    copies = [
        result(Run(seed=seed, view=("h3", "h3", "h3")), 0.9, one_layer if sharp else uniform) for seed in range(4)
    ]
    noisy = [result(Run(seed=seed, view=("noise1", "h2", "h3")), 0.9, ignored) for seed in range(4)]
    profile, noise = findings.redundancy(as_it_is, copies, noisy)
    assert profile.answer.startswith(answer)
    assert (noise.measured, noise.answer) == ("mean weight at most 0.0100 in 4 trainings", "Yes")


@pytest.mark.parametrize(("shared", "answer"), [(True, "Some of it"), (False, "Next to nothing")])
def test_planted_common_profiles(shared: bool, answer: str) -> None:
    """Ten classes, one row each of its own; all trainings weigh them alike, or each as it likes."""
    runs = [Run(seed=seed) for seed in range(12)]
    results = [result(run, 0.9, attention(3, 0 if shared else run.seed, rows=10)) for run in runs]
    assert findings.stability(results)[0].answer.startswith(answer)


def test_planted_loss_of_a_narrow_adapter() -> None:
    rng = np.random.default_rng(2)
    results = [
        result(Run(seed=seed, d_star=width), (0.8 if width == 8 else 0.9) + 1e-4 * rng.normal(), attention(3, seed))
        for seed in range(5)
        for width in (8, 96, 512)
    ]
    wide, narrow = findings.capacity(results, widest=512, reference=96)
    assert wide.answer == "No: the same within ±0.5 points"
    assert narrow.answer == "Yes"


@pytest.mark.parametrize(("better", "answer"), [(0.0, "Not shown: luck explains it"), (0.01, "Yes")])
def test_a_planted_winner_among_the_papers_settings(better: float, answer: str) -> None:
    """All settings are equal but for noise, and in one case for the paper's choice, a point better."""
    rng = np.random.default_rng(3)
    chosen = {"d_star": 96, "temperature": 1.5, "psi": "identity", "scorer_width": 192}
    results = [
        result(Run(seed=seed, **setting), 0.9 + better * (setting == chosen) + 0.002 * rng.normal(), attention(3, seed))
        for setting in paper.grid_settings("fashion_mnist")
        for seed in range(3)
    ]
    (found,) = findings.choice(results)
    assert found.answer.startswith(answer)
    assert "36 settings" in found.question


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
    heads, probes = [], []
    for seed in range(5):
        common = {"dataset": "imdb/minilm", "hidden_dims": (8, 8, 8), "seed": seed}
        heads.append(result(Run(**common), laya + 0.006 * rng.normal(), attention(3, seed)))  # type: ignore[arg-type]
        mix = result(Run(head="scalar_mix", **common), 0.88 + 1e-4 * rng.normal(), attention(3, seed))  # type: ignore[arg-type]
        heads.append(mix)
        for layer, (test, validation) in {"h1": (0.9, 0.8), "h2": (0.85, 0.9), "h3": (0.8, 0.7)}.items():
            run = Run(head="last_layer", view=(layer,), **common)  # type: ignore[arg-type]
            probe = result(run, test + 1e-4 * rng.normal(), attention(1, seed))
            probe.arrays.pop("attention")
            probe.metrics["validation_accuracy"] = validation
            probes.append(probe)
    found = findings.frozen(heads, probes, "A network")
    assert [finding.answer for finding in found] == answers
    assert [finding.question for finding in found] == [
        "A network: is LAYA more accurate than a probe of the last layer?",
        "A network: is LAYA more accurate than a probe of the best layer, h2?",
        "A network: is LAYA more accurate than ScalarMix, one weight a layer for all inputs?",
    ]
