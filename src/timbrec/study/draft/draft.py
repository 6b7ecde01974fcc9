"""The config that is being drafted, and the role of every path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timbrec.errors import listing
from timbrec.study.draft.findings import Finding

MANY = 5  # files of a folder with the same role; more are one line


@dataclass
class Draft:
    """A config, comments on its keys (see `text.commented`), and the role of every path.

    `taken` has a row (path, role) per path; `unclear` are sentences on choices that the user should check; `timed` says
    whether the log has times.
    """

    base: Path
    config: dict[str, Any] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    below: dict[str, str] = field(default_factory=dict)
    taken: list[tuple[str, str]] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    timed: bool = False

    def relative(self, path: Path) -> str:
        """The path as the config names it."""
        return Path(os.path.relpath(path.absolute(), self.base.absolute())).as_posix()

    def named(self, finding: Finding) -> str | list[str]:
        """The path of a finding, or its paths, as the config names them."""
        names = [self.relative(path) for path in finding.paths]
        return names[0] if len(names) == 1 else names

    def take(self, finding: Finding, what: str) -> None:
        """Note the role of a path."""
        self.taken += [(self.relative(path), what) for path in finding.paths]

    @property
    def roles(self) -> list[str]:
        """A line with the role of each path; many files of a folder with one role share a line."""
        groups: dict[tuple[str, str], list[str]] = {}
        for path, what in self.taken:
            groups.setdefault((str(Path(path).parent), what), []).append(path)
        lines = {}
        for (folder, what), paths in groups.items():
            if len(paths) > MANY:
                lines[paths[0]] = f"{folder}: {len(paths):,} files such as {paths[0]}: {what}"
            else:
                lines |= {path: f"{path}: {what}" for path in paths}
        return [lines[path] for path, _ in self.taken if path in lines]

    def choose(self, place: str, chosen: str, others: Sequence[str], finding: Finding) -> None:
        """List the other candidates for a role in a comment, and among the choices to check."""
        if others := [name for name in others if name != chosen]:
            self.beside[place] = f"or: {', '.join(others)}"
            role = place.rpartition(".")[2]
            self.unclear.append(
                f"{self.relative(finding.path)}: the column of the {role} is {chosen!r}; it could be {listing(others)}"
            )
