"""Chapter parameters, checked: papermill only warns of a name that no chapter knows, and never looks at types."""

import ast
from typing import Any

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type


class ParameterError(ValueError):
    """A parameter that the chapter does not have, or a value of another type than the chapter states."""


def check(namespace: dict[str, Any]) -> None:
    """Check a notebook's parameters right after the cell that sets them: `parameters.check(globals())`.

    The known parameters are those that the chapter's own cell annotates (`seeds: list[int] = [0, 1]`). What the cell
    before this one sets, the chapter's own or the one that papermill puts after it, must be among them.

    Raises:
        ParameterError: naming the parameter, the value, and what is known.
    """
    hints: dict[str, Any] = namespace.get("__annotations__", {})
    known = ", ".join(f"{name}: {_spell(hint)}" for name, hint in hints.items())
    history = namespace.get("In", [])
    for name in _assigned(history[-2] if len(history) > 1 else ""):
        if name not in hints:
            raise ParameterError(f"unknown parameter {name!r}; this chapter knows: {known}")
    for name, hint in hints.items():
        try:
            check_type(namespace[name], hint, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
        except TypeCheckError as error:
            raise ParameterError(
                f"parameter {name} must be {_spell(hint)}, got {namespace[name]!r} ({error}); "
                f"this chapter knows: {known}"
            ) from None


def _assigned(source: str) -> list[str]:
    targets = [t for node in ast.parse(source).body if isinstance(node, ast.Assign) for t in node.targets]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _spell(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
