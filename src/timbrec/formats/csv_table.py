"""CSV."""

from __future__ import annotations

from typing import ClassVar

import polars as pl


class CSV:
    """One row per track with all columns; reasons are separated by "; "."""

    suffix: ClassVar[str] = ".csv"

    def text(self, tracks: pl.DataFrame, title: str) -> str:
        """The file's content."""
        return tracks.with_columns(pl.col("because").list.join("; ")).write_csv()
