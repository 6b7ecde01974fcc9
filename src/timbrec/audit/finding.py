"""Findings: the results of checks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SWITCH = "TIMBREC_CODE_CHECKS"  # "off" in the environment: the checks of the code do not run, and the page says so


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    `figure` is the measured value, `expected` the required one, and `detail` says where and how it was measured.
    `checked` is false for a check that did not run: it refuses nothing and proves nothing. `remark` marks a result that
    is odd but refuses nothing. `note` says what a passed check left out. `name` and `defects` (the numbers of published
    defects) come from the table of checks.
    """

    passed: bool
    figure: str
    expected: str
    detail: str = ""
    name: str = ""
    defects: str = ""
    checked: bool = True
    remark: bool = False
    note: str = ""

    @property
    def mark(self) -> str:
        """The result in a word or two: "passed", "REFUSED", "not checked" or "remark"."""
        if not self.passed:
            return "REFUSED"
        if not self.checked:
            return "not checked"
        return "remark" if self.remark else "passed"


def switched_off() -> bool:
    """Whether the environment switches off the checks of the code."""
    return os.environ.get(SWITCH, "").lower() == "off"


def nothing_to_check(reason: str) -> Finding:
    """A finding for a check that has no subject in this run."""
    return Finding(True, "nothing to check", "–", reason, checked=False)


def not_checked(reason: str) -> Finding:
    """A finding for a check that could not run."""
    return Finding(True, "not checked", "–", reason, checked=False)


def combined(findings: Mapping[str, Finding]) -> Finding:
    """One finding for several parts: refused if any part is refused, with the figure of the first refused part."""
    ran = {name: finding for name, finding in findings.items() if finding.checked}
    if not ran:
        return nothing_to_check("; ".join(_lines(findings.items())) or "no part of this kind")
    refused = {name: finding for name, finding in ran.items() if not finding.passed}
    first = next(iter((refused or ran).values()))
    skipped = {name: finding for name, finding in findings.items() if not finding.checked}
    passed = [f"{len(ran)} parts: {', '.join(ran)}", *_lines(skipped.items())]
    detail = _lines(refused.items()) if refused else passed
    return Finding(not refused, first.figure, first.expected, "; ".join(detail))


def any_checked(findings: Iterable[Finding]) -> bool:
    """Whether at least one check ran."""
    return any(finding.checked for finding in findings)


def _lines(findings: Iterable[tuple[str, Finding]]) -> list[str]:
    return [f"{name}: {finding.figure}" + f" ({finding.detail})" * bool(finding.detail) for name, finding in findings]
