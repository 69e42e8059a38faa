"""Build, check and run the book's chapters.

A chapter is written as book/NAME.py (jupytext, percent format). `build` executes it into book/NAME.ipynb, which Colab
and the book show, writes what it found to data/findings/NAME.json, and stamps it with what its outputs depend on.
`check` tells whether that is still true, `compare` whether outputs are those committed. `pair` carries prose over,
`front` writes the parts that a program writes: badges, set-up cells, lists of chapters, README's results. `render`
turns built chapters into pages. `run` executes a chapter at other parameters, into runs/.

usage: python tools/chapters.py build [NAME ...] | pair [NAME ...] | front | check | compare | render
       python tools/chapters.py run NAME [-p PARAMETER VALUE ...]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import nbformat
from chapter_checks import all_problems, changed_outputs, stamp
from chapter_files import (
    BOOK,
    FINDINGS,
    FIRST,
    ROOT,
    SUMMARIES,
    chapter_names,
    code_cells,
    digest,
    read_built,
    read_source,
    title,
    write,
)
from chapter_front import front
from nbclient import NotebookClient
from nbformat import NotebookNode
from warm_kernels import warm_kernels

MAIN_FIGURE = BOOK / "_static" / "main_figure.png"  # README shows it
CELL_TIMEOUT = 1200
HTML = ROOT / "_build" / "html"
RENDERED = ROOT / "_build" / "rendered.txt"  # what HTML was made from, as `pages_digest` gives it

# Executed after a chapter, in its kernel: what it loaded, read and found. It imports nothing of the package.
QUESTION = """\
import json, sys
from pathlib import Path

def _asked(module, name, default):
    return getattr(sys.modules.get(f"laya_nb.{module}"), name, default)

_package = Path(sys.modules["laya_nb"].__file__).parent
_loaded = [m.__file__ for name, m in sys.modules.items() if name.split(".")[0] == "laya_nb"]
print(json.dumps({
    "modules": sorted(Path(file).relative_to(_package.parent).as_posix() for file in _loaded if file),
    "reads": _asked("support.paths", "published_files_read", list)(),
    "findings": [vars(f) for f in _asked("report.findings.base", "shown", [])],
    "headline": _asked("report.findings.base", "shown_headline", None),
}))"""


def execute(name: str, kernel: str = "python3") -> tuple[NotebookNode, dict[str, Any]]:
    """Execute a chapter at its published parameters, in a fresh kernel; with it comes the answer to QUESTION."""
    notebook = read_source(name)
    notebook.cells.append(nbformat.v4.new_code_cell(QUESTION))
    environment = {**os.environ, "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
    resources = {"metadata": {"path": str(BOOK)}}
    NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        record_timing=False,
        coalesce_streams=True,  # what is printed comes in pieces, at times more and at times fewer
        kernel_name=kernel,
        resources=resources,
    ).execute(env=environment)
    answer = json.loads(notebook.cells.pop().outputs[0].text)  # taken out again before anyone sees it
    notebook.metadata.language_info = NotebookNode(name="python")
    return notebook, answer


def keep(name: str, notebook: NotebookNode, answer: dict[str, Any]) -> None:
    """Write an executed chapter and what it found."""
    if name not in SUMMARIES:
        findings = [rounded(finding) for finding in answer["findings"]]
        found = {"title": title(f"book/{name}"), "findings": findings, "headline": answer["headline"]}
        path = ROOT / FINDINGS / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    notebook.metadata.laya_nb = stamp(name, notebook, answer["reads"], answer["modules"])
    write(notebook, BOOK / f"{name}.ipynb")
    if name == FIRST:
        MAIN_FIGURE.write_bytes(main_figure(notebook))
    print(f"built book/{name}.ipynb", flush=True)


def rounded(finding: dict[str, Any]) -> dict[str, Any]:
    """A finding with nine digits of its number: in the last ones processors differ, and the file should not."""
    return finding | {"number": finding["number"] and [float(f"{value:.9g}") for value in finding["number"]]}


def build(names: list[str]) -> None:
    """Execute chapters, two at a time, each into its .ipynb; those that sum up the others come last."""
    with warm_kernels() as kernel, ThreadPoolExecutor(2) as pool:
        for group in (set(names) - SUMMARIES, set(names) & SUMMARIES):
            started = {pool.submit(execute, name, kernel): name for name in names if name in group}
            for done in as_completed(started):
                keep(started[done], *done.result())


def main_figure(intro: NotebookNode) -> bytes:
    """The introduction's figure that README shows too."""
    cell = next(cell for cell in intro.cells if "main-figure" in cell.metadata.get("tags", []))
    return b64decode(cell.outputs[0].data["image/png"])


