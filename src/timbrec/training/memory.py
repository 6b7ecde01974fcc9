"""Running out of memory: how to tell, and what to do about it."""

from __future__ import annotations

import torch


def ran_out(error: BaseException) -> bool:
    """Whether an exception means that memory, the computer's or the GPU's, did not suffice."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
