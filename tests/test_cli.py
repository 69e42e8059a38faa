"""The shell command: what it trains, what it tells, and how it refuses."""

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from laya_nb.heads import HEADS
from laya_nb.runs import ResultStore, Run, cli
from laya_nb.statistics import estimate
from laya_nb.training import TrainingConfig

TINY = ["dataset=fashion_mnist_sample", "hidden_dims=[16,8]", "d_star=4", "max_epochs=1", "batch_size=500"]


def tiny(seed: int, temperature: float) -> Run:
    protocol = TrainingConfig(max_epochs=1, batch_size=500)
    return Run(
        seed, dataset="fashion_mnist_sample", hidden_dims=(16, 8), d_star=4, temperature=temperature, protocol=protocol
    )


def laya_nb(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app(), ["sweep", *map(str, arguments)])


def test_a_sweep_trains_what_lacks_and_sums_up_over_seeds(tmp_path: Path) -> None:
    common: list[str | Path] = [*TINY, "temperature=0.5,2", "--results", tmp_path]
    first = laya_nb(*common, "seed=0..1")
    assert first.exit_code == 0, first.output
    store = ResultStore(tmp_path, published=False)
    assert len(list(tmp_path.rglob("*.json"))) == 4

    plan = laya_nb(*common, "seed=0..2", "--dry-run").output
    assert plan.count("\nto train") + plan.startswith("to train") == 2
    assert f"temperature=0.5 seed=0  ({tiny(0, 0.5).name})" in plan
    assert "4 of 6 runs are there, 2 would be trained." in plan
    assert len(list(tmp_path.rglob("*.json"))) == 4

    table = laya_nb(*common, "seed=0..2").output.splitlines()
    for line, temperature in zip(table[1:3], (0.5, 2.0), strict=True):
        results = [store.load(run.name, run.describe()) for run in (tiny(seed, temperature) for seed in range(3))]
        figure = estimate([100 * result.metrics["accuracy"] for result in results if result is not None])
        assert line.split(maxsplit=6) == [
            "fashion_mnist_sample", "[16,8]", "4", "1", "500", str(temperature), f"3      {figure:.2f}",
        ]  # fmt: skip
    assert str(tmp_path) in table[-1]


def test_processes_train_too(tmp_path: Path) -> None:
    """As a real command: worker processes import what the command started from."""
    options = ["--processes", "2", "--results", str(tmp_path)]
    command = [sys.executable, "-m", "laya_nb.runs.cli", "sweep", *TINY, "seed=0,1", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.rglob("*.json"))) == 2
    assert " 2      " in done.stdout.splitlines()[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["temperature"], "'temperature' is no setting: write NAME=VALUES"),
        (["temperature="], "'temperature=' is no setting"),
        (["temperatur=1"], "unknown setting 'temperatur' in 'temperatur=1'; known: seed, head, dataset, "),
        (["seed=1", "seed=2"], "seed is given twice"),
        (["seed=4..0"], "'seed=4..0': the range 4..0 is empty"),
        (["seed=1,,2"], "'seed=1,,2': a value is missing"),
        (["hidden_dims=[8,8"], "'hidden_dims=[8,8': a value is missing, or a bracket"),
        (["head=[laya]"], "'head=[laya]': a value of head is no list"),
        (["head=lava"], f"unknown head 'lava'; known: {', '.join(HEADS)}"),
        (["temperature=1,warm"], "temperature must be a finite number above 0, got 'warm'"),
        (["hidden_dims=8"], "hidden_dims must be a list of at least one integer of 1 or more, got 8"),
        (["view=[h1,h9]"], "unknown hidden state 'h9'; known: h1, noise1,"),
        (["patience=0"], "patience must be an integer of at least 1, got 0"),
        (["head=laya,concat", "temperature=1"], "head 'concat' has no temperature; it takes: d_star"),
    ],
)
def test_what_cannot_be_run_is_named_in_one_line(arguments: list[str], message: str) -> None:
    refused = laya_nb(*arguments)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"laya-nb: {message}")
    assert refused.stderr.count("\n") == 1
    assert refused.stdout == ""


def test_values_are_read_as_they_are_meant() -> None:
    given = dict(
        cli._parsed(
            ["seed=0..2,7", "hidden_dims=[8,8],[9]", "view=None,[h1,noise1]", "learning_rate=1e-3", "tied=True"]
        )
    )
    assert given == {
        "seed": [0, 1, 2, 7],
        "hidden_dims": [[8, 8], [9]],
        "view": [None, ["h1", "noise1"]],
        "learning_rate": [0.001],
        "tied": [True],
    }


def test_a_run_that_fails_is_told(tmp_path: Path) -> None:
    failed = laya_nb(*TINY, "learning_rate=3e-3,1e30", "--results", tmp_path)
    assert failed.exit_code == 1
    assert failed.stderr.startswith("laya-nb: 1 of 2 runs failed; the other 1 are saved")
    assert "NonFiniteLoss: the loss is" in failed.stderr


def test_help_explains_itself() -> None:
    shown = laya_nb("--help").output
    assert "laya-nb sweep temperature=0.5,1,2 seed=0..4 head=laya" in shown
    listed = shown.split("Settings:")[1].split("Arguments:")[0]
    assert [name.strip() for name in listed.split(",")] == cli._SETTINGS


def test_the_example_is_15_runs() -> None:
    assert len(cli._runs(dict(cli._parsed(["temperature=0.5,1,2", "seed=0..4", "head=laya"])))) == 15


@pytest.mark.parametrize("missing", ["typer", "scipy"])
def test_without_typer_it_says_what_to_install(missing: str) -> None:
    script = f"import sys; sys.modules[{missing!r}] = None; from laya_nb.runs.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 1
    assert done.stderr == f'laya-nb needs {missing}; install it with: pip install "laya-nb[shell,chapters]"\n'


def test_the_script_is_there() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["laya-nb"].partition(":")
    assert getattr(importlib.import_module(module), function) is cli.main
    assert {"shell", "chapters"} <= set(project["optional-dependencies"])
