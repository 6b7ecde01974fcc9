"""Computing devices by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timbrec.errors import ConfigError

if TYPE_CHECKING:
    import torch


def device_of(name: str) -> torch.device:
    """The device called `name`: `auto` (a GPU where PyTorch has one, else the CPU), `cpu`, `cuda` or `cuda:1`.

    Raises ConfigError for a name that PyTorch does not know and for a device that this machine does not have.
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
