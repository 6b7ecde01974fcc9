"""Versions of the software that made a figure."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from timbrec.machine.devices import may_have_gpu


@cache
def versions() -> dict[str, str]:
    """Versions of timbrec (with a digest of its code), Python, numpy, polars and torch, and the name of the device."""
    device = platform.machine()
    if may_have_gpu():
        import torch  # here, because its import takes seconds

        device = torch.cuda.get_device_name() if torch.cuda.is_available() else device
    packages = {name: version(name) for name in ("numpy", "polars", "torch")}
    own = {"timbrec": version("timbrec"), "code": code_digest(), "python": platform.python_version()}
    return own | packages | {"device": device}


def commit() -> str | None:
    """The git commit of the package's source, with "+" after it for uncommitted changes; None outside a checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # fails below an unrelated checkout
        return git("describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+")
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def code_digest() -> str:
    """A hash of the package's own files, names included: code, tables and templates."""
    folder = Path(str(files("timbrec")))
    content = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__"):
        content.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return content.hexdigest()[:16]
