"""Histories of listeners as ids of a model's tracks."""

from __future__ import annotations

from pathlib import Path

from timbrec.data.tables import open_table
from timbrec.errors import DataError

_COLUMNS = ("track", "track_id", "item", "item_id", "id")


def history_of(path: Path) -> list[str]:
    """The track ids of a table of plays, a row per play. Raises DataError for a table without a column of ids."""
    table = open_table(path)
    name = next((name for name in _COLUMNS if name in table.names), table.names[0] if len(table.names) == 1 else None)
    if name is None:
        raise DataError(f"{path} has no column of track ids", example=list(table.names[:5]),
                        fix=f"Call it one of {', '.join(_COLUMNS)}.")  # fmt: skip
    ids: list[str] = table.read([name])[name].cast(str).drop_nulls().to_list()
    return ids
