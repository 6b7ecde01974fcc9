"""`timbrec bench`: runs a benchmark, or shows its plan."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timbrec.cli.options import Engine, count, texts_of

if TYPE_CHECKING:
    from timbrec.result import Result
    from timbrec.study.config import Config
    from timbrec.study.experiment import Experiment
    from timbrec.study.inputs import Inputs

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="What to run; the README shows one.")]
Jobs = Annotated[
    int | None, typer.Option(help="Cells that run at once; by default as many as cores and memory allow.", min=1)
]
_Only = Annotated[list[str], typer.Option(metavar="NAME", help="Run this encoder or recommender only; repeatable.")]
_Add = Annotated[
    list[str],
    typer.Option(metavar="NAME=SOURCE", help="Add an encoder: vectors, a catalogue name or file.py:Class."),
]
_Processes = Annotated[int, typer.Option(help="Processes of a Ray cluster that share every training.", min=1)]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan, without running or encoding anything.")]


def bench(
    config: ConfigFile,
    jobs: Jobs = None,
    engine: Engine = "local",
    only: _Only = [],  # noqa: B006 - typer reads it
    processes: _Processes = 1,
    add: _Add = [],  # noqa: B006 - typer reads it
    dry_run: _DryRun = False,
) -> None:
    """Run a benchmark, or resume an interrupted one, and write its report.

    Exit code 1: cells are missing, or the audit refused the run.
    """
    from timbrec.study.config import read_config

    settings = read_config(config)  # before the import of everything else: a misspelt key is reported at once
    if add:
        from timbrec.study.adding import with_encoders

        settings = with_encoders(settings, texts_of(add, "NAME=SOURCE", "--add mine=mine.parquet"), Path.cwd())
    if dry_run:
        return show_plan(settings)
    from timbrec.api import bench as run_bench
    from timbrec.cli.show import progress_bars

    with _together(settings.device) as leads:
        if not leads:
            return None
        jobs = 1 if "RANK" in os.environ else jobs  # processes that torchrun started train one cell together
        with progress_bars() as progress:
            result = run_bench(settings, progress, jobs=jobs, only=only, engine=engine, processes=processes)
    return finish(result)


def _together(device: str) -> AbstractContextManager[bool]:
    """Join the processes that torchrun started, if it did; see `timbrec.training.together`."""
    if "RANK" not in os.environ:
        return nullcontext(True)
    from timbrec.training.together import leading

    return leading(device.split(":")[0])


def finish(result: Result) -> None:
    """Print a run and exit: 1 if cells are missing, the audit refused, or too many audio files have no vector."""
    from timbrec.cli.show import show_end, show_result

    show_result(result)
    if (table := result.reference) is not None:
        from timbrec.cli.compare_show import show_reference

        show_reference(table)
    raise typer.Exit(show_end(result))


def show_plan(config: Config) -> None:
    """Print the number of cells by recommender, how many are finished, and the memory they need."""
    from timbrec.study.inputs import load_inputs
    from timbrec.study.plan import plan
    from timbrec.study.runs import Run

    inputs = load_inputs(config, encode=False)
    experiments = plan(config, inputs)
    counts = Counter(experiment.label for experiment in experiments)
    for label, number in counts.items():
        typer.echo(f"{label}: {count(number, 'cell')}")
    output = config.at(config.output)
    finished = 0
    if (output / "run.json").is_file():  # a plain copy lies there in a bucket too
        run = Run(output)
        finished = sum(run.has(experiment) for experiment in experiments)
    typer.echo(
        f"{count(len(experiments), 'cell')} in all, {finished:,} of them finished; {memory_of(experiments, inputs)}"
    )


def memory_of(experiments: Sequence[Experiment], inputs: Inputs) -> str:
    """The memory of the largest cell as a phrase."""
    from timbrec.study import needs

    largest = max((needs.memory_of(experiment, inputs) for experiment in experiments), default=0)
    return f"a cell takes at most {needs.in_gib(largest)} of memory"
