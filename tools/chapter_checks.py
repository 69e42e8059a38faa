"""What a chapter's outputs depend on, and what can be wrong with a chapter."""

import copy
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
from chapter_files import (
    BOOK,
    FINDINGS,
    ROOT,
    SUMMARIES,
    chapter_names,
    code_cells,
    digest,
    parameters_cells,
    read_built,
    read_source,
)
from chapter_front import badge, outdated, setup_source
from nbformat import NotebookNode

# --- what a chapter's outputs depend on ---------------------------------------------------------------------------


def stamp(
    name: str, notebook: NotebookNode, reads: Sequence[str], modules: Sequence[str], root: Path = ROOT
) -> dict[str, Any]:
    """Hashes of all that decides a chapter's outputs, and of what it found.

    Args:
        name: the chapter's.
        notebook: its code.
        reads: the published files that it read, below data/.
        modules: the modules of the package that its kernel loaded, below src/.
        root: the checkout.
    """
    return {
        "code": digest(cell.source.encode() for cell in code_cells(notebook)),
        "package": digest(part for path in modules for part in (path.encode(), _content(root / "src" / path))),
        "published": digest(_content(root / "data" / path) for path in reads),
        "findings": digest([_content(root / FINDINGS / f"{name}.json")]),
        "reads": list(reads),
        "modules": list(modules),
    }


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


# --- checks -------------------------------------------------------------------------------------------------------

FORBIDDEN_OUTPUT = {
    "a progress bar": re.compile(r"\d+%\|"),
    "a memory address": re.compile(r"\bat 0x[0-9a-f]{6,}"),
    "a path of one machine": re.compile(r"/(home|root|Users|tmp|work)/\w"),
}
NUMBERED = re.compile(r"\b[Cc]hapters? \d+")
PARAMETER = re.compile(r"^(\w+): .+ = .+  # .+$")


def problems(name: str, source: NotebookNode, built: NotebookNode, root: Path = ROOT) -> list[str]:
    """What is wrong with a built chapter, in words; empty for a chapter that is paired, executed and fresh."""
    found = []

    def shape(notebook: NotebookNode) -> list[tuple[str, str, Any]]:
        return [
            (c.cell_type, c.source, {k: v for k, v in c.metadata.items() if k != "execution"}) for c in notebook.cells
        ]

    if shape(source) != shape(built):
        found.append("the .py and the .ipynb differ")
    cells = [cell for cell in code_cells(built) if cell.source.strip()]
    if [cell.execution_count for cell in cells] != list(range(1, len(cells) + 1)):
        found.append("not every code cell was executed, once and in order")
    if any(output.output_type == "error" for cell in cells for output in cell.outputs):
        found.append("an error stands in the outputs")
    found += _front_problems(name, source)
    found += _stale(name, source, built, root)
    for cell in source.cells:
        found += [_numbered(text) for text in NUMBERED.findall(cell.source)]
    for cell in cells:
        found += _output_problems(cell)
    return found


def _numbered(text: str) -> str:
    return f"a chapter's number, which _toc.yml alone decides: {text}"


def _stale(name: str, source: NotebookNode, built: NotebookNode, root: Path) -> Iterator[str]:
    kept = built.metadata.get("laya_nb", {})
    reads = kept.get("reads", [])
    for path in reads:
        if not (root / "data" / path).is_file():
            yield f"it reads data/{path}, which is not published: make train"
    now = stamp(name, source, reads, kept.get("modules", []), root)
    for what in now:
        if kept.get(what) != now[what]:
            yield f"stale: its {what} changed since it was executed"
    findings = root / FINDINGS / f"{name}.json"
    if findings.is_file() and f"# {json.loads(findings.read_text())['title']}\n" not in source.cells[0].source:
        yield "stale: its findings have another title"


def _output_problems(cell: NotebookNode) -> Iterator[str]:
    last = cell.source.splitlines()[-1]
    if cell.source.rstrip().endswith(";"):
        yield f"a trailing ';' hides an output, and only in IPython: {last}"
    for output in cell.outputs:
        text = json.dumps({k: v for k, v in output.get("data", output).items() if not k.startswith("image/")})
        for what, pattern in FORBIDDEN_OUTPUT.items():
            if pattern.search(text):
                yield f"{what} in an output"
        if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
            yield "a widget in an output"
        if "image/png" in output.get("data", {}):
            image = cell.metadata.get("mystnb", {})
            if not image.get("image", {}).get("alt") or not image.get("figure", {}).get("caption"):
                yield f"a figure without alt text or caption: {last}"


