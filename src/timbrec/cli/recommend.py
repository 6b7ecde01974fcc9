"""`timbrec recommend`, `timbrec similar` and `timbrec path`: lists of tracks from a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from timbrec import catalog
from timbrec.cli.options import on_this_machine
from timbrec.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

    from timbrec.models import Model

_Folder = Annotated[
    Path, typer.Argument(callback=on_this_machine, metavar="MODEL", help="A folder that `timbrec fit` wrote.")
]
_Track = Annotated[str, typer.Argument(metavar="TRACK", help='An id, a path, a title, or "artist - title".')]
_Count = Annotated[int, typer.Option("-k", "--count", help="Tracks in the list.", min=1)]
_PerArtist = Annotated[int | None, typer.Option("--per-artist", help="At most this many tracks of an artist.", min=1)]
_Since = Annotated[int | None, typer.Option(metavar="YEAR", help="Released in this year or later.")]
_Until = Annotated[int | None, typer.Option(metavar="YEAR", help="Released in this year or earlier.")]
_Allow = Annotated[
    list[str], typer.Option(metavar="NAME|@FILE|@@NAME", help="List only this track or artist; repeatable.")
]
_Deny = Annotated[
    list[str], typer.Option(metavar="NAME|@FILE|@@NAME", help="Never list this track or artist; repeatable.")
]
_Kind = Annotated[Literal["all", "known", "new"], typer.Option("--kind", help="Known: somebody played the track.")]
_Hubs = Annotated[
    Literal["csls", "mutual"] | None, typer.Option("--hubs", help="Correct for tracks that are near everything.")
]
_Format = Annotated[
    str | None, typer.Option("--format", "-f", metavar="table|json|m3u|jspf|csv", help="By default by --out's suffix.")
]
_Out = Annotated[Path | None, typer.Option("--out", "-o", callback=on_this_machine, help="Write to this file.")]


def recommend(
    model: _Folder,
    user: Annotated[str | None, typer.Option(metavar="ID", help="A user of the model.")] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", callback=on_this_machine, help="Plays of somebody: an export, or a table of track ids."
        ),
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Zone of times in --history without one.")
    ] = None,
    seed: Annotated[list[str], typer.Option(metavar="TRACK", help="Tracks to start from; repeatable.")] = [],  # noqa: B006
    count: _Count = 10,
    new_share: Annotated[
        str | None, typer.Option("--new-share", metavar="0..1|auto", help="Share of tracks nobody played yet.")
    ] = None,
    kind: _Kind = "all",
    heard: Annotated[bool, typer.Option("--heard", help="List tracks that the user played, too.")] = False,
    per_artist: _PerArtist = None,
    since: _Since = None,
    until: _Until = None,
    allow: _Allow = [],  # noqa: B006 - typer reads it
    deny: _Deny = [],  # noqa: B006 - typer reads it
    same: Annotated[bool, typer.Option("--same", help="List several copies of a recording.")] = False,
    hubs: _Hubs = None,
    reasons: Annotated[int, typer.Option(help="Played tracks named as reasons.", min=0)] = 3,
    format: _Format = None,
    out: _Out = None,
) -> None:
    """Recommend tracks to a user of the model, for a history, or from some tracks."""
    loaded = _loaded(model)
    if [user is not None, history is not None, bool(seed)].count(True) != 1:
        raise ConfigError("say for whom", fix="Give --user ID, --history FILE, or --seed TRACK.")
    if time_zone is not None and history is None:
        raise ConfigError("--time-zone goes with --history", fix="Leave it out.")
    who: dict[str, Any] = {"user": user}
    about = f"for {user}"
    if history is not None:
        who, about = {"history": _history(history, loaded, time_zone)}, f"for {history.name}"
    elif seed:
        who, about = {"seeds": seed}, f"from {', '.join(seed)}"
    tracks = loaded.recommend(
        **who, k=count, reasons=reasons, heard=heard, kind=kind, per_artist=per_artist, since=since, until=until,
        allow=_allowed(allow), deny=_names(deny), new_share=_share(new_share), same=same, hubs=hubs or False,
    )  # fmt: skip
    _write(tracks, f"{about}, by {_made(loaded)}", count, format, out)


def similar(
    model: _Folder,
    track: _Track,
    count: _Count = 10,
    kind: _Kind = "all",
    per_artist: _PerArtist = None,
    since: _Since = None,
    until: _Until = None,
    allow: _Allow = [],  # noqa: B006 - typer reads it
    deny: _Deny = [],  # noqa: B006 - typer reads it
    hubs: _Hubs = None,
    format: _Format = None,
    out: _Out = None,
) -> None:
    """List the tracks most similar to a track."""
    loaded = _loaded(model)
    tracks = loaded.similar(
        track, count, kind=kind, per_artist=per_artist, since=since, until=until, allow=_allowed(allow),
        deny=_names(deny), hubs=hubs or False,
    )  # fmt: skip
    _write(tracks, f"similar to {loaded.names.label(track)}, by {_made(loaded)}", count, format, out)


def path(
    model: _Folder,
    start: Annotated[str, typer.Argument(metavar="FROM", help="The first track: as TRACK of `similar`.")],
    end: Annotated[str, typer.Argument(metavar="TO", help="The last track.")],
    steps: Annotated[int, typer.Option(help="Tracks in between.", min=0)] = 8,
    per_artist: _PerArtist = None,
    since: _Since = None,
    until: _Until = None,
    allow: _Allow = [],  # noqa: B006 - typer reads it
    deny: _Deny = [],  # noqa: B006 - typer reads it
    format: _Format = None,
    out: _Out = None,
) -> None:
    """Find a way from one track to another in small steps."""
    loaded = _loaded(model)
    tracks = loaded.path(
        start, end, steps, per_artist=per_artist, since=since, until=until, allow=_allowed(allow), deny=_names(deny)
    )
    title = f"from {loaded.names.label(start)} to {loaded.names.label(end)}, by {_made(loaded)}"
    _write(tracks, title, steps + 2, format, out)


def _loaded(folder: Path) -> Model:
    from timbrec.models.model import Model

    return Model.load(folder)


def _history(path: Path, model: Model, time_zone: str | None) -> list[str]:
    """The ids of the model's tracks in a history; prints how many of its recordings match."""
    from timbrec.models.histories import matched_history

    matched = matched_history([path], model.catalogue, time_zone)
    total, found = len(matched.how), int(matched.how["track"].count())
    typer.echo(f"{found:,} of {total:,} recordings of {path.name} are tracks of the model", err=True)
    pairs = matched.pairs if matched.pairs["time"].is_null().any() else matched.pairs.sort("time")
    if (users := pairs["user"].n_unique()) > 1:
        raise ConfigError(f"{path} holds the plays of {users:,} users", example=pairs["user"][0],
                          fix="Give a history of one user.")  # fmt: skip
    return pairs["track"].to_list()