def pair(names: list[str]) -> None:
    """Carry prose from .py to .ipynb and keep the outputs; refused where code changed."""
    for name in names:
        source, built = read_source(name), read_built(name)
        if [c.source for c in code_cells(source)] != [c.source for c in code_cells(built)]:
            raise SystemExit(f"{name}: its code changed; execute it: python tools/chapters.py build {name}")
        for new, old in zip(code_cells(source), code_cells(built), strict=True):
            new.outputs, new.execution_count = old.outputs, old.execution_count
        source.metadata = built.metadata
        write(source, BOOK / f"{name}.ipynb")


# --- pages --------------------------------------------------------------------------------------------------------


def pages_digest() -> str:
    """A hash of all that the pages are made from."""
    files = [ROOT / "_toc.yml", ROOT / "_config.yml", ROOT / "requirements.lock"]
    files += [ROOT / "tools" / "term_links.py", ROOT / "tools" / "mended_html.py"]
    files += [path for path in BOOK.rglob("*") if path.is_file() and path.suffix != ".py"]
    shown = sorted(path for path in files if not any(part.startswith(".") for part in path.relative_to(ROOT).parts))
    return digest(part for path in shown for part in (str(path.relative_to(ROOT)).encode(), path.read_bytes()))


def is_rendered() -> bool:
    """Whether HTML holds the pages of exactly the files that stand here, made without a warning."""
    return RENDERED.is_file() and RENDERED.read_text() == pages_digest()


def pages_command(*options: str) -> list[str]:
    """What makes the pages. A warning is an error, and so is a link to nothing; all are reported."""
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    return [str(jupyter_book), "build", str(ROOT), "--warningiserror", "--nitpick", "--keep-going", *options]


def render() -> None:
    """Make the pages from scratch: what was made before would not warn again."""
    RENDERED.unlink(missing_ok=True)
    for folder in (HTML, ROOT / "_build" / ".doctrees"):
        shutil.rmtree(folder, ignore_errors=True)
    made_from = pages_digest()
    if subprocess.run(pages_command("--quiet")).returncode:
        raise SystemExit("the pages have faults, see above")
    RENDERED.write_text(made_from)


# --- a reader's own run -------------------------------------------------------------------------------------------


def run(name: str, parameters: dict[str, Any]) -> Path:
    """Execute a chapter at other parameters into runs/NAME.ipynb; what it trains goes to the reader's own store."""
    import papermill

    if name not in chapter_names():
        raise SystemExit(f"unknown chapter {name!r}; known: {', '.join(chapter_names())}")
    output = ROOT / "runs" / f"{name}.ipynb"
    output.parent.mkdir(exist_ok=True)
    papermill.execute_notebook(BOOK / f"{name}.ipynb", output, parameters, cwd=BOOK, log_output=True)
    return output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("build", "pair"):
        commands.add_parser(command).add_argument("names", nargs="*", metavar="NAME")
    for command in ("front", "check", "compare", "render"):
        commands.add_parser(command)
    runner = commands.add_parser("run")
    runner.add_argument("name")
    runner.add_argument("-p", dest="parameters", nargs=2, action="append", default=[], metavar=("PARAMETER", "VALUE"))
    arguments = parser.parse_args()
    match arguments.command:
        case "build":
            build(arguments.names or chapter_names())
        case "pair":
            pair(arguments.names or chapter_names())
        case "front":
            front()
        case "check":
            report(all_problems(), "mend the chapters, then: python tools/chapters.py build")
        case "compare":
            report(changed_outputs(), "look at what changed; where it is right, commit the chapters as built")
        case "render":
            render()
        case "run":
            from laya_nb.support.values import parse_value  # the same grammar as the shell command's; it loads torch

            output = run(arguments.name, {name: parse_value(value) for name, value in arguments.parameters})
            print(f"executed: {output.relative_to(ROOT)}", file=sys.stderr)


def report(problems: list[str], advice: str) -> None:
    """Print what is wrong, and fail if anything is."""
    print(*problems, sep="\n", end="\n" if problems else "")
    if problems:
        raise SystemExit(advice)


if __name__ == "__main__":
    main()
