"""Adam, with nothing around it."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from laya_nb.conventions import ADAM_EPS


class Adam:
    """`torch.optim.Adam(parameters, lr, eps=ADAM_EPS, fused=True)`, to the bit, and without what that brings along.

    torch's class imports torch's compiler when it is first used, which takes seconds in every new process, and spends
    a third of its own time on bookkeeping.

    Args:
        parameters: what to train; each must have a gradient when `step` is called.
        learning_rate: the size of a step.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        self.parameters: list[Tensor] = [p for p in parameters if p.requires_grad]
        self.learning_rate = learning_rate
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.count = torch.zeros((), device=self.parameters[0].device)

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        self.count += 1
        torch._fused_adam_(
            self.parameters,
            [parameter.grad for parameter in self.parameters],  # type: ignore[misc]
            self.means,
            self.squares,
            [],
            [self.count] * len(self.parameters),
            lr=self.learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=ADAM_EPS,
            amsgrad=False,
            maximize=False,
        )
