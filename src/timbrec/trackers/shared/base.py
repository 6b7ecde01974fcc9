"""The contract of a tracker, and the record it receives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from timbrec.errors import ConfigError


@dataclass(frozen=True)
class Record:
    """A run in the form of trackers: text parameters, figures by name, and files to keep.

    Names of metrics are `scenario/encoder/recommender/metric_at_k`, with `.low`, `.high` and `.chance` for the interval
    and the chance level.
    """

    name: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    files: Sequence[Path]


class Tracker(Protocol):
    """A tracker, made with the name of a project, or None for its own default."""

    def __init__(self, project: str | None = None) -> None: ...

    def log(self, record: Record) -> str:
        """Log a run; returns its address for the user."""
        ...


def imported(module: str, extra: str) -> Any:
    """The client of a tracker. Raises ConfigError, with the extra to install, if it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"logging to {extra} needs the package {module}, which is not installed",
            fix=f"Run `pip install 'timbrec[{extra}]'`.",
        ) from error


def refused(service: str, error: Exception) -> ConfigError:
    """The error of a service that cannot be reached or does not accept the run."""
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return ConfigError(f"{service} did not take the run: {reason}", fix="Check its address and your login.")
