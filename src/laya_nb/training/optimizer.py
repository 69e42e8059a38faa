"""Adam, with nothing around it."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from laya_nb.support.keras_defaults import ADAM_EPS


class Adam:
    """`torch.optim.Adam(parameters, lr, eps=ADAM_EPS, fused=True)`, to the bit, and without what that brings along.

    It calls the kernel that torch's class calls. With torch 2.15, torch's class costs 5 % more per step of the paper's
    MLP (2 % in a stack of eight), and imports torch's compiler when it is first used: 3.6 seconds in every new process.

    Args:
        parameters: what to train. One that has no gradient at any step, because the loss does not depend on it, stays
            as it is.
        learning_rate: the size of a step; it may be changed between steps.
        weight_decay: None, or that of `torch.optim.AdamW`.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float | None = None
    ) -> None:
        self.weight_decay = weight_decay
        self.parameters: list[Tensor] = [p for p in parameters if p.requires_grad]
        self.learning_rate = learning_rate
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.count = torch.zeros((), device=self.parameters[0].device)

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        self.count += 1
        parameters, gradients, means, squares = self._state()
        self._update(parameters, gradients, means, squares, self.learning_rate)

    def _state(self) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        """Parameters that have gradients, those, and the moving averages of gradients and of their squares."""
        state: tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]] = ([], [], [], [])
        for parameter, mean, square in zip(self.parameters, self.means, self.squares, strict=True):
            if parameter.grad is not None:
                for tensors, tensor in zip(state, (parameter, parameter.grad, mean, square), strict=True):
                    tensors.append(tensor)
        return state

    @torch.no_grad()
    def _update(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        means: list[Tensor],
        squares: list[Tensor],
        learning_rate: float,
    ) -> None:
        kernel = torch._fused_adam_ if self.weight_decay is None else torch._fused_adamw_
        kernel(
            parameters,
            gradients,
            means,
            squares,
            [],
            [self.count] * len(parameters),
            lr=learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=self.weight_decay or 0.0,
            eps=ADAM_EPS,
            amsgrad=False,
            maximize=False,
        )


class StackedAdam(Adam):
    """Adam for stacked parameters (M, ...), with a learning rate for each of the M members."""

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rates: Sequence[float]) -> None:
        super().__init__(parameters, learning_rates[0])
        self.learning_rates = list(learning_rates)

    def step(self) -> None:
        if len(set(self.learning_rates)) == 1:
            super().step()
            return
        self.count += 1
        state = self._state()
        for row, rate in enumerate(self.learning_rates):
            parameters, gradients, means, squares = ([tensor[row] for tensor in tensors] for tensors in state)
            self._update(parameters, gradients, means, squares, rate)

    def keep(self, parameters: Iterable[nn.Parameter], rows: Sequence[int]) -> None:
        """Go on with these members, whose `parameters` are new tensors in the old order."""
        self.parameters = list(parameters)
        self.means = [tensor[rows] for tensor in self.means]
        self.squares = [tensor[rows] for tensor in self.squares]
        self.learning_rates = [self.learning_rates[row] for row in rows]
        self.learning_rate = self.learning_rates[0] if rows else self.learning_rate
