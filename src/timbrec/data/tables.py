"""The user's tables: parquet, CSV and TSV, read with one clear message for everything that can be wrong."""

from __future__ import annotations

import difflib
from pathlib import Path

import polars as pl

from timbrec.errors import DataError

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".dat": "\t"}
_TEXT = (pl.String, pl.Categorical, pl.Enum)


def read_table(
    path: Path, columns: dict[str, str], optional: tuple[str, ...] = (), ids: tuple[str, ...] = ()
) -> pl.DataFrame:
    """The named columns of a table, under our names: `columns` maps ours to the file's.

    Kinds: .parquet/.pqt, .csv (comma), .tsv/.txt/.dat (tab), the text kinds also compressed (.gz, .zst). A column in
    `optional` may be missing when the mapping is our default. Columns in `ids` come as whole numbers or text, never
    changed ("007" stays), an empty text as null. Raises DataError for a missing or unreadable file, for missing
    columns, saying which exist, and for ids of other types.
    """
    if not path.exists():
        near = difflib.get_close_matches(path.name, [other.name for other in path.parent.glob("*")], n=1)
        raise DataError(f"{path} does not exist", fix=f"Did you mean {near[0]!r}?" if near else "Check the path.")
    try:
        present = _scan(path).collect_schema().names()
        chosen = {ours: theirs for ours, theirs in columns.items() if theirs in present}
        if missing := [name for ours, name in columns.items() if ours not in chosen and ours not in optional]:
            raise DataError(
                f"{path} has no column {missing[0]!r}",
                count=len(missing) if len(missing) > 1 else None,
                fix=f"It has: {', '.join(present)}. Map the names under `columns`.",
            )
        scan = _scan(path, [chosen[name] for name in ids if name in chosen])
        table = scan.select(pl.col(theirs).alias(ours) for ours, theirs in chosen.items()).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} cannot be read: {_first_line(error)}", fix=_advice(str(error))) from error
    return table.with_columns(_ids(table[name], f"{path}: column {chosen[name]!r}") for name in ids if name in chosen)


def _scan(path: Path, text: list[str] | None = None) -> pl.LazyFrame:
    """A lazy table; of the text kinds, the columns in `text` are taken as they stand."""
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
    schema = dict.fromkeys(text or [], pl.String)
    return pl.scan_csv(path, separator=_SEPARATORS[kind], infer_schema_length=10_000, schema_overrides=schema)


def _ids(column: pl.Series, where: str) -> pl.Series:
    """Text as numbers where all of it is numbers written plainly, so that ids sort alike whatever the file's kind."""
    if column.dtype.is_integer() or column.dtype == pl.Null:
        return column
    if column.dtype not in _TEXT:
        raise DataError(f"{where} holds {column.dtype}, not ids", fix="Store ids as text or whole numbers.")
    text = column.cast(pl.String)
    text = text.set(text == "", None)
    numbers = text.cast(pl.Int64, strict=False)
    return numbers if numbers.cast(pl.String).eq_missing(text).all() else text


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]


def _advice(text: str) -> str:
    if "utf" in text.lower():
        return "Save it as UTF-8."
    return "Check that it is complete and of the kind its name says."
