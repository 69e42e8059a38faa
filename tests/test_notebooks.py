"""The notebooks as readers run them: at other parameters, at wrong parameters, and alone in an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import chapters
import nbformat
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

SMALL: dict[str, Any] = {"dataset": "fashion_mnist_sample", "max_epochs": 1}
TINY: dict[str, dict[str, Any]] = {
    "intro": SMALL
    | {"colours": "fashion_mnist_sample", "texts": "docstrings"}
    | {"seeds": [0, 1], "ablation_seeds": [0, 1], "grid_seeds": [0, 1], "stability_seeds": [0, 1]},
    "01_mechanism": SMALL | {"images_shown": 4},
    "02_fashion_mnist": SMALL | {"seeds": [0, 1, 2], "margin": 1.0},
    "03_depth_profiles": SMALL | {"seeds": [3, 4]},
    "04_temperature": SMALL | {"seeds": [0, 1], "taus": [0.25, 1.5], "reference": 0.25},
    "05_adapter_capacity": SMALL | {"seeds": [0, 1], "widths": [8, 12], "reference": 12, "grid_seeds": [0, 1]},
    "06_depth": SMALL | {"seeds": [0, 1], "depths": [1, 2, 5], "width": 16},
    "07_redundancy": SMALL | {"seeds": [0, 1], "extreme_taus": [0.1]},
    "08_stability": SMALL | {"seeds": [0, 1, 2, 3], "groups": [1, 2, 5], "shuffles": 20},
    "09_cifar10": SMALL | {"seeds": [0, 1]},
    "10_imdb": {"dataset": "docstrings", "max_epochs": 1, "seeds": [0, 1]},
    "11_frozen_transformer": {"dataset": "docstrings", "max_epochs": 1, "seeds": [0, 1]},
    "12_bring_your_own": {"max_epochs": 1, "seeds": [0, 1]},
}
STORES_NOTHING = {"01_mechanism", "12_bring_your_own"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def execute(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("LAYA_NB_CACHE", str(cache))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.delenv("LAYA_NB_DATA", raising=False)

    def execute(name: str, parameters: dict[str, Any]) -> nbformat.NotebookNode:
        return papermill.execute_notebook(
            chapters.BOOK / f"{name}.ipynb",
            tmp_path / f"{name}.ipynb",
            parameters,
            cwd=chapters.BOOK,
            progress_bar=False,
        )

    return execute


def test_every_chapter_has_tiny_parameters() -> None:
    assert set(TINY) == set(chapters.chapter_names())


@pytest.mark.parametrize("name", TINY)
def test_chapter_trains_at_tiny_parameters(name: str, execute: Any, cache: Path) -> None:
    """Every figure is drawn from models trained just now; the chapters share one store, as a reader's would."""
    executed = execute(name, TINY[name])
    trained = [json.loads(path.read_text())["run"] for path in sorted((cache / "results").rglob("*.json"))]
    assert {run["protocol"]["max_epochs"] for run in trained} <= {1}
    if name not in STORES_NOTHING:
        seeds = {run["seed"] for run in trained if run["dataset"].startswith(TINY[name]["dataset"])}
        assert set(TINY[name]["seeds"]) <= seeds
    drawn = [o for cell in executed.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    figures = [cell for cell in executed.cells if "mystnb" in cell.metadata]
    assert len(drawn) == len(figures) > 0


def test_a_new_temperature_is_a_new_point_and_nothing_else_is_trained(execute: Any, cache: Path) -> None:
    small = TINY["04_temperature"]
    execute("04_temperature", small)
    before = set((cache / "results").rglob("*.json"))
    executed = execute("04_temperature", small | {"taus": [*small["taus"], 3.0]})
    new = set((cache / "results").rglob("*.json")) - before
    described = [json.loads(path.read_text())["run"] for path in new]
    assert sorted((run["temperature"], run["seed"]) for run in described) == [(3.0, seed) for seed in small["seeds"]]
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
        execute("03_depth_profiles", parameters)
    assert message in str(caught.value)


def test_one_notebook_alone_as_colab_would_run_it(tmp_path: Path) -> None:
    """An empty folder, an environment with torch and without this package, a repository to install from."""
    python = environment_without_package(tmp_path / "env")
    repository = committed_copy(tmp_path / "repository")
    folder = tmp_path / "content"
    folder.mkdir()
    shutil.copy(chapters.BOOK / "03_depth_profiles.ipynb", folder / "chapter.ipynb")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LAYA_NB_SOURCE": f"git+file://localhost{repository}",
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

    committed, executed = (
        nbformat.read(path, 4) for path in (chapters.BOOK / "03_depth_profiles.ipynb", folder / "executed.ipynb")
    )
    assert printed(executed) == printed(committed)


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    return [o.text for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "stream"]


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
    git = ["git", "-C", str(chapters.ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(git, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (chapters.ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(chapters.ROOT / name, folder / name)
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "copy"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    return folder
