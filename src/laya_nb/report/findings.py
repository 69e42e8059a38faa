"""What the book finds, one line a question, computed from finished runs. The introduction and README show these."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from laya_nb.analysis import selection
from laya_nb.analysis.attention import class_profiles, entropy, entropy_effect
from laya_nb.analysis.stability import (
    chance_agreement,
    class_distances,
    intraclass_correlation,
    pair_estimate,
    pairwise_correlation,
    top_layer_agreement,
)
from laya_nb.analysis.statistics import Comparison, Estimate, compare, compare_all, estimate, slopes
from laya_nb.report.tables import attention_table, effective_layers, percent_table
from laya_nb.runs import Result, paper

MARGIN = 0.5  # points of accuracy: less than this is too small to matter, by our choice


@dataclass(frozen=True)
class Finding:
    """One line of the book's table: `chapter` is the file name of the chapter that shows it."""

    question: str
    measured: str
    answer: str
    chapter: str


def laya_attention(results: Sequence[Result]) -> np.ndarray:
    """The attention of every LAYA run, (S, N, L)."""
    return np.stack([result.attention for result in results if result.run["head"] == "laya"])


def fashion_mnist(results: Sequence[Result]) -> list[Finding]:
    """The findings of the Fashion-MNIST chapters, from runs of all heads."""
    table = percent_table(results)
    laya = [result for result in results if result.run["head"] == "laya"]
    gain = compare_all(table, "accuracy", "last_layer", MARGIN)["laya"]
    by_head = {head: rows.sort_values("seed")["accuracy"].to_numpy() for head, rows in table.groupby("head")}
    control = compare(by_head["laya"], by_head["last_layer_mlp"], MARGIN)
    seeds = f"{gain.difference.n} seeds"

    attention = laya_attention(results)
    agreement = float(top_layer_agreement(attention).mean())
    chance = float(chance_agreement(attention).mean())
    effect = estimate([entropy_effect(r.attention, r.correct).auroc for r in laya])
    return [
        Finding(
            "Is LAYA more accurate than the last layer alone?",
            f"{_points(gain)}, {seeds}",
            _difference_in_words(gain),
            "02_fashion_mnist",
        ),
        Finding(
            "Than an MLP on the last layer with as many parameters?",
            f"{_points(control)}, {seeds}",
            _difference_in_words(control),
            "02_fashion_mnist",
        ),
        _last_layer_weight("How much weight does the last layer get?", attention, "fashion_mnist", "03_depth_profiles"),
        Finding(
            "Do two trainings look most at the same layer, image by image?",
            f"for {agreement:.0%} of the images; {chance:.0%} expected by chance",
            "Hardly more than chance" if agreement - chance < 0.15 else "In part" if agreement < 0.8 else "Yes",
            "03_depth_profiles",
        ),
        Finding(
            "Is attention more diffuse on wrong predictions?",
            f"AUROC {effect:.2f}; 0.5 is no effect",
            "Yes, on average" if effect.low > 0.5 else "Not shown",
            "03_depth_profiles",
        ),
    ]


def benchmark(results: Sequence[Result], name: str, title: str, chapter: str) -> list[Finding]:
    """The findings of another benchmark of the paper, from runs of all heads.

    Args:
        results: all on one data set.
        name: the paper's data set, as `paper.LAST_LAYER_WEIGHT` calls it.
        title: what the questions call the data set.
        chapter: that shows it.
    """
    gain = compare_all(percent_table(results), "accuracy", "last_layer", MARGIN)["laya"]
    return [
        Finding(
            f"{title}: is LAYA more accurate than the last layer alone?",
            f"{_points(gain)}, {gain.difference.n} seeds",
            _difference_in_words(gain),
            chapter,
        ),
        _last_layer_weight(
            f"{title}: how much weight does the last layer get?", laya_attention(results), name, chapter
        ),
    ]


def frozen(heads: Sequence[Result], probes: Sequence[Result], title: str) -> list[Finding]:
    """From runs of LAYA and ScalarMix on a frozen network, and of a linear probe of each of its layers.

    Args:
        heads: other heads are left out.
        probes: LastLayer's, with one layer in its view.
        title: what the questions call the network and its data.
    """
    read, probed = percent_table(heads), percent_table(probes)
    probed["layer"] = [view[0] for view in probed["view"]]
    best = probed.groupby("layer")["validation_accuracy"].mean().idxmax()
    last = f"h{len(read['hidden_dims'].iloc[0])}"
    rivals = {
        last: "a probe of the last layer",
        best: f"a probe of the best layer, {best}",
        "scalar_mix": "ScalarMix, one weight a layer for all inputs",
    }
    rows = pd.concat([read.assign(reader=read["head"]), probed.assign(reader=probed["layer"])])
    rows = rows[rows["reader"].isin({"laya", *rivals})]
    gains = {rival: compare_all(rows, "accuracy", rival, MARGIN, by="reader")["laya"] for rival in rivals}
    return [
        Finding(
            f"{title}: is LAYA more accurate than {what}?",
            f"{_points(gains[rival])}, {gains[rival].difference.n} seeds",
            _difference_in_words(gains[rival]),
            "11_frozen_transformer",
        )
        for rival, what in rivals.items()
    ]


