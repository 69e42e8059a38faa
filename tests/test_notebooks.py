"""The notebooks as readers run them: at other parameters, at wrong parameters, and alone in an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from chapter_files import BOOK, ROOT, chapter_names, parameters_cells, read_built
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from papermill.exceptions import PapermillExecutionError
from warm_kernels import warm_kernels


def tiny(name: str) -> dict[str, Any]:
    """The values with which a chapter can be tried in moments; they stand with its parameters."""
    return next((cell.metadata["tiny"] for cell in parameters_cells(read_built(name))), {})


@pytest.fixture(scope="module")
def kernel() -> Iterator[str]:
    with warm_kernels() as name:
        yield name


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def execute(kernel: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("LAYA_NB_CACHE", str(cache))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.delenv("LAYA_NB_DATA", raising=False)

    def execute(name: str, parameters: dict[str, Any]) -> nbformat.NotebookNode:
        return papermill.execute_notebook(
            BOOK / f"{name}.ipynb",
            tmp_path / f"{name}.ipynb",
            parameters,
            cwd=BOOK,
            progress_bar=False,
            kernel_name=kernel,
        )

    return execute


def trained(cache: Path) -> dict[Path, dict[str, Any]]:
    """The runs whose results the cache holds, by their files."""
    documents = {path: json.loads(path.read_text()) for path in sorted((cache / "results").rglob("*.json"))}
    return {path: document["run"] for path, document in documents.items() if "run" in document}


@pytest.mark.parametrize("name", chapter_names())
def test_chapter_trains_at_tiny_parameters(name: str, execute: Any, cache: Path) -> None:
    """Every figure is drawn from models trained just now; the chapters share one store, as a reader's would."""
    small = tiny(name)
    executed = execute(name, small)
    runs = [run for run in trained(cache).values() if "protocol" in run]  # the others are measurements of encoders
    assert {run["protocol"]["max_epochs"] for run in runs} <= {1}
    if {"dataset", "seeds"} <= set(small):
        assert set(small["seeds"]) <= {run["seed"] for run in runs if run["dataset"].startswith(small["dataset"])}
    drawn = [o for cell in executed.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    figures = [cell for cell in executed.cells if "figure" in cell.metadata.get("mystnb", {})]
    # Probes of a vision transformer take minutes, a decoder's training an hour, and strangers need files: their figures
    # are not drawn.
    left_out = (small.get("vision") == []) + (small.get("decoder_tasks") == []) + 2 * (small.get("meeting") == [])
    assert len(drawn) == len(figures) - left_out
    assert figures or name == "conclusion"  # a table and advice


def test_a_new_temperature_is_a_new_point_and_nothing_else_is_trained(execute: Any, cache: Path) -> None:
    small = tiny("temperature")
    execute("temperature", small)
    before = trained(cache)
    executed = execute("temperature", small | {"taus": [*small["taus"], 3.0]})
    new = [run for path, run in trained(cache).items() if path not in before]
    assert sorted((run["temperature"], run["seed"]) for run in new) == [(3.0, seed) for seed in small["seeds"]]
    tables = [o.data["text/plain"] for cell in executed.cells for o in cell.get("outputs", []) if "data" in o]
    assert any("\n3.00 " in table for table in tables)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sedes": [0, 1]}, "unknown parameter 'sedes'; this chapter knows: dataset: str, seeds: list[int]"),
        ({"seeds": "0, 1"}, "parameter seeds must be list[int], got '0, 1'"),
        ({"seeds": [0, "1"]}, "parameter seeds must be list[int]"),
    ],
)
def test_wrong_parameters_stop_the_chapter(parameters: dict[str, Any], message: str, execute: Any) -> None:
    with pytest.raises(PapermillExecutionError) as caught:
        execute("depth_profiles", parameters)
    assert message in str(caught.value)


