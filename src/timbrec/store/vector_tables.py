"""Reading vectors from tables with a row per track: the column of ids, and columns or lists of values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import polars as pl

from timbrec.data.table_kinds import Table
from timbrec.data.text import TextForm
from timbrec.errors import ConfigError, DataError, listing
from timbrec.types import Array, Float32

Columns = Mapping[str, str | list[str]]
ID_NAMES = ("id", "ID", "track_id", "item_id")
LINES = TextForm(separator="none", header=False, quotes=False)
_INDEX = (  # of pandas, dask, polars and R; an empty name
    r"__index_level_\d+__|__null_dask_index__|Unnamed: [\d.]+|index|level_\d+|row_?(nr|names|index)|rownames|"
)
_HOW = "Name the vector's columns in `columns.vector`: a list of names, 'f*' for names that start with f, '*' for all."


def read_matrix(
    table: Table, columns: Columns
) -> tuple[pl.Series, Float32[Array, "rows dim"], list[tuple[str, str]], list[str]]:
    """Return ids, vectors, remarks (label, detail) on columns left out, and the names of the columns.

    Text is converted a block at a time. Raises DataError for missing and non-numeric values, lists of different
    lengths, a table without rows, and columns that may not be dimensions; ConfigError for contradictory `columns`.
    """
    key = id_column(table, columns)
    names, facts = _vector_columns(table, key, columns)
    ids: list[pl.Series] = []
    matrix: Array = np.empty((0, len(names)), np.float32)
    filled = 0
    for block in table.blocks([key, *names], names if len(names) > 1 else ()):
        values = _values(block, key, names, table.path)
        if not filled:
            matrix = np.empty((0, values.shape[1]), np.float32)
        if values.shape[1] != matrix.shape[1]:
            raise _uneven(table.path, block[key], values.shape[1], matrix.shape[1])
        if (needed := filled + len(values)) > len(matrix):  # in place where the system can move pages
            matrix.resize((max(needed, 2 * len(matrix)), matrix.shape[1]), refcheck=False)
        matrix[filled:needed] = values
        ids.append(block[key])
        filled = needed
    if not filled:
        raise DataError(f"{table.path}: there are no rows below the header", fix="Write it again.")
    matrix.resize((filled, matrix.shape[1]), refcheck=False)
    return pl.concat(ids, how="vertical").alias("id"), matrix, facts, names


def id_column(table: Table, columns: Columns) -> str:
    """Return the column of ids: the column named in `columns`, a column with a usual name, or the only column."""
    usual = next((name for name in ID_NAMES if name in table.names), table.names[0] if len(table.names) == 1 else "id")
    name = columns.get("id", usual)
    if not isinstance(name, str):
        raise ConfigError(f"{table.path}: `columns` names several ids", example=name, fix="Name one column.")
    table.check([name])
    return name


def _vector_columns(table: Table, key: str, columns: Columns) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the columns of the vector, in the table's or the given order, and a remark on columns left out."""
    others = [name for name in table.names if name != key]
    index = [name for name in others if re.fullmatch(_INDEX, name)]
    left_out = (
        [("columns left out, no dimensions", listing([name or "without a name" for name in index]))] if index else []
    )
    names = [name for name in others if name not in index]
    if not names:
        raise DataError(f"{table.path}: there are no columns of numbers beside {key!r}", fix=_HOW)
    given = columns.get("vector", "*")
    entries = [given] if isinstance(given, str) else given
    if partial := [name for name in table.partial if not re.fullmatch(_INDEX, name)
                   and any(fnmatchcase(name, entry) for entry in entries)]:  # fmt: skip
        raise DataError(f"{table.path}: columns that only some of its files have", count=len(partial),
                        example=partial[0], fix="Write the files alike, or name others in `columns`.")  # fmt: skip
    if "vector" in columns:
        names = [name for entry in entries for name in _matching(entry, names)]
        if not names:
            raise ConfigError(f"{table.path}: `columns.vector` names no column", fix=_HOW)
        if len(set(names)) < len(names) or key in names:
            raise ConfigError(f"{table.path}: `columns` names a column twice", example=names[:5],
                              fix="Name each column once.")  # fmt: skip
        table.check(names)
        return names, [fact for fact in left_out if not set(index) & set(names)]
    if strange := strangers(names):
        rest = [name for name in names if name not in strange]
        what = "does not belong" if len(strange) == 1 else "do not belong"
        problem = f"column {strange[0]!r} {what} to the others ({listing(rest, 4)})" if rest else (
            f"the names of its columns have no common pattern ({listing(strange, 4)})")  # fmt: skip
        raise DataError(f"{table.path}: {problem}", count=len(strange) if rest and len(strange) > 1 else None, fix=_HOW)
    return names, left_out


