"""Reader of all tables: text, Parquet, Arrow and JSON, compressed or not, one file or several."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import polars as pl

from timbrec.data import text
from timbrec.data.compression import check_file, compression, opened, plain_name
from timbrec.data.text import TextForm, TextTable
from timbrec.errors import DataError, did_you_mean, listing
from timbrec.places import local, location, matches

PARQUET, ARROW, JSON = (".parquet", ".pqt", ".pq"), (".arrow", ".feather", ".ipc"), (".json", ".jsonl", ".ndjson")
KINDS = (*PARQUET, *text.SUFFIXES, *JSON, *ARROW)
_ADVICE = "Check that it is complete and of the kind its name says."
_OTHERS = {  # kinds that are not read, and what to do with them
    (".xlsx", ".xls", ".ods"): "Save a spreadsheet as CSV.",
    (".db", ".sqlite", ".sqlite3", ".duckdb"): "Export the table as CSV or Parquet.",
    (".pkl", ".pickle", ".joblib"): "Pickles are not read, since they can run code: save the table as Parquet.",
    (".npz", ".pt", ".pth", ".h5", ".hdf5", ".safetensors", ".mat", ".ckpt", ".bin", ".tfrecord"):
        "Save vectors as .npy and their `ids` as a text file, or both as Parquet.",
}  # fmt: skip
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


class Table(ABC):
    """An open table: `names` are its columns, `facts` (label, value) describe how the file was interpreted."""

    path: Path
    names: list[str]
    partial: tuple[str, ...] = ()  # columns that only some of several files have

    def __init__(self, path: Path, names: Sequence[str], facts: Sequence[tuple[str, str]] = ()) -> None:
        self.path, self.names, self.facts = path, list(names), list(facts)

    @abstractmethod
    def _blocks(self, columns: Sequence[str], numeric: Sequence[str]) -> Iterator[pl.DataFrame]: ...

    def blocks(self, columns: Sequence[str], numeric: Sequence[str] = ()) -> Iterator[pl.DataFrame]:
        """The rows of these columns, in blocks.

        Columns of text tables are strings (empty values are null), or float32 if listed in `numeric`; columns of other
        tables keep their types. Raises DataError for a missing column, for two columns of one name, and for invalid
        content.
        """
        self.check(columns)
        with readable(self.path):
            yield from self._blocks(columns, numeric)

    def read(self, columns: Sequence[str]) -> pl.DataFrame:
        """All rows of these columns. Text columns of plain whole numbers ("7", not "007") become Int64."""
        blocks = [block.with_columns(map(as_numbers, block)) for block in self.blocks(columns)]
        if not blocks:
            return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
        mixed = [name for name in columns if len({block[name].dtype for block in blocks}) > 1]
        texts = [name for name in mixed if any(block[name].dtype == pl.String for block in blocks)]
        blocks = [block.with_columns(pl.col(texts).cast(pl.String)) for block in blocks] if texts else blocks
        try:
            return pl.concat(blocks, how="vertical_relaxed")
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{self.path}: column {mixed[0]!r} has other types in other files",
                            example=[str(block[mixed[0]].dtype) for block in blocks][:3],
                            fix="Store it in one type.") from error  # fmt: skip

    def head(self, rows: int) -> pl.DataFrame:
        """The first rows of all columns, as `read` returns them."""
        table = next(self.blocks(self.names), pl.DataFrame()).head(rows)
        return table.with_columns(map(as_numbers, table))

    def check(self, columns: Sequence[str]) -> None:
        """Raises DataError for missing columns and for names that several columns share."""
        if missing := [name for name in columns if name not in self.names]:
            hint = did_you_mean(missing[0], self.names)
            advice = self._headless or "Map the names under `columns`."
            raise DataError(
                f"{self.path} has no column {missing[0]!r}",
                count=len(missing) if len(missing) > 1 else None,
                fix=f"{hint}It has: {listing(_shown(self.names)) or 'none'}. {advice}",
            )
        counts = Counter(self.names)
        if repeated := [name for name in columns if counts[name] > 1]:
            raise DataError(
                f"{self.path} has {counts[repeated[0]]} columns called {repeated[0]!r}", fix="Rename all but one."
            )

    @property
    def _headless(self) -> str:
        """Advice if the first line seems to be a row; else empty."""
        return ""


class _Text(Table):
    def __init__(self, path: Path, form: TextForm) -> None:
        self._table = TextTable(path, form)
        super().__init__(path, self._table.names)
        self.facts = self._table.facts
        if self._headless and all(name[:1].isdigit() for name in self.names):
            raise DataError(f"the first line of {path} looks like a row, not like a header", example=self.names[:5],
                            fix="Set `header: false`; columns are then called by number from 0.")  # fmt: skip

    def _blocks(self, columns: Sequence[str], numeric: Sequence[str]) -> Iterator[pl.DataFrame]:
        yield from self._table.blocks(columns, numeric)

    @property
    def _headless(self) -> str:
        advice = "If its first line is a row, set `header: false` and call columns by number from 0."
        return advice if self._table.looks_headless else ""


class _Lazy(Table):
    """A Parquet or Arrow file that polars reads column by column."""

    def __init__(self, path: Path, scan: pl.LazyFrame) -> None:
        super().__init__(path, scan.collect_schema().names())
        self._scan = scan

    def head(self, rows: int) -> pl.DataFrame:
        """The first rows of all columns; no others are read."""
        with readable(self.path):
            table = self._scan.head(rows).collect()
        return table.with_columns(map(as_numbers, table))

    def _blocks(self, columns: Sequence[str], numeric: Sequence[str]) -> Iterator[pl.DataFrame]:
        yield self._scan.select(columns).collect()


class _Frame(Table):
    """A table in memory."""

    def __init__(self, frame: pl.DataFrame, path: Path) -> None:
        super().__init__(path, frame.columns)
        self._frame = frame

    def _blocks(self, columns: Sequence[str], numeric: Sequence[str]) -> Iterator[pl.DataFrame]:
        yield self._frame.select(columns)


class _Files(Table):
    """Several tables with the same columns, concatenated; folders called `key=value` add columns."""

    def __init__(self, path: Path, tables: Sequence[Table], keys: Sequence[dict[str, str | None]]) -> None:
        names = [name for name in tables[0].names if all(name in table.names for table in tables)]
        hive = [key for key in keys[0] if key not in names]
        everywhere = {*names}
        self.partial = tuple({name: None for table in tables for name in table.names if name not in everywhere})
        facts = [("files read", f"{len(tables):,}")]
        if self.partial:
            facts.append(("columns that only some files have, not read", listing(_shown(self.partial))))
        super().__init__(path, [*names, *hive], [*facts, *(fact for table in tables for fact in table.facts)])
        self._tables, self._keys, self._hive = tables, keys, hive

    def check(self, columns: Sequence[str]) -> None:
        """Raises DataError, with the name of the file, for a column that only some files have."""
        for table in self._tables:
            table.check([name for name in columns if name in self._tables[0].names or name in self.partial])
        super().check(columns)

    def _blocks(self, columns: Sequence[str], numeric: Sequence[str]) -> Iterator[pl.DataFrame]:
        for table, keys in zip(self._tables, self._keys, strict=True):
            own = [name for name in columns if name not in self._hive] or table.names[:1]  # no column has no rows
            parts = [pl.lit(keys.get(name), pl.String).alias(name) for name in self._hive if name in columns]
            for block in table.blocks(own, [name for name in numeric if name in own]):
                yield block.with_columns(parts).select(columns)


@dataclass(frozen=True)
class Source:
    """Location of a table: `paths` are files or folders, or patterns if `glob`; `form` is the format of text files."""

    paths: tuple[Path, ...]
    form: TextForm = field(default_factory=TextForm)
    glob: bool = False


def open_table(source: Source | Path | str | pl.DataFrame, form: TextForm | None = None) -> Table:
    """Open a table: a file, several files, a folder, or a frame in memory.

    The suffix gives the kind: Parquet, Arrow, delimited text, or JSON (a list of objects, or an object per line). All
    may be compressed (.gz, .bz2, .xz, .zst, .zip with one file). A folder stands for all files below it, except names
    that start with "." or "_"; folders called `key=value` add a column. Names are patterns only with `glob`. Raises
    DataError for files of other kinds and for unreadable files.
    """
    if isinstance(source, pl.DataFrame):
        return _Frame(source, Path("the table"))
    if not isinstance(source, Source):
        source = Source((location(source),), form or TextForm())
    paths = [location(path).expanduser() for path in source.paths]
    paths = [match for path in paths for match in _matches(path)] if source.glob else paths
    if len(paths) == 1 and not paths[0].is_dir():
        return _open_file(paths[0], source.form)
    files = [(root, file) for root in paths for file in (_in_folder(root) if root.is_dir() else [root])]
    if repeated := [str(file) for file, times in Counter(file for _, file in files).items() if times > 1]:
        raise DataError(f"{repeated[0]} is named twice", fix="Name each file once.")
    tables = [_open_file(file, source.form) for _, file in files]
    return _Files(source.paths[0], tables, [_hive_keys(root, file) for root, file in files])


def as_numbers(column: pl.Series) -> pl.Series:
    """A text column as Int64 if every value is a plain whole number; other columns unchanged.

    Numeric ids thus sort by value for every kind of file.
    """
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        return column
    sample = column.head(100)
    if not sample.cast(pl.Int64, strict=False).cast(pl.String).eq_missing(sample).all():
        return column
    numbers = column.cast(pl.Int64, strict=False)
    return numbers if numbers.cast(pl.String).eq_missing(column).all() else column


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn errors of reading inside the block into a DataError with the file's name."""
    try:
        yield
    except (OSError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        advice = "Save it as UTF-8." if "utf" in reason.lower() else _ADVICE
        raise DataError(f"{path} cannot be read: {reason}", fix=advice) from error


def _open_file(path: Path, form: TextForm) -> Table:
    check_file(path)
    path = local(path)
    kind = Path(plain_name(path)).suffix.lower()
    with readable(path):
        if kind in PARQUET:
            return _Lazy(path, pl.scan_parquet(_content(path), glob=False, hive_partitioning=False))
        if kind in ARROW:
            return _Lazy(path, pl.scan_ipc(_content(path), glob=False, hive_partitioning=False))
        if kind in JSON:
            return _Frame(_json(path), path)
    if kind in text.SUFFIXES or form.separator is not None:
        return _Text(path, form)
    raise DataError(
        f"{path} is of no known kind", fix=f"Known: {', '.join(KINDS)}, also compressed. {_advice_for(kind)}"
    )


def _advice_for(kind: str) -> str:
    """What to do with a file of another kind."""
    for kinds, advice in _OTHERS.items():
        if kind in kinds:
            return advice
    return "Set `separator` to read it as text."


def _content(path: Path) -> Path | bytes:
    """The path, or the decompressed content of a compressed file."""
    if not compression(path):
        return path
    with opened(path) as file:
        return file.read()


def _json(path: Path) -> pl.DataFrame:
    """A frame from a list of objects, or an object per line; values of objects in objects are columns `outer.inner`."""
    with opened(path) as file:
        content = file.read().removeprefix(b"\xef\xbb\xbf")
    if content.lstrip()[:1] == b"[":
        return _flat(pl.read_json(content, infer_schema_length=None))
    lines = content.lstrip()
    if lines[:1] != b"{" or _is_one_object(lines):
        raise DataError(f"{path} is not a table", fix="Give a list of objects, or an object per line.")
    return _flat(pl.read_ndjson(content, infer_schema_length=None))


def _flat(table: pl.DataFrame) -> pl.DataFrame:
    """The table with a column per field of a struct, also of structs in structs."""
    while structs := [name for name, kind in table.schema.items() if isinstance(kind, pl.Struct)]:
        for name in structs:
            fields = table[name].struct.unnest().select(pl.all().name.prefix(f"{name}."))
            table = table.drop(name).hstack(
                fields.select(field for field in fields.columns if field not in table.columns)
            )
    return table


def _is_one_object(content: bytes) -> bool:
    """Whether one JSON object spans several lines: the first line is not an object by itself."""
    try:
        return not isinstance(json.loads(content.partition(b"\n")[0]), dict)
    except ValueError:
        return True


def _matches(pattern: Path) -> list[Path]:
    """The files that match a pattern, sorted."""
    paths = matches(pattern)
    if not paths:
        raise DataError(f"no file matches {pattern}", fix="Check the path.")
    return paths


def _in_folder(folder: Path) -> list[Path]:
    """The files below a folder, sorted. Raises DataError for no file, and for files of several kinds."""
    files = sorted(
        path for path in folder.rglob("*")
        if path.is_file() and not any(part[0] in "._" for part in path.relative_to(folder).parts)
    )  # fmt: skip
    kinds = Counter(Path(plain_name(path)).suffix.lower() for path in files)
    if not files:
        raise DataError(f"{folder} is a folder without files", fix="Name the table.")
    if len(kinds) > 1:
        counts = ", ".join(f"{count:,} {kind or 'without suffix'}" for kind, count in kinds.most_common(5))
        raise DataError(f"{folder} holds files of several kinds: {counts}", fix="Name the files, or move the others.")
    return files


def _hive_keys(root: Path, file: Path) -> dict[str, str | None]:
    """The columns that folders called `key=value` add to a file, with their values, URL-decoded as Hive wrote them."""
    parts = file.relative_to(root).parts[:-1] if root != file else ()
    pairs = (part.split("=", 1) for part in parts if "=" in part)
    return {key: None if value == _HIVE_NULL else unquote(value) for key, value in pairs}


def _shown(names: Sequence[str]) -> list[str]:
    return [name if name == name.strip() and name else repr(name) for name in names]
