"""The chapter checks: the committed chapters pass them, and each check can fail."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path

import chapters
import pytest
from nbformat import NotebookNode

NAME = "03_depth_profiles"


@pytest.mark.parametrize("name", chapters.chapter_names())
def test_chapter_is_paired_executed_and_fresh(name: str) -> None:
    assert chapters.problems(name, chapters.read_source(name), chapters.read_built(name)) == []


def first_code(notebook: NotebookNode) -> NotebookNode:
    return next(cell for cell in chapters.code_cells(notebook) if cell.outputs)


def unexecuted(built: NotebookNode) -> None:
    first_code(built).execution_count = None


def out_of_order(built: NotebookNode) -> None:
    first_code(built).execution_count = 99


def drifted_prose(built: NotebookNode) -> None:
    next(cell for cell in built.cells if cell.cell_type == "markdown").source += " More."


def drifted_code(built: NotebookNode) -> None:
    first_code(built).source += "\n1 + 1"


def drifted_tag(built: NotebookNode) -> None:
    first_code(built).metadata["tags"] = ["remove-cell"]


def error(built: NotebookNode) -> None:
    first_code(built).outputs = [NotebookNode(output_type="error", ename="E", evalue="", traceback=[])]


def stream(text: str) -> Callable[[NotebookNode], None]:
    def plant(built: NotebookNode) -> None:
        first_code(built).outputs = [NotebookNode(output_type="stream", name="stdout", text=text)]

    return plant


def no_alt_text(built: NotebookNode) -> None:
    next(cell for cell in built.cells if "mystnb" in cell.metadata).metadata.mystnb.image.alt = ""


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (unexecuted, "not every code cell was executed"),
        (out_of_order, "not every code cell was executed"),
        (drifted_prose, "differ"),
        (drifted_code, "differ"),
        (drifted_tag, "differ"),
        (error, "an error stands in the outputs"),
        (stream("<object at 0x7f3a2b1c>"), "a memory address"),
        (stream("runs:  10%|#    | 1/10"), "a progress bar"),
        (stream("/home/somebody/data"), "a path of one machine"),
        (no_alt_text, "a figure without alt text"),
    ],
)
def test_a_bad_chapter_is_caught(plant: Callable[[NotebookNode], None], message: str) -> None:
    built = copy.deepcopy(chapters.read_built(NAME))
    plant(built)
    assert any(message in problem for problem in chapters.problems(NAME, chapters.read_source(NAME), built))


def test_stale_outputs_are_caught(tmp_path: Path) -> None:
    """Planted: one more byte in a module, or in a result that the chapter reads."""
    for folder in ("src", "data"):
        shutil.copytree(chapters.ROOT / folder, tmp_path / folder)
    source, built = chapters.read_source(NAME), chapters.read_built(NAME)
    assert chapters.problems(NAME, source, built, tmp_path) == []
    read = built.metadata["laya_nb"]["reads"][0]
    for file, message in (
        ("src/laya_nb/py", "its package changed"),
        (f"data/{read}", "its published changed"),
    ):
        changed = tmp_path / file
        before = changed.read_bytes()
        changed.write_bytes(before + b"\n")
        assert any(message in problem for problem in chapters.problems(NAME, source, built, tmp_path))
        changed.write_bytes(before)


def test_changed_code_makes_outputs_stale() -> None:
    source = chapters.read_source(NAME)
    chapters.code_cells(source)[-1].source += "\n1 + 1"
    assert any("its code changed" in p for p in chapters.problems(NAME, source, chapters.read_built(NAME)))


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        ("seeds: list[int] = [0]  # which", True),
        ("seeds = [0]  # which", False),
        ("seeds: list[int] = [0]", False),
        ("import os", False),
    ],
)
def test_parameters_are_typed_literals_with_a_comment(line: str, fine: bool) -> None:
    source = chapters.read_source(NAME)
    cell = next(cell for cell in source.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source += f"\n{line}"
    assert any("literal" in p for p in chapters.problems(NAME, source, chapters.read_built(NAME))) is not fine


def test_front_matter_is_checked() -> None:
    for i, message in ((0, "Colab badge"), (1, "set-up cell")):
        source = chapters.read_source(NAME)
        source.cells[i].source = "# Title"
        assert any(message in p for p in chapters.problems(NAME, source, chapters.read_built(NAME)))
