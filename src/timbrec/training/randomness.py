"""Random numbers by position: every epoch has a seed of its own, so a resumed training needs no generator state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int, position: int) -> Iterator[np.random.Generator]:
    """Yield a numpy generator for this seed and position (0: before training, then the epochs); torch is seeded too.

    The state of torch's generators, which dropout and weight initialisation use, is restored afterwards.
    """
    rng = np.random.default_rng([seed, position])
    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
        torch.manual_seed(int(rng.integers(2**63)))
        yield rng


def rewinding(rng: np.random.Generator) -> Callable[[], None]:
    """A function that restores the current state of this generator and of torch's generators."""
    state, cpu = rng.bit_generator.state, torch.random.get_rng_state()
    gpu = torch.cuda.get_rng_state() if torch.cuda.is_available() else None

    def rewind() -> None:
        rng.bit_generator.state = state
        torch.random.set_rng_state(cpu)
        if gpu is not None:
            torch.cuda.set_rng_state(gpu)

    return rewind
