"""Probes of a frozen network, all trained and searched alike: the benchmark of attentive layer fusion.

The released code of arXiv 2601.09322 searches three times as many settings for attentive probes as for linear ones.
Here every probe has the same candidates: three learning rates, each with little and with much regularisation. One rate
is left out where `PROBES` says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from laya_nb import features
from laya_nb.runs.run import Run
from laya_nb.runs.scores import ScoreTable
from laya_nb.runs.store import Result, ResultStore
from laya_nb.runs.sweep import sweep
from laya_nb.support.checks import check_choice
from laya_nb.training.config import FUSION, TrainingConfig

LEARNING_RATES = (1e-1, 1e-2, 1e-3)  # the paper's
WEIGHT_DECAYS = (1e-3, 1.0)  # AdamW's is times the learning rate: less than the first changes next to nothing
DROPOUTS = (0.0, 0.3)  # of attention, beside the two weight decays

Reads = Literal["last", "last pair", "two", "four", "all", "tokens"]


@dataclass(frozen=True)
class Probe:
    """A head, and what it reads of the network.

    "last": the last layer's CLS, or what there is of it; "last pair": its CLS and AP, where both are there; "two" and
    "four": as many layers, at equal distances, the last among them; "all" layers; "tokens": all tokens of the last one.
    `rates` are the learning rates that are searched. `weights_kept`: its results keep what it weighs for each example.
    """

    label: str
    head: str
    reads: Reads = "all"
    settings: Mapping[str, Any] = field(default_factory=dict)
    rates: tuple[float, ...] = LEARNING_RATES
    weights_kept: bool = False


PROBES: dict[str, Probe] = {
    "cls_linear": Probe("Last layer: CLS, linear", "last_layer", "last"),
    "cls_ap_linear": Probe("Last layer: CLS+AP, linear", "concat_linear", "last pair"),
    "cls_ap_attentive": Probe("Last layer: CLS+AP, attentive", "fusion", "last pair"),
    "all_tokens": Probe("Last layer: all tokens, attentive", "fusion", "tokens", {"num_heads": 8}),
    "concat_linear": Probe("All layers, linear", "concat_linear"),
    "scalar_mix": Probe("ScalarMix", "scalar_mix", weights_kept=True),
    "laya": Probe("LAYA, all rates", "laya", settings={"temperature": 1.0}, weights_kept=True),
    "laya_low_rate": Probe("LAYA", "laya", "all", {"temperature": 1.0}, LEARNING_RATES[1:], weights_kept=True),
    "fusion": Probe("Fusion", "fusion", weights_kept=True),
    "fusion_two": Probe("Fusion of two layers", "fusion", "two"),
    "fusion_four": Probe("Fusion of four layers", "fusion", "four"),
    "fusion_free": Probe("Fusion without W_Q", "fusion", settings={"free_query": True}),
}
"""The probes that can be named. LAYA comes twice: at the highest rate its runs differ wildly, so one in validation says
little of the others, and a search that may choose that rate at times does."""


def layers(encoder: str) -> list[list[str]]:
    """By layer of an encoder, the hidden states that are read of it, as `LayerSelection` names them: "h1", "h2"."""
    found: dict[str, list[str]] = {}
    for number, name in enumerate(features.names(encoder), start=1):
        found.setdefault(name.partition(":")[0], []).append(f"h{number}")
    return list(found.values())


def view(encoder: str, reads: Reads) -> list[str] | None:
    """The hidden states that a probe reads, None for all that are there.

    Raises:
        ValueError: for a pair that the encoder does not show.
    """
    if reads in ("all", "tokens"):
        return None
    by_layer = layers(encoder)
    if reads == "last":
        return by_layer[-1][:1]
    if reads == "last pair":
        if len(by_layer[-1]) != 2:
            raise ValueError(f"{encoder!r} shows no pair of CLS and AP for its last layer, but {by_layer[-1]}")
        return by_layer[-1]
    count = {"two": 2, "four": 4}[reads]
    chosen = [len(by_layer) * (i + 1) // count - 1 for i in range(count)]
    return [name for i in chosen for name in by_layer[i]]


def candidates(probe: str, dataset: str, encoder: str, protocol: TrainingConfig = FUSION) -> list[Run]:
    """The runs among which a probe's settings are chosen, all of seed 0.

    Args:
        probe: a name of `PROBES`.
        dataset: what the network sees, a name that `data.load` knows: "letters@2000".
        encoder: as `features.load` takes it. Its vectors get length 1 here.
        protocol: learning rate and weight decay aside.

    Raises:
        ValueError: for an unknown probe, or one that the encoder cannot serve.
    """
    check_choice("probe", probe, list(PROBES))
    of = PROBES[probe]
    shown = f"{encoder}+tokens" if of.reads == "tokens" else encoder
    return [
        Run(
            head=of.head,
            dataset=f"{dataset}/{shown}+l2",
            view=view(encoder, of.reads),
            protocol=replace(protocol, learning_rate=rate, weight_decay=decay),
            settings=[*of.settings.items(), *([("attention_dropout", dropout)] if of.head == "fusion" else [])],
        )
        for rate in of.rates
        for decay, dropout in zip(WEIGHT_DECAYS, DROPOUTS, strict=True)
    ]


def best(groups: Sequence[Sequence[Run]], table: ScoreTable) -> list[Run]:
    """Of each group of runs the one with the highest validation accuracy, the first of equals."""
    results = iter(sweep([run for group in groups for run in group], table))
    scores = [[next(results).metrics["validation_accuracy"] for _ in group] for group in groups]
    return [group[of.index(max(of))] for group, of in zip(groups, scores, strict=True)]


def on_all_examples(run: Run, seeds: Sequence[int]) -> list[Run]:
    """A run's settings with other seeds, trained on the validation examples too."""
    return [run.replace(seed=seed, protocol=replace(run.protocol, validation=0.0)) for seed in seeds]


