"""Checks of the code in a process of their own, while a run is probed, summed up and audited."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from timbrec.audit.run import audit_code, unchecked
from timbrec.machine.devices import free_memory
from timbrec.types import Progress

_MEMORY = 2 * 2**30  # bytes that must be free: the checks train small models of every kind


@contextmanager
def code_checked_beside(progress: Progress | None = None) -> Iterator[None]:
    """Check the code in another process until the block ends, so that `audit_code` finds passed checks in the cache.

    Nothing starts if the checks of the code are in the cache or off, or if less than 2 GiB of memory is free. A check
    that does not pass, and a process that ends early, only mean that `audit_code` runs the check again.
    """
    names = unchecked()
    if not names or free_memory() < _MEMORY:
        yield
        return
    process = multiprocessing.get_context("spawn").Process(target=_check, daemon=True)
    process.start()
    try:
        yield
        if process.is_alive() and progress:
            progress("audit: checks of the code", 0, len(names))
        process.join()
    finally:
        process.terminate()


def _check() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    logging.disable()
    audit_code()
