"""What the book finds, one line a question, computed from finished runs. The introduction and README show these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from laya_nb import attribution, paper
from laya_nb.runs import HEAD_LABELS
from laya_nb.statistics import Comparison, compare, compare_all, estimate
from laya_nb.store import Result, frame

MARGIN = 0.5  # points of accuracy: less than this is too small to matter, by our choice


@dataclass(frozen=True)
class Finding:
    """One line of the book's table: `chapter` is the file name of the chapter that shows it."""

    question: str
    measured: str
    answer: str
    chapter: str


def percent_table(results: Sequence[Result]) -> pd.DataFrame:
    """One row a run, with accuracy and macro-F1 in percent."""
    table = frame(results)
    return table.assign(accuracy=100 * table["accuracy"], macro_f1=100 * table["macro_f1"])


def benchmark_table(table: pd.DataFrame, published: Mapping[str, tuple[float, float]]) -> pd.DataFrame:
    """One row a head, ready to show: mean ± std, 95 % t interval, the paper's accuracy, what the head costs.

    Args:
        table: as `percent_table` gives it.
        published: per head, the paper's mean and standard deviation in percent.
    """
    rows = {}
    for head, runs in table.groupby("head", sort=False):
        accuracy, f1 = estimate(runs["accuracy"].to_numpy()), estimate(runs["macro_f1"].to_numpy())
        reported = published.get(str(head))
        rows[HEAD_LABELS[str(head)]] = {
            "accuracy, %": f"{accuracy.mean:.2f} ± {accuracy.std:.2f}",
            "95 % interval": f"[{accuracy.low:.2f}, {accuracy.high:.2f}]",
            "macro-F1, %": f"{f1.mean:.2f} ± {f1.std:.2f}",
            "paper, %": f"{reported[0]:.2f} ± {reported[1]:.2f}" if reported else "–",
            "parameters": f"{runs['head_parameters'].iloc[0]:,}",
            "epochs": f"{runs['epochs'].mean():.0f}",
            "seconds": f"{runs['seconds'].mean():.0f}",
        }
    return pd.DataFrame(rows).T


def comparison_table(comparisons: Mapping[str, Comparison]) -> pd.DataFrame:
    """One row a head, ready to show: its difference from the reference, and what the two tests say."""
    rows = {
        HEAD_LABELS[head]: {
            "difference, points": f"{c.difference.mean:+.2f}",
            "95 % interval": f"[{c.difference.low:+.2f}, {c.difference.high:+.2f}]",
            "p of a difference (Holm)": f"{c.p_holm:.3f}",
            f"p within ±{c.margin:g}": f"{c.p_equivalence:.4f}",
            "verdict": c.verdict(),
        }
        for head, c in comparisons.items()
    }
    return pd.DataFrame(rows).T


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
    last_weights = attention.mean(axis=1)[:, -1]
    last = estimate(last_weights)
    agreement = float(attribution.top_layer_agreement(attention).mean())
    chance = float(attribution.chance_agreement(attention).mean())
    effect = estimate([attribution.entropy_effect(r.attention, r.correct).auroc for r in laya])
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
        Finding(
            "How much weight does the last layer get?",
            f"{last:.2f}; paper: about {paper.LAST_LAYER_WEIGHT['fashion_mnist']}",
            f"From {last_weights.min():.2f} to {last_weights.max():.2f}: the seed decides",
            "03_depth_profiles",
        ),
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


def headline(results: Sequence[Result]) -> str:
    """The benchmark's outcome in one sentence with its uncertainty."""
    gain = compare_all(percent_table(results), "accuracy", "last_layer", MARGIN)["laya"]
    outcome = {
        "equivalent": f"too small to matter (less than {MARGIN:g} points, p = {gain.p_equivalence:.1g})",
        "higher": f"a real gain (p = {gain.p_holm:.2g})",
        "lower": f"a real loss (p = {gain.p_holm:.2g})",
        "undecided": "undecided",
    }[gain.verdict()]
    d = gain.difference
    return (
        f"On Fashion-MNIST, LAYA's test accuracy differs from the usual last-layer head's by {d.mean:+.2f} points "
        f"(95 % interval {d.low:+.2f} to {d.high:+.2f}, {d.n} paired seeds): {outcome}."
    )


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
