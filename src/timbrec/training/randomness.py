"""Randomness by place: every epoch draws from its own seed, so that a resumed run needs no generator's state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int, place: int) -> Iterator[np.random.Generator]:
    """A numpy generator for this seed and place (0 = before training, then the epochs), and torch seeded from it.

    torch's own generators, which dropout and weight initialisation use, are put back afterwards.
    """
    rng = np.random.default_rng([seed, place])
    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
        torch.manual_seed(int(rng.integers(2**63)))
        yield rng


def rewinding(rng: np.random.Generator) -> Callable[[], None]:
    """Puts this generator and torch's own back to where they are now."""
    state, cpu = rng.bit_generator.state, torch.random.get_rng_state()
    gpu = torch.cuda.get_rng_state() if torch.cuda.is_available() else None

    def rewind() -> None:
        rng.bit_generator.state = state
        torch.random.set_rng_state(cpu)
        if gpu is not None:
            torch.cuda.set_rng_state(gpu)

    return rewind
