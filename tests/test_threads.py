"""Calculations side by side: in order, one thread each, and nothing left changed."""

import threading
from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from laya_nb.support.threads import side_by_side


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_items_are_worked_on_at_once_and_come_in_order() -> None:
    """Two that wait for one another: one thread alone would wait for ever."""
    together = threading.Barrier(2, timeout=60)
    assert side_by_side(lambda item: (together.wait(), item)[1], "ab") == ["a", "b"]


def test_each_has_one_thread_and_afterwards_all_is_as_before() -> None:
    def threads(_: None) -> tuple[set[int], int]:
        pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        return set(pools), torch.get_num_threads()

    with threadpool_limits(2, user_api="blas"):
        assert side_by_side(threads, [None]) == [({1}, 1)]
        assert threads(None) == ({2}, 2)
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [2]


@pytest.mark.parametrize("wanted", [True, False])
def test_gradients_are_as_where_it_is_called(wanted: bool) -> None:
    with torch.set_grad_enabled(wanted):
        assert side_by_side(lambda _: torch.is_grad_enabled(), range(3)) == [wanted] * 3


def test_an_error_gets_through() -> None:
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda item: 1 // item, [1, 0])
    assert torch.get_num_threads() == 2
