"""The kind of place that a path names."""

from __future__ import annotations

from pathlib import Path

from timbrec.places.folder import Folder
from timbrec.places.locations import Remote
from timbrec.places.place import Place


def place_of(path: Path) -> Place:
    """The place of a local path or a URL (see `location`)."""
    if not isinstance(path, Remote):
        return Folder(path)
    from timbrec.places.bucket import Bucket

    return Bucket(path)
