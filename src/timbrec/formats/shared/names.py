"""Names of tracks as playlists write them."""

from __future__ import annotations

from typing import Any


def name(track: dict[str, Any]) -> str:
    """ "artist - title" of a row of `Model.recommend`, as much of it as is known, else the id; on one line."""
    known = " - ".join(str(track[part]) for part in ("artist", "title") if track[part])
    return " ".join((known or str(track["item"])).split())
