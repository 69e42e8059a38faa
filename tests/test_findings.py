"""The findings of the ablations say what was planted in the runs."""

from collections.abc import Sequence

import numpy as np
import pytest

from laya_nb.report.findings import adapter_capacity, depth, depth_profiles, redundancy, stability, temperature
from laya_nb.runs import Result, Run, paper


def result(
    run: Run,
    accuracy: float,
    attention: np.ndarray,
    score_range: float = 5.0,
    wrong: Sequence[int] = (),
) -> Result:
    labels = np.arange(len(attention), dtype=np.uint8) % 10
    guess = labels.copy()
    guess[list(wrong)] += 1
    metrics = {"accuracy": accuracy, "macro_f1": accuracy, "validation_accuracy": accuracy, "score_range": score_range}
    arrays: dict[str, np.ndarray] = {"label": labels, "prediction": guess, "attention": attention.astype(np.float16)}
    return Result(run.name, run.describe(), metrics, {}, {"seconds": 1.0}, arrays)


def attention(layers: int, seed: int, rows: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(layers), size=rows)


def one_layer(layers: Sequence[int], count: int = 3) -> np.ndarray:
    """All weight of each row on one layer."""
    return np.eye(count)[list(layers)]


@pytest.mark.parametrize(
    ("tops", "answer"),
    [
        ([[0, 1, 2, 0], [1, 2, 0, 1]], "Hardly more often than by chance"),
        ([[0, 1, 2, 0], [0, 1, 2, 1]], "In part"),
        ([[0, 1, 2, 0], [0, 1, 2, 0]], "Yes"),
    ],
)
def test_depth_profiles_say_how_much_two_runs_agree(tops: list[list[int]], answer: str) -> None:
    weights = [0.9 * one_layer(top * 10) + 0.1 * attention(3, seed) for seed, top in enumerate(tops)]
    results = [result(Run(seed=seed), 0.9, one, wrong=range(5)) for seed, one in enumerate(weights)]
    weight, agreement, _ = depth_profiles.findings_of(results)
    assert agreement.answer == answer
    last = [one.mean(axis=0)[-1] for one in weights]
    assert weight.answer.startswith(f"From {min(last):.2f} to {max(last):.2f}")
    assert weight.measured.endswith("; paper: about 0.76")


def test_depth_profiles_find_diffuse_mistakes() -> None:
    sharp, flat = np.array([0.9, 0.05, 0.05]), np.full(3, 1 / 3)
    wrong = range(10)
    planted = np.where(np.isin(np.arange(40), list(wrong))[:, None], flat, sharp)
    results = [result(Run(seed=seed), 0.9, planted + 0.01 * attention(3, seed), wrong=wrong) for seed in range(4)]
    effect = depth_profiles.findings_of(results)[2]
    assert (effect.measured, effect.answer) == ("AUROC 1.00 [1.00, 1.00], 4 runs; 0.5 is no effect", "Yes, on average")
    nothing = [result(Run(seed=seed), 0.9, attention(3, seed), wrong=wrong) for seed in range(4)]
    assert depth_profiles.findings_of(nothing)[2].answer == "No evidence"


@pytest.mark.parametrize(
    ("trend", "answer"),
    [
        (0.0, "No: within 0."),
        (0.004, "Upwards from 0.1 to 10, but small: at most 0.8 points"),
        (0.01, "Upwards from 0.1 to 10"),
        (-0.004, "Downwards from 0.1 to 10, but small"),
    ],
)
def test_a_planted_trend_with_temperature(trend: float, answer: str) -> None:
    accuracy, undone = temperature.findings_of(at_temperatures(trend, power=0.5))
    assert accuracy.answer.startswith(answer)
    assert ("but small" in accuracy.answer) == (abs(trend) == 0.004)
    assert "to the power 0.50" in undone.measured


