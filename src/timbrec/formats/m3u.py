"""Extended M3U playlists."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from timbrec.errors import DataError
from timbrec.formats.shared.names import name


class M3U:
    """A playlist of files, in UTF-8, with `#EXTINF` lines. Tracks without a file are left out."""

    suffix: ClassVar[str] = ".m3u8"

    def text(self, tracks: pl.DataFrame, title: str) -> str:
        """The file's content. Raises DataError if no track has a path."""
        rows = tracks.drop_nulls("path").to_dicts()
        if not rows:
            raise DataError("M3U lists files, and the path of no track is known", example=tracks["item"].first(),
                            fix="Choose another format: jspf, json, csv or table.")  # fmt: skip
        lines = ["#EXTM3U", f"#PLAYLIST:{' '.join(title.split())}"]
        for row in rows:
            seconds = -1 if row["duration_s"] is None else round(row["duration_s"])
            lines += [f"#EXTINF:{seconds},{name(row)}", row["path"]]
        return "\n".join(lines) + "\n"
