"""Errors of the local file system as one clear line each."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from timbrec.errors import PlaceError
from timbrec.files import final, system_error

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


def refusal(error: Exception) -> PlaceError | None:
    """The error for users where the system refused a file: a full disk, missing rights, a file that is gone.

    None for all other errors. A file that was to be written is shown under its final name.
    """
    number, path = system_error(error), getattr(error, "filename", None)
    if number is None or not (isinstance(path, str) or number in (*_FULL, *_DENIED)):
        return None
    fix = "Check the path and its disk, then run the same command again."
    if number in _FULL:
        fix = "Free some space, then run the same command again: finished work is kept."
    elif number in _DENIED:
        fix = "Check the permissions, or choose another place."
    what = str(final(Path(path))) if isinstance(path, str) else "a file"
    return PlaceError(f"{what} cannot be read or written: {os.strerror(number)}", fix=fix)