@pytest.mark.parametrize(("power", "answer"), [(0.5, "Hardly: mean entropy"), (0.9, "In part"), (1.1, "It may")])
def test_a_scorer_that_undoes_the_temperature(power: float, answer: str) -> None:
    results = at_temperatures(0.0, power)
    undone = temperature.findings_of(results)[1]
    assert undone.answer.startswith(answer)
    assert temperature.findings_of([one for one in results if one.run["temperature"] == 1.0]) == []


def at_temperatures(trend: float, power: float) -> list[Result]:
    rng = np.random.default_rng(0)
    runs = [Run(seed=seed, temperature=tau) for seed in range(5) for tau in (0.1, 1.0, 10.0)]
    return [
        result(
            run,
            0.8 + trend * np.log10(run.temperature) + 1e-4 * rng.normal(),
            attention(3, run.seed),
            score_range=4.0 * run.temperature**power * (1 + 0.01 * rng.random()),
        )
        for run in runs
    ]


def test_entropy_is_told_at_both_ends_of_the_temperature() -> None:
    uniform = np.full((40, 3), 1 / 3)
    results = [
        result(Run(seed=seed, temperature=tau), 0.9, uniform if tau > 1 else one_layer([0] * 40))
        for seed in range(3)
        for tau in (0.1, 1.0, 10.0)
    ]
    undone = temperature.findings_of(results)[1]
    assert undone.answer == "Hardly: mean entropy 0.00 at τ = 0.1, 1.00 at 10"


@pytest.mark.parametrize(
    ("gain", "answer"), [(0.002, "Yes"), (-0.002, "No: less"), (0.0, "No evidence, up to 4 layers")]
)
def test_a_planted_gain_with_depth(gain: float, answer: str) -> None:
    rng = np.random.default_rng(1)
    results = []
    for seed in range(5):
        for layers in (1, 2, 4):
            dims = (8,) * layers
            plain = 0.88 + 1e-4 * rng.normal()
            weights = one_layer([seed % layers] * 40, layers)
            results.append(result(Run(seed=seed, hidden_dims=dims), plain + gain * layers, weights))
            last = result(Run(seed=seed, hidden_dims=dims, head="last_layer"), plain, weights)
            last.arrays.pop("attention")
            results.append(last)
    slope, used = depth.findings_of(results)
    assert slope.answer == answer
    assert used.measured.startswith("1.0")
    assert used.answer == "Fewer than half"
    assert used.question.startswith("Of 4 layers")
    assert depth.findings_of([one for one in results if len(one.run["hidden_dims"]) == 2]) == []


def test_attention_that_uses_most_layers() -> None:
    results = []
    for seed in range(3):
        for layers in (2, 4):
            weights = np.full((40, layers), 1 / layers)
            runs = [Run(seed=seed, hidden_dims=(8,) * layers, head=head) for head in ("laya", "last_layer")]
            results += [result(run, 0.9, weights) for run in runs]
    used = depth.findings_of(results)[1]
    assert used.measured.startswith("4.0 [4.0, 4.0]")
    assert used.answer == "Most of them"
    for one in results:  # every other seed now uses one layer alone
        if one.run["seed"] % 2 == 0 and "attention" in one.arrays:
            one.arrays["attention"][:] = np.eye(one.arrays["attention"].shape[1])[0]
    assert depth.findings_of(results)[1].answer == "Undecided: the seed matters"


@pytest.mark.parametrize(("sharp", "answer"), [(True, "No: copies"), (False, "Copies give a more diffuse one")])
@pytest.mark.parametrize(("weight", "ignored"), [(0.01, "Yes"), (0.1, "Not always")])
def test_planted_copies_and_noise(sharp: bool, answer: str, weight: float, ignored: str) -> None:
    clear, uniform = one_layer([i % 3 for i in range(40)]), np.full((40, 3), 1 / 3)
    on_noise = np.tile([weight, 0.99 - weight, 0.01], (40, 1))
    as_it_is = [result(Run(seed=seed), 0.9, clear) for seed in range(4)]
    copies = [result(Run(seed=seed, view=("h3", "h3", "h3")), 0.9, clear if sharp else uniform) for seed in range(4)]
    noisy = [result(Run(seed=seed, view=("noise1", "h2", "h3")), 0.9, on_noise) for seed in range(4)]
    profile, noise = redundancy.findings_of(as_it_is, copies, noisy)
    assert profile.answer.startswith(answer)
    assert noise.measured.startswith(f"mean weight at most {weight:.2f}")
    assert noise.measured.endswith("in 4 runs")
    assert noise.answer == ignored


