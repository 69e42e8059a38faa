"""Where the book's files are, in which order, and how they are read and written."""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

import jupytext
import nbformat
import yaml
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
FINDINGS = "data/findings"  # what each chapter found, for the introduction and README
FIRST = "intro"
SUMMARIES = {FIRST, "findings", "conclusion"}  # they show what the others found, so they are executed last


def toc() -> list[tuple[str, list[str]]]:
    """The book's order as _toc.yml has it: captions of parts, and the pages of each, as paths without an ending."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    parts = [(part["caption"], [page["file"] for page in part["chapters"]]) for part in contents["parts"]]
    return [("", [contents["root"]]), *parts]


def chapter_names() -> list[str]:
    """The chapters in the book's order, the introduction first."""
    pages = [Path(page) for _, pages in toc() for page in pages]
    return [page.name for page in pages if (ROOT / page).with_suffix(".py").is_file()]


def execution_order() -> list[str]:
    """The chapters in the order in which they are executed: the introduction last."""
    return sorted(chapter_names(), key=lambda name: name in SUMMARIES)


def title(page: str) -> str:
    """The first heading of a page, chapter or Markdown."""
    path, heading = ROOT / f"{page}.py", r"^# # (.+)$"
    if not path.is_file():
        path, heading = ROOT / f"{page}.md", r"^# (.+)$"
    found = re.search(heading, path.read_text(), re.M)
    if found is None:
        raise SystemExit(f"{path.relative_to(ROOT)} has no title")
    return found[1]


def read_source(name: str) -> NotebookNode:
    """The chapter as its .py tells it, with cell ids that do not change from one build to the next."""
    notebook = jupytext.read(BOOK / f"{name}.py")
    for i, cell in enumerate(notebook.cells):
        cell.id = f"{name[:20].replace('_', '-')}-{i:02}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = NotebookNode(kernelspec=kernel, language_info={"name": "python"})
    return notebook


def read_built(name: str) -> NotebookNode:
    return nbformat.read(BOOK / f"{name}.ipynb", as_version=4)


def write(notebook: NotebookNode, path: Path) -> None:
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def parameters_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cell tagged `parameters`; a chapter has one, and a faulty one may have more or none."""
    return [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]


def digest(parts: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]
