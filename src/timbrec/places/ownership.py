"""Folders that hold a run or a model and nothing else, since the files in them are moved or replaced later."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from timbrec.errors import ConfigError


def check_own_folder(
    folder: Path, owner: str, marks: Collection[str], parts: Collection[str] = (), *, fix: str
) -> None:
    """Raise ConfigError for a file, and for a folder of other files; a new or empty folder passes.

    A folder belongs to its `owner` (for messages) if it holds one of the files `marks`, or nothing but `parts`. Hidden
    files do not count.
    """
    if folder.is_file():
        raise ConfigError(f"{folder} is a file, and {owner} takes a folder of its own", fix=fix)
    if not folder.is_dir():
        return
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    others = sorted(names - set(parts))
    if others and not names & set(marks):
        raise ConfigError(f"{folder} holds other files, and {owner} takes a folder of its own", count=len(others),
                          example=others[0], fix=fix)  # fmt: skip
