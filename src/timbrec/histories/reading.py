"""Reader of listening histories: finds the importer of each export, and cleans and counts its plays."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from timbrec import catalog
from timbrec.errors import ConfigError, DataError
from timbrec.importers.shared.base import COLUMNS, Importer, Plays
from timbrec.importers.shared.files import HistoryFile, history_files

LEAST = 30.0  # seconds: Spotify counts a stream, and Last.fm accepts a track, from here on
NOBODY = "me"  # the user of exports that do not name one
_EARLIEST = datetime(1990, 1, 1)
_EMPTY = "A history needs at least one play: export it again, or name another."
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class History:
    """A listening history: `plays` (see `read_history`), the importers that read it, and counts of dropped rows."""

    plays: pl.DataFrame
    importers: tuple[str, ...]
    dropped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Labels and values for readers: the importers, numbers of plays, dropped rows, and notes."""
        counts = [("plays dropped: " + reason, f"{count:,}") for reason, count in self.dropped.items() if count]
        notes = [("note", note) for note in self.notes]
        return [("importer", ", ".join(self.importers)), ("plays", f"{self.total:,}"), *counts, *notes]

    @property
    def total(self) -> int:
        """The number of plays."""
        return int(self.plays["plays"].sum())


def read_history(paths: Sequence[Path | str] | Path | str, importer: str | None = None) -> pl.DataFrame:
    """The plays of exports as a table: one row per play, or per count of plays, in order of time.

    Columns: user, time (Datetime, UTC), artist, title, album, mbid (of the recording), isrc, acoustid, duration_s (of
    the recording), played_s, path, source_id and plays; null where unknown. `load_history` also returns the importer
    and the numbers of dropped plays.
    """
    return load_history(paths, importer).plays


def load_history(
    paths: Sequence[Path | str] | Path | str,
    importer: str | None = None,
    *,
    user: str | None = None,
    time_zone: str | None = None,
    least_played: float = LEAST,
    private: bool = False,
) -> History:
    """Read exports: files, archives or folders.

    `importer` is a name of `timbrec list importers`; None detects it from the content of the files. `user` replaces the
    users of the exports; a user without a name is "me". `time_zone` is the zone of clock times without one. Plays of
    less than `least_played` seconds, and less than half of the recording, are dropped and counted, as are plays of
    private sessions without `private`, rows without any name or id, impossible times, and rows that repeat another one
    exactly.

    Raises DataError for files that no importer knows, naming what they look like, and where no play is left or there
    was none; ConfigError for an unknown importer,
    and a `time_zone` that is empty, or for times that are in UTC already.
    """
    if time_zone is not None and not time_zone.strip():
        raise ConfigError("the time zone has no name", fix="For example: Europe/Vienna.")
    given = [paths] if isinstance(paths, Path | str) else list(paths)
    if not given:
        raise ConfigError("no history was named", fix="Name the file, archive or folder of an export.")
    exports: dict[str, list[HistoryFile]] = {}
    for path in map(Path, given):
        name, files = _claimed(path, importer)
        _LOG.info("%s: read by the importer %s", path, name)
        exports.setdefault(name, []).extend(files)
    parts = [_imported(name, files, time_zone, private) for name, files in exports.items()]
    table, dropped = _cleaned(pl.concat([part.table for part in parts]), user, least_played)
    counts: dict[str, int] = {}
    for reasons in (*(part.dropped for part in parts), dropped):
        for reason, count in reasons.items():
            counts[reason] = counts.get(reason, 0) + count
    if table.is_empty() and not any(counts.values()):
        raise DataError(f"{' and '.join(map(str, given[:3]))} {'has' if len(given) == 1 else 'have'} no rows",
                        count=len(given) if len(given) > 3 else None, fix=_EMPTY)  # fmt: skip
    if table.is_empty():
        raise DataError(f"{given[0]} has no play that can be used", count=sum(counts.values()) or None,
                        example=", ".join(f"{count:,} {reason}" for reason, count in counts.items() if count) or None,
                        fix="Name another export, or drop less.")  # fmt: skip
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    return History(table, tuple(exports), counts, tuple(notes))


