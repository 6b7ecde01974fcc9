"""Runs of format 1: read for reports, never resumed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from timbrec.errors import DataError
from timbrec.study.experiment import Experiment
from timbrec.study.representation import Representation, Source

FORMAT = 1
_NAMES = ("label", "encoder")  # fields that were no part of the hash


def read_old_experiments(records: list[dict[str, Any]], where: str) -> dict[str, Experiment]:
    """The experiments of a plan by folder name. Raises DataError for an unknown field."""
    try:
        return {_folder(record): _experiment(**record) for record in records}
    except TypeError as error:
        raise DataError(f"{where} has an experiment that this version cannot read: {error}") from error


def _folder(record: dict[str, Any]) -> str:
    facts = {name: value for name, value in record.items() if name not in _NAMES}
    return hashlib.sha256(json.dumps([FORMAT, facts], sort_keys=True).encode()).hexdigest()[:16]


def _experiment(*, encoder: str | None, vectors: str | None, variant: str, **rest: Any) -> Experiment:
    """The experiment, with a representation made of an encoder's name and the digest of its vectors."""
    sources = None if encoder is None or vectors is None else (Source(vectors, encoder),)
    representation = None if sources is None else Representation(str(encoder), sources)
    return Experiment(representation=representation, control=variant, **rest)
