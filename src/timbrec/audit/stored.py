"""Stored audits: findings with digests of the run, lists and code they were made from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from timbrec.audit.finding import SWITCH, Finding, any_checked, switched_off
from timbrec.files import write_atomically
from timbrec.study.digests import digests
from timbrec.study.runs import Run


@dataclass(frozen=True)
class StoredAudit:
    """The findings of the last audit of a run. `missing` is the reason why they do not count, or ""."""

    findings: tuple[Finding, ...] = ()
    missing: str = ""

    @property
    def passed(self) -> bool:
        """Whether at least one check ran and none refused."""
        return any_checked(self.findings) and all(finding.passed for finding in self.findings)

    @property
    def due(self) -> bool:
        """Whether the run must be audited: no finding counts, or checks were switched off that are on now."""
        off = any(not finding.checked and finding.detail.startswith(SWITCH) for finding in self.findings)
        return bool(self.missing) or (off and not switched_off())


def write_audit(run: Run, findings: list[Finding]) -> None:
    """Store findings with digests of the config, split, plan, cells and code they depend on."""
    content = {"audited": digests(run), "findings": [asdict(finding) for finding in findings]}
    write_atomically(run.folder / "audit.json", json.dumps(content, indent=1))


def read_audit(run: Run) -> StoredAudit:
    """Findings of the last audit, or the reason why they no longer count: what changed since."""
    path = run.folder / "audit.json"
    if not path.is_file():
        return StoredAudit(missing="the run was not audited")
    content = json.loads(path.read_text())
    if not isinstance(content, dict):
        return StoredAudit(missing="the audit is of an earlier version of timbrec")
    now = digests(run)
    changed = [name for name in now if content["audited"].get(name) != now[name]]
    if changed:
        return StoredAudit(missing=f"these changed since the audit: {', '.join(changed)}")
    return StoredAudit(tuple(Finding(**finding) for finding in content["findings"]))
