"""Auditing a run and the running code."""

from __future__ import annotations

from pathlib import Path

from timbrec.audit.finding import Finding
from timbrec.audit.stored import write_audit
from timbrec.errors import TimbrecError
from timbrec.study.config import make_config
from timbrec.study.inputs import Inputs, load_inputs
from timbrec.study.runs import Run
from timbrec.types import Progress


def audit(run: Run, inputs: Inputs | TimbrecError, progress: Progress | None = None) -> list[Finding]:
    """Audit a run against its inputs and the code that made it; keep the findings in its folder."""
    return audit_code_of(run, audit_lists(run, inputs, progress), progress)


def audit_all(folder: Path | None, progress: Progress | None = None) -> list[Finding]:
    """Audit the running code on planted worlds and, if a folder is named, the run in it; returns the findings.

    Inputs that can no longer be read are a refused finding, not an error.
    """
    from timbrec.audit import audit_code

    if folder is None:
        return audit_code(progress)
    run = Run(folder)
    inputs: Inputs | TimbrecError
    try:
        inputs = load_inputs(make_config(run.facts["config"]), progress)
    except TimbrecError as error:
        inputs = error
    return audit(run, inputs, progress)


def audit_lists(run: Run, inputs: Inputs | TimbrecError, progress: Progress | None) -> list[Finding]:
    """Audit what a run stored: its split, lists, figures and controls."""
    from timbrec.audit import audit_run  # loads every recommender

    return audit_run(run, inputs, progress)


def audit_code_of(run: Run, findings: list[Finding], progress: Progress | None) -> list[Finding]:
    """Audit the code that made a run, and keep the findings after those about the run itself."""
    from timbrec.audit import audit_code, run_parts

    findings = findings + audit_code(progress, run_parts(run))
    write_audit(run, findings)
    run.publish()
    return findings
