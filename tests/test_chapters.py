"""The chapter checks: the committed chapters pass them, and each check can fail."""

import copy
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import chapter_checks
import chapter_front
import chapters
import nbformat
import pytest
from chapter_checks import differences, problems, stamp
from chapter_files import BOOK, ROOT, chapter_names, code_cells, parameters_cells, read_built, read_source
from nbclient import NotebookClient
from nbformat import NotebookNode

from laya_nb.report import findings

NAME = "depth_profiles"


@pytest.mark.parametrize("name", chapter_names())
def test_chapter_is_paired_executed_and_fresh(name: str) -> None:
    assert problems(name, read_source(name), read_built(name)) == []


def test_the_book_as_a_whole_passes() -> None:
    assert chapter_checks.all_problems() == []


def first_code(notebook: NotebookNode) -> NotebookNode:
    return next(cell for cell in code_cells(notebook) if cell.outputs)


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
    next(cell for cell in built.cells if "figure" in cell.metadata.get("mystnb", {})).metadata.mystnb.image.alt = ""


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
    built = copy.deepcopy(read_built(NAME))
    plant(built)
    assert any(message in problem for problem in problems(NAME, read_source(NAME), built))


# --- what outputs depend on ---------------------------------------------------------------------------------------


@pytest.fixture
def stamped(tmp_path: Path) -> tuple[Path, NotebookNode, NotebookNode]:
    """A copy of what a chapter depends on, and the chapter, stamped as if it had been built from that."""
    kept = read_built(NAME).metadata["laya_nb"]
    shutil.copytree(ROOT / "src" / "laya_nb", tmp_path / "src" / "laya_nb")
    for name in [*kept["reads"], f"findings/{NAME}.json"]:
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "data" / name, tmp_path / "data" / name)
    source, built = read_source(NAME), read_built(NAME)
    built.metadata.laya_nb = stamp(NAME, source, kept["reads"], kept["modules"], tmp_path)
    return tmp_path, source, built


def stale(stamped: tuple[Path, NotebookNode, NotebookNode]) -> list[str]:
    root, source, built = stamped
    return [what for what in problems(NAME, source, built, root) if "stale" in what or "published:" in what]


def test_a_change_in_what_a_chapter_reads_or_found_is_caught(stamped: tuple[Path, NotebookNode, NotebookNode]) -> None:
    root, _, built = stamped
    assert stale(stamped) == []
    read = next(name for name in built.metadata["laya_nb"]["reads"] if name.startswith("results/"))
    for file, message in ((f"data/{read}", "its published"), (f"data/findings/{NAME}.json", "its findings")):
        before = (root / file).read_bytes()
        (root / file).write_bytes(before + b"\n")
        assert any(f"stale: {message} changed" in what for what in stale(stamped))
        (root / file).write_bytes(before)
    (root / "data" / read).unlink()
    assert f"it reads data/{read}, which is not published: make train" in stale(stamped)


def test_a_change_in_the_package_counts_where_it_is_imported(
    stamped: tuple[Path, NotebookNode, NotebookNode],
) -> None:
    root, _, built = stamped
    imported = built.metadata["laya_nb"]["modules"]
    assert {"laya_nb/__init__.py", "laya_nb/runs/sweep.py"} <= set(imported)
    package = root / "src"
    foreign = next(
        path for path in sorted(package.rglob("*.py")) if path.relative_to(package).as_posix() not in imported
    )
    foreign.write_text(foreign.read_text() + "\n")
    (foreign.parent / "new_module.py").write_text("")
    assert stale(stamped) == []
    sweep = package / "laya_nb/runs/sweep.py"
    sweep.write_text(sweep.read_text() + "\n")
    assert stale(stamped) == ["stale: its package changed since it was executed"]
    sweep.unlink()
    assert stale(stamped) == ["stale: its package changed since it was executed"]


def test_another_title_makes_findings_stale(stamped: tuple[Path, NotebookNode, NotebookNode]) -> None:
    _, source, built = stamped
    for notebook in (source, built):
        notebook.cells[0].source = notebook.cells[0].source.replace("# ", "# More on ", 1)
    assert stale(stamped) == ["stale: its findings have another title"]


def test_changed_code_makes_outputs_stale() -> None:
    source = read_source(NAME)
    code_cells(source)[-1].source += "\n1 + 1"
    assert any("its code changed" in what for what in problems(NAME, source, read_built(NAME)))


def test_every_published_result_is_read_by_a_chapter() -> None:
    read = {name for chapter in chapter_names() for name in read_built(chapter).metadata["laya_nb"]["reads"]}
    published = [path for path in (ROOT / "data" / "results").rglob("*") if path.is_file()]
    unread = [path.name for path in published if path.relative_to(ROOT / "data").as_posix() not in read]
    assert unread == []


