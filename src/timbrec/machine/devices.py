"""Computing devices: lookup by name, cores, and memory."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from timbrec.errors import ConfigError

if TYPE_CHECKING:
    import torch

_LIMITS = (  # of a container, and what it uses: control groups 2 and 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_GPU_FILES = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/kfd", "/dev/dxg")  # NVIDIA, Jetson, AMD, and Linux in Windows
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


def check_device(name: str) -> None:
    """Raise ConfigError as `device_of` does. PyTorch is imported only where a GPU is named."""
    if name not in ("auto", "cpu"):
        device_of(name)


def device_name(name: str) -> str:
    """The name of `device_of`, without PyTorch for `cpu`, and for `auto` on a system that shows no GPU."""
    return "cpu" if name == "cpu" or (name == "auto" and not may_have_gpu()) else str(device_of(name))


def may_have_gpu() -> bool:
    """Whether the system shows a GPU that PyTorch could use by CUDA or ROCm; True where it cannot be told at once."""
    return sys.platform != "linux" or any(map(os.path.exists, _GPU_FILES))


def ran_out(error: BaseException) -> bool:
    """Whether an exception means that the memory of the computer or the GPU is exhausted."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # of PyTorch, not imported here
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY)


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(count: int) -> ExitStack:
    """Let a computation of PyTorch, NumPy or SciPy use at most `count` threads. Closing the result restores the limits.

    Call it, or use it in a `with` statement. Waiting threads of linear algebra spin: where several callers compute at
    once, or matrices are small, two threads a caller take several times the processor time of one.
    """
    import torch
    from threadpoolctl import threadpool_info, threadpool_limits

    stack = ExitStack()
    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    limits = {library["filepath"]: min(library["num_threads"], count) for library in libraries}
    stack.enter_context(threadpool_limits(limits))
    stack.callback(torch.set_num_threads, torch.get_num_threads())
    torch.set_num_threads(min(torch.get_num_threads(), count))
    return stack


def use_threads(count: int) -> None:
    """Let this process compute with `count` threads from now on, also if it had fewer before."""
    import torch

    torch.set_num_threads(count)
    limit_threads(count)


def free_memory() -> int:
    """Bytes of memory that a new process may take: what the system has free, within the limit of the container."""
    available = [_system_memory()]
    for limit, used in _LIMITS:
        if (most := _number(limit)) is not None:
            available.append(most - (_number(used) or 0))
    return max(min(available), 0)


def all_memory() -> int:
    """Bytes of memory that processes may take together, within the limit of the container."""
    limits = [most for limit, _ in _LIMITS if (most := _number(limit)) is not None]
    return min([_installed_memory(), *limits])


def _system_memory() -> int:
    """Free bytes by the kernel; all memory if the kernel does not say."""
    path = Path("/proc/meminfo")
    if path.is_file():
        fields = dict(line.split(":") for line in path.read_text().splitlines() if ":" in line)
        return int(fields["MemAvailable"].split()[0]) * 1024
    return _installed_memory()


def _installed_memory() -> int:
    if hasattr(os, "sysconf"):
        return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
    return sys.maxsize


def _number(path: str) -> int | None:
    """The number in a file; None without the file, and for the word "max"."""
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None
