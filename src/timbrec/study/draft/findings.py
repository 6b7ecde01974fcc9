"""Contents of files and folders: a log, a table of tracks, vectors, audio, or an export of plays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from timbrec.audio import CONTAINERS
from timbrec.data.compression import plain_name
from timbrec.data.roles import candidates
from timbrec.data.table_kinds import Table
from timbrec.data.tables import KINDS, Source, advice_for, open_table
from timbrec.data.text import SUFFIXES, TextForm
from timbrec.errors import DataError, TimbrecError
from timbrec.histories.reading import detect
from timbrec.store.archives import ids_of_archive, is_archive
from timbrec.store.vector_tables import LINES
from timbrec.study.draft.parts import is_partitioned

Kind = Literal["log", "items", "vectors", "array", "archive", "ids", "store", "audio", "history", "unknown"]
SAMPLE = 10_000  # rows that decide the kind of a table
WRITTEN = ("run.json", "model.json")  # in the folders of runs and models, which hold no sources
WIDE = 4  # columns of numbers from which a table without other roles is one of vectors
EXPORTS = (".json", ".jsonl", ".zip", ".db", ".sqlite", ".xlsx", ".m3u", ".m3u8", ".jspf", ".7z", ".tar", ".tgz")


@dataclass(frozen=True)
class Finding:
    """The content of a path, or of several that are parts of one log.

    `names` and `sample` belong to a table; `note` is a reason or a remark in words, or the name of an importer.
    """

    paths: tuple[Path, ...]
    kind: Kind
    names: list[str] = field(default_factory=list)
    sample: pl.DataFrame = field(default_factory=pl.DataFrame)
    header: bool = True
    note: str = ""

    @property
    def path(self) -> Path:
        """The path, or the first of several."""
        return self.paths[0]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        files = (file for path in self.paths for file in ([path] if path.is_file() else path.rglob("*")))
        return sum(file.stat().st_size for file in files if file.is_file())

    def open(self) -> Table:
        """The table, opened."""
        return open_table(Source(self.paths, TextForm(header=self.header)))

    def columns(self, role: str) -> list[str]:
        """The columns that may have a role, the likeliest first."""
        return candidates(role, self.names)


def look_at(paths: Sequence[Path]) -> list[Finding]:
    """The findings of all paths, with folders searched. Raises DataError for a path that does not exist.

    A path that was named before, or lies in a named folder, counts once.
    """
    if missing := [path for path in paths if not path.exists()]:
        raise DataError(f"{missing[0]} does not exist", fix="Check the path.")
    named: dict[Path, Path] = {}
    for path in paths:
        named.setdefault(path.resolve(), path)
    chosen = [path for place, path in named.items() if not named.keys() & set(place.parents)]
    return [finding for path in chosen for finding in _in(path)]


def joined(logs: Sequence[Finding]) -> tuple[Finding, list[Finding]]:
    """The largest log, joined with all that have its columns or its importer; and the other logs."""
    largest = max(logs, key=lambda log: log.size)
    alike = [_form(log) == _form(largest) for log in logs]
    paths = tuple(path for log, same in zip(logs, alike, strict=True) if same for path in log.paths)
    return replace(largest, paths=paths), [log for log, same in zip(logs, alike, strict=True) if not same]


def _form(log: Finding) -> tuple[object, ...]:
    return log.kind, log.header, sorted(log.names), log.note


def _in(path: Path) -> Iterator[Finding]:
    if path.is_file():
        yield _file(path)
    elif any(path.glob("manifest-*.json")):
        yield Finding((path,), "store")
    elif is_partitioned(path) and (table := _partitioned(path)):
        yield table
    elif not any((path / name).is_file() for name in WRITTEN):
        yield from _in_folder(path)


def _in_folder(folder: Path) -> Iterator[Finding]:
    """The findings in a folder: its music as one, each table and each further folder."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith((".", "_")))
    folders = [entry for entry in entries if entry.is_dir()]
    music = [entry for entry in folders if _has_audio(entry)]
    if len(music) > 1 or any(_is_audio(entry) for entry in entries):
        yield Finding((folder,), "audio")
    elif music:
        yield from _in(music[0])
    for entry in entries:
        if entry not in music and not _is_audio(entry) and entry.suffix not in (".yaml", ".yml"):
            yield from _in(entry)


def _has_audio(folder: Path) -> bool:
    return any(_is_audio(path) for path in folder.rglob("*"))


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in CONTAINERS and path.is_file()


def _file(path: Path) -> Finding:
    try:
        return _readable(path)
    except TimbrecError as error:
        return _history(path) or Finding((path,), "unknown", note=str(error).removeprefix(f"{path} "))


