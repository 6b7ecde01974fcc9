"""Names of tracks in playlists."""

from __future__ import annotations

from typing import Any


def name(track: dict[str, Any]) -> str:
    """ "artist - title" of a row of `Model.recommend`, without unknown parts, else the id; on one line."""
    known = " - ".join(str(track[part]) for part in ("artist", "title") if track[part])
    return " ".join((known or str(track["item"])).split())