def _front_problems(name: str, source: NotebookNode) -> Iterator[str]:
    """A chapter starts with title and badge, the set-up cell, and one cell of parameters, unless it has none."""
    head, setup = source.cells[:2]
    if not head.source.startswith("# ") or badge(name) not in head.source:
        yield "the first cell is not a title with this chapter's Colab badge"
    extras = setup.metadata.get("extras")
    if not extras:
        yield 'the second cell\'s metadata do not name the extras that the chapter needs: extras=["chapters"]'
    elif setup.source != setup_source(extras):
        yield "the second cell is not the set-up cell that tools/chapter_front.py holds"
    tagged = parameters_cells(source)
    if len(tagged) > 1 or (not tagged and name not in SUMMARIES):
        yield f"one cell must be tagged 'parameters', found {len(tagged)}"
    for cell in tagged:
        known = set()
        for line in cell.source.splitlines():
            if parameter := PARAMETER.match(line):
                known.add(parameter[1])
            else:
                yield f"not 'name: type = literal  # comment': {line}"
        tiny = cell.metadata.get("tiny")
        if not tiny:
            yield "the metadata of its parameters name no values to try it with in moments: tiny={...}"
        elif unknown := set(tiny) - known:
            yield f"tiny names what are no parameters: {', '.join(sorted(unknown))}"


def all_problems() -> list[str]:
    """What is wrong with the book's chapters and the parts that are generated from them."""
    names = chapter_names()
    sources = sorted(path.stem for path in BOOK.glob("*.py"))
    found = [f"book/{name}: it does not stand in _toc.yml" for name in sources if name not in names]
    for name in names:
        if not (BOOK / f"{name}.ipynb").is_file():
            found.append(f"book/{name}: it was never built")
        else:
            found += [f"book/{name}: {what}" for what in problems(name, read_source(name), read_built(name))]
    found += [
        f"{path.relative_to(ROOT)}: a generated part is out of date: python tools/chapters.py front"
        for path in outdated()
    ]
    for path in [ROOT / "README.md", *BOOK.glob("*.md")]:
        found += [f"{path.relative_to(ROOT)}: {_numbered(text)}" for text in NUMBERED.findall(path.read_text())]
    return found


# --- this execution against the committed one ---------------------------------------------------------------------

# What nbval does not compare either.
NOT_COMPARED = {"metadata", "traceback", "output_type", "name", "execution_count", "image/png", "image/jpeg"}


def differences(committed: NotebookNode, executed: NotebookNode) -> list[str]:
    """Where two executions of one chapter differ: what nbval would complain of, had it executed the committed one."""
    before, after = code_cells(committed), code_cells(executed)
    if [cell.source for cell in before] != [cell.source for cell in after]:
        return ["the committed chapter has other code"]
    return [
        f"code cell {i} gave other outputs than those committed\n{cell.source}\ncommitted: {then}\nnow: {now}"
        for i, cell in enumerate(before)
        if "nbval-ignore-output" not in cell.metadata.get("tags", [])
        and (then := _comparable(cell.outputs)) != (now := _comparable(after[i].outputs))
    ]


def _comparable(outputs: list[NotebookNode]) -> dict[str, list[Any]]:
    """Outputs by stream or MIME type, in order, as nbval compares them."""
    from nbval.plugin import coalesce_streams  # type: ignore[import-untyped]

    values: dict[str, list[Any]] = {}
    for output in coalesce_streams(copy.deepcopy(outputs)):
        if output.output_type == "stream":
            parts = {output.name: output.text}
        else:
            parts = {key: value for key, value in output.items() if key != "data"} | output.get("data", {})
        for key, value in parts.items():
            if key not in NOT_COMPARED:
                values.setdefault(key, []).append(value)
    return values


def changed_outputs() -> list[str]:
    """Where the chapters as they stand here gave other outputs than the committed ones."""
    found = []
    for name in chapter_names():
        git = ["git", "-C", str(ROOT), "show", f"HEAD:book/{name}.ipynb"]
        shown = subprocess.run(git, capture_output=True, text=True)
        if shown.returncode:
            found.append(f"book/{name}: it is not committed")
        else:
            committed = nbformat.reads(shown.stdout, as_version=4)
            found += [f"book/{name}: {what}" for what in differences(committed, read_built(name))]
    return found
