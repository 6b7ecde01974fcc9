"""Peak memory of a call, in a process of its own; for measurements and tests, on Linux.

`resource.getrusage` would not do: a process starts with the peak of the one that started it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def peak(call: Callable[[], object]) -> int:
    """Bytes by which the most memory this process held during the call exceeds what it held before.

    Linux forgets the peak so far when 5 is written to clear_refs.
    """
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    call()
    return _status("VmHWM") - before


def peak_elsewhere(script: str, *arguments: str) -> int:
    """The number of bytes that the script prints last when run alone with these arguments."""
    out = subprocess.run([sys.executable, script, *arguments], check=True, capture_output=True, text=True).stdout
    return int(json.loads(out.splitlines()[-1]))


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024
