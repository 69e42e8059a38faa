"""Build, check and run the book's chapters.

A chapter is written as book/NAME.py (jupytext, percent format). `build` executes it into book/NAME.ipynb, which Colab
and the book show, and stamps it with what its outputs depend on. `check` tells whether that is still true. `run`
executes a chapter at other parameters, into runs/.

usage: python tools/chapters.py build [NAME ...] | pair [NAME ...] | front [NAME ...] | check
       python tools/chapters.py run NAME [-p PARAMETER VALUE ...]
"""

import argparse
import hashlib
import json
import os
import re
import sys
import tomllib
from base64 import b64decode
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
MAIN_FIGURE = BOOK / "_static" / "main_figure.png"  # README shows it
CELL_TIMEOUT = 1200

SETUP = """\
# The package: the installed one, else the one in this checkout, else the repository's.
from importlib import metadata, util

if util.find_spec("laya_nb") is None:
    import os, subprocess, sys, tempfile
    from pathlib import Path

    checkout = next((p for p in Path.cwd().resolve().parents if (p / "src" / "laya_nb").is_dir()), None)
    if checkout is not None:
        sys.path.insert(0, str(checkout / "src"))
    else:  # pip must leave the host's own torch and numpy alone
        have = {{dist.metadata["Name"]: dist.version for dist in metadata.distributions()}}
        keep = [f"{{name}}=={{have[name]}}\\n" for name in ("torch", "torchvision", "numpy") if name in have]
        constraints = Path(tempfile.mkdtemp(), "constraints.txt")
        constraints.write_text("".join(keep))
        source = os.environ.get("LAYA_NB_SOURCE", "git+{repository}")
        package = f"laya-nb[{extras}] @ {{source}}"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", constraints, package]
        subprocess.run(pip, check=True)"""

# The parts of the package that a chapter needs beside those that all need.
EXTRAS = {"11_frozen_transformer": "chapters,pretrained", "12_bring_your_own": "chapters,export"}


def repository() -> str:
    """The repository's address, from the one place where it stands."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def setup_source(name: str) -> str:
    return SETUP.format(repository=repository(), extras=EXTRAS.get(name, "chapters"))


def badge(name: str) -> str:
    slug = repository().removeprefix("https://github.com/")
    link = f"https://colab.research.google.com/github/{slug}/blob/main/book/{name}.ipynb"
    return f"[![Open in Colab](_static/open_in_colab.svg)]({link})"


def front(names: list[str]) -> None:
    """Write badge and set-up cell anew where a chapter has them, or the words BADGE and SETUP in their place."""
    setup = re.compile(r"^(SETUP|# The package: the installed one.*?subprocess\.run\(pip, check=True\))$", re.M | re.S)
    for name in names:
        path = BOOK / f"{name}.py"
        parts = setup.split(path.read_text(), maxsplit=1)
        text = setup_source(name).join([parts[0], parts[-1]])
        path.write_text(re.sub(r"^# (BADGE|\[!\[Open in Colab.*)$", f"# {badge(name)}", text, count=1, flags=re.M))


def chapter_names() -> list[str]:
    return sorted(path.stem for path in BOOK.glob("*.py"))


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


# --- what a chapter's outputs depend on ---------------------------------------------------------------------------


def digest(parts: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]


def stamp(notebook: NotebookNode, reads: list[str], root: Path = ROOT) -> dict[str, Any]:
    """Hashes of the chapter's code, of the package, and of the published files that it reads."""
    package = sorted((root / "src" / "laya_nb").rglob("*.py"))
    files = [root / "data" / name for name in reads]
    return {
        "code": digest(cell.source.encode() for cell in code_cells(notebook)),
        "package": digest(part for path in package for part in (path.name.encode(), path.read_bytes())),
        "published": digest(path.read_bytes() if path.is_file() else b"absent" for path in files),
        "reads": reads,
    }


