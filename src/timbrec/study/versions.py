"""Versions of the software that made a figure."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path


@cache
def versions() -> dict[str, str]:
    """Versions of timbrec (with a digest of its code), Python, numpy, polars and torch, and the name of the device."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    packages = {name: version(name) for name in ("numpy", "polars", "torch")}
    own = {"timbrec": version("timbrec"), "code": code_digest(), "python": platform.python_version()}
    return own | packages | {"device": device}


@cache
def code_digest() -> str:
    """A hash of the package's own source files, names included."""
    folder = Path(__file__).parents[1]
    content = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return content.hexdigest()[:16]