def test_one_notebook_alone_as_colab_would_run_it(tmp_path: Path) -> None:
    """An empty folder, an environment with torch and without this package, a repository to install from."""
    python = environment_without_package(tmp_path / "env")
    repository = committed_copy(tmp_path / "repository")
    archive = tmp_path / "archive.zip"
    git = ["git", "-C", str(repository), "archive", "--format=zip", "--prefix=laya-nb-main/", f"--output={archive}"]
    subprocess.run([*git, "HEAD"], check=True)
    folder = tmp_path / "content"
    folder.mkdir()
    shutil.copy(BOOK / "depth_profiles.ipynb", folder / "chapter.ipynb")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LAYA_NB_SOURCE": f"git+file://localhost{repository}",
        "LAYA_NB_ARCHIVE": archive.as_uri(),
        "TQDM_DISABLE": "1",
    } | {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "UV_"))}

    def run(*command: str) -> str:
        done = subprocess.run([python, *command], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    versions = "from importlib.metadata import version as v; print(v('torch'), v('numpy'), v('torchvision'))"
    before = run("-c", versions)
    run("-m", "papermill", "chapter.ipynb", "executed.ipynb", "--no-progress-bar")
    assert run("-c", versions) == before, "the set-up cell disturbed the host's packages"
    assert str(tmp_path / "env") in run("-c", "import laya_nb; print(laya_nb.__file__)")
    assert len(list((tmp_path / ".cache" / "laya_nb" / "published").glob("*/results"))) == 1
    assert not (tmp_path / ".cache" / "laya_nb" / "results").exists(), "something was trained"

    committed, executed = (
        nbformat.read(path, 4) for path in (BOOK / "depth_profiles.ipynb", folder / "executed.ipynb")
    )
    assert printed(executed) == printed(committed)


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What each cell prints, whole: a busy machine hands it over in more than one piece."""
    cells = [[o.text for o in cell.get("outputs", []) if o.output_type == "stream"] for cell in notebook.cells]
    return ["".join(texts) for texts in cells]


def environment_without_package(folder: Path) -> str:
    """A virtual environment that shares this one's packages, all but laya_nb."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    here = Path(sysconfig.get_paths()["purelib"])
    there = folder / here.relative_to(sys.prefix)
    for entry in here.iterdir():
        if "laya_nb" not in entry.name:
            (there / entry.name).symlink_to(entry)
    python = str(folder / "bin" / "python")
    assert subprocess.run([python, "-c", "import torch, laya_nb"], capture_output=True).returncode != 0
    return python


def committed_copy(folder: Path) -> Path:
    """The working tree as a repository of its own, so that what is tested is what stands here."""
    git = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(git, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "copy"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    return folder


# --- the kernels that these tests and `make book` use ------------------------------------------------------------


def cells_of(kernel: str, folder: Path, *code: str) -> list[str]:
    """What each piece of code prints in a kernel."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in code])
    NotebookClient(notebook, kernel_name=kernel, resources={"metadata": {"path": str(folder)}}).execute()
    said = [[output.text for output in cell.outputs if output.get("name") == "stdout"] for cell in notebook.cells]
    return ["".join(texts) for texts in said]


def test_a_warm_kernel_is_as_any_other(kernel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its own folder, environment and random numbers, runs other programs, and knows nothing of this package."""
    monkeypatch.setenv("LAYA_NB_TEST", "here")
    code = """\
import os, subprocess, sys
print(os.getcwd(), os.environ["LAYA_NB_TEST"], "laya_nb" in sys.modules, __name__)
print(any(folder.endswith("tools") for folder in sys.path), subprocess.run(["true"]).returncode)"""
    drawn = "import numpy, torch; print(numpy.random.rand()); print(torch.rand(1).item())"
    warm = cells_of(kernel, tmp_path, code, drawn)
    assert warm[0] == f"{tmp_path} here False __main__\nFalse 0\n"
    assert warm[0] == cells_of("python3", tmp_path, code)[0]
    again = cells_of(kernel, tmp_path, drawn)[0]
    assert not set(warm[1].split()) & set(again.split())


def test_libraries_in_a_warm_kernel_are_set_up_as_in_any_other(kernel: str, tmp_path: Path) -> None:
    """They look around when they are imported, and show tables and figures accordingly."""
    code = """\
import sys
import matplotlib.pyplot, numpy as np, pandas as pd, seaborn, torch, tqdm.auto
from pandas._config.config import _registered_options
print(*(f"{name}: {pd.get_option(name)}" for name in sorted(_registered_options)), sep="\\n")
print(*(f"{name}: {value}" for name, value in sorted(matplotlib.rcParams.items())), sep="\\n")
print(np.get_printoptions(), np.geterr(), torch.get_default_dtype(), torch.get_num_threads(), tqdm.auto.tqdm.__module__)
print(sys.getrecursionlimit(), sys.flags.hash_randomization)"""
    warm, usual = (cells_of(name, tmp_path, code)[0].splitlines() for name in (kernel, "python3"))
    assert len(warm) > 300
    same_but = {"display.encoding: utf-8": "display.encoding: UTF-8"}
    assert [same_but.get(line, line) for line in warm] == usual


def test_a_warm_kernel_can_be_interrupted_and_killed(kernel: str, tmp_path: Path) -> None:
    """A cell that runs too long, and a crash, leave no process behind."""
    note = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); "
    for ending, message in (("time.sleep(60)", "KeyboardInterrupt"), ("os._exit(3)", "Kernel died")):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(note + ending)])
        with pytest.raises((CellExecutionError, DeadKernelError), match=message):
            NotebookClient(notebook, kernel_name=kernel, timeout=2, interrupt_on_timeout=True).execute()
        process, end = Path("/proc", (tmp_path / "pid").read_text()), time.monotonic() + 20
        while process.exists() and time.monotonic() < end:
            time.sleep(0.1)
        assert not process.exists()
