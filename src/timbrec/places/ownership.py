"""Folders that hold a run or a model and nothing else, since the files in them are moved or replaced later."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from timbrec.errors import ConfigError
from timbrec.places.locations import is_remote


def check_own_folder(
    folder: Path, owner: str, marks: Collection[str], parts: Collection[str] = (), *, fix: str
) -> None:
    """Raise ConfigError for a file, a path below one, a link to nowhere, and a folder of other files.

    A new or empty folder passes. A folder belongs to its `owner` (for messages) if it holds one of the files `marks`,
    or nothing but `parts`. Hidden files do not count.
    """
    for path in () if is_remote(folder) else (folder, *folder.parents):
        if path.is_symlink() and not path.exists():
            raise ConfigError(f"{path} is a link to a place that does not exist", example=path.readlink(), fix=fix)
        if path is not folder and path.is_file():
            raise ConfigError(f"{folder} cannot be a folder: {path} is a file", fix=fix)
    if folder.is_file():
        raise ConfigError(f"{folder} is a file, and {owner} takes a folder of its own", fix=fix)
    if not folder.is_dir():
        return
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    others = sorted(names - set(parts))
    if others and not names & set(marks):
        raise ConfigError(f"{folder} holds other files, and {owner} takes a folder of its own", count=len(others),
                          example=others[0], fix=fix)  # fmt: skip
