"""JSPF playlists: XSPF as JSON, as ListenBrainz reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import polars as pl


class JSPF:
    """A playlist with titles, artists, MusicBrainz recordings and files, as far as they are known."""

    suffix: ClassVar[str] = ".jspf"

    def text(self, tracks: pl.DataFrame, title: str) -> str:
        """The file's content."""
        playlist = {"title": title, "creator": "timbrec", "track": [_track(row) for row in tracks.to_dicts()]}
        return json.dumps({"playlist": playlist}, indent=1, ensure_ascii=False) + "\n"


def _track(row: dict[str, Any]) -> dict[str, Any]:
    track = {
        "title": row["title"] or row["item"],
        "creator": row["artist"],
        "album": row["album"],
        "trackNum": row["rank"],
        "duration": None if row["duration_s"] is None else round(1000 * row["duration_s"]),
        "identifier": [f"https://musicbrainz.org/recording/{row['mbid']}"] if row["mbid"] else None,
        "location": [Path(row["path"]).absolute().as_uri()] if row["path"] else None,
        "annotation": f"because of {'; '.join(row['because'])}" if row["because"] else None,
    }
    return {key: value for key, value in track.items() if value is not None}
