"""`timbrec manifest`: the audio files of a folder as a table of ids and paths, to be edited."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from timbrec.errors import ConfigError, StoreError


def manifest(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of audio files.")],
    out: Annotated[Path | None, typer.Option(help="The table; by default FOLDER.csv here.")] = None,
    ids: Annotated[
        str | None, typer.Option(metavar="stem|path|tag", help="Names of tracks: of files, paths, or tag:NAME.")
    ] = None,
) -> None:
    """Write a table of the audio files below a folder (id, path), which `embed` and configs take as AUDIO.

    Ids are the names of the files without suffix or, where two are the same, their paths below FOLDER.
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
