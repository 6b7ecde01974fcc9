"""The stores of a user's own encoders in a config: one per state of the file."""

from __future__ import annotations

from pathlib import Path

from timbrec.encoders import find
from timbrec.store.manifest import holds_store, newest


def own_store(folder: Path, encoder: str) -> Path:
    """The default store of the class `path/to/file.py:Name`: `folder`, or `folder-STATE` if the file has changed.

    STATE is the digest of the file as it is now. So vectors of every state are kept, and a file that is changed back
    finds its vectors again.
    """
    state = find(encoder).card.revision.rpartition(", ")[2]
    if not holds_store(folder) or state in newest(folder).info.revision:
        return folder
    return folder.with_name(f"{folder.name}-{state.rpartition(' ')[2]}")