def _matching(entry: str, names: Sequence[str]) -> list[str]:
    """Columns for an entry of `columns.vector`: the column of that name, or all that match a pattern with `*`."""
    if "*" not in entry or entry in names:
        return [entry]
    return [name for name in names if fnmatchcase(name, entry)] or [entry]


def strangers(names: Sequence[str]) -> list[str]:
    """Names that do not look like dimensions, which are numbered alike (f0, f1, ...) or single letters."""
    if len(names) == 1 or all(len(name) == 1 for name in names):
        return []
    patterns = [re.sub(r"\d+", "#", name) for name in names]
    counts = Counter(patterns)
    return [name for name, pattern in zip(names, patterns, strict=True) if "#" not in pattern or counts[pattern] < 2]


def _values(block: pl.DataFrame, key: str, names: Sequence[str], path: Path) -> Array:
    """Return a block as (rows, dim) float32, from one column of lists or their text, or from columns of numbers."""
    table = block.select(names)
    kind = table.dtypes[0]
    if len(names) == 1 and kind == pl.String:
        table, kind = _lists_of_text(table, block[key], path), pl.List(pl.Float32)
    if len(names) == 1 and isinstance(kind, pl.List | pl.Array) and kind.inner.is_numeric():
        return _nested(table.to_series().cast(pl.List(pl.Float32)), block[key], path)
    if other := [name for name, kind in table.schema.items() if not kind.is_numeric()]:
        raise DataError(f"{path}: some columns are no numbers", count=len(other), example=other[0], fix=_HOW)
    _refuse_missing(table, block[key], path)
    return table.cast(pl.Float32).to_numpy(order="c")


def _lists_of_text(table: pl.DataFrame, ids: pl.Series, path: Path) -> pl.DataFrame:
    """Parse vectors in single cells, as JSON or numpy writes them: "[0.1, 0.2]", "[0.1 0.2]"; or single numbers."""
    name = table.columns[0]
    text = pl.col(name).str.strip_chars(" []()\n\t")
    parts = (
        pl.when(text == "")
        .then(pl.lit([], pl.List(pl.String)))
        .otherwise(text.str.replace_all(r"[\s,;]+", " ").str.split(" "))
    )
    return _cast_lists(table.select(parts.alias(name)), ids, path)


def _cast_lists(table: pl.DataFrame, ids: pl.Series, path: Path) -> pl.DataFrame:
    column = table.to_series()
    numbers = column.list.eval(pl.element().cast(pl.Float32, strict=False))
    wrong = numbers.list.eval(pl.element().is_null()).list.any().fill_null(False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise DataError(f"{path}: column {table.columns[0]!r} holds text that is no vector", count=int(wrong.sum()),
                        example=" ".join(column[row].to_list()[:3]),
                        fix=f"The first is that of {ids[row]!r}. Write numbers as [0.1, 0.2].")  # fmt: skip
    return numbers.to_frame()


def _nested(column: pl.Series, ids: pl.Series, path: Path) -> Array:
    """Return a column of lists of one length as (rows, dim)."""
    lengths = column.list.len().fill_null(0)
    dim = int(lengths.mode().max() or 0)  # type: ignore[arg-type]  # a length is a number
    if len(odd := ids.filter(lengths != dim)):
        raise DataError(f"{path}: some vectors have other lengths than {dim}, the usual one", count=len(odd),
                        example=odd[0], fix="Encode these tracks again, or leave them out.")  # fmt: skip
    if dim and (gaps := column.list.eval(pl.element().is_null()).list.any()).any():
        raise _missing(path, ids.filter(gaps), "the vector")
    return column.cast(pl.Array(pl.Float32, dim)).to_numpy()


def _refuse_missing(table: pl.DataFrame, ids: pl.Series, path: Path) -> None:
    if incomplete := [name for name, nulls in table.null_count().row(0, named=True).items() if nulls]:
        rows = table.select(pl.any_horizontal(pl.all().is_null())).to_series()
        raise _missing(path, ids.filter(rows), f"column {incomplete[0]!r}")


def _missing(path: Path, tracks: pl.Series, what: str) -> DataError:
    return DataError(f"{path}: some tracks lack a value in {what}", count=len(tracks), example=tracks[0],
                     fix="Fill them in, or drop these tracks.")  # fmt: skip


def _uneven(path: Path, ids: pl.Series, dim: int, usual: int) -> DataError:
    return DataError(f"{path}: some vectors have other lengths than {usual}, the usual one", example=ids[0],
                     fix=f"This one has {dim}. Encode these tracks again, or leave them out.")  # fmt: skip
