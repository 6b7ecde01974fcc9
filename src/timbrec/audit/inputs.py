"""Inputs: whether the log, the items table and the vectors are those that the run read."""

from __future__ import annotations

from timbrec.audit.audited import Audited
from timbrec.audit.finding import Finding
from timbrec.errors import TimbrecError
from timbrec.study.changed_inputs import changed_inputs


def inputs_unchanged(audited: Audited) -> Finding:
    """Compare the run's split, artists and digests with the current inputs; the detail names every change.

    Inputs that can no longer be read or split are refused with the reason.
    """
    if isinstance(audited.current, TimbrecError):
        return Finding(False, "cannot be read", "0 changes", str(audited.current))
    changes = changed_inputs(audited.run, audited.inputs)
    return Finding(not changes, f"{len(changes)} changes", "0 changes", "; ".join(changes))
