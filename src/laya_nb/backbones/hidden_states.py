"""Any PyTorch module as a backbone: its hidden states, tapped by the names of its layers."""

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Literal, Self, get_args

import torch
from torch import Tensor, nn

PoolName = Literal["mean", "cls", "last"]
Pool = PoolName | Callable[[Tensor, Any], Tensor]
Inputs = Tensor | Mapping[str, Any]


class HiddenStates(nn.Module):
    """A backbone made of any module: `forward(x)` returns what the named layers put out, pooled to (B, d_i) each.

    The module runs as it always does; hooks take what its layers return, until `close()` or the end of a `with` block.
    A hidden state is pooled the moment its layer returns, so a later layer that works in place cannot change it. Of a
    layer that runs several times in one pass (tied weights), the last run counts.

    Layers may return a tensor, or a tuple, list or mapping, of which the first tensor is taken. (B, d) is passed as it
    is. In (B, T, D), T tokens of width D, padding is left out where the inputs have an `attention_mask` (B, T). In a
    map of four dimensions the two equal sizes are taken for height and width. That tells (B, C, H, H) from
    (B, H, H, C), for each layer by what `example` gives, once and for all sizes. If all three are equal, or none,
    an example of another size must settle it, or a pool function.

    Freeze the module with `module.requires_grad_(False)`: no graph is made then, and `train()` leaves the module in
    evaluation mode, so dropout and batch statistics stand still, too.

    Args:
        module: takes a tensor, or the entries of a mapping as keywords, as Transformers' models do.
        layers: names as `module.named_modules()` gives them, or patterns. `*` stands for any text without a dot, so
            "blocks.*" are the direct children of `blocks`. They come in the order given, those of one pattern in the
            module's own, none twice.
        example: one batch of inputs, of any size: a tensor, or a mapping. The module runs on it once, in evaluation
            mode, to measure the widths.
        pool: "mean" over tokens or positions, "cls" for the first token, "last" for the last one that is no padding,
            or `pool(hidden_state, x) -> (B, d)`, which is then called for every layer. A list of these reads every
            layer in several ways: it gives one hidden state per pool, ordered by layer, then by pool.

    Attributes:
        layers: the names of the layers, patterns resolved.
        names: what each hidden state is: its layer's name, and where there are several pools, which of them read it:
            "blocks.3:cls". A function goes by its own name.
        out_dims: the widths d_1..d_L of the hidden states.
        closed: whether the hooks are gone.

    Raises:
        ValueError: for a name or pattern that fits no layer, a layer that the module does not run, and an output that
            cannot be pooled, the messages name the layer; for no pool, or two of one name.
        RuntimeError: from `forward` after `close()`.
    """

    def __init__(
        self,
        module: nn.Module,
        layers: Sequence[str],
        *,
        example: Inputs,
        pool: Pool | Sequence[Pool] = "mean",
    ) -> None:
        super().__init__()
        self._pools: tuple[Pool, ...] = tuple(pool) if isinstance(pool, list | tuple) else (pool,)  # type: ignore[assignment]
        pool_names = _pool_names(self._pools)
        self.module = module
        self.layers = _resolve(module, [layers] if isinstance(layers, str) else layers)
        self.pool = self._pools if len(self._pools) > 1 else self._pools[0]
        self.names = tuple(f"{layer}{name}" for layer in self.layers for name in pool_names)
        self._channel_axes: dict[str, int] = {}  # filled by the example, read ever after
        self.closed = self._ends_early = False
        self.out_dims: tuple[int, ...] = (0,) * (len(self.layers) * len(self._pools))  # the example says how wide
        self._handles = [module.get_submodule(name).register_forward_hook(_take) for name in self.layers]
        try:
            self.out_dims = tuple(state.shape[1] for state in self._run_example(example))
        except BaseException:
            self.close()
            raise

    def forward(self, x: Inputs) -> list[Tensor]:
        """Inputs to [h_1 (B, d_1), ..., h_L (B, d_L)]."""
        if self.closed:
            raise RuntimeError("these HiddenStates are closed: their hooks are gone; make new ones")
        batch = _first_tensor(x)
        if batch is None:
            raise ValueError(f"inputs must be a tensor or a mapping that holds one, got {type(x).__name__}")
        # Layers are looked up anew: a copy, or a replica of DataParallel, has its own.
        names = {self.module.get_submodule(name): name for name in self.layers}
        states: dict[str, list[Tensor]] = {}

        def take(layer: nn.Module, output: Any) -> None:
            if layer in names:
                states[names[layer]] = self._pooled(names[layer], output, x, batch.shape[0])
                if self._ends_early and len(states) == len(names):
                    raise _Enough

        outer, _current.take = _current.take, take
        try:
            self.module(**x) if isinstance(x, Mapping) else self.module(x)
        except _Enough:
            pass
        finally:
            _current.take = outer
        for name in self.layers:
            if name not in states:
                hint = f"; a container of layers is never run itself: try {name + '.*'!r}"
                container = isinstance(self.module.get_submodule(name), nn.ModuleList | nn.ModuleDict)
                raise ValueError(f"layer {name!r} did not run in the forward pass{hint if container else ''}")
        return [state for name in self.layers for state in states[name]][: len(self.out_dims)]

    def first(self, count: int) -> "HiddenStates":
        """The same module, no copy, run only until its first `count` hidden states are there.

        What comes after is left out, and so costs nothing. A layer that runs several times in one pass (tied weights)
        counts when it runs first, so such a module's hidden states differ from those of the whole pass.
        """
        shorter = copy.copy(self)
        pools = len(self._pools)
        shorter.layers = self.layers[: -(-count // pools)]
        shorter.names, shorter.out_dims = self.names[:count], self.out_dims[:count]
        shorter._ends_early = True
        return shorter

    def read_also(self, pool: Pool, example: Inputs) -> "HiddenStates":
        """The same module, no copy, with every layer read in one more way, which comes after the others.

        Args:
            pool: as in the constructor.
            example: one batch of inputs, on which the module runs once.

        Raises:
            ValueError: as the constructor.
        """
        more = HiddenStates(self.module, self.layers, example=example, pool=[*self._pools, pool])
        more._ends_early = self._ends_early
        return more

    def train(self, mode: bool = True) -> Self:
        """As in any module, but a module without a parameter to train stays in evaluation mode."""
        super().train(mode)
        if not any(parameter.requires_grad for parameter in self.module.parameters()):
            self.module.eval()
        return self

    def close(self) -> None:
        """Take the hooks off the module; `forward` then raises."""
        for handle in self._handles:
            handle.remove()
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # No gradients, but not inference mode: what a module makes in its first pass, it may keep and train with.
    @torch.no_grad()
    def _run_example(self, example: Inputs) -> list[Tensor]:
        modes = [(part, part.training) for part in self.module.modules()]
        self.module.eval()  # a pass in training mode would move batch statistics
        try:
            return self(example)
        finally:
            for part, training in modes:
                part.training = training

    def _pooled(self, name: str, output: Any, x: Inputs, batch: int) -> list[Tensor]:
        """What a layer returned, as (B, d) for each pool."""
        h = _first_tensor(output)
        if h is None:
            raise ValueError(f"layer {name!r} returned no tensor but {type(output).__name__}")
        if h.ndim == 0 or h.shape[0] != batch:
            raise ValueError(f"layer {name!r}: output {tuple(h.shape)} is not of the batch's {batch} examples")
        return [self._pooled_by(pool, name, h, x) for pool in self._pools]

    def _pooled_by(self, pool: Pool, name: str, h: Tensor, x: Inputs) -> Tensor:
        """A layer's output h (B, ...) as (B, d)."""
        if callable(pool):
            pooled = pool(h, x)
            if not isinstance(pooled, Tensor) or pooled.ndim != 2 or pooled.shape[0] != h.shape[0]:
                got = tuple(pooled.shape) if isinstance(pooled, Tensor) else type(pooled).__name__
                raise ValueError(f"layer {name!r}: pool must return ({h.shape[0]}, d) for {tuple(h.shape)}, got {got}")
            return pooled
        if h.ndim == 1 or (h.ndim > 3 and pool != "mean"):
            raise ValueError(f"layer {name!r}: pool {pool!r} cannot take an output {tuple(h.shape)}")
        if h.ndim == 2:
            return h.clone()  # not h itself: the next layer may work in place
        if name not in self._channel_axes:
            self._channel_axes[name] = _channel_axis(name, h.shape)
        tokens = h.movedim(self._channel_axes[name], -1).flatten(1, -2)
        mask = x.get("attention_mask") if isinstance(x, Mapping) and h.ndim == 3 else None
        if mask is not None and mask.shape != tokens.shape[:2]:
            raise ValueError(
                f"layer {name!r}: {tokens.shape[1]} tokens, but attention_mask is {tuple(mask.shape)}; pool them with "
                "a function of your own"
            )
        return _pool_tokens(pool, tokens, mask)


class _Enough(Exception):
    """Every layer that is asked for has run: the rest of the pass is not wanted."""


class _Current(threading.local):
    """What the running forward pass wants to be told, in each thread for itself: replicas share their hooks."""

    take: Callable[[nn.Module, Any], None] | None = None


_current = _Current()


def _take(layer: nn.Module, inputs: Any, output: Any) -> None:
    """The hook: one plain function, which knows no module, so that modules can be copied, pickled and replicated."""
    if _current.take is not None:
        _current.take(layer, output)


def _resolve(module: nn.Module, patterns: Sequence[str]) -> tuple[str, ...]:
    known = [name for name, _ in module.named_modules() if name]
    found: dict[str, None] = {}  # a set that keeps order
    for pattern in patterns:
        parts = pattern.split(".")
        matches = [name for name in known if _fits(name.split("."), parts)]
        if not matches:
            nearest = get_close_matches(pattern, known, cutoff=0.4) or known[:3]
            raise ValueError(f"no layer is called {pattern!r}; nearest: {', '.join(map(repr, nearest))}")
        found.update(dict.fromkeys(matches))
    if not found:
        raise ValueError("layers is empty: name at least one layer")
    return tuple(found)


def _fits(name: list[str], pattern: list[str]) -> bool:
    return len(name) == len(pattern) and all(fnmatchcase(n, p) for n, p in zip(name, pattern, strict=True))


def _first_tensor(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    parts = output.values() if isinstance(output, Mapping) else output if isinstance(output, tuple | list) else ()
    return next((found for part in parts if (found := _first_tensor(part)) is not None), None)


def _pool_names(pools: Sequence[Pool]) -> list[str]:
    """What stands behind a layer's name, one text per pool: nothing where there is but one."""
    for pool in pools:
        if not callable(pool) and pool not in get_args(PoolName):
            raise ValueError(f"pool must be 'mean', 'cls', 'last', a function or a list of these, got {pool!r}")
    if not pools:
        raise ValueError("pool is empty: name at least one way to pool a layer")
    if len(pools) == 1:
        return [""]
    names = [f":{getattr(pool, '__name__', type(pool).__name__) if callable(pool) else pool}" for pool in pools]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"pool has two ways called {name[1:]!r}; their names must tell them apart")
    return names


def _channel_axis(name: str, shape: torch.Size) -> int:
    """Where the channels of a layer's output are: 1 or -1."""
    if len(shape) == 3:
        return -1
    if len(shape) == 4 and (shape[2] == shape[3]) != (shape[1] == shape[2]):
        return 1 if shape[2] == shape[3] else -1
    raise ValueError(
        f"layer {name!r}: {tuple(shape)} does not tell channels from positions; give an example of another size, with "
        "height and width equal to each other alone, or a pool function"
    )


def _pool_tokens(pool: PoolName, tokens: Tensor, mask: Tensor | None) -> Tensor:
    """(B, T, D) to (B, D), over the tokens where the mask (B, T) is not 0."""
    if pool == "cls":
        return tokens[:, 0].clone()
    if mask is None:
        return tokens.mean(dim=1) if pool == "mean" else tokens[:, -1].clone()
    real = mask != 0
    if pool == "mean":  # filled, not multiplied: padding may hold anything, NaN too
        total = tokens.masked_fill(~real.unsqueeze(-1), 0).sum(dim=1)
        return total / real.sum(dim=1, keepdim=True).clamp(min=1)
    last = (real * torch.arange(tokens.shape[1], device=tokens.device)).amax(dim=1)
    return torch.take_along_dim(tokens, last[:, None, None], dim=1).squeeze(1)
