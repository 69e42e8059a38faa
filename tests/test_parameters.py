"""Strict parameters: what a chapter's cell and papermill's cell may set."""

from typing import Any

import pytest

from laya_nb.report.parameters import ParameterError, check


def namespace(injected: str) -> dict[str, Any]:
    """What a notebook's globals hold after the chapter's parameters and then papermill's."""
    space: dict[str, Any] = {}
    exec("seeds: list[int] = [0, 1]\nmargin: float = 0.5\ndataset: str = 'a'", space)
    exec(injected, space)
    return space | {"In": ["", "the chapter's cell", injected, "parameters.check(globals())"]}


@pytest.mark.parametrize("injected", ["", "# Parameters\nseeds = [3]\n", "margin = 1", "dataset = 'b'\nseeds = []"])
def test_good_parameters_pass(injected: str) -> None:
    check(namespace(injected))


@pytest.mark.parametrize(
    ("injected", "message"),
    [
        (
            "sedes = [3]",
            r"unknown parameter 'sedes'; this chapter knows: seeds: list\[int\], margin: float, dataset: str",
        ),
        ("seeds = 3", r"parameter seeds must be list\[int\], got 3"),
        ("seeds = [0, 1, 'x']", r"parameter seeds must be list\[int\]"),
        ("margin = 'wide'", "parameter margin must be float, got 'wide'"),
        ("dataset = None", "parameter dataset must be str, got None"),
    ],
)
def test_bad_parameters_are_named(injected: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        check(namespace(injected))
