"""The session of an engine, for the calls that take one."""

from __future__ import annotations

from contextlib import AbstractContextManager

from timbrec import catalog
from timbrec.machine.cluster import kind_of, session


def session_of(engine: str) -> AbstractContextManager[None]:
    """The session of an engine. Raises ConfigError for an unknown engine."""
    catalog.load("engines", kind_of(engine))
    return session(engine)
