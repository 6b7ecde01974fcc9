"""The audit: checks of a run and of the running code."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timbrec.audit.finding import Finding as Finding
    from timbrec.audit.parts import run_parts as run_parts
    from timbrec.audit.run import audit_code as audit_code
    from timbrec.audit.run import audit_run as audit_run
    from timbrec.audit.table import CHECKS as CHECKS
    from timbrec.audit.table import Check as Check

_HOMES = {
    "CHECKS": "table",
    "Check": "table",
    "Finding": "finding",
    "audit_code": "run",
    "audit_run": "run",
    "run_parts": "parts",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: a run with a valid audit never loads the checks."""
    if name in _HOMES:
        return getattr(import_module(f"timbrec.audit.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'timbrec.audit' has no attribute {name!r}")
