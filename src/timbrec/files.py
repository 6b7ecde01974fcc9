"""Writing files and folders whole: a reader sees the old content or the new, never a part."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a hidden path beside `path` to write to; when the block ends well, it takes the place of `path`.

    Works for files and for folders. An error in the block removes the partial copy and leaves `path` as it was.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    _remove(partial)
    try:
        yield partial
        if path.is_dir():
            shutil.rmtree(path)
        partial.replace(path)
    except BaseException:
        _remove(partial)
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a text (as UTF-8) or binary file in one step."""
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
