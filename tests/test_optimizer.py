"""Adam for many models is Adam for each, and a parameter that nothing depends on is left alone."""

from typing import Any

import torch
from torch import Tensor, nn

from laya_nb.training.optimizer import Adam, StackedAdam

RATES = [1e-3, 1e-3, 0.1, 3e-2]


def test_members_take_the_steps_of_adams_of_their_own() -> None:
    """At rates of their own, also after others have left. `Adam` is torch's to the bit (test_training.py)."""
    stream = torch.Generator().manual_seed(0)
    start = [torch.randn(len(RATES), *size, generator=stream, dtype=torch.float64) for size in ((3, 2), (5,))]
    separate = [[nn.Parameter(tensor[row].clone()) for tensor in start] for row in range(len(RATES))]
    theirs = [Adam(own, rate) for own, rate in zip(separate, RATES, strict=True)]
    stacked = [nn.Parameter(tensor.clone()) for tensor in start]
    ours = StackedAdam(stacked, RATES)
    rows = list(range(len(RATES)))
    for left in (rows, [0, 2, 3], [0, 3], [3]):
        if left != rows:
            stacked = [nn.Parameter(tensor.detach()[[rows.index(row) for row in left]]) for tensor in stacked]
            ours.keep(stacked, [rows.index(row) for row in left])
            rows = left
        for _ in range(3):
            for position, parameter in enumerate(stacked):
                gradient = torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
                parameter.grad = gradient
                for row, own in zip(rows, gradient, strict=True):
                    separate[row][position].grad = own.clone()
            ours.step()
            for row in rows:
                theirs[row].step()
        for position, parameter in enumerate(stacked):
            expected = torch.stack([separate[row][position].detach() for row in rows])
            assert torch.allclose(parameter.detach(), expected, rtol=0, atol=1e-13)


def test_a_parameter_without_gradient_stays_as_it_is() -> None:
    for optimizer in (lambda p: Adam(p, 0.1), lambda p: StackedAdam(p, [0.1, 0.1]), lambda p: StackedAdam(p, [0.1, 1])):
        read, unread = (nn.Parameter(torch.ones(2, 3)) for _ in range(2))
        ours: Any = optimizer([unread, read])
        for _ in range(2):
            ours.zero_grad()
            (read**2).sum().backward()
            ours.step()
        assert torch.equal(unread, torch.ones(2, 3))
        assert not torch.isclose(read, Tensor([1.0])).any()
