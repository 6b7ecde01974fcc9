"""Run the table of checks: `audit_run` for a run, `audit_code` for the running code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from timbrec.audit.audited import Audited
from timbrec.audit.cache import cached, is_cached
from timbrec.audit.finding import SWITCH, Finding, combined, not_checked, switched_off
from timbrec.audit.parts import Parts, default_parts
from timbrec.audit.table import CHECKS, Check
from timbrec.audit.trial import Trial
from timbrec.errors import TimbrecError
from timbrec.machine.devices import limit_threads
from timbrec.study.inputs import Inputs
from timbrec.study.runs import Run
from timbrec.types import Progress

_THREADS = 1  # worlds are so small that waiting threads would take longer than the work


def audit_run(run: Run, inputs: Inputs | TimbrecError, progress: Progress | None = None) -> list[Finding]:
    """Findings about a run, in the order of the table. `inputs` are read from the data that its config names.

    If the inputs changed since the run, or reading them raised an error, `inputs-unchanged` is refused and the checks
    that need inputs do not run.
    """
    audited = Audited(run, inputs)
    findings: list[Finding] = []
    changed = False
    checks = [check for check in CHECKS if check.of_run]
    for done, check in enumerate(checks):
        _report(progress, check.name, done, len(checks))
        assert check.of_run is not None
        if changed and check.needs_inputs:
            finding = not_checked("the inputs are not those of the run")
        else:
            finding = check.of_run(audited)
        changed = changed or (check.name == "inputs-unchanged" and not finding.passed)
        findings.append(_named(finding, check))
    _report(progress, "", len(checks), len(checks))
    return findings


def audit_code(progress: Progress | None = None, parts: Parts | None = None) -> list[Finding]:
    """Findings about the running code on planted worlds and about `parts`, by default every part of the catalogue.

    A check that passed before is read from the cache if code, parts, versions and threads are still the same.
    """
    trial, subjects = Trial(), default_parts() if parts is None else parts
    checks = [check for check in CHECKS if not check.of_run]
    findings = []
    with limit_threads(_THREADS):
        for done, check in enumerate(checks):
            _report(progress, check.name, done, len(checks))
            findings.append(check_code(check, trial, subjects))
    _report(progress, "", len(checks), len(checks))
    return findings


def unchecked() -> list[str]:
    """Names of the checks of the code that `audit_code` would run, because they are not in the cache; [] if off."""
    if switched_off():
        return []
    with limit_threads(_THREADS):  # the number of threads is part of a key
        return [check.name for check in CHECKS if check.of_code and not is_cached(check.name)]


def check_code(check: Check, trial: Trial, parts: Parts) -> Finding:
    """The named finding of a check of the code or of parts, from the cache if it passed before."""
    return _named(_of_code(check, trial, parts), check)


def _of_code(check: Check, trial: Trial, parts: Parts) -> Finding:
    if switched_off():
        return not_checked(f"{SWITCH} is off")
    if check.of_code is not None:
        function = check.of_code
        return cached(check.name, lambda: function(trial))
    subjects: Mapping[str, Any] = parts.recommenders if check.of_recommender else parts.encoders
    assert check.of_parts is not None
    return combined({name: _of_part(check.name, check.of_parts, part) for name, part in subjects.items()})


def _of_part(name: str, function: Callable[[Any], Finding], part: Any) -> Finding:
    try:
        digest = part.digest
    except Exception as error:  # noqa: BLE001 - a part from outside may raise anything
        return not_checked(f"cannot be loaded: {error}")
    return cached([name, digest], lambda: function(part))


def _named(finding: Finding, check: Check) -> Finding:
    return replace(finding, name=check.name, defects=check.defects)


def _report(progress: Progress | None, name: str, done: int, total: int) -> None:
    if progress:
        progress(f"audit: {name}" if name else "audit", done, total)