def _last_layer_weight(question: str, attention: np.ndarray, dataset: str, chapter: str) -> Finding:
    weights = attention.mean(axis=1)[:, -1]
    spread = f"From {weights.min():.2f} to {weights.max():.2f}"
    return Finding(
        question,
        f"{estimate(weights):.2f}; paper: about {paper.LAST_LAYER_WEIGHT[dataset]}",
        f"{spread}: the seed decides" if np.ptp(weights) > 0.2 else f"{spread}, much the same in every training",
        chapter,
    )


def temperature(results: Sequence[Result]) -> list[Finding]:
    """From LAYA runs at several temperatures."""
    table = attention_table(results)
    gain = estimate(slopes(table, "accuracy", "temperature", log_x=True))
    undone = estimate(slopes(table, "score_range", "temperature", log_y=True, log_x=True))
    low, high = table["temperature"].min(), table["temperature"].max()
    entropies = [table.loc[table["temperature"] == tau, "entropy"].mean() for tau in (low, high)]
    reach = max(abs(gain.low), abs(gain.high)) * np.log10(high / low)
    return [
        Finding(
            "Does the temperature change accuracy?",
            f"{gain:+.2f} points for ten times τ",
            _trend_in_words(gain, reach, f"{low:g} to {high:g}"),
            "04_temperature",
        ),
        Finding(
            "Does the scorer undo the temperature?",
            f"range of s(x) grows as τ to the power {undone:.2f}",
            f"Hardly: mean entropy {entropies[0]:.2f} at τ = {low:g}, {entropies[1]:.2f} at {high:g}"
            if undone.high < 0.7
            else "In part"
            if undone.high < 1
            else "It may",
            "04_temperature",
        ),
    ]


def depth(results: Sequence[Result]) -> list[Finding]:
    """From runs of LAYA and LastLayer with several numbers of hidden layers."""
    table = attention_table(results)
    table["depth"] = table["hidden_dims"].map(len)
    gains = table.pivot_table(index=["seed", "depth"], columns="head", values="accuracy")
    gains = (gains["laya"] - gains["last_layer"]).rename("gain").reset_index()
    slope = estimate(slopes(gains, "gain", "depth"))
    deepest = table["depth"].max()
    used = estimate(effective_layers(table[(table["head"] == "laya") & (table["depth"] == deepest)]).to_numpy())
    return [
        Finding(
            "Does LAYA gain more in deeper networks?",
            f"{slope:+.2f} points for each further layer",
            "Yes" if slope.low > 0 else "No: less" if slope.high < 0 else f"Not shown, up to {deepest} layers",
            "06_depth",
        ),
        Finding(
            f"Of {deepest} layers, how many does attention use?",
            f"{used:.1f} (exponential of the entropy of the mean weights)",
            "On average fewer than half" if used.mean < deepest / 2 else "Most of them",
            "06_depth",
        ),
    ]


def redundancy(as_it_is: Sequence[Result], three_copies: Sequence[Result], noisy: Sequence[Result]) -> list[Finding]:
    """From LAYA runs on h1 to h3, on the last layer three times, and with the first replaced by noise."""
    real, copies = (estimate([entropy(r.attention).mean() for r in runs]) for runs in (as_it_is, three_copies))
    on_noise = [r.attention[:, 0].mean() for r in noisy]
    return [
        Finding(
            "Does a sharp profile show that layers differ?",
            f"entropy on three copies of one layer {copies:.2f}, on three layers {real:.2f}",
            "No: copies give one as sharp" if copies.low <= real.high else "Copies give a more diffuse one",
            "07_redundancy",
        ),
        Finding(
            "Is a layer of noise ignored?",
            f"mean weight at most {max(on_noise):.4f} in {len(on_noise)} trainings",
            "Yes" if max(on_noise) < 0.05 else "Not always",
            "07_redundancy",
        ),
    ]


