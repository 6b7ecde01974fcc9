"""Probes: one file per data set or kind of label; small models predict labels from frozen vectors."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from timbrec import catalog
from timbrec.errors import ConfigError

if TYPE_CHECKING:
    from timbrec.probes.shared.base import Probe


def probe(name: str, settings: Mapping[str, Any]) -> Probe:
    """The catalogue's probe `name` with the given settings.

    Raises ConfigError for an unknown name or setting, for a value that a setting does not accept, and where packages
    that probes need are not installed.
    """
    from timbrec.settings import checked

    for package in ("sklearn", "mir_eval"):
        if find_spec(package) is None:
            raise ConfigError(f"probes need the package {package}", fix="Install it: pip install 'timbrec[probes]'.")

    kind: type[Probe] = catalog.load("probes", name)
    return kind(**checked(kind, settings))
