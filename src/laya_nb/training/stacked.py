"""Train many models of one shape as one program: `fit`, times M, for less than M times the cost.

A small model leaves a processor idle between its many small operations. Here the weights of M models are stacked, so
that each operation serves all of them: a linear layer becomes one `torch.baddbmm`. The models share the examples in
memory and nothing else. Each has its own split, batch order, temperature, learning rate and early stop, and leaves the
stack, with its share of Adam's moments, when it is finished.

`torch.func.stack_module_state` with `vmap` would stack any module, without the classes below. With torch 2.15 on a CPU
its step takes 1.2 to 1.3 times as long for eight MLPs of the paper, most of it in the backward pass of linear layers.
"""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from laya_nb import backbones
from laya_nb.data import Dataset, Examples, check_examples
from laya_nb.heads import DepthClassifier
from laya_nb.heads.catalog import CATALOG
from laya_nb.support import device as devices
from laya_nb.support import seeds
from laya_nb.support.progress import bar
from laya_nb.training.config import NonFiniteLoss, TrainingConfig, TrainingHistory
from laya_nb.training.fit import batch_sizes, fit
from laya_nb.training.optimizer import StackedAdam
from laya_nb.training.predict import EVALUATION_BATCH

Outcome = tuple[int, TrainingHistory | NonFiniteLoss]


class NotStackable(ValueError):
    """Models that cannot be stacked: a layer, head or backbone that this module does not know, or a frozen one."""


@dataclass(frozen=True)
class StackedModel:
    """One model of a stack, with the seed of its split and batch order. `fit_stacked` trains the model in place."""

    model: DepthClassifier
    seed: int
    protocol: TrainingConfig = field(default_factory=TrainingConfig)


def fit_stacked(
    members: Sequence[StackedModel], dataset: Dataset, *, device: torch.device | str | None = None
) -> Iterator[Outcome]:
    """Train all models at once; give each one's number and outcome as soon as it is finished.

    A model comes out as `fit` would leave it, up to the rounding of sums: with the weights of its best epoch, in
    evaluation mode, on `device`. A model whose loss is not finite ends there, and the others go on. Models with a
    layer that cannot be stacked, and a single model, are trained by `fit`, one after the other.

    Args:
        members: models with equal layers, and protocols that differ in what `TrainingConfig.for_a_stack` names alone.
        dataset: each model takes its own split of it, by its seed.
        device: a GPU where there is one, by default.

    Raises:
        ValueError: for no models, or models that differ in more than they may; the message says in what.
        DataError: for data that `fit` would refuse.
    """
    if not members:
        raise ValueError("there are no models to train")
    shared = members[0].protocol.for_a_stack()
    for member in members:
        if member.protocol.for_a_stack() != shared:
            raise ValueError(f"models of a stack need one protocol: {member.protocol} and {members[0].protocol} differ")
    device = devices.resolve(device)
    if len(members) == 1:
        yield from _one_by_one(members, dataset, device)
        return
    try:
        if not shared.stackable:
            raise NotStackable(f"a stack has no training as {shared}")
        training = _StackedTraining(members, dataset, device)
    except NotStackable:
        yield from _one_by_one(members, dataset, device)
        return
    epochs = max(member.protocol.max_epochs for member in members)
    with bar(total=epochs, desc="stacked training", unit="epoch") as progress:
        while training.running:
            yield from training.epoch()
            progress.set_postfix(models=len(training.running))
            progress.update()


def _one_by_one(members: Sequence[StackedModel], dataset: Dataset, device: torch.device) -> Iterator[Outcome]:
    for number, member in enumerate(members):
        splits = dataset.split(member.seed, member.protocol.validation)
        try:
            yield number, fit(member.model, splits, seed=member.seed, protocol=member.protocol, device=device)
        except NonFiniteLoss as error:
            yield number, error