def test_the_kernel_tells_what_it_loaded_read_and_found(tmp_path: Path) -> None:
    """Modules are named as they stand below src/; the question itself loads none."""
    show = """\
from laya_nb.report import findings
paths.published("results/a.json")
findings.show([findings.Finding("gain", "Is it?", "1.0", "Yes")], headline="It is")"""
    code = ["from laya_nb.support import paths", chapters.QUESTION, show, chapters.QUESTION]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in code])
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    before, after = (json.loads(notebook.cells[i].outputs[0].text) for i in (1, 3))
    assert (before["findings"], before["headline"], before["reads"]) == ([], None, [])
    assert "laya_nb/support/paths.py" in before["modules"]
    assert "laya_nb/report/findings/base.py" not in before["modules"]
    (found,) = after["findings"]
    assert findings.Finding(**found) == findings.Finding("gain", "Is it?", "1.0", "Yes")
    assert (after["headline"], after["reads"]) == ("It is", ["results/a.json"])
    assert "laya_nb/report/findings/base.py" in after["modules"]


# --- front matter -------------------------------------------------------------------------------------------------


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
    source = read_source(NAME)
    parameters_cells(source)[0].source += f"\n{line}"
    assert any("literal" in what for what in problems(NAME, source, read_built(NAME))) is not fine


def front_problems(plant: Callable[[NotebookNode], Any]) -> str:
    source = read_source(NAME)
    plant(source)
    return "\n".join(problems(NAME, source, read_built(NAME)))


def other_text(i: int, source: NotebookNode) -> None:
    source.cells[i].source = "# Title"


def test_front_matter_is_checked() -> None:
    for i, message in ((0, "Colab badge"), (1, "set-up cell")):
        assert message in front_problems(partial(other_text, i))
    assert "do not name the extras" in front_problems(lambda source: source.cells[1].metadata.pop("extras"))
    assert "tiny={...}" in front_problems(lambda source: parameters_cells(source)[0].metadata.pop("tiny"))
    more = {"seeds": [0], "sedes": [1]}
    assert "no parameters: sedes" in front_problems(
        lambda source: parameters_cells(source)[0].metadata.update(tiny=more)
    )


@pytest.mark.parametrize(
    ("prose", "message"),
    [("As in chapter 3.", "chapter 3"), ("Chapters 4 to 8", "Chapters 4"), ("The chapter on depth, 3 pages", "")],
)
def test_prose_names_no_chapter_by_its_number(prose: str, message: str) -> None:
    found = front_problems(lambda source: source.cells[-1].update(source=prose))
    assert message in found if message else "a chapter's number" not in found


def test_a_chapter_without_a_place_in_the_book_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chapter_checks, "chapter_names", lambda: ["intro"])
    assert f"book/{NAME}: it does not stand in _toc.yml" in chapter_checks.all_problems()


def test_front_fills_in_badge_and_setup_cell() -> None:
    body = '# %% [markdown]\n# # Title\n#\n# {}\n\n# %% tags=["hide-input"] extras=["chapters"]\n{}\n\n# %%\n1 + 1\n'
    filled = body.format(chapter_front.badge(NAME), chapter_front.setup_source(["chapters"]))
    assert chapter_front.with_front(NAME, body.format("BADGE", "pass")) == filled
    assert chapter_front.with_front(NAME, filled) == filled


def test_front_leaves_a_chapter_without_marks_alone() -> None:
    text = '# %% [markdown]\n# # Title\n\n# %% tags=["hide-input"]\nimport os\n\n# %%\n1 + 1\n'
    assert chapter_front.with_front(NAME, text) == text


def test_generated_parts_are_filled_in_where_their_marks_stand() -> None:
    text = "- links:\n  <!-- a -->\n  old\n  <!-- /a -->\nend\n"
    here = Path("README.md")
    assert chapter_front.with_region(here, text, "a", ["x", "", "y"]) == text.replace("  old", "  x\n\n  y")
    with pytest.raises(SystemExit, match=r"README\.md: <!-- b -->"):
        chapter_front.with_region(here, text, "b", ["x"])


def test_an_outdated_part_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chapter_front.outdated() == []
    monkeypatch.setattr(chapter_front, "headlines", lambda: ["- better than ever"])
    assert chapter_front.outdated() == [ROOT / "README.md"]


# --- the set-up cell ----------------------------------------------------------------------------------------------


def set_up(
    monkeypatch: pytest.MonkeyPatch, extras: list[str], absent: tuple[str, ...], folder: Path
) -> list[list[str]]:
    """What the cell asks pip for, where packages are absent and nothing can be installed."""
    asked: list[list[str]] = []
    version = importlib.metadata.version

    def version_if_present(name: str) -> str:
        if name in absent:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    def pip(command: list[Any], check: bool) -> None:
        assert command[:4] == [sys.executable, "-m", "pip", "install"]
        kept = Path(command[command.index("--constraint") + 1]).read_text().split()
        assert f"torch=={version('torch')}" in kept
        asked.append(list(command[command.index("--constraint") + 2 :]))

    monkeypatch.setattr(importlib.metadata, "version", version_if_present)
    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.delenv("LAYA_NB_SOURCE", raising=False)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.chdir(folder)
    if "laya-nb" in absent:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    exec(chapter_front.setup_source(extras), {})
    return asked


