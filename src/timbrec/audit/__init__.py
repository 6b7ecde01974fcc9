"""The audit: checks of a run and of the running code."""

from timbrec.audit.finding import Finding
from timbrec.audit.parts import run_parts
from timbrec.audit.run import audit_code, audit_run
from timbrec.audit.table import CHECKS, Check

__all__ = ["CHECKS", "Check", "Finding", "audit_code", "audit_run", "run_parts"]
