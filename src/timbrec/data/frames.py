"""Data frames that a user has in memory."""

from __future__ import annotations

from typing import Any

import polars as pl

from timbrec.errors import DataError


def is_frame(value: Any) -> bool:
    """Whether `frame_of` makes a frame of the value."""
    return isinstance(value, pl.DataFrame | pl.LazyFrame) or _is_pandas(value) or hasattr(value, "__arrow_c_stream__")


def frame_of(value: Any, name: str) -> pl.DataFrame:
    """A polars frame of a frame of polars (lazy or not), pandas, Arrow or any library that exports Arrow streams.

    The index of a pandas frame becomes columns if it has names. `name` is that of the value in messages. Raises
    DataError for anything else.
    """
    if isinstance(value, pl.DataFrame):
        return value
    if isinstance(value, pl.LazyFrame):
        return value.collect()
    if _is_pandas(value):
        return pl.from_pandas(value, include_index=any(level is not None for level in value.index.names))
    if hasattr(value, "__arrow_c_stream__"):
        return pl.DataFrame(value)
    raise DataError(f"{name} is a {type(value).__name__}, not a frame",
                    fix="Give a frame of polars, pandas or Arrow, such as polars.DataFrame(columns).")  # fmt: skip


def _is_pandas(value: Any) -> bool:
    return type(value).__module__.split(".")[0] == "pandas" and hasattr(value, "columns")
