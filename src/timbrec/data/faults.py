"""Errors of reading a file as one clear line each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from timbrec.errors import DataError

_ADVICE = "Check that it is complete and of the kind its name says."


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn errors of reading inside the block into a DataError with the file's name."""
    try:
        yield
    except (OSError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        advice = "Save it as UTF-8." if "utf" in reason.lower() else _ADVICE
        raise DataError(f"{path} cannot be read: {reason}", fix=advice) from error