def _made(model: Model) -> str:
    from timbrec.study.naming import line_name

    return line_name(model.card.get("encoder"), model.card.get("label") or model.card.get("recommender"))


def _names(entries: list[str]) -> list[str]:
    """Names, with @FILE replaced by the lines of a file, @@NAME by @NAME. Raises ConfigError for unreadable files."""
    names = []
    for entry in entries:
        if not entry.startswith("@") or entry.startswith("@@"):
            names.append(entry.removeprefix("@"))
            continue
        try:
            lines = Path(entry[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{entry[1:]} cannot be read: {getattr(error, 'strerror', error)}",
                fix=f"Give a text file, a name per line; write @{entry} for the name {entry}.",
            ) from error
        names += [line.strip() for line in lines if line.strip()]
    return names


def _allowed(entries: list[str]) -> list[str]:
    """The names of an allow list. Raises ConfigError for an empty file, which would allow everything."""
    names = _names(entries)
    if entries and not names:
        raise ConfigError(
            "the allow list holds no name", example=entries[0], fix="Write one per line, or leave it out."
        )
    return names


def _share(text: str | None) -> float | Literal["auto"] | None:
    if text is None or text == "auto":
        return text  # type: ignore[return-value] # the literal
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError("--new-share takes a number from 0 to 1, or auto", example=text) from error


def _format_of(out: Path) -> str:
    """The format with a file's suffix: a table for text, and for a name without one. Raises ConfigError for others."""
    suffixes = {catalog.load("formats", name).suffix: name for name in catalog.names("formats")} | {".m3u": "m3u"}
    suffixes |= {"": "table", ".txt": "table"}
    if out.suffix.lower() not in suffixes:
        known = ", ".join(filter(None, suffixes))
        raise ConfigError(f"no format has the suffix {out.suffix!r}", fix=f"Known: {known}; or name a --format.")
    return suffixes[out.suffix.lower()]


def _write(tracks: pl.DataFrame, title: str, count: int, form: str | None, out: Path | None) -> None:
    """Print a list, or write it to a file, in a format of the catalogue."""
    from timbrec.files import write_atomically

    form = form or ("table" if out is None else _format_of(out))
    text = catalog.load("formats", form)().text(tracks, title)
    if out is None:
        typer.echo(text, nl=False)
    else:
        try:
            write_atomically(out, text)
        except OSError as error:
            raise ConfigError(f"cannot write {out}: {error.strerror}", fix="Choose another file.") from error
        typer.echo(f"{len(tracks):,} tracks: {out}", err=True)
    if len(tracks) < count:
        typer.echo(f"{len(tracks):,} of {count:,} tracks: no others pass the filters", err=True)
