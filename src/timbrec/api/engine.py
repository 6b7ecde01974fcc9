"""The session of an engine, for the calls that take one."""

from __future__ import annotations

from contextlib import AbstractContextManager

from timbrec import catalog
from timbrec.machine.cluster import kind_of, session


def session_of(engine: str) -> AbstractContextManager[None]:
    """The session of an engine. Raises ConfigError for an unknown engine."""
    if (kind := kind_of(engine)) not in catalog.names("engines"):
        catalog.load("engines", kind)  # raises the error; a known one is loaded where there is something to run
    return session(engine)
