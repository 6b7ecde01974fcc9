"""Opening of tables: text, Parquet, Arrow and JSON, compressed or not, one file or several."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import polars as pl

from timbrec.data import text
from timbrec.data.compression import check_file, compression, opened, plain_name
from timbrec.data.faults import readable
from timbrec.data.json_rows import read_json
from timbrec.data.table_kinds import FrameTable, ScannedFile, SeveralFiles, Table, TextFile
from timbrec.data.text import TextForm
from timbrec.errors import DataError
from timbrec.places import local, location, matches

PARQUET, ARROW, JSON = (".parquet", ".pqt", ".pq"), (".arrow", ".feather", ".ipc"), (".json", ".jsonl", ".ndjson")
KINDS = (*PARQUET, *text.SUFFIXES, *JSON, *ARROW)
_OTHERS = {  # kinds that are not read, and advice
    (".xlsx", ".xls", ".ods"): "Save a spreadsheet as CSV.",
    (".db", ".sqlite", ".sqlite3", ".duckdb"): "Export the table as CSV or Parquet.",
    (".pkl", ".pickle", ".joblib"): "Pickles are not read, since they can run code: save the table as Parquet.",
    (".npz", ".pt", ".pth", ".h5", ".hdf5", ".safetensors", ".mat", ".ckpt", ".bin", ".tfrecord"):
        "Save vectors as .npy and their `ids` as a text file, or both as Parquet.",
}  # fmt: skip
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


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
        return FrameTable(source, Path("the table"))
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
    return SeveralFiles(source.paths[0], tables, [_hive_keys(root, file) for root, file in files])


def _open_file(path: Path, form: TextForm) -> Table:
    check_file(path)
    path = local(path)
    kind = Path(plain_name(path)).suffix.lower()
    with readable(path):
        if kind in PARQUET:
            return ScannedFile(path, pl.scan_parquet(_content(path), glob=False, hive_partitioning=False))
        if kind in ARROW:
            return ScannedFile(path, pl.scan_ipc(_content(path), glob=False, hive_partitioning=False))
        if kind in JSON:
            return FrameTable(read_json(path), path)
    if kind in text.SUFFIXES or form.separator is not None:
        return TextFile(path, form)
    raise DataError(
        f"{path} is of no known kind",
        fix=f"Known: {', '.join(KINDS)}, also compressed. {advice_for(path) or 'Set `separator` to read it as text.'}",
    )


def advice_for(path: Path) -> str:
    """Advice on a file of a known kind that is not read; empty for other kinds."""
    kind = Path(plain_name(path)).suffix.lower()
    return next((advice for kinds, advice in _OTHERS.items() if kind in kinds), "")


def _content(path: Path) -> Path | bytes:
    """The path, or the decompressed content of a compressed file."""
    if not compression(path):
        return path
    with opened(path) as file:
        return file.read()


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
