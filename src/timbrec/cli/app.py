"""The commands. Each reads its arguments, calls one function of the library and prints the result."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timbrec import __version__
from timbrec.cli import encoders
from timbrec.cli.add import add
from timbrec.cli.bench import ConfigFile, Jobs, bench, finish
from timbrec.cli.compare import compare
from timbrec.cli.data import data
from timbrec.cli.doctor import doctor
from timbrec.cli.embed import embed
from timbrec.cli.fit import fit
from timbrec.cli.history import history
from timbrec.cli.init import init
from timbrec.cli.log import log
from timbrec.cli.manifest import manifest
from timbrec.cli.options import on_this_machine
from timbrec.cli.probe import probe
from timbrec.cli.recommend import path, recommend, similar
from timbrec.cli.schema import schema
from timbrec.cli.weights import weights
from timbrec.errors import ConfigError

if TYPE_CHECKING:
    from typer.models import CommandInfo

app = typer.Typer(
    help="Which pretrained audio model makes your music recommender better, hot and cold start?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_RunFolder = Annotated[Path, typer.Argument(metavar="RUN_DIR", help="The `output` of a config.")]


def _show_version(show: bool) -> bool:
    if show:
        typer.echo(f"timbrec {__version__}")
        raise typer.Exit
    return show


_BENCHMARK, _MODEL = "Benchmark: which encoder helps?", "Model: what to play next?"
_DATA, _PARTS = "Audio, histories and data sets", "Encoders and other parts"  # headings of --help


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Which pretrained audio model makes your music recommender better, hot and cold start?"""


@app.command(rich_help_panel=_BENCHMARK)
def validate(config: ConfigFile) -> None:
    """Check a config and its data without running anything: shows the data, every error and every warning."""
    from timbrec.cli.show import progress_bars, show_inputs
    from timbrec.study.config import read_config
    from timbrec.study.inputs import load_inputs

    with progress_bars() as progress:
        inputs = load_inputs(read_config(config), progress, encode=False)
    show_inputs(inputs)


@app.command(rich_help_panel=_BENCHMARK)
def report(run_dir: _RunFolder) -> None:
    """Write the report of a run again, from its stored lists."""
    from timbrec.api import report as write_report
    from timbrec.cli.show import progress_bars
    from timbrec.study.runs import Run

    with progress_bars() as progress:
        result = write_report(Run(run_dir), progress)
    finish(result)


@app.command(rich_help_panel=_BENCHMARK)
def audit(
    run_dir: Annotated[Path | None, typer.Argument(metavar="[RUN_DIR]", help="A run to audit as well.")] = None,
) -> None:
    """Audit the installed code on planted worlds and, if named, a run's figures. Exit code 1: a check refused."""
    from timbrec.api import audit_all
    from timbrec.cli.show import progress_bars, show_findings

    with progress_bars() as progress:
        findings = audit_all(run_dir, progress)
    show_findings(findings)
    if not any(finding.checked for finding in findings) or not all(finding.passed for finding in findings):
        raise typer.Exit(1)


app.command(rich_help_panel=_BENCHMARK)(init)
app.command(rich_help_panel=_BENCHMARK)(schema)
app.command(rich_help_panel=_BENCHMARK)(bench)
app.command(rich_help_panel=_BENCHMARK)(doctor)
app.command(rich_help_panel=_BENCHMARK)(compare)
app.command(rich_help_panel=_BENCHMARK)(log)
app.command(rich_help_panel=_BENCHMARK)(probe)
app.command(rich_help_panel=_MODEL)(fit)
app.command(rich_help_panel=_MODEL)(recommend)
app.command(rich_help_panel=_MODEL)(similar)
app.command(rich_help_panel=_MODEL)(path)
app.command(rich_help_panel=_MODEL)(add)
app.command(rich_help_panel=_DATA)(embed)
app.command(rich_help_panel=_DATA)(history)
app.command(rich_help_panel=_DATA)(data)
app.command(rich_help_panel=_DATA)(manifest)
app.command("list", rich_help_panel=_PARTS)(encoders.list_parts)
app.command(rich_help_panel=_PARTS)(encoders.convert)
app.command("check-encoder", rich_help_panel=_PARTS)(encoders.check_encoder)
app.add_typer(weights, name="weights", rich_help_panel=_PARTS)


@app.command(rich_help_panel=_BENCHMARK)
def demo(
    folder: Annotated[
        Path, typer.Argument(callback=on_this_machine, help="Where to put the world and its run.")
    ] = Path("demo"),
    tracks: Annotated[int, typer.Option(help="Tracks to synthesise.", min=50)] = 1000,
    users: Annotated[int, typer.Option(help="Listeners to make up.", min=20)] = 1000,
    seed: Annotated[int, typer.Option(help="Which world.")] = 0,
    jobs: Jobs = None,
    full: Annotated[bool, typer.Option("--full", help="Full trainings, all seeds and controls; takes hours.")] = False,
) -> None:
    """Synthesise a small music world, benchmark every encoder at hand on it, and write the report."""
    from timbrec.api import bench as run_bench
    from timbrec.cli.show import progress_bars
    from timbrec.worlds.demo import write_demo

    with progress_bars() as progress:
        config = write_demo(folder, tracks=tracks, users=users, seed=seed, progress=progress, full=full)
        result = run_bench(config, progress, jobs=jobs)
    finish(result)


def run(arguments: list[str]) -> object:
    """Run a command; returns its exit code, if it sets one. Raises ConfigError for invalid arguments."""
    try:
        return _app_with(arguments[:1])(arguments, standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message().replace("Value error, ", "")
        if not message:  # no arguments: the help was shown
            return error.exit_code
        message += "" if message.endswith((".", "?")) else "."
        dashes = " Write -- before names that start with a dash." * message.startswith("No such option")
        raise ConfigError(f"{message}{dashes} See `timbrec{_names_of(error)} --help`.") from error


def _names_of(error: typer.TyperException) -> str:
    """The names of the command that was called, such as " weights get"."""
    context = getattr(error, "ctx", None)
    return context.command_path.removeprefix(context.find_root().info_name or "").rstrip() if context else ""


def _app_with(names: list[str]) -> typer.Typer:
    """The app without all commands but the one of these names: typer builds every command, which takes time."""
    called = [entry for entry in app.registered_commands if _name(entry) in names]
    if not called:
        return app
    smaller = copy(app)
    smaller.registered_commands, smaller.registered_groups = called, []
    return smaller


def _name(entry: CommandInfo) -> str | None:
    return entry.name or getattr(entry.callback, "__name__", None)
