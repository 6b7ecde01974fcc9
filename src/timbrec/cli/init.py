"""`timbrec init`: a commented config from files and folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timbrec.cli.options import count, on_this_machine
from timbrec.errors import ConfigError, TimbrecError

if TYPE_CHECKING:
    from timbrec.study.draft.draft import Draft

_Paths = Annotated[
    list[Path],
    typer.Argument(
        callback=on_this_machine, metavar="[FILES or FOLDERS]...", help="Log, vectors, tracks, audio; by default here."
    ),
]
_Out = Annotated[Path, typer.Option("--out", "-o", callback=on_this_machine, metavar="CONFIG.yaml", help="A new file.")]

_HEAD = """\
# Written by `timbrec init` from the files it names; paths are relative to this file.
# `timbrec validate {0}` shows the data, `timbrec bench {0}` runs it.
# An editor completes the keys with the schema that `timbrec schema` prints.
"""


def init(paths: _Paths = [], out: _Out = Path("config.yaml")) -> None:  # noqa: B006 - typer reads it
    """Write a commented config from your files, and check it. Exit code 1: it needs a change before it runs."""
    from timbrec.cli.show import progress_bars
    from timbrec.files import write_atomically
    from timbrec.study.draft.drafting import draft, settle
    from timbrec.study.draft.text import commented

    if out.exists():
        raise ConfigError(f"{out} exists already, and is left as it is", fix="Name another one: --out OTHER.yaml.")
    drafted = draft(paths or [Path()], out.parent, out.absolute().parent.name or "my catalogue")
    out.parent.mkdir(parents=True, exist_ok=True)  # paths in the config start there
    problem: TimbrecError | None = None
    try:
        with progress_bars() as progress:
            inputs = settle(drafted, progress)
    except TimbrecError as error:
        problem = error
    write_atomically(out, _HEAD.format(out) + commented(drafted.config, drafted.beside, drafted.below))
    _show(drafted, out)
    if problem is not None:
        typer.echo(f"before it can run: {problem}")
        if drafted.timed and "test_at" not in drafted.config["split"]:
            typer.echo(f"then delete {out} and run `timbrec init` again, or choose a day under `split`")
        raise typer.Exit(1)
    test = inputs.split.test
    typer.echo(f"checked: {count(len(inputs.catalogue), 'track')}, {count(len(inputs.split.users), 'user')}, "
               f"{len(test.hot):,} hot and {len(test.cold):,} cold test pairs")  # fmt: skip
    for warning in inputs.warnings:
        typer.echo(f"warning: {warning}")
    if len(inputs.split.users) == 1:
        typer.echo("for one listener, `timbrec fit --music FOLDER --history PLAYS -o MODEL` makes playlists at once")
    typer.echo(f"next: timbrec bench {out}")


def _show(drafted: Draft, out: Path) -> None:
    """Print the role of each path, and the choices to check."""
    for line in drafted.roles:
        typer.echo(line)
    for sentence in drafted.unclear:
        typer.echo(f"please check: {sentence}")
    typer.echo(f"written: {out}")
