"""Earlier runs of a folder, kept when a new run has another config or other data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timbrec.data.split import Split, load_split
from timbrec.errors import DataError
from timbrec.files import write_atomically

_FOLDER, _SHARED = "earlier", ("cells", "training", "failed", "inputs", "probes", "earlier")


def keep_earlier(folder: Path, facts: Mapping[str, Any], split: Split, alone: bool = True) -> str | None:
    """Move a folder's run to `earlier/` if its config or split differs; returns a sentence about it, else None.

    Cells, training logs and inputs from memory stay in place, because both runs use them. Raises DataError unless
    `alone`: another process still writes that run.
    """
    path = folder / "run.json"
    if not path.is_file():
        return None
    old = json.loads(path.read_text())
    changes = _changes(old.get("config", {}), json.loads(json.dumps(facts.get("config", {}), default=str)))
    if _split_digest(folder) not in (None, split.digest):
        changes.append("the data or the split")
    if not changes:
        return None
    if not alone:
        raise DataError(f"another command writes a run with other settings into {folder} ({', '.join(changes)})",
                        fix="Wait for it, or choose another `output`.")  # fmt: skip
    name = str(old.get("created", "unknown")).replace(":", "").replace("+0000", "Z")
    place = _unused(folder / _FOLDER / name)
    place.mkdir(parents=True)
    for item in folder.iterdir():
        if item.name not in _SHARED and not item.name.startswith("."):
            shutil.move(item, place / item.name)
    write_atomically(place / "run.json", json.dumps(old | {"cells": "../../cells"}, indent=2))
    return (
        f"{folder} held a run with other settings ({', '.join(changes)}); it is kept as {place}{_tracks(place, split)}"
    )


def _tracks(place: Path, split: Split) -> str:
    """A sentence about a catalogue that shrank or grew since the earlier run; empty otherwise."""
    if not (place / "split" / "split.json").is_file() or (before := len(load_split(place / "split").items)) == (
        after := len(split.items)
    ):
        return ""
    verb = "shrinks" if after < before else "grows"
    return f". The catalogue {verb} from {before:,} to {after:,} tracks: every cell runs again"


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    moved = {"output"}  # a run may be moved, also to a bucket
    return sorted(key for key in old.keys() | new.keys() if key not in moved and old.get(key) != new.get(key))


def _split_digest(folder: Path) -> str | None:
    path = folder / "split" / "split.json"
    return json.loads(path.read_text()).get("digest") if path.is_file() else None


def _unused(path: Path) -> Path:
    """The path itself or, if it exists, the path with the first number that makes it new."""
    taken = (path.with_name(f"{path.name}-{number}") for number in range(2, 10_000))
    return path if not path.exists() else next(other for other in taken if not other.exists())
