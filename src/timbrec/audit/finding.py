"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the audit: `figure` is what was found, `expected` what should have been, `detail` where and how.

    `name` and `defects`, the numbers of the published defects it refuses, are filled in from the table of checks.
    """

    passed: bool
    figure: str
    expected: str
    detail: str = ""
    name: str = ""
    defects: str = ""


def nothing_to_check(why: str) -> Finding:
    """A run may hold nothing that a check looks at; that is no fault, but it is said."""
    return Finding(True, "nothing to check", "–", why)