def _readable(path: Path) -> Finding:
    """The finding in a file. Raises the errors of reading it as a table."""
    if path.suffix.lower() in EXPORTS and (history := _history(path)):  # an archive may hold several files
        return history
    name = Path(plain_name(path)).name.lower()
    if name.endswith(".npy"):
        return _array(path)
    if is_archive(path):
        return _archive(path)
    if name.endswith(".txt") and (ids := _lines(path)):
        return ids
    if not name.endswith((*KINDS, *SUFFIXES)):
        return Finding((path,), "unknown", note=f"of no kind that can be read. {advice_for(path)}".strip())
    return _table(path)


def _partitioned(folder: Path) -> Finding | None:
    """The one table in a folder; None if its files do not fit together.

    Exports of a service are none, nor are files with the vectors of the same tracks, such as layer-1 and layer-2.
    """
    if any(path.suffix.lower() in EXPORTS for path in folder.rglob("*")) and _history(folder):
        return None
    try:
        table = _table(folder)
        ids = [*table.columns("item"), *table.names][:1]
        if table.kind in ("vectors", "items") and table.open().read(ids).is_duplicated().any():
            return None
    except TimbrecError:
        return None
    return None if table.kind == "unknown" else table


def _array(path: Path) -> Finding:
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        return Finding((path,), "unknown", note=str(error).partition("\n")[0])
    if array.ndim == 1 and array.dtype.kind == "f":
        return Finding((path,), "unknown", note=(
            "a single vector. Save those of all tracks as one array, and their ids as a text file, a line each"
        ))  # fmt: skip
    return Finding((path,), "array" if array.ndim == 2 else "ids", note=f"{len(array)}")


def _archive(path: Path) -> Finding:
    ids, rows = ids_of_archive(path)
    return Finding((path,), "archive" if ids is not None else "array", note=f"{rows}")


def _lines(path: Path) -> Finding | None:
    """A text file with one word or name per line, which may be the ids of an array; None for a table."""
    lines = open_table(path, LINES).read(["0"]).to_series().cast(pl.String)
    if len(lines) and not lines.head(SAMPLE).str.contains(r"[\t;,|]").any():
        return Finding((path,), "ids", note=f"{len(lines)}")
    return None


def _history(path: Path) -> Finding | None:
    try:
        return Finding((path,), "history", note=detect(path))
    except TimbrecError:
        return None


def _table(path: Path) -> Finding:
    header = True
    try:
        table = open_table(path)
    except DataError:  # a first line of numbers looks like a row
        table, header = open_table(path, TextForm(header=False)), False
    return _by_columns(table, path, header)


def _by_columns(table: Table, path: Path, header: bool) -> Finding:
    names, sample = table.names, table.head(SAMPLE)
    if not header:
        return Finding((path,), "log" if len(names) in (3, 4) else "unknown", names, sample, header, "it has no header")
    roles = {role: candidates(role, names) for role in ("user", "item", "time", "artist")}
    if roles["user"] and roles["item"]:
        return Finding((path,), "log", names, sample)
    if _has_lists(sample):
        return Finding((path,), "vectors", names, sample)
    if roles["item"] and any(sample[name].count() for name in roles["artist"] if name in sample.columns):
        repeated = bool(roles["time"]) and sample[roles["item"][0]].is_duplicated().any()
        return (_history(path) if repeated else None) or Finding((path,), "items", names, sample)
    if _is_wide(sample, roles["item"]):
        return Finding((path,), "vectors", names, sample)
    if roles["item"] and roles["time"]:
        return Finding((path,), "log", names, sample, note="it has no column of users")
    return _history(path) or Finding((path,), "unknown", names, note="no columns of a log, of tracks or of vectors")


def _has_lists(sample: pl.DataFrame) -> bool:
    """Whether a column holds lists of numbers."""
    inner = [getattr(kind, "inner", None) for kind in sample.dtypes]
    return any(isinstance(kind, pl.DataType) and kind.is_float() for kind in inner)


def _is_wide(sample: pl.DataFrame, ids: Sequence[str]) -> bool:
    """Whether a table has a column of ids and otherwise only columns of numbers."""
    numeric = [is_numeric(column) for column in sample.drop(ids[:1])]
    return bool(ids) and len(numeric) >= WIDE and sum(numeric) >= len(numeric) - 1  # an index may be text


def is_numeric(column: pl.Series) -> bool:
    """Whether all values are numbers, or texts of numbers."""
    if not (column.dtype.is_numeric() or column.dtype in (pl.String, pl.Boolean, pl.Null)):
        return False
    return column.cast(pl.Float32, strict=False).null_count() == column.null_count()