def test_setup_installs_what_a_chapter_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The package is there, and a part of it that this chapter alone needs is not."""
    absent = ("onnxscript",)
    ((asked,),) = set_up(monkeypatch, ["chapters", "export"], absent, tmp_path)
    assert asked.startswith("onnxscript")
    assert ";" not in asked
    assert set_up(monkeypatch, ["chapters"], absent, tmp_path) == []


def test_setup_asks_for_nothing_where_all_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert set_up(monkeypatch, ["chapters", "pretrained", "export"], (), tmp_path) == []


def test_setup_installs_the_package_from_its_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = set_up(monkeypatch, ["chapters", "export"], ("laya-nb",), tmp_path)
    assert asked == [[f"laya-nb[chapters,export] @ git+{chapter_front.repository()}@{chapter_front.REF}"]]


def test_setup_finds_the_checkout_above(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set_up(monkeypatch, ["chapters"], ("laya-nb",), BOOK) == []
    assert sys.path[0] == str(ROOT / "src")


# --- outputs against the committed ones ---------------------------------------------------------------------------

SHOWN = "from IPython.display import display\nimport sys\n"
COMPARED = {  # code, and what becomes of its outputs
    "same text": ("print('a')", {}),
    "other text": ("print('a')", {"text": "b\n"}),
    "other error text": ("print('a', file=sys.stderr)", {"text": "b\n"}),
    "other value": ("1", {"data": {"text/plain": "2"}}),
    "other picture": ("display({'image/png': 'eA==', 'text/plain': 'p'}, raw=True)",
                      {"data": {"image/png": "eQ==", "text/plain": "p"}}),
    "other table": ("display({'text/html': '<b>', 'text/plain': 'p'}, raw=True)",
                    {"data": {"text/html": "<i>", "text/plain": "p"}}),
    "a kind more": ("1", {"data": {"text/plain": "1", "text/html": "1"}}),
    "an output less": ("print('a'); display(1)", None),
    "another cell number": ("1", {"execution_count": 77}),
}  # fmt: skip


def test_outputs_are_compared_as_nbval_does(tmp_path: Path) -> None:
    """One notebook with faults planted in its outputs: nbval and our comparison find the same cells."""
    cells = [nbformat.v4.new_code_cell(SHOWN + code) for code, _ in COMPARED.values()]
    cells.append(nbformat.v4.new_code_cell("2", metadata={"tags": ["nbval-ignore-output"]}))
    executed = NotebookClient(nbformat.v4.new_notebook(cells=cells)).execute()
    committed = copy.deepcopy(executed)
    for cell, (_, change) in zip(committed.cells, COMPARED.values(), strict=False):
        if change is None:
            del cell.outputs[0]
        else:
            cell.outputs[0].update(nbformat.from_dict(change))
    committed.cells[-1].outputs[0].data["text/plain"] = "3"
    path = tmp_path / "committed.ipynb"
    nbformat.write(committed, path)
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-rf", "--color=no", str(path)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTEST_ADDOPTS": ""}
    )
    by_nbval = [int(number) for number in re.findall(r"^FAILED \S+::Cell (\d+)", done.stdout, re.M)]
    ours = [int(what.split()[2]) for what in differences(committed, executed)]
    assert ours == by_nbval, done.stdout
    assert [list(COMPARED)[i] for i in ours] == [
        "other text", "other error text", "other value", "other table", "a kind more", "an output less",
    ]  # fmt: skip


def test_other_code_is_not_compared() -> None:
    built = read_built(NAME)
    assert differences(built, built) == []
    changed = copy.deepcopy(built)
    code_cells(changed)[-1].source += "\n1 + 1"
    assert differences(built, changed) == ["the committed chapter has other code"]


def test_a_changed_page_must_be_rendered_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_from = ("_toc.yml", "_config.yml", "requirements.lock", "tools/term_links.py", "tools/mended_html.py")
    for name in (*made_from, "book/intro.ipynb", "book/references.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(chapters, "ROOT", tmp_path)
    monkeypatch.setattr(chapters, "BOOK", tmp_path / "book")
    monkeypatch.setattr(chapters, "RENDERED", tmp_path / "rendered.txt")
    assert not chapters.is_rendered()
    chapters.RENDERED.write_text(chapters.pages_digest())
    assert chapters.is_rendered()
    (tmp_path / "book" / "references.md").write_text("# Other\n")
    assert not chapters.is_rendered()


def test_what_a_chapter_found_is_kept_without_the_digits_in_which_processors_differ() -> None:
    one, other = ({"label": "a", "number": [0.077990753195930 + last, -1.5, 2.0]} for last in (0.0, 2e-17))
    assert chapters.rounded(one) == chapters.rounded(other) == {"label": "a", "number": [0.0779907532, -1.5, 2.0]}
    assert chapters.rounded({"label": "b", "number": None}) == {"label": "b", "number": None}
