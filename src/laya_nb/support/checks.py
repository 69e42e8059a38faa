"""Checks of values that come from a reader: one place, one wording."""

import math
from collections.abc import Sequence


def is_positive(value: object) -> bool:
    """Whether `value` is a finite number above 0: no text that looks like one, no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def check_positive(name: str, value: object) -> None:
    """Raise a ValueError unless `value` is a finite number above 0."""
    if not is_positive(value):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def check_integer(name: str, value: object, minimum: int = 1) -> None:
    """Raise a ValueError unless `value` is an integer of at least `minimum`; True and 2.0 are none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")


def check_widths(name: str, widths: object) -> None:
    """Raise a ValueError unless `widths` is a list or tuple of one or more integers of at least 1."""
    if not isinstance(widths, list | tuple) or not widths or any(type(w) is not int or w < 1 for w in widths):
        raise ValueError(f"{name} must be a list of at least one integer of 1 or more, got {widths!r}")


def check_choice(name: str, value: object, known: Sequence[object]) -> None:
    """Raise a ValueError unless `value` is one of `known`, which the message lists."""
    if value not in known:
        raise ValueError(f"{name} must be {' or '.join(map(repr, known))}, got {value!r}")
