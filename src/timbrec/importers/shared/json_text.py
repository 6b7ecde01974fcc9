"""Reader of JSON as text columns, tolerant of values of another type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from timbrec.errors import DataError
from timbrec.importers.shared.files import HistoryFile

_AGAIN = "Download the export again."
Fields = dict[str, Any]  # name -> None for a value as text, the fields of an object, or a type of polars


def read_records(files: Iterable[HistoryFile], fields: Fields) -> pl.DataFrame:
    """The objects of JSON lists and files of JSON lines as text columns called "outer.inner"; others are not read.

    Missing values are null. Raises DataError for a file that is no valid JSON.
    """
    schema = {name: _type(inner) for name, inner in fields.items()}
    blocks = [flat(block, fields) for file in files for block in _blocks(file, schema)]
    return pl.concat(blocks) if blocks else flat(pl.DataFrame(schema=schema), fields)


def whole_json(file: HistoryFile) -> Any:
    """The value of a file of JSON. Raises DataError for a file that is no complete JSON."""
    try:
        return json.loads(file.content())
    except ValueError as error:
        raise DataError(f"{file.name} is no complete JSON ({error})", fix=_AGAIN) from error


def objects_at(value: Any, keys: Sequence[str], name: str) -> list[dict[str, Any]]:
    """The objects of the list that a value of JSON has under nested `keys`; other entries of it are left out.

    Raises DataError, with the file's name, where there is no such list.
    """
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, list):
        raise DataError(f"{name} has no list `{'.'.join(keys)}`", fix=_AGAIN)
    return [entry for entry in value if isinstance(entry, dict)]


def _blocks(file: HistoryFile, schema: dict[str, Any]) -> Iterable[pl.DataFrame]:
    try:
        if file.head.lstrip().startswith(b"["):
            yield _list(file.content(), schema)
        else:
            for block in file.blocks():
                yield pl.read_ndjson(block, schema=schema, ignore_errors=True)
    except (pl.exceptions.PolarsError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0][:120]
        raise DataError(f"{file.name} is no complete JSON ({reason})", fix=_AGAIN) from error


def _list(content: bytes, schema: dict[str, Any]) -> pl.DataFrame:
    """The objects of a list; the reader of JSON lines tolerates values of another type, such as lists for text."""
    try:
        return pl.read_json(content, schema=schema)
    except pl.exceptions.PolarsError:
        lines = b"".join(json.dumps(record).encode() + b"\n" for record in json.loads(content))
        return pl.read_ndjson(lines, schema=schema, ignore_errors=True)


def flat(table: pl.DataFrame, fields: Fields, prefix: str = "") -> pl.DataFrame:
    """The table with a column per field of its objects, called "outer.inner"."""
    return table.select(list(_columns(fields, [])))


def _columns(fields: Fields, outer: Sequence[str]) -> Iterable[pl.Expr]:
    for name, inner in fields.items():
        if isinstance(inner, dict):
            yield from _columns(inner, [*outer, name])
            continue
        column = pl.col([*outer, name][0])
        for step in [*outer, name][1:]:
            column = column.struct.field(step)
        yield column.alias(".".join([*outer, name]))


def _type(fields: Any) -> Any:
    if not isinstance(fields, dict):
        return pl.String() if fields is None else fields
    return pl.Struct({name: _type(inner) for name, inner in fields.items()})