def detect(path: Path) -> str:
    """The importer of an export, by its content. Raises DataError for files that no importer accepts."""
    return _claimed(path, None)[0]


def _claimed(path: Path, importer: str | None) -> tuple[str, list[HistoryFile]]:
    """The importer of an export, and the files that it reads.

    Without a name, the importer that claims most files; of several with as many, the first in the catalogue.
    """
    files = history_files(path)
    if all(file.is_blank for file in files):
        raise DataError(f"{path} has no rows", fix=_EMPTY)
    names = [importer] if importer is not None else catalog.names("importers")
    claimed = {name: [file for file in files if catalog.load("importers", name).claims(file)] for name in names}
    name = max(names, key=lambda candidate: len(claimed[candidate]))
    if claimed[name]:
        return name, claimed[name]
    looks = "; ".join(f"{file.name.removeprefix(str(path)).strip('/') or path.name}: {file.kind}" for file in files[:3])
    if importer is None:
        fix = f"Importers: {', '.join(names)}. `timbrec list importers` says which files each one reads."
        raise DataError(f"{path} is no listening history that can be read", count=len(files), example=looks, fix=fix)
    other = next((name for name in catalog.names("importers") if any(map(_class(name).claims, files))), None)
    advice = f"It looks like {_class(other).name}: use {other}." if other else "Leave the importer out to detect it."
    raise DataError(f"{path} is no export of {_class(importer).name}", count=len(files), example=looks,
                    fix=f"{_class(importer).export}. {advice}")  # fmt: skip


def _class(name: str) -> type[Importer]:
    kind: type[Importer] = catalog.load("importers", name)
    return kind


def _imported(name: str, files: Sequence[HistoryFile], time_zone: str | None, private: bool) -> Plays:
    kind = _class(name)
    if time_zone is not None and kind.zoned:
        raise ConfigError(f"times of {kind.name} are in UTC already", example=time_zone, fix="Leave the zone out.")
    return kind(time_zone=time_zone or "UTC", private=private).read(files)


def _cleaned(table: pl.DataFrame, user: str | None, least_played: float) -> tuple[pl.DataFrame, dict[str, int]]:
    """The usable plays in order of time, and the number of dropped rows by reason."""
    texts = [name for name, kind in COLUMNS.items() if kind == pl.String]
    table = table.with_columns(pl.col(texts).str.strip_chars().replace("", None))
    table = table.with_columns(
        pl.col("user").fill_null(NOBODY) if user is None else pl.lit(user).alias("user"),
        pl.col("mbid").str.to_lowercase(),
        pl.col("isrc").str.to_uppercase().str.replace_all("-", ""),
        *(pl.when(pl.col(name) > 0).then(name).alias(name) for name in ("duration_s",)),
    )
    latest = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
    named = pl.any_horizontal(pl.col("title", "mbid", "isrc", "acoustid", "path").is_not_null())
    enough = pl.min_horizontal(pl.lit(least_played), pl.col("duration_s") / 2)
    rules = {
        "without a title or an id": named,
        f"before {_EARLIEST:%Y} or in the future": pl.col("time").is_between(_EARLIEST, latest),
        f"played for less than {least_played:g} s": pl.col("played_s") >= enough,
    }
    dropped = {}
    for reason, keep in rules.items():
        kept = table.filter(keep.fill_null(True))
        dropped[reason] = len(table) - len(kept)
        table = kept
    timed = table.filter(pl.col("time").is_not_null()).unique(maintain_order=True)
    dropped["equal to another row"] = len(table) - len(timed) - int(table["time"].null_count())
    untimed = table.filter(pl.col("time").is_null())
    return pl.concat([timed.sort("time", maintain_order=True), untimed]), dropped
