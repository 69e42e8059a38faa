"""The grammar of values on a command line."""

from typing import Any

import pytest

from laya_nb.support.values import parse_value, parse_values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.5,1,2", [0.5, 1, 2]),
        ("0..4", [0, 1, 2, 3, 4]),
        ("3..3,7", [3, 7]),
        ("[128,128],[256]", [[128, 128], [256]]),
        ("[h1, h2]", [["h1", "h2"]]),
        ("laya, concat", ["laya", "concat"]),
        ("True,None,-1e-3", [True, None, -0.001]),
        ("fashion_mnist", ["fashion_mnist"]),
        ("1+1", ["1+1"]),
        ("[]", [[]]),
    ],
)
def test_values(text: str, values: list[Any]) -> None:
    found = parse_values(text)
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[0,1,2,10]", [0, 1, 2, 10]),
        ("0..2", [0, 1, 2]),
        ("3..3", [3]),
        ("0.3", 0.3),
        ("fashion_mnist_sample", "fashion_mnist_sample"),
        ("a,b", "a,b"),
        ("'0..2'", "0..2"),
        ('"[0]"', "[0]"),
        ("None", None),
    ],
)
def test_one_value(text: str, value: Any) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,,2", "a value is missing, or a bracket"),
        ("[1,2", "a value is missing, or a bracket"),
        ("1]", "a value is missing, or a bracket"),
        ("[[1]]", "a value is missing, or a bracket"),
        ("", "a value is missing"),
        ("4..1", "the range 4..1 is empty; write the smaller number first"),
    ],
)
def test_what_is_no_value_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_values(text)
