"""The command `laya-nb`: sweeps from a shell. It needs the extras "shell" and "chapters"."""

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from laya_nb.runs import Result, ResultStore, Run, StoreError, SweepError, grid, sweep
from laya_nb.runs.run import known_settings
from laya_nb.runs.sweep import fair_stack
from laya_nb.runs.workers import process_pool
from laya_nb.support.values import parse_values
from laya_nb.training import TrainingConfig

if TYPE_CHECKING:
    import typer

_PROTOCOL = [item.name for item in fields(TrainingConfig)]
_SETTINGS = [name for name in known_settings() if name != "protocol"] + _PROTOCOL
_LISTS = ("hidden_dims", "view")  # settings of which one value is a list


def main() -> None:
    """What the shell calls."""
    try:
        import typer  # noqa: F401

        from laya_nb.analysis import statistics  # noqa: F401
    except ModuleNotFoundError as error:
        sys.exit(f'laya-nb needs {error.name}; install it with: pip install "laya-nb[shell,chapters]"')
    app()()


def app() -> "typer.Typer":
    """The command line, as typer runs it. Built on call: on import, typer might be missing."""
    import typer

    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.callback()
    def laya_nb() -> None:
        """Experiments with LAYA, an output head that attends over all hidden layers."""

    @app.command("sweep", no_args_is_help=True)
    def sweep_command(
        settings: Annotated[list[str], typer.Argument(metavar="NAME=VALUES...", show_default=False)],
        results: Annotated[
            Path | None, typer.Option(metavar="FOLDER", file_okay=False, help="Where results are kept, if elsewhere.")
        ] = None,
        processes: Annotated[
            int, typer.Option(min=1, help="Processes that train at once, with one thread each.", show_default=False)
        ] = 1,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs, train nothing.")] = False,
    ) -> None:
        try:
            given = dict(_parsed(settings))
            runs = _runs(given)
        except ValueError as error:
            typer.echo(f"laya-nb: {error}", err=True)
            raise typer.Exit(2) from None
        store = ResultStore(results)
        if dry_run:
            for line in _plan(runs, list(given), store):
                typer.echo(line)
            return
        try:
            found = _swept(runs, store, processes)
        except (SweepError, StoreError) as error:
            typer.echo(f"laya-nb: {error}", err=True)
            raise typer.Exit(1) from None
        for line in _summary(runs, found, [name for name in given if name != "seed"]):
            typer.echo(line)
        typer.echo(f"\nResults are kept in {store.folder}; those that the book publishes are read from the package.")

    sweep_command.__doc__ = f"""Train every combination of the settings, read what is there, and say how good each is.

    \b
    Example, 15 runs, three temperatures with five seeds each:
      laya-nb sweep temperature=0.5,1,2 seed=0..4 head=laya

    VALUES are separated by commas; 0..4 is 0,1,2,3,4; lists are written hidden_dims=[128,128],[256]. A setting that is
    not named takes the paper's value for Fashion-MNIST. dataset=fashion_mnist_sample needs no download.

    \b
    Settings:
      {", ".join(_SETTINGS[:7])},
      {", ".join(_SETTINGS[7:11])},
      {", ".join(_SETTINGS[11:])}
    """
    return app


def _parsed(settings: Sequence[str]) -> Iterator[tuple[str, list[Any]]]:
    """Names with their values. Raises ValueError for what is no setting."""
    seen = set()
    for text in settings:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise ValueError(f"{text!r} is no setting: write NAME=VALUES, for instance temperature=0.5,1,2")
        if name not in _SETTINGS:
            raise ValueError(f"unknown setting {name!r} in {text!r}; known: {', '.join(_SETTINGS)}")
        if name in seen:
            raise ValueError(f"{name} is given twice; write all its values after one {name}=, with commas")
        seen.add(name)
        try:
            parsed = parse_values(values)
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}") from None
        if name not in _LISTS and any(isinstance(value, list) for value in parsed):
            raise ValueError(f"{text!r}: a value of {name} is no list; lists are for {' and '.join(_LISTS)}")
        yield name, parsed


def _runs(given: dict[str, list[Any]]) -> list[Run]:
    """Every combination, each run once. Raises ValueError for a value that its setting refuses."""
    own = {name: values for name, values in given.items() if name not in _PROTOCOL}
    of_protocol = {name: values for name, values in given.items() if name in _PROTOCOL}
    protocols = [
        TrainingConfig(**dict(zip(of_protocol, values, strict=True)))
        for values in itertools.product(*of_protocol.values())
    ]
    return list(dict.fromkeys(grid(**own, protocol=protocols)))


def _swept(runs: Sequence[Run], store: ResultStore, processes: int) -> list[Result]:
    if processes == 1:
        return sweep(runs, store)
    missing = sum(store.load(run.name, run.describe()) is None for run in runs)
    with process_pool(processes) as executor:
        return sweep(runs, store, executor, fair_stack(missing, processes))


def _plan(runs: Sequence[Run], names: Sequence[str], store: ResultStore) -> Iterator[str]:
    """One line a run: whether it is there, and what it is."""
    there = [store.load(run.name, run.describe()) is not None for run in runs]
    for run, known in zip(runs, there, strict=True):
        words = " ".join(f"{name}={_shown(run, name)}" for name in names)
        yield f"{'there' if known else 'to train':<8}  {words}  ({run.name})"
    yield f"\n{sum(there)} of {len(runs)} runs are there, {len(runs) - sum(there)} would be trained."


def _summary(runs: Sequence[Run], results: Sequence[Result], names: Sequence[str]) -> Iterator[str]:
    """A table: one row a setting, with the mean accuracy over its seeds."""
    from laya_nb.analysis.statistics import estimate

    accuracies: dict[Run, list[float]] = {}
    for run, result in zip(runs, results, strict=True):
        accuracies.setdefault(replace(run, seed=0), []).append(100 * result.metrics["accuracy"])
    rows = [[*names, "seeds", "accuracy in %, with 95 % interval"]]
    for run, values in accuracies.items():
        figure = f"{estimate(values):.2f}" if len(values) > 1 else f"{values[0]:.2f} (one seed has no interval)"
        rows.append([*(_shown(run, name) for name in names), str(len(values)), figure])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()


def _shown(run: Run, name: str) -> str:
    value = getattr(run.protocol if name in _PROTOCOL else run, name)
    return f"[{','.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


if __name__ == "__main__":
    main()