def stability(results: Sequence[Result]) -> list[Finding]:
    """From LAYA runs that differ in the seed alone."""
    labels = results[0].arrays["label"]
    classes = int(labels.max()) + 1
    profiles = np.stack([class_profiles(r.attention, labels, classes) for r in results])
    share = intraclass_correlation(profiles)
    alike = pair_estimate(pairwise_correlation(class_distances(profiles)))
    return [
        Finding(
            "How much of a class profile is common to all trainings?",
            f"{share.mean:.0%} of its variance [{share.low:.0%}, {share.high:.0%}], {len(results)} trainings",
            "Next to nothing: it explains one network" if share.high < 0.3 else "Some of it",
            "08_stability",
        ),
        Finding(
            "Do trainings give the same classes like weights?",
            f"correlation of two trainings {alike:.2f}",
            "In part, on whichever layers" if alike.low > 0 else "Not shown",
            "08_stability",
        ),
    ]


def capacity(results: Sequence[Result], widest: int, reference: int) -> list[Finding]:
    """From LAYA runs at several adapter widths."""
    table = percent_table(results)
    by_width = compare_all(table, "accuracy", reference, MARGIN, by="d_star")
    narrow = min(by_width)
    return [
        Finding(
            f"Do wider adapters help: {widest} in place of {reference}?",
            _points(by_width[widest]),
            _difference_in_words(by_width[widest]),
            "05_adapter_capacity",
        ),
        Finding(
            f"Do narrow ones harm: {narrow} in place of {reference}?",
            _points(by_width[narrow]),
            {"equivalent": f"No: the same within ±{MARGIN:g} points", "lower": "Yes", "higher": "No: they help"}.get(
                by_width[narrow].verdict(), "Undecided"
            ),
            "05_adapter_capacity",
        ),
    ]


def choice(results: Sequence[Result]) -> list[Finding]:
    """From LAYA runs of every setting of a grid, with the same seeds each."""
    table = percent_table(results)
    settings = ["d_star", "temperature", "psi", "scorer_width"]
    scores = 100 * table.pivot_table(index=settings, columns="seed", values="validation_accuracy")
    means = scores.mean(axis=1)
    ahead, luck = means.max() - means.mean(), selection.winners_curse(scores)
    return [
        Finding(
            f"Is the best of the paper's {len(scores)} settings better than the rest?",
            f"{ahead:.2f} points above their mean in validation; the best of equal ones: {luck.mean():.2f}",
            "Not shown: luck explains it" if ahead < np.quantile(luck, 0.95) else "Yes, more than luck explains",
            "05_adapter_capacity",
        )
    ]


def headline(results: Sequence[Result], title: str) -> str:
    """A benchmark's outcome in one line with its uncertainty: LAYA's accuracy against LastLayer's.

    Args:
        results: all heads on one data set.
        title: what the line calls it.
    """
    gain = compare_all(percent_table(results), "accuracy", "last_layer", MARGIN)["laya"]
    outcome = {
        "equivalent": f"too small to matter (less than {MARGIN:g} points, p = {gain.p_equivalence:.1g})",
        "higher": f"a real gain (p = {gain.p_holm:.2g})",
        "lower": f"a real loss (p = {gain.p_holm:.2g})",
        "undecided": "undecided",
    }[gain.verdict()]
    d = gain.difference
    return f"{title}: {d.mean:+.2f} points (95 % interval {d.low:+.2f} to {d.high:+.2f}, {d.n} paired seeds), {outcome}"


def _trend_in_words(slope: Estimate, reach: float, span: str) -> str:
    if slope.low > 0 or slope.high < 0:
        size = f", but small: at most {reach:.1f} points" if reach < 2 * MARGIN else ""
        return f"{'Upwards' if slope.low > 0 else 'Downwards'} from {span}{size}"
    return f"No: within {reach:.1f} points from {span}" if reach < 2 * MARGIN else "Not shown"


def _points(comparison: Comparison) -> str:
    return f"{comparison.difference:+.2f} points"


def _difference_in_words(comparison: Comparison) -> str:
    match comparison.verdict():
        case "equivalent":
            return f"No: the same within ±{comparison.margin:g} points"
        case "higher":
            return "Yes"
        case "lower":
            return "No: less accurate"
        case _:
            return "Undecided"


def markdown_table(findings: Sequence[Finding]) -> str:
    """The findings as a Markdown table; each line links to its chapter."""
    rows = [
        (f.question, f.measured, f.answer, f"[chapter {f.chapter[:2].lstrip('0')}]({f.chapter}.ipynb)")
        for f in findings
    ]
    lines = [("Question", "Measured, with 95 % interval", "Answer", "Shown in"), ("---",) * 4, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
