"""Reader of JSON tables: a list of objects, or an object per line."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from timbrec.data.compression import opened
from timbrec.errors import DataError


def read_json(path: Path) -> pl.DataFrame:
    """A frame from a list of objects, or an object per line; values of objects in objects are columns `outer.inner`.

    Raises DataError for any other JSON.
    """
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
