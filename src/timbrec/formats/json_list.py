"""JSON."""

from __future__ import annotations

import json
from typing import ClassVar

import polars as pl


class JSON:
    """An object with `title` and `tracks`, one object per track with all columns."""

    suffix: ClassVar[str] = ".json"

    def text(self, tracks: pl.DataFrame, title: str) -> str:
        """The file's content."""
        return json.dumps({"title": title, "tracks": tracks.to_dicts()}, indent=1, ensure_ascii=False) + "\n"
