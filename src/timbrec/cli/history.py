"""`timbrec history`: read an export, match its plays to tracks, and write a listening log."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from timbrec.cli.options import on_this_machine
from timbrec.cli.tables import write_table
from timbrec.errors import ConfigError

_Files = Annotated[
    list[Path], typer.Argument(callback=on_this_machine, metavar="FILE...", help="Exports: files, archives or folders.")
]
_Music = Annotated[
    Path | None,
    typer.Option(callback=on_this_machine, metavar="DIR", help="A folder of music, or a manifest, to match with."),
]
_Catalogue = Annotated[
    Path | None,
    typer.Option(
        callback=on_this_machine,
        metavar="TABLE",
        help="A table of tracks (track, artist, title, ...) instead of --music.",
    ),
]
_Ids = Annotated[str | None, typer.Option(metavar="stem|path|tag", help="Ids of tracks, as for `timbrec embed`.")]
_Importer = Annotated[str | None, typer.Option(metavar="NAME", help="See `timbrec list importers`; else detected.")]
_User = Annotated[str | None, typer.Option(help="The user, instead of the users in the export.")]
_Zone = Annotated[str | None, typer.Option(metavar="ZONE", help="Zone of times without one, e.g. Europe/Vienna.")]
_Least = Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Drop plays shorter than this, if known.")]
_Private = Annotated[bool, typer.Option("--private", help="Keep plays of private sessions.")]
_Threshold = Annotated[float, typer.Option(min=1, max=100, help="Least similarity of names; 100: equal names only.")]


class Ambiguous(StrEnum):
    """Treatment of a recording that several tracks match equally well."""

    leave = "leave"
    first = "first"


class Remasters(StrEnum):
    """Whether a remaster is another recording."""

    apart = "apart"
    same = "same"


def history(
    files: _Files,
    out: Annotated[
        Path, typer.Option(callback=on_this_machine, metavar="TABLE", help="The log to write: .parquet, .csv or .tsv.")
    ],
    music: _Music = None,
    catalogue: _Catalogue = None,
    ids: _Ids = None,
    importer: _Importer = None,
    user: _User = None,
    time_zone: _Zone = None,
    least_played: _Least = 30.0,
    private: _Private = False,
    threshold: _Threshold = 90.0,
    ambiguous: Annotated[Ambiguous, typer.Option(help="Recordings that several tracks match.")] = Ambiguous.leave,
    remasters: Annotated[Remasters, typer.Option(help="Whether remasters are other recordings.")] = Remasters.apart,
    matches: Annotated[
        Path | None,
        typer.Option(
            callback=on_this_machine, metavar="TABLE", help="How each recording matched; by default OUT.matches.csv."
        ),
    ] = None,
) -> None:
    """Read listening histories, match their plays to your music, and write a log that configs can name.

    Also writes a table of how each recording of the history was matched, or why not. Nothing is guessed silently.
    """
    from timbrec.cli.history_show import show_history, show_log, show_matches, show_tracks
    from timbrec.cli.show import progress_bars
    from timbrec.histories import library, load_history, match, read_catalogue
    from timbrec.histories.log import log_table, matches_table

    if (music is None) == (catalogue is None):
        raise ConfigError("name either --music or --catalogue", fix="For example: --music ~/Music.")
    table = matches or out.with_name(f"{out.name.removesuffix(out.suffix)}.matches.csv")
    _refuse_existing(out, table)
    plays = load_history(files, importer, user=user, time_zone=time_zone, least_played=least_played, private=private)
    show_history(plays)
    with progress_bars() as progress:
        tracks = library(music, ids, progress) if music is not None else read_catalogue(catalogue or Path())
    show_tracks(tracks)
    matched = match(plays.plays, tracks, threshold, ambiguous=ambiguous.value, remasters=remasters.value)
    log, undated = log_table(matched)
    write_table(log, out)
    write_table(matches_table(matched), table)
    show_matches(matched)
    show_log(log, undated, out, table)


def _refuse_existing(*paths: Path) -> None:
    for path in paths:
        if path.suffix not in (".parquet", ".csv", ".tsv"):
            raise ConfigError(f"{path} is of no kind that can be written", fix="Name a .parquet, .csv or .tsv file.")
        if path.exists():
            raise ConfigError(f"{path} exists already", fix="Choose another file, or move it away.")
        if not path.absolute().parent.is_dir():
            raise ConfigError(f"there is no folder {path.absolute().parent}", fix="Make it, or choose another file.")
