"""What the chapter on pruning measures of one trained model; see `laya_nb.analysis.pruning`."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laya_nb.analysis.attribution import all_subsets
from laya_nb.analysis.pruning import layer_scores, multiply_adds, prune, removal_order
from laya_nb.backbones import FrozenFeatures
from laya_nb.data import Dataset, Examples
from laya_nb.data import catalog as datasets
from laya_nb.features import encoders
from laya_nb.heads import DepthClassifier
from laya_nb.runs import catalog
from laya_nb.runs.measurements import measurement
from laya_nb.runs.new_heads import accuracy, head_seed, hidden_dataset, own_seed, select, some, train_head
from laya_nb.runs.run import Run
from laya_nb.support import seeds

LEARN_FROM = 20_000  # training examples from which heads are trained anew
CHOSEN_ON = 2000  # test examples on which the best subset is chosen
JUDGED_ON = 4000  # other test examples on which every subset is judged
RANDOM_ORDERS = 2
ALL_RETRAINED = 3  # layers up to which a head is trained anew for every subset
REPEATS = 15


@measurement(version=4)
def pruning(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """Accuracy without some of the layers, as arrays over all 2^L subsets (`analysis.attribution.all_subsets`).

    "chosen_on" and "as_it_is": of the pruned model, trained no further, on two halves of the test part. "retrained":
    of a head trained anew on the layers that stay, on the second half; NaN where none was trained. "score/…" (L,):
    `analysis.pruning.layer_scores`. "random/…" (L,): random scores, of each model its own, whose orders were
    retrained as well, where not every subset was; and so was that which takes the deepest layer first.
    """
    states = hidden_dataset(model, dataset, LEARN_FROM)
    head, widths = model.head, model.head.in_dims
    layers, classes, seed = len(widths), model.head.num_classes, head_seed(model)
    x, y = states.test
    chosen, judged = _halves(len(y))[0][:CHOSEN_ON], judged_rows(len(y))
    choosing, judging = Examples(x[chosen], y[chosen]), Examples(x[judged], y[judged])
    reader = DepthClassifier(FrozenFeatures(widths), head).eval()
    scores = layer_scores(reader, some(choosing, 1000).x)
    subsets = all_subsets(layers)
    means = [h.mean(dim=0) for h in reader.backbone(some(states.train, 1000).x)]
    chosen_on, as_it_is = np.zeros((2, len(subsets)), dtype=np.float32)
    kept = [torch.nonzero(subset).flatten().tolist() for subset in subsets]
    for row, stay in enumerate(kept):
        chosen_on[row], as_it_is[row] = (
            _pruned_accuracy(head, stay, means, part, widths) for part in (choosing, judging)
        )
    everything = layers <= ALL_RETRAINED
    rng = np.random.default_rng(own_seed(model))
    randoms = {f"random/{i}": rng.random(layers).astype(np.float32) for i in range(0 if everything else RANDOM_ORDERS)}
    orders = [removal_order(scores[name].to_numpy()) for name in scores] + [removal_order(r) for r in randoms.values()]
    orders.append(list(range(layers - 1, -1, -1)))  # the deepest first
    wanted = {row for order in orders for row in nested(order)} | set(best_rows(chosen_on, layers))
    retrained = np.full(len(subsets), np.nan, dtype=np.float32)
    for row in range(1, len(subsets)) if everything else sorted(wanted):
        stay = kept[row]
        part = select(states, widths, stay)
        trained = train_head(head.pruned(stay, means), part, seed=seed)
        test = select(Dataset("", "", dataset.classes, judging, judging), widths, stay).test
        retrained[row] = accuracy(trained(test.x).logits, test.y)
    return {
        "chosen_on": chosen_on, "as_it_is": as_it_is, "retrained": retrained, "classes": classes, **randoms,
        **{f"score/{name}": scores[name].to_numpy("float32") for name in scores},
    }  # fmt: skip


@measurement(version=1)
def pruning_orders(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """Accuracy along the orders of removal, for models of more layers than all subsets of which can be tried.

    "score/…" and "random/…" (L,) as in `pruning`. "as_it_is/NAME" (L,): of the pruned model, trained no further, with
    all L layers, L - 1, ..., 1, for each of these scores and "deepest first", on the examples of `judged_rows`.
    """
    head, widths = model.head, model.head.in_dims
    layers, judged = len(widths), judged_rows(len(dataset.test.y))
    judging = Examples(_states(model, dataset.test.x[judged]), dataset.test.y[judged])
    rest = _halves(len(dataset.test.y))[0]
    scores = layer_scores(model, dataset.test.x[rest[: 8 * 1000 // layers]])
    scores = scores.drop(columns="block influence")  # a layer may be read in several ways: what precedes is no input
    means = [h.mean(dim=0) for h in model.backbone(some(dataset.train, 1000).x)]
    rng = np.random.default_rng(own_seed(model))
    kept = {f"score/{name}": scores[name].to_numpy("float32") for name in scores}
    kept |= {f"random/{i}": rng.random(layers).astype(np.float32) for i in range(RANDOM_ORDERS)}
    orders = {name: removal_order(values) for name, values in kept.items()}
    orders["deepest first"] = list(range(layers - 1, -1, -1))

    def accuracies(name: str) -> np.ndarray:
        stays = [sorted(orders[name][gone:]) for gone in range(layers)]
        return np.array([_pruned_accuracy(head, stay, means, judging, widths) for stay in stays], dtype=np.float32)

    return kept | {f"as_it_is/{name}": accuracies(name) for name in orders}


def fewer(run: Run, order: Sequence[int], left: int) -> Run:
    """The run with the hidden states alone that an order of removal leaves: the same training, from scratch."""
    return run.replace(view=[f"h{i + 1}" for i in sorted(order[len(order) - left :])])


def judged_rows(examples: int) -> Tensor:
    """Which of N test examples every subset of layers is judged on, in rising order."""
    return _halves(examples)[1][:JUDGED_ON].sort().values


def _halves(examples: int) -> tuple[Tensor, Tensor]:
    """The test part in two random halves: on one subsets are chosen, on the other they are judged."""
    order = torch.randperm(examples, generator=torch.Generator().manual_seed(seeds.stream_seed(0, "halves")))
    return order[: examples // 2], order[examples // 2 :]


def nested(order: list[int]) -> list[int]:
    """The rows of `all_subsets` that an order of removal passes, from all layers down to one."""
    return [sum(1 << layer for layer in order[gone:]) for gone in range(len(order))]


def best_rows(accuracy: np.ndarray, layers: int) -> list[int]:
    """For L, L - 1, ..., 1 layers the row of the subset with the highest accuracy (2^L,)."""
    sizes = all_subsets(layers).sum(dim=1).numpy()
    return [int(np.where(sizes == size, accuracy, -1).argmax()) for size in range(layers, 0, -1)]


@measurement(version=1)
def prefix_cost(model: DepthClassifier, dataset: Dataset) -> dict[str, Any]:
    """What a model costs that is cut after layer k and reads that layer alone, arrays (L + 1,), the whole model last.

    "parameters", "multiply_adds" of one input (0 where PyTorch's counter does not see them), "ms_1" and "ms_many":
    milliseconds for a batch of one, and of `batch` inputs; medians of interleaved repeats, on as many threads as set.
    """
    x, network = _inputs(model, dataset)
    many = len(x["input_ids"]) if isinstance(x, dict) else len(x)
    single = {name: value[:1] for name, value in x.items()} if isinstance(x, dict) else x[:1]
    means = dataset.train.x[:200]
    versions: list[Callable[[Any], object]] = []
    found: dict[str, list[float]] = {"parameters": [], "multiply_adds": []}
    for depth in [*range(1, len(model.head.in_dims) + 1), None]:
        smaller = model if depth is None else prune(model, [depth], means)
        whole = smaller if network is None else _Joined(network if depth is None else network.first(depth), smaller)
        unread = () if network is None or depth is None else network.layers[depth:]
        found["parameters"].append(float(_parameters(whole, unread)))
        found["multiply_adds"].append(float(multiply_adds(whole, single)))
        versions.append(whole)
    repeats = REPEATS if network is None else REPEATS // 3  # an encoder takes seconds
    timed = {"ms_1": _interleaved(versions, single, repeats), "ms_many": _interleaved(versions, x, repeats)}
    arrays = {name: np.array(values, dtype=np.float32) for name, values in {**found, **timed}.items()}
    return arrays | {"batch": float(many), "threads": float(torch.get_num_threads())}


class _Joined(torch.nn.Module):
    """An encoder and the head that reads its hidden states, as one."""

    def __init__(self, encoder: Any, model: DepthClassifier) -> None:
        super().__init__()
        self.encoder, self.head = encoder, model.head

    def forward(self, x: Any) -> Any:
        return self.head(self.encoder(x)[-len(self.head.in_dims) :])


def _parameters(model: torch.nn.Module, unread: Sequence[str]) -> int:
    """Without those of an encoder's layers that are not run."""
    behind = tuple(f"encoder.module.{layer}." for layer in unread)
    return sum(p.numel() for name, p in model.named_parameters() if not (behind and name.startswith(behind)))


def _inputs(model: DepthClassifier, dataset: Dataset) -> tuple[Any, Any]:
    """A batch, and the frozen encoder that turns it into hidden states, or None where the model has its backbone."""
    name, encoder = catalog.parts(dataset.name)
    if not encoder:
        return some(dataset.test, 256).x, None
    raw, _ = datasets.entry(name).raw("test")
    found = encoders.load(encoder)
    return found.prepare(raw[:32]).batch(range(32)), found.backbone


@torch.inference_mode()
def _interleaved(versions: list[Callable[[Any], object]], x: Any, repeats: int) -> list[float]:
    seconds: list[list[float]] = [[] for _ in versions]
    for turn in range(repeats + 1):
        for i, version in enumerate(versions):
            start = time.perf_counter()
            version(x)
            if turn:  # the first warms up
                seconds[i].append(time.perf_counter() - start)
    return [1000 * statistics.median(values) for values in seconds]


@torch.no_grad()
def _states(model: DepthClassifier, x: Tensor) -> Tensor:
    """The hidden states side by side, (N, d_1 + ... + d_L)."""
    return torch.cat(model.eval().backbone(x), dim=1)


@torch.no_grad()
def _pruned_accuracy(head: Any, stay: list[int], means: list[Tensor], part: Examples, widths: tuple[int, ...]) -> float:
    if not stay:
        return float("nan")
    parts = part.x.split(list(widths), dim=1)
    logits = head.pruned(stay, means)([parts[i] for i in stay]).logits
    return accuracy(logits, part.y)
