"""Numbered files: each state of a folder is a file of its own, and the highest number is the current one."""

from __future__ import annotations

import re

from timbrec.places.place import Place


def numbered(stem: str, number: int) -> str:
    """The name of the state of this number, such as `manifest-000012.json`."""
    return f"{stem}-{number:06d}.json"


def newest_number(place: Place, stem: str) -> int | None:
    """The highest number; None without a state. Checks higher numbers one by one, because remote listings may lag."""
    pattern = re.compile(rf"{stem}-(\d+)\.json")
    number = max((int(match[1]) for name in place.names(f"{stem}-") if (match := pattern.fullmatch(name))), default=-1)
    while place.token and place.exists(numbered(stem, number + 1)):
        number += 1
    return number if number >= 0 else None
