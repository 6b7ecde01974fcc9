"""The audit: is what the tables show what they say it is?"""

from timbrec.audit.finding import Finding
from timbrec.audit.table import CHECKS, Check, audit_code, audit_run

__all__ = ["CHECKS", "Check", "Finding", "audit_code", "audit_run"]
