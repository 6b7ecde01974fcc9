"""Reader of JSON as text columns, tolerant of values of another type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from timbrec.errors import DataError
from timbrec.importers.shared.files import HistoryFile

Fields = dict[str, Any]  # name -> None for a value, or the fields of an object


def read_records(files: Iterable[HistoryFile], fields: Fields) -> pl.DataFrame:
    """The objects of JSON lists and files of JSON lines as text columns called "outer.inner"; others are not read.

    Missing values are null. Raises DataError for a file that is no valid JSON.
    """
    schema = {name: _type(inner) for name, inner in fields.items()}
    blocks = [flat(block, fields) for file in files for block in _blocks(file, schema)]
    return pl.concat(blocks) if blocks else flat(pl.DataFrame(schema=schema), fields)


def _blocks(file: HistoryFile, schema: dict[str, Any]) -> Iterable[pl.DataFrame]:
    try:
        if file.head.lstrip().startswith(b"["):
            yield pl.read_json(file.content(), schema=schema)
        else:
            for block in file.blocks():
                yield pl.read_ndjson(block, schema=schema, ignore_errors=True)
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().partition("\n")[0][:120]
        raise DataError(f"{file.name} is no complete JSON ({reason})", fix="Download the export again.") from error


def flat(table: pl.DataFrame, fields: Fields, prefix: str = "") -> pl.DataFrame:
    """The table with a column per field of its objects, called "outer.inner"."""
    return table.select(list(_columns(fields, [])))


def _columns(fields: Fields, outer: Sequence[str]) -> Iterable[pl.Expr]:
    for name, inner in fields.items():
        if inner is not None:
            yield from _columns(inner, [*outer, name])
            continue
        column = pl.col([*outer, name][0])
        for step in [*outer, name][1:]:
            column = column.struct.field(step)
        yield column.alias(".".join([*outer, name]))


def _type(fields: Fields | None) -> Any:
    if fields is None:
        return pl.String()
    return pl.Struct({name: _type(inner) for name, inner in fields.items()})
