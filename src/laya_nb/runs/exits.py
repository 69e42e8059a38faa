"""What the chapter on early exit measures of one trained model; see `laya_nb.analysis.early_exit`.

LAYA's weights depend on the last layer, so its head cannot decide to stop before that has run. Here every prefix
h_1..h_k of the layers gets a LAYA head of its own, which is exit k: trained on frozen hidden states (`prefix_exits`, as
in DeeBERT, arXiv 2004.12993) or together with the network (`joint_exits`, as in BranchyNet, arXiv 1709.01686).
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laya_nb.analysis import early_exit
from laya_nb.analysis.attention import entropy
from laya_nb.analysis.pruning import multiply_adds
from laya_nb.backbones import MLP, FrozenFeatures, LayerSelection
from laya_nb.data import Dataset, Examples
from laya_nb.heads import DepthClassifier, Head, HeadOutput, LAYAHead
from laya_nb.runs import catalog, probes
from laya_nb.runs.anew import PROTOCOL, draw_anew, heads_like, train_anew
from laya_nb.runs.measurements import measurement
from laya_nb.runs.new_heads import head_seed, hidden_dataset, own_seed, select, some, train_head
from laya_nb.runs.pruning import REPEATS, _inputs, _interleaved
from laya_nb.support import seeds
from laya_nb.training import NonFiniteLoss, TrainingConfig, predict
from laya_nb.training.fit import batch_sizes
from laya_nb.training.optimizer import Adam
from laya_nb.training.predict import EVALUATION_BATCH

EXAMPLES = 5000  # test examples whose exits are kept
LEARN_FROM = 20_000  # training examples from which heads on prefixes are trained
RISK = 0.01  # that an exit may take
GATE_FROM = 5000  # training examples to which the gates are fitted
GATE_PENALTY = 300.0  # of the ridge regressions, on standardised hidden states
JOINT = replace(PROTOCOL, validation=TrainingConfig.validation)
"""How a network with all its exits is trained, and one without. The share for validation is set aside, as for the
model, but not used: all learn from as many examples."""


class Exits(nn.Module):
    """A backbone with several heads, the end of the network last: each reads as many hidden states as it is built for.

    It maps inputs (B, ...) to the outputs of its K heads.
    """

    def __init__(self, backbone: Any, heads: Sequence[Head]) -> None:
        super().__init__()
        self.backbone, self.heads = backbone, nn.ModuleList(heads)
        self.ends = [len(head.in_dims) for head in heads]

    def forward(self, x: Any) -> list[HeadOutput]:
        states = self.backbone(x)
        return [head(states[:end]) for head, end in zip(self.heads, self.ends, strict=True)]


def prefixes(model: DepthClassifier, dataset: Dataset) -> list[int]:
    """How many hidden states the first 1, 2, ..., K layers show: the two that an encoder may show of a layer
    ("blocks.3:cls", "blocks.3:ap") stay together.

    Raises:
        ValueError: for fewer than two layers, or a view with layers in another order, or as noise.
    """
    view = model.backbone
    if isinstance(view, LayerSelection) and (any(view.noise) or any(a >= b for a, b in pairwise(view.layers))):
        raise ValueError(f"exits need layers in their own order, each once and as it is; the view is {view.names}")
    layers: list[Any] = [name.partition(":")[0] for name in model.head.names]
    if encoder := catalog.parts(dataset.name)[1]:
        by_state = {name: i for i, names in enumerate(probes.layers(encoder)) for name in names}
        layers = [by_state[name] for name in model.head.names]
    ends = [i for i in range(1, len(layers)) if layers[i] != layers[i - 1]]
    if not ends:
        raise ValueError("an early exit needs at least two layers, and the model's head reads one")
    return [*ends, len(layers)]


def prefix_heads(model: DepthClassifier, states: Dataset, ends: Sequence[int]) -> list[LAYAHead]:
    """A LAYA head for each prefix of the layers but the whole, trained as all new heads are (`train_head`).

    Args:
        model: gives their seed, and their settings where its own head is a `LAYAHead`.
        states: its hidden states, as `hidden_dataset` gives them.
        ends: as `prefixes` gives them.
    """
    heads = heads_like(model, ends[:-1])
    for head, end in zip(heads, ends, strict=False):
        train_head(head, select(states, model.head.in_dims, range(end)), head_seed(model))
    return heads


@measurement(version=1)
def prefix_exits(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """Exits on the frozen hidden states of a trained model: new heads on the shorter prefixes, then the model itself.

    Arrays for N test examples (`some`) and K exits: "label" (N,); "answers" (N, K); "confidence" (N, K), the largest
    softmax; "entropy" (N, K) of the exit's attention over what it reads, from 0 to 1, and 0 for a single hidden state;
    "later" (N, K - 1), the weight that the model puts on layers behind k, which is known at its end only; "gate"
    (N, K - 1), the same as a ridge regression fitted to training examples predicts it from h_1..h_k.

    Raises:
        ValueError: for a head without weights, and from `prefixes`.
    """
    ends, widths = prefixes(model, dataset), model.head.in_dims
    states = hidden_dataset(model, replace(dataset, test=some(dataset.test, EXAMPLES)), LEARN_FROM)
    fitted_to, test = some(states.train, GATE_FROM).x, states.test.x
    later, truth = (_later(model.head, x, ends) for x in (fitted_to, test))
    starts = [sum(widths[:end]) for end in ends[:-1]]  # where the hidden states of later layers begin
    gate = [_predicted(fitted_to[:, :start], later[:, k], test[:, :start]) for k, start in enumerate(starts)]
    network = Exits(FrozenFeatures(widths), [*prefix_heads(model, states, ends), model.head])
    gates = {"later": truth.astype(np.float16), "gate": np.stack(gate, axis=1).astype(np.float16)}
    return _kept(network, states.test) | gates


def train_jointly(model: DepthClassifier, dataset: Dataset, protocol: TrainingConfig = JOINT) -> Exits:
    """A network of the model's shape, trained anew with a LAYA head on every prefix, the whole among them.

    The loss is the sum of all exits' cross-entropies (BranchyNet, arXiv 1709.01686, with weights of 1). Everything
    random comes from `own_seed` of the model, which stays as it is.

    Args:
        model: gives the backbone's shape, and the heads' settings as in `prefix_heads`.
        dataset: on whose training part the network learns.
        protocol: of which batch size, epochs, learning rates and the share set aside are used.

    Raises:
        ValueError: for a backbone that is frozen, or whose weights cannot be drawn anew, and from `prefixes`.
        NonFiniteLoss: at the end of the first epoch whose last loss is not finite.
    """
    seed = own_seed(model)
    network = Exits(copy.deepcopy(model.backbone), heads_like(model, prefixes(model, dataset)))
    trained = [parameter.requires_grad for parameter in network.backbone.parameters()]
    if not trained or not all(trained):
        raise ValueError(
            f"{type(model.backbone).__name__} is frozen, as a whole or in part, and exits are trained jointly with a "
            "backbone that learns; `prefix_exits` takes frozen ones"
        )
    draw_anew(network.train(), seed)
    x, y = dataset.split(seed, protocol.validation).train
    sizes, order_stream = batch_sizes(len(y), protocol.batch_size), seeds.generator(seed, "batch order")
    optimizer, done, loss = Adam(network.parameters(), protocol.learning_rate), 0, torch.zeros(())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.stream_seed(seed, "dropout"))
        for epoch in range(protocol.max_epochs):
            for index in torch.randperm(len(y), generator=order_stream).split(sizes):
                outputs = network(x.index_select(0, index))
                loss = torch.stack([F.cross_entropy(output.logits, y[index]) for output in outputs]).sum()
                optimizer.learning_rate = protocol.learning_rate_at(done / (protocol.max_epochs * len(sizes)))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                done += 1
            if not math.isfinite(loss.item()):
                raise NonFiniteLoss(loss.item(), len(sizes), epoch + 1)
    return network.eval()


@measurement(version=1)
def joint_exits(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """Exits trained together with their network (`train_jointly`, which says what it raises): "label", "answers",
    "confidence" and "entropy" as in `prefix_exits`, of the same test examples; and "alone" (N,), the answers of a
    network that was trained by the same protocol without exits."""
    test = some(dataset.test, EXAMPLES)
    found = _kept(train_jointly(model, dataset), test)
    alone = predict(train_anew(model, dataset, own_seed(model), JOINT), test.x)
    return found | {"alone": alone.labels.numpy().astype(np.uint8)}


@measurement(version=1)
def exit_cost(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """What it costs to leave at exit k, arrays (K,), the end last.

    "multiply_adds" of one input (`analysis.pruning.multiply_adds`); "ms_1" and "ms_many", milliseconds for a batch of
    one and of `batch` inputs that all leave there, medians of interleaved repeats on as many threads as set. The heads
    of all exits up to k are run, and the test of certainty at each but the end. "fixed/…" (K,): the same where k is the
    only exit and nothing is tested; its last value is the model as it is.

    Raises:
        ValueError: for a backbone that cannot end early, and from `prefixes`.
    """
    ends = prefixes(model, dataset)
    x, encoder = _inputs(model, dataset)
    first = getattr(model.backbone if encoder is None else encoder, "first", None)
    if first is None or isinstance(model.backbone, LayerSelection):
        raise ValueError(f"{type(model.backbone).__name__} cannot end early: it has no method `first`")
    heads: list[Head] = [*heads_like(model, ends[:-1]), model.head]  # what a head costs does not depend on its weights
    last = len(ends) - 1
    networks = [Exits(first(end), heads[: k + 1]).eval() for k, end in enumerate(ends)]
    networks += [Exits(first(end), [head]).eval() for end, head in zip(ends, heads, strict=True)]
    tests = [*range(1, last + 1), last, *[0] * len(ends)]
    versions: list[Callable[[Any], object]] = [partial(_left, *pair) for pair in zip(networks, tests, strict=True)]
    single = {name: value[:1] for name, value in x.items()} if isinstance(x, dict) else x[:1]
    repeats = REPEATS if encoder is None else REPEATS // 3  # an encoder takes seconds
    found = {
        "multiply_adds": [multiply_adds(network, single) for network in networks],
        "ms_1": _interleaved(versions, single, repeats),
        "ms_many": _interleaved(versions, x, repeats),
    }
    halves = {name: np.array(values, dtype=np.float32).reshape(2, -1) for name, values in found.items()}
    arrays = {name: half[0] for name, half in halves.items()}
    arrays |= {f"fixed/{name}": half[1] for name, half in halves.items()}
    many = len(x["input_ids"]) if isinstance(x, dict) else len(x)
    return arrays | {"batch": float(many), "threads": float(torch.get_num_threads())}


@measurement(version=1)
def leaving_time(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """How long an MLP takes for test inputs if those leave that one exit after layer k is sure of; arrays (K - 1,).

    One half of the test part gives each exit the lowest threshold of confidence that keeps a risk of 1 % with
    probability 95 % (`early_exit.threshold_with_guarantee`), the other half is timed: "left", the share that leaves;
    "lost", the share that is wrong there and right at the end; "ms_1", milliseconds for 64 inputs, one after the other;
    "ms_many", for `batch` inputs at once, out of which those are taken that leave (`leave`). "whole/ms_1" and
    "whole/ms_many": the network as it is, on the same inputs. Medians of interleaved repeats.

    Raises:
        ValueError: from `leave`, `prefixes` and `threshold_with_guarantee`.
    """
    ends, test = prefixes(model, dataset), some(dataset.test, 2 * EXAMPLES)
    heads = prefix_heads(model, hidden_dataset(model, dataset, LEARN_FROM), ends)
    found = _kept(Exits(model.backbone, [*heads, model.head]), test)
    half, x = len(test.y) // 2, test.x[len(test.y) // 2 :]
    versions: list[Callable[[Any], object]] = [model.eval()]
    left, lost = [], []
    for k, head in enumerate(heads):
        sure, answers = found["confidence"][:, [k]].astype(float), found["answers"][:, [k, -1]]
        threshold = early_exit.threshold_with_guarantee(sure[:half], answers[:half], found["label"][:half], RISK)
        taken = early_exit.exits(sure[half:], threshold)
        left.append(1 - taken.mean())
        lost.append(early_exit.lost(answers[half:], found["label"][half:], taken).mean())
        ways = [head if i == k else None for i in range(len(heads))]
        versions.append(partial(leave, model, ways, threshold=threshold))
    one_by_one: list[Callable[[Any], object]] = [partial(_one_by_one, version) for version in versions]
    times = {"ms_1": _interleaved(one_by_one, x[:64], REPEATS), "ms_many": _interleaved(versions, x[:256], REPEATS)}
    values: dict[str, Any] = {"left": np.array(left, dtype=np.float32), "lost": np.array(lost, dtype=np.float32)}
    for name, each in times.items():
        values |= {name: np.array(each[1:], dtype=np.float32), f"whole/{name}": each[0]}
    return values | {"batch": float(len(x[:256])), "threads": float(torch.get_num_threads())}


@torch.inference_mode()
def leave(
    model: DepthClassifier, prefix_heads: Sequence[Head | None], x: Tensor, threshold: float
) -> tuple[Tensor, Tensor]:
    """Run an MLP layer by layer on a batch, out of which examples are taken as soon as an exit is sure of them.

    Args:
        model: in evaluation mode; its own head is the end.
        prefix_heads: for h_1, for h_1 and h_2, ..., L - 1 of them; None where there is to be no exit.
        x: inputs (B, ...).
        threshold: an exit is sure where its largest softmax is at least this, as in `analysis.early_exit.exits`.

    Returns:
        answers (B,), and after which layer each example left (B,), from 0.

    Raises:
        ValueError: for another backbone than an `MLP`, or a wrong number of heads.
    """
    backbone = model.backbone
    if not isinstance(backbone, MLP):
        raise ValueError(f"examples can leave an MLP between its layers, not a {type(backbone).__name__}")
    last = len(backbone.out_dims) - 1
    if len(prefix_heads) != last:
        raise ValueError(f"{last + 1} layers have {last} exits before the end, got {len(prefix_heads)} heads")
    answers, taken = torch.full((2, len(x)), last, device=x.device)
    rows, h, states = torch.arange(len(x), device=x.device), backbone.flatten(x), []
    for k, head in enumerate([*prefix_heads, model.head]):
        h = backbone.blocks[min(k, len(backbone.blocks) - 1)](h)  # tied layers are one block
        states.append(h)
        if head is None:
            continue
        logits = head(states).logits
        stay = logits.softmax(dim=1).amax(dim=1) < threshold if k < last else torch.zeros_like(rows, dtype=torch.bool)
        if stay.all():
            continue
        gone = rows[~stay]
        answers[gone], taken[gone] = logits[~stay].argmax(dim=1), k
        rows, states = rows[stay], [state[stay] for state in states]
        h = states[-1]
        if not len(rows):
            break
    return answers, taken


def _one_by_one(version: Callable[[Any], object], x: Tensor) -> None:
    for single in x.split(1):
        version(single)


def _left(network: Exits, tests: int, x: Any) -> Tensor:
    """The answers of the last of the heads, after the test of certainty at the first few of them."""
    outputs = network(x)
    for output in outputs[:tests]:
        bool((output.logits.softmax(dim=1).amax(dim=1) < 1).all())  # whether to go on is read, not only computed
    return outputs[-1].logits.argmax(dim=1)


@torch.inference_mode()
def _later(head: Head, x: Tensor, ends: Sequence[int]) -> np.ndarray:
    """The weight on hidden states behind each end but the last, (N, K - 1), for hidden states side by side."""
    attention = Exits(FrozenFeatures(head.in_dims), [head]).eval()(x)[0].attention
    if attention is None:
        raise ValueError(f"{type(head).__name__} gives no weights to layers, so none can lie on later ones")
    return np.stack([attention[:, end:].sum(dim=1).numpy() for end in ends[:-1]], axis=1)


def _predicted(train: Tensor, values: np.ndarray, test: Tensor) -> np.ndarray:
    """Weights as a ridge regression predicts them for test examples: values (N,) of training examples (N, D) go in."""
    from sklearn.linear_model import Ridge  # seconds to import, so only here
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = make_pipeline(StandardScaler(), Ridge(GATE_PENALTY)).fit(train.double().numpy(), values)
    return regression.predict(test.double().numpy()).clip(0, 1)


@torch.inference_mode()
def _kept(network: Exits, test: Examples) -> dict[str, Any]:
    """What is kept of every exit on test examples, as `prefix_exits` says."""
    batches = [network.eval()(batch) for batch in test.x.split(EVALUATION_BATCH)]
    logits = torch.cat([torch.stack([output.logits for output in batch], dim=1) for batch in batches])
    attention = [torch.cat([output.attention for output in outputs]) for outputs in zip(*batches, strict=True)]
    return {
        "label": test.y.numpy().astype(np.uint8),
        "answers": logits.argmax(dim=2).numpy().astype(np.uint8),
        "confidence": logits.softmax(dim=2).amax(dim=2).numpy().astype(np.float16),
        "entropy": np.stack([entropy(weights.numpy()) for weights in attention], axis=1).astype(np.float16),
    }