class _StackedTraining:
    """The members still in training: stacked weights, Adam's moments, and where each stands."""

    def __init__(self, members: Sequence[StackedModel], dataset: Dataset, device: torch.device) -> None:
        self.members = members
        self.running = list(range(len(members)))
        self.device = device
        self.data = Examples(dataset.train.x.to(device), dataset.train.y.to(device))
        self.parts = [dataset.split_indices(member.seed, member.protocol.validation) for member in members]
        for member, part in zip(members, self.parts, strict=True):
            for what, index in zip(("train part", "validation part"), part, strict=True):
                labels = dataset.train.y[index]
                check_examples(what, Examples(labels, labels), member.model.head.num_classes)
        self.orders = [seeds.generator(member.seed, "batch order") for member in members]
        self.histories = [TrainingHistory(stack=len(members)) for _ in members]
        self.model = stack([member.model.to(device) for member in members])
        self.optimizer = StackedAdam(self.model.parameters(), [m.protocol.learning_rate for m in members])
        self.epochs = 0

    def epoch(self) -> list[Outcome]:
        """One pass over each model's data; the models that it finished."""
        self.epochs += 1
        start = time.perf_counter()
        losses, sizes = self._train()
        accuracies = self._validate()
        seconds = (time.perf_counter() - start) / len(self.running)
        done: list[Outcome] = []
        for row, number in enumerate(self.running):
            history, member = self.histories[number], self.members[number]
            history.seconds += seconds
            try:
                _check_finite(losses[row], self.epochs)
            except NonFiniteLoss as error:
                done.append((number, error))
                continue
            if history.record(float(losses[row] @ sizes / sizes.sum()), accuracies[row]):
                unstack(self.model, row, member.model)
            if history.is_over(member.protocol):
                member.model.eval()
                done.append((number, history))
        if done:
            self._drop({number for number, _ in done})
        return done

    def _train(self) -> tuple[Tensor, Tensor]:
        """The mean loss of every batch (members, batches), and the batches' sizes, as float64 on the CPU."""
        self.model.train()
        orders = []
        for number in self.running:
            train = self.parts[number][0]
            orders.append(train[torch.randperm(len(train), generator=self.orders[number])])
        sizes_of_batches = batch_sizes(len(orders[0]), self.members[0].protocol.batch_size)
        batches = torch.stack(orders).to(self.device).split(sizes_of_batches, dim=1)
        losses = []
        for index in batches:
            x, y = self._take(index)
            logits = self.model(x).logits.flatten(0, 1)
            loss = F.cross_entropy(logits, y.flatten(), reduction="none").view(index.shape).mean(dim=1)
            self.optimizer.zero_grad()
            loss.sum().backward()  # a mean within each member, a sum over them: none feels the others
            self.optimizer.step()
            losses.append(loss.detach())
        sizes = torch.tensor([index.shape[1] for index in batches], dtype=torch.float64)
        return torch.stack(losses, dim=1).double().cpu(), sizes

    @torch.inference_mode()
    def _validate(self) -> list[float]:
        self.model.eval()
        indices = torch.stack([self.parts[number][1] for number in self.running]).to(self.device)
        right = []
        for index in indices.split(EVALUATION_BATCH, dim=1):
            x, y = self._take(index)
            right.append(self.model(x).logits.argmax(dim=2) == y)
        return torch.cat(right, dim=1).float().mean(dim=1).tolist()

    def _take(self, index: Tensor) -> Examples:
        """Examples (M, B, ...) for indices (M, B)."""
        x, y = (tensor.index_select(0, index.flatten()) for tensor in self.data)
        return Examples(x.unflatten(0, index.shape), y.unflatten(0, index.shape))

    def _drop(self, finished: set[int]) -> None:
        rows = [row for row, number in enumerate(self.running) if number not in finished]
        self.running = [self.running[row] for row in rows]
        keep(self.model, rows)
        self.optimizer.keep(self.model.parameters(), rows)


def _check_finite(losses: Tensor, epoch: int) -> None:
    bad = (~losses.isfinite()).nonzero()
    if len(bad):
        step = int(bad[0])
        raise NonFiniteLoss(float(losses[step]), step + 1, epoch)


