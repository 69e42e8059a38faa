"""Sentences from the source code of installed libraries: what functions, classes and modules say of themselves.

The files are parsed, not imported: so a sentence depends on the versions of the libraries and on nothing else.
"""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from laya_nb.data import tokens
from laya_nb.data.dataset import Part
from laya_nb.data.docstrings import prose
from laya_nb.support import paths
from laya_nb.support.files import DataError, cached

LIBRARIES = {
    "numpy": "NumPy",
    "scipy": "SciPy",
    "sklearn": "scikit-learn",
    "pandas": "pandas",
    "matplotlib": "Matplotlib",
    "torch": "PyTorch",
    "statsmodels": "statsmodels",
}
"""The libraries by the names of their packages, and what they are called."""
KINDS = ("function", "class", "module", "method")
READING = "1"  # part of the cache's key: change it with the code
_SKIPPED = re.compile(
    r"tests?|testing|externals|test_\w+|_(?!core$)\w+"
)  # folders: private ones, but NumPy's _core, too
_PLAIN = re.compile(r'[A-Z][^:"\\]*\.')  # lists of parameters have colons


class Sentence(NamedTuple):
    """A sentence, and the library and the kind of object that it is from: places in `LIBRARIES` and `KINDS`."""

    text: str
    library: int
    kind: int


def sentences(part: Part) -> list[Sentence]:
    """The sentences of a part, in the order of their checksums, each text once for each library and kind.

    Objects of one name are in one part, whatever their library, since their documentation is often alike; a text that
    is found in both parts is in neither.

    Raises:
        DataError: where one of the libraries is missing.
    """
    return _both(tuple(_versions()))[part]


def source() -> str:
    """Which libraries, in which versions."""
    return f"from the source code of {', '.join(f'{LIBRARIES[name]} {found}' for name, found in _versions())}"


def _versions() -> Iterator[tuple[str, str]]:
    for package, title in LIBRARIES.items():
        if find_spec(package) is None:
            raise DataError(f"{title} is not installed, whose documentation is read: pip install 'laya-nb[chapters]'")
        yield package, version("scikit-learn" if package == "sklearn" else package)


@lru_cache(maxsize=1)
def _both(versions: tuple[tuple[str, str], ...]) -> dict[Part, list[Sentence]]:
    key = tokens.checksum(json.dumps([versions, READING]))[:12]
    arrays = cached(paths.cache() / "data" / f"documentation-{key}", _read)
    texts = arrays["texts"].tobytes().decode().split("\n")
    of_test, *columns = (arrays[name].tolist() for name in ("test", "library", "kind"))
    parts: dict[Part, list[Sentence]] = {"train": [], "test": []}
    for is_test, *found in zip(of_test, texts, *columns, strict=True):
        parts["test" if is_test else "train"].append(Sentence(*found))
    return parts


def _read() -> dict[str, np.ndarray]:
    found: dict[Sentence, bool] = {}
    parts: dict[str, set[bool]] = {}
    for library, package in enumerate(LIBRARIES):
        for name, kind, docstring in _docstrings(package):
            is_test = int(tokens.checksum(name), 16) % 2 == 0
            for text in filter(_PLAIN.fullmatch, prose(docstring)):
                found[Sentence(text, library, KINDS.index(kind))] = is_test
                parts.setdefault(text, set()).add(is_test)
    kept = sorted((one for one in found if len(parts[one.text]) == 1), key=lambda one: (tokens.checksum(one.text), one))
    return {
        "texts": np.frombuffer("\n".join(one.text for one in kept).encode(), dtype=np.uint8),
        "library": np.array([one.library for one in kept], dtype=np.uint8),
        "kind": np.array([one.kind for one in kept], dtype=np.uint8),
        "test": np.array([found[one] for one in kept]),
    }


def _docstrings(package: str) -> Iterator[tuple[str, str, str]]:
    """Name, kind and docstring of all modules of a package, and of what in them has a public name; no tests."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    for path in sorted(root.rglob("*.py")):
        within = path.relative_to(root).with_suffix("").parts
        if not any(map(_SKIPPED.fullmatch, within[:-1])) and not within[-1].startswith("test_"):
            names = [name for name in (package, *within) if name != "__init__"]
            yield from _in_body(ast.parse(path.read_bytes()), names[-1], "module")


def _in_body(node: ast.Module | ast.ClassDef | ast.FunctionDef, name: str, kind: str) -> Iterator[tuple[str, str, str]]:
    if docstring := ast.get_docstring(node):
        yield name, kind, docstring
    inside: Iterable[ast.stmt] = () if isinstance(node, ast.FunctionDef) else node.body
    for member in inside:
        if isinstance(member, ast.ClassDef | ast.FunctionDef) and not member.name.startswith("_"):
            is_class = isinstance(member, ast.ClassDef)
            of_kind = "class" if is_class else "function" if kind == "module" else "method"
            yield from _in_body(member, member.name, of_kind)
