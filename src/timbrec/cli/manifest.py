"""`timbrec manifest`: list the audio files of a folder in an editable table of ids and paths."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timbrec.cli.options import on_this_machine
from timbrec.errors import ConfigError, StoreError


def manifest(
    folder: Annotated[
        Path, typer.Argument(callback=on_this_machine, metavar="FOLDER", help="A folder of audio files.")
    ],
    out: Annotated[
        Path | None, typer.Option(callback=on_this_machine, help="The table; by default FOLDER.csv here.")
    ] = None,
    ids: Annotated[
        str | None, typer.Option(metavar="stem|path|tag", help="Ids of tracks: names of files, paths, or tag:NAME.")
    ] = None,
) -> None:
    """Write a table (id, path) of the audio files below a folder, which `embed` and configs accept as AUDIO.

    Ids are file names without suffix or, if two are equal, paths below FOLDER.
    """
    import polars as pl

    from timbrec.embed.manifest import manifest_of
    from timbrec.files import write_atomically

    target = out or Path(f"{folder.resolve().name}.csv")
    if target.exists():
        raise ConfigError(f"{target} exists already", fix="Choose another file with --out, or move it away.")
    table: pl.DataFrame = manifest_of(folder, target.absolute().parent, ids)
    try:
        write_atomically(target, table.write_csv())
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror}", fix="Choose another file with --out.") from error
    typer.echo(f"{target}: {len(table):,} tracks")
