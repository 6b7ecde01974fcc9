"""The identity of a stored record: its fields that decide numbers, as JSON and as a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from typing import Any

_NEUTRAL = "neutral"
FOR_READERS = {"for readers": True}  # metadata of a field that decides no number and is left out of the identity


def added(neutral: Any) -> Any:
    """A dataclass field that was added after records had been stored.

    `neutral` describes records from before the field existed: with this value, a record keeps its old identity. It is
    the field's default and must never change. Defaults of recommender settings may change, because settings are always
    stored and hashed in full.
    """
    return field(default=neutral, metadata={_NEUTRAL: neutral})


def identity(record: Any) -> Any:
    """The record as JSON values, without fields for readers and without added fields at their neutral value."""
    if is_dataclass(record) and not isinstance(record, type):
        return {
            part.name: identity(getattr(record, part.name))
            for part in fields(record)
            if part.metadata != FOR_READERS and not _is_neutral(record, part)
        }
    if isinstance(record, list | tuple):
        return [identity(value) for value in record]
    if isinstance(record, Mapping):
        return {name: identity(value) for name, value in record.items()}
    return record


def digest_of(*records: Any) -> str:
    """A hash of the identities of the records: 16 hexadecimal digits."""
    text = json.dumps([identity(record) for record in records], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_neutral(record: Any, part: Any) -> bool:
    return _NEUTRAL in part.metadata and getattr(record, part.name) == part.metadata[_NEUTRAL]