class _Linear(nn.Module):
    """M linear layers: (M, ..., inputs) to (M, ..., outputs)."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        # Transposed, so that the gradient of the product has the weight's own memory layout and need not be copied.
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().T for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach().unsqueeze(0) for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.baddbmm(self.bias, x.flatten(1, -2), self.weight)
        return y.unflatten(1, x.shape[1:-1])

    def write(self, row: int, layer: nn.Linear) -> None:
        layer.weight.copy_(self.weight[row].T)
        layer.bias.copy_(self.bias[row, 0])


class _LayerNorm(nn.Module):
    """M layer norms of (M, ..., width)."""

    def __init__(self, layers: Sequence[nn.LayerNorm]) -> None:
        super().__init__()
        self.shape, self.eps = layers[0].normalized_shape, layers[0].eps
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().unsqueeze(0) for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach().unsqueeze(0) for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, F.layer_norm(x, self.shape, eps=self.eps), self.weight)

    def write(self, row: int, layer: nn.LayerNorm) -> None:
        layer.weight.copy_(self.weight[row, 0])
        layer.bias.copy_(self.bias[row, 0])


_STACKED: dict[type[nn.Module], Callable[..., nn.Module]] = {
    nn.Linear: _Linear,
    nn.LayerNorm: _LayerNorm,
    nn.Flatten: lambda layers: nn.Flatten(layers[0].start_dim + 1, layers[0].end_dim),
}
# Their forward serves stacked hidden states (M, B, d) as it serves (B, d), once the layers in them are stacked.
_AS_THEY_ARE = (
    DepthClassifier, backbones.MLP, backbones.LayerSelection, backbones.FrozenFeatures,
    nn.Sequential, nn.ModuleList, nn.GELU, nn.Identity,
    *(entry.head for entry in CATALOG.values() if entry.stackable),
)  # fmt: skip


def stack(models: Sequence[DepthClassifier]) -> DepthClassifier:
    """One model with the weights of M: it maps (M, B, ...) to logits (M, B, C) and attention (M, B, L).

    Raises:
        NotStackable: for a layer that cannot be stacked.
        ValueError: if the models differ in more than weights and what their head says may differ.
    """
    stacked = copy.deepcopy(models[0])
    modules = [dict(model.named_modules()) for model in models]
    for name in dict.fromkeys(name for own in modules for name in own):
        layers = [own[name] for own in modules if name in own]
        if len(layers) < len(models):
            raise ValueError(f"models to stack differ in {name}, which not all have")
        first = layers[0]
        for other in layers[1:]:
            for setting, value, another in _differences(first, other):
                where = f"{name or 'model'}: {setting}"
                raise ValueError(f"models to stack differ in {where} is {value!r} in one and {another!r} in another")
        if any(p is None or not p.requires_grad for layer in layers for p in layer._parameters.values()):
            raise NotStackable(f"{name} has no bias, or is frozen; it cannot be stacked; train with fit")
        if type(first) in _STACKED:
            stacked.set_submodule(name, _STACKED[type(first)](layers))
        elif type(first) in _AS_THEY_ARE:
            for own in dict(first.named_parameters(recurse=False)):
                values = [getattr(layer, own).detach().unsqueeze(0) for layer in layers]
                setattr(stacked.get_submodule(name), own, nn.Parameter(torch.stack(values)))
        else:
            raise NotStackable(f"{name} is a {type(first).__name__}, which cannot be stacked; train with fit")
    stacked.head.ndim = 3
    weight = next(stacked.head.parameters())
    for name in stacked.head.may_differ:
        each = weight.new_tensor([getattr(model.head, name) for model in models])
        delattr(stacked.head, name)
        stacked.head.register_buffer(name, each[:, None, None])
    return stacked


def _differences(layer: nn.Module, other: nn.Module) -> Iterator[tuple[str, object, object]]:
    """Settings in which two layers differ, with both values: their weights and what may differ aside."""
    free = {"training", *getattr(layer, "may_differ", ())}
    ours, theirs = ({"type": type(one).__name__} | vars(one) for one in (layer, other))
    for name in ours | theirs:
        if not name.startswith("_") and name not in free and ours.get(name) != theirs.get(name):
            yield name, ours.get(name), theirs.get(name)


@torch.no_grad()
def unstack(stacked: DepthClassifier, row: int, model: DepthClassifier) -> None:
    """Write the weights of one member of a stack into a model of its own."""
    for name, layer in model.named_modules():
        source = stacked.get_submodule(name)
        if isinstance(source, _Linear | _LayerNorm):
            source.write(row, layer)
        else:
            for own, parameter in layer.named_parameters(recurse=False):
                parameter.copy_(getattr(source, own)[row, 0])


def keep(stacked: DepthClassifier, rows: Sequence[int]) -> None:
    """Leave only these members in a stack."""
    for layer in stacked.modules():
        for name, parameter in list(layer.named_parameters(recurse=False)):
            setattr(layer, name, nn.Parameter(parameter.detach()[rows]))
        for name, buffer in list(layer.named_buffers(recurse=False)):
            setattr(layer, name, buffer[rows])
