"""Computing devices: lookup by name, cores, and memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from timbrec.errors import ConfigError

if TYPE_CHECKING:
    import torch

_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")  # in PyTorch's messages


def device_of(name: str) -> torch.device:
    """The device called `name`: `auto` (a GPU where PyTorch has one, else the CPU), `cpu`, `cuda` or `cuda:1`.

    Raises ConfigError for a name that PyTorch does not know and for a device that is not present.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"there is no device called {name!r}", fix="Choose auto, cpu or cuda.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError("there is no GPU that PyTorch can use", example=name, fix='Choose "cpu" or "auto".')
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("PyTorch cannot use Metal here", example=name, fix='Choose "cpu" or "auto".')
    return device


def ran_out(error: BaseException) -> bool:
    """Whether an exception means that the memory of the computer or the GPU is exhausted."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # of PyTorch, not imported here
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY)


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(count: int) -> None:
    """Let torch, and the libraries of linear algebra below numpy and scipy, use at most `count` threads here."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(count)
    threadpool_limits(count)


def free_memory() -> int:
    """Bytes of memory that a new process may take: what the system has free, within the limit of the container."""
    available = [_system_memory()]
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        if (most := _number(limit)) is not None:
            available.append(most - (_number(used) or 0))
    return max(min(available), 0)


def _system_memory() -> int:
    """Free bytes by the kernel; where it does not say, all memory."""
    path = Path("/proc/meminfo")
    if path.is_file():
        fields = dict(line.split(":") for line in path.read_text().splitlines() if ":" in line)
        return int(fields["MemAvailable"].split()[0]) * 1024
    if hasattr(os, "sysconf"):
        return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
    return sys.maxsize


def _number(path: str) -> int | None:
    """The number in a file; None without the file, and for the word "max"."""
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None
