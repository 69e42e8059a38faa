"""Depth profiles: where attention goes, and whether another seed says the same."""

from collections.abc import Sequence

from laya_nb.analysis.attention import entropy_effect
from laya_nb.analysis.stability import chance_agreement, pair_estimate, top_layer_agreement
from laya_nb.analysis.statistics import estimate
from laya_nb.report.findings import benchmark
from laya_nb.report.findings.base import Finding, number
from laya_nb.runs import Result

ABOVE_CHANCE = 0.15  # agreement on a smaller share of images than this, beyond chance, is hardly any
NEARLY_ALL = 0.8  # agreement on this share of the images is a yes, even if a few are seen otherwise
NO_EFFECT = 0.5  # the AUROC of an entropy that tells nothing of errors


def findings_of(results: Sequence[Result]) -> list[Finding]:
    """From LAYA runs on Fashion-MNIST that differ in the seed alone."""
    attention = benchmark.laya_attention(results)
    runs = len(results)
    same, expected = top_layer_agreement(attention), chance_agreement(attention)
    agreement, chance, beyond = float(same.mean()), float(expected.mean()), pair_estimate(same - expected)
    if beyond.high < ABOVE_CHANCE:
        same_layer = "Hardly more often than by chance"
    elif agreement < NEARLY_ALL:
        same_layer = "In part"
    else:
        same_layer = "Yes"
    effect = estimate([entropy_effect(result.attention, result.correct).auroc for result in results])
    return [
        benchmark.last_layer_weight(results, "How much weight does the last layer get?", "fashion_mnist"),
        Finding(
            "same top layer in two runs, beyond chance",
            "Do two runs look most at the same layer, image by image?",
            f"for {agreement:.0%} of the images, {chance:.0%} by chance: {beyond:+.2f} beyond it, {runs} runs",
            same_layer,
            number(beyond),
            "share",
            0.0,
        ),
        Finding(
            "AUROC of entropy for mistakes",
            "Is attention more diffuse on wrong predictions?",
            f"AUROC {effect:.2f}, {effect.n} runs; {NO_EFFECT} is no effect",
            "Yes, on average" if effect.low > NO_EFFECT else "No evidence",
            number(effect),
            "share",
            NO_EFFECT,
        ),
    ]
