"""A run as experiment trackers log it: parameters, figures with intervals, and files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from timbrec.results.figures import Figures
from timbrec.results.summary import summarise
from timbrec.study.runs import Run
from timbrec.trackers.shared.base import Record

FILES = ("report.html", "results.csv", "run.json")
_BESIDE = ("low", "high", "chance")


def record_of(run: Run, figures: Figures) -> Record:
    """The record of a run: its config and identity, the figures of all lines on real vectors, and the page."""
    facts = run.facts
    parameters = dict(_flat(facts["config"])) | dict(_flat({"input": facts.get("inputs", {})}))
    parameters |= {"timbrec": facts["version"], "cells": str(len(run.finished)), "cells.digest": _identity(run)}
    return Record(
        name=str(facts["config"]["name"]),
        parameters=parameters,
        metrics=dict(_metrics(figures)),
        files=[run.folder / name for name in FILES if (run.folder / name).is_file()],
    )


def _identity(run: Run) -> str:
    """A hash of the names of finished cells, which are hashes of everything that decides their numbers."""
    keys = sorted(experiment.hash for experiment in run.finished)
    return hashlib.sha256(" ".join(keys).encode()).hexdigest()[:16]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Texts by dotted key: {"split": {"cold": 0.1}} gives ("split.cold", "0.1")."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _metrics(figures: Figures) -> Iterator[tuple[str, float]]:
    for row in summarise(figures).to_dicts():
        parts = (row["scenario"], row["encoder"], row["recommender"], row["metric"].replace("@", "_at_"))
        name = "/".join(part for part in parts if part is not None)
        if row["value"] is not None:
            yield name, row["value"]
            yield from ((f"{name}.{key}", row[key]) for key in _BESIDE if row[key] is not None)
