"""Folders that are one table in several files."""

from __future__ import annotations

import re
from pathlib import Path

from timbrec.data.compression import plain_name
from timbrec.data.tables import KINDS

_NUMBERS = re.compile(r"[0-9a-f-]{32,}|\d+")  # UUIDs, as Spark writes them, and numbers


def is_partitioned(folder: Path) -> bool:
    """Whether a folder is one table in several files, as query engines write it.

    Its files are tables of one kind, in folders called `key=value`, or with names that differ in their numbers alone
    (part-0, part-1; plays-2022, plays-2023). Names that start with "." or "_" do not count.
    """
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    files = [path for path in paths if not any(part[0] in "._" for part in path.parts)]
    if any(path.suffix.lower() == ".zip" for path in files):  # exports and single tables
        return False
    suffixes = {Path(plain_name(path)).suffix.lower() for path in files}
    if len(suffixes) != 1 or not suffixes <= set(KINDS):
        return False
    if all("=" in part for path in files for part in path.parts[:-1] or ("",)):
        return True
    return len(files) > 1 and len({_NUMBERS.sub("", path.as_posix().lower()) for path in files}) == 1
