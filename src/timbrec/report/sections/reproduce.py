"""Commands, config, settings and versions that give the same figures again."""

from __future__ import annotations

from typing import Any, ClassVar

import yaml

from timbrec.report.data import ReportData


class Reproduce:
    """Commands, config, settings and versions that give the same figures again."""

    title: ClassVar[str] = "How to reproduce"
    link: ClassVar[str] = "Reproduce"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template."""
        config = {name: value for name, value in data.facts.get("config", {}).items() if name != "base"}
        return {
            "config": _written(config),
            "settings": _written({label: dict(values) for label, values in data.settings.items()}),
            "versions": list(data.facts.get("versions", {}).items()),
            "inputs": list(data.facts.get("inputs", {}).items()),
        }


def _written(values: dict[str, Any]) -> str:
    """Settings as YAML; empty for none."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100) if values else ""
