"""Computing devices: lookup by name, and detection of exhausted memory."""

from __future__ import annotations

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