def benchmark(
    datasets: Sequence[str],
    probes: Sequence[str],
    encoder: str,
    seeds: Sequence[int],
    protocol: TrainingConfig = FUSION,
) -> dict[tuple[str, str], list[Result]]:
    """By data set and probe, the results of all seeds at the settings that were best in validation at seed 0.

    Of probes whose weights are kept each result is a file, of the others the scores alone are lines of a table.

    Raises:
        ValueError: as `candidates`.
        SweepError, StoreError: from `sweep`.
    """
    keys = [(dataset, probe) for dataset in datasets for probe in probes]
    groups = [candidates(probe, dataset, encoder, protocol) for dataset, probe in keys]
    runs = {
        key: on_all_examples(run, seeds)
        for key, run in zip(keys, best(groups, ScoreTable("probe_search")), strict=True)
    }
    found: dict[Run, Result] = {}
    for kept, store in ((True, ResultStore()), (False, ScoreTable("probes"))):
        chosen = [run for (_, probe), of in runs.items() if PROBES[probe].weights_kept == kept for run in of]
        found |= zip(chosen, sweep(chosen, store), strict=True)
    return {key: [found[run] for run in of] for key, of in runs.items()}


def single_layers(
    datasets: Sequence[str], encoder: str, seeds: Sequence[int], protocol: TrainingConfig = FUSION
) -> dict[tuple[str, str], list[Result]]:
    """By data set and hidden state ("h1"), a linear probe of that hidden state alone, for all seeds.

    The settings are those that were best for the linear probe of the last layer.
    """
    groups = [candidates("cls_linear", dataset, encoder, protocol) for dataset in datasets]
    table = ScoreTable("probe_search")
    states = [f"h{number}" for number in range(1, len(features.widths(encoder)) + 1)]
    runs = {
        (dataset, state): on_all_examples(run.replace(view=[state]), seeds)
        for dataset, run in zip(datasets, best(groups, table), strict=True)
        for state in states
    }
    found = iter(sweep([run for of in runs.values() for run in of], ScoreTable("single_layers")))
    return {key: [next(found) for _ in of] for key, of in runs.items()}