@pytest.mark.parametrize(
    ("shared", "answers"),
    [
        (True, ["Some of it", "In part, on whichever layers"]),
        (False, ["Next to nothing: it explains one network", "No evidence"]),
    ],
)
def test_planted_common_profiles(shared: bool, answers: list[str]) -> None:
    """Ten classes, one row each of its own; all runs weigh them alike, or each as it likes."""
    runs = [Run(seed=seed) for seed in range(12)]
    results = [result(run, 0.9, attention(3, 0 if shared else run.seed, rows=10)) for run in runs]
    found = stability.findings_of(results, num_classes=10)
    assert [one.answer for one in found] == answers
    assert found[0].measured.endswith("12 runs")


def by_width(narrow: float, wide: float) -> list[Result]:
    rng = np.random.default_rng(2)
    accuracy = {8: narrow, 96: 0.9, 512: wide}
    return [
        result(Run(seed=seed, d_star=width), accuracy[width] + 1e-4 * rng.normal(), attention(3, seed))
        for seed in range(5)
        for width in (8, 96, 512)
    ]


def in_the_grid(better: float) -> list[Result]:
    """All of the paper's settings are equal but for noise, and its own choice is better by some accuracy."""
    rng = np.random.default_rng(3)
    chosen = {"d_star": 96, "temperature": 1.5, "psi": "identity", "scorer_width": 192}
    return [
        result(Run(seed=seed, **setting), 0.9 + better * (setting == chosen) + 0.002 * rng.normal(), attention(3, seed))
        for setting in paper.grid_settings("fashion_mnist")
        for seed in range(3)
    ]


@pytest.mark.parametrize(
    ("narrow", "wide", "answers"),
    [
        (0.8, 0.9, ["No: the same within ±0.5 points", "Yes"]),
        (0.92, 0.92, ["Yes", "No: they help"]),
        (0.9, 0.88, ["No: less accurate", "No: the same within ±0.5 points"]),
    ],
)
def test_planted_effects_of_the_adapters_width(narrow: float, wide: float, answers: list[str]) -> None:
    found = adapter_capacity.findings_of(by_width(narrow, wide), in_the_grid(0.0), reference=96)
    assert [one.answer for one in found[:2]] == answers
    assert "512 in place of 96" in found[0].question
    assert "8 in place of 96" in found[1].question


def test_widths_on_one_side_of_the_reference_alone() -> None:
    runs = by_width(0.8, 0.9)
    narrower = [one for one in runs if one.run["d_star"] <= 96]
    found = adapter_capacity.findings_of(narrower, in_the_grid(0.0), reference=96)
    assert [one.question.split(":")[0] for one in found[:-1]] == ["Do narrow ones harm"]
    one_width = [one for one in runs if one.run["d_star"] == 96]
    assert len(adapter_capacity.findings_of(one_width, in_the_grid(0.0), reference=96)) == 1


@pytest.mark.parametrize(("better", "answer"), [(0.0, "No evidence: luck explains it"), (0.01, "Yes")])
def test_a_planted_winner_among_the_papers_settings(better: float, answer: str) -> None:
    results = in_the_grid(better)
    found = adapter_capacity.findings_of(by_width(0.9, 0.9), results, reference=96)[-1]
    assert found.answer.startswith(answer)
    assert "36 settings" in found.question
    means = np.array([one.metrics["validation_accuracy"] for one in results]).reshape(36, 3).mean(axis=1)
    assert found.measured.startswith(f"{100 * (means.max() - means.mean()):.2f} points")
