"""Values written on a command line: numbers, words, lists and ranges, in one grammar."""

import ast
import re
from typing import Any

EXAMPLES = "values look like 1,2 or 0..4 or [128,128],[256]"


def parse_values(text: str) -> list[Any]:
    """The values in a text like "0.5,1,2", "0..4" (five values) or "[128,128],[256]" (two lists).

    Raises:
        ValueError: for a missing value or bracket, or an empty range; the message says what is wrong.
    """
    return [value for part in _split(text) for value in _expand(part)]


def parse_value(text: str) -> Any:
    """One value: a number, True, False, None, a list like [0,1] or [h1,h2]; 0..4 is a list, too; else the word itself.

    Raises:
        ValueError: for a missing bracket or item, or an empty range.
    """
    if text[:1] in "\"'" and text[:1]:
        return _word(text)
    values = _expand(text)
    return values if len(values) != 1 or re.fullmatch(r"\d+\.\.\d+", text) else values[0]


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
        if depth not in (0, 1):
            break
    if depth or not all(part.strip() for part in parts):
        raise ValueError(f"a value is missing, or a bracket; {EXAMPLES}")
    return [part.strip() for part in parts]


def _expand(part: str) -> list[Any]:
    """The values that one part stands for: several for a range."""
    if ends := re.fullmatch(r"(\d+)\.\.(\d+)", part):
        first, last = map(int, ends.groups())
        if first > last:
            raise ValueError(f"the range {part} is empty; write the smaller number first")
        return list(range(first, last + 1))
    if part.startswith("["):
        inside = part.removeprefix("[").removesuffix("]")
        return [[_word(item) for item in _split(inside)] if inside.strip() else []]
    return [_word(part)]


def _word(word: str) -> Any:
    """A number, True, False or None where it is one, else the word."""
    try:
        value = ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return word
    return value if value is None or isinstance(value, int | float | str) else word
