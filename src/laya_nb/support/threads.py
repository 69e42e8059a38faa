"""Independent calculations side by side, each on one thread.

Small matrices gain little from a second thread: two of them, on a thread each, take about two thirds of the time that
they take one after the other on two.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The function's result for each item, in order; as many at once as PyTorch has threads, with one thread each.

    What a function computes does not depend on how many run at once, unless it draws from PyTorch's global generator:
    all of them share that. Gradients are on or off as they are where this is called.
    """
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()

    def alone(item: Item) -> Result:
        with torch.set_grad_enabled(gradients):
            return function(item)

    try:
        with (
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
        ):
            return list(pool.map(alone, items))
    finally:
        torch.set_num_threads(threads)  # a thread's setting is also what threads to come begin with