def execute(name: str) -> NotebookNode:
    """Execute a chapter at its published parameters, in a fresh kernel, and stamp it."""
    notebook = read_source(name)
    # Asked in the same kernel, after everything else; taken out again before anyone sees it.
    notebook.cells.append(
        nbformat.v4.new_code_cell(
            "import json; from laya_nb import paths; print(json.dumps(paths.published_files_read()))"
        )
    )
    environment = {**os.environ, "TQDM_DISABLE": "1"}
    NotebookClient(
        notebook, timeout=CELL_TIMEOUT, record_timing=False, resources={"metadata": {"path": str(BOOK)}}
    ).execute(env=environment)
    reads = json.loads(notebook.cells.pop().outputs[0].text)
    notebook.metadata.language_info = NotebookNode(name="python")
    notebook.metadata.laya_nb = stamp(notebook, reads)
    return notebook


def build(names: list[str]) -> None:
    """Execute chapters, two at a time, each into its .ipynb."""
    with ThreadPoolExecutor(2) as pool:
        for name, notebook in zip(names, pool.map(execute, names), strict=True):
            write(notebook, BOOK / f"{name}.ipynb")
            if name == "intro":
                MAIN_FIGURE.write_bytes(main_figure(notebook))
            print(f"built book/{name}.ipynb", flush=True)


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


# --- checks -------------------------------------------------------------------------------------------------------

FORBIDDEN_OUTPUT = {
    "a progress bar": re.compile(r"\d+%\|"),
    "a memory address": re.compile(r"\bat 0x[0-9a-f]{6,}"),
    "a path of one machine": re.compile(r"/(home|root|Users|tmp|work)/\w"),
}


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
    kept = built.metadata.get("laya_nb", {})
    now = stamp(source, kept.get("reads", []), root)
    found += [f"stale: its {what} changed since it was executed" for what in now if kept.get(what) != now[what]]
    found += _front_problems(name, source)
    for cell in cells:
        if cell.source.rstrip().endswith(";"):
            found.append(f"a trailing ';' hides an output, and only in IPython: {cell.source.splitlines()[-1]}")
        for output in cell.outputs:
            text = json.dumps({k: v for k, v in output.get("data", output).items() if not k.startswith("image/")})
            found += [f"{what} in an output" for what, pattern in FORBIDDEN_OUTPUT.items() if pattern.search(text)]
            if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
                found.append("a widget in an output")
            if "image/png" in output.get("data", {}):
                image = cell.metadata.get("mystnb", {})
                if not image.get("image", {}).get("alt") or not image.get("figure", {}).get("caption"):
                    found.append(f"a figure without alt text or caption: {cell.source.splitlines()[-1]}")
    return found


PARAMETER = re.compile(r"^\w+: .+ = .+  # .+$")


def _front_problems(name: str, source: NotebookNode) -> list[str]:
    """A chapter starts with title and badge, the set-up cell, and one cell of parameters."""
    found = []
    if not source.cells[0].source.startswith("# ") or badge(name) not in source.cells[0].source:
        found.append("the first cell is not a title with this chapter's Colab badge")
    if source.cells[1].source != setup_source(name):
        found.append("the second cell is not the set-up cell that tools/chapters.py holds")
    tagged = [cell for cell in source.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        found.append(f"one cell must be tagged 'parameters', found {len(tagged)}")
    for cell in tagged:
        found += [
            f"not 'name: type = literal  # comment': {line}"
            for line in cell.source.splitlines()
            if not PARAMETER.match(line)
        ]
    return found


def check() -> None:
    failed = False
    for name in chapter_names():
        if not (BOOK / f"{name}.ipynb").is_file():
            found = ["it was never built"]
        else:
            found = problems(name, read_source(name), read_built(name))
        for problem in found:
            failed = True
            print(f"book/{name}: {problem}")
    if failed:
        raise SystemExit("mend the chapters, then: python tools/chapters.py build")


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


def literal(text: str) -> Any:
    """A parameter's value as JSON, else the text itself: [0,1] is a list, fashion_mnist a string."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("build", "pair", "front"):
        commands.add_parser(command).add_argument("names", nargs="*", metavar="NAME")
    commands.add_parser("check")
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
            front(arguments.names or chapter_names())
        case "check":
            check()
        case "run":
            output = run(arguments.name, {name: literal(value) for name, value in arguments.parameters})
            print(f"executed: {output.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
