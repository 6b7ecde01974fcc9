"""The user's tables: parquet, CSV and TSV, read with one clear message for everything that can be wrong."""

from __future__ import annotations

import difflib
from pathlib import Path

import polars as pl

from timbrec.errors import DataError

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".dat": "\t"}


def read_table(path: Path, columns: dict[str, str], optional: tuple[str, ...] = ()) -> pl.DataFrame:
    """The named columns of a table, under our names: `columns` maps ours to the file's.

    Kinds: .parquet/.pqt, .csv (comma), .tsv/.txt/.dat (tab), the text kinds also compressed (.gz, .zst). A column in
    `optional` may be missing when the mapping is our default. Raises DataError for a missing or unreadable file and
    for missing columns, saying which exist.
    """
    if not path.exists():
        near = difflib.get_close_matches(path.name, [other.name for other in path.parent.glob("*")], n=1)
        raise DataError(f"{path} does not exist", fix=f"Did you mean {near[0]!r}?" if near else "Check the path.")
    try:
        scan = _scan(path)
        present = scan.collect_schema().names()
        chosen = {ours: theirs for ours, theirs in columns.items() if theirs in present}
        if missing := [name for ours, name in columns.items() if ours not in chosen and ours not in optional]:
            raise DataError(
                f"{path.name} has no column {missing[0]!r}",
                count=len(missing) if len(missing) > 1 else None,
                fix=f"It has: {', '.join(present)}. Map the names under `columns`.",
            )
        return scan.select(pl.col(theirs).alias(ours) for ours, theirs in chosen.items()).collect()
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path} cannot be read: {_first_line(error)}", fix=_advice(path, str(error))) from error


def _scan(path: Path) -> pl.LazyFrame:
    if path.is_dir():
        raise DataError(f"{path} is a folder, not a table", fix="Name the file.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", fix="Give a table with a header and rows.")
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".zst")]
    kind = suffixes[-1] if suffixes else ""
    if kind in (".parquet", ".pqt"):
        return pl.scan_parquet(path)
    if kind not in _SEPARATORS:
        raise DataError(f"{path} is of no known kind", fix=f"Known: .parquet, {', '.join(_SEPARATORS)}.")
    return pl.scan_csv(path, separator=_SEPARATORS[kind], infer_schema_length=10_000)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]


def _advice(path: Path, text: str) -> str:
    if "utf" in text.lower():
        return "Save it as UTF-8."
    return "Check that it is complete and of the kind its name says."
