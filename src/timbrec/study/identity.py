"""The identity of a stored record: the part of it that decides numbers, as JSON and as a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from typing import Any

_NEUTRAL = "neutral"
FOR_READERS = {"for readers": True}  # metadata of a field that decides no number: it is no part of the identity


def added(neutral: Any) -> Any:
    """A dataclass field that was added after records had been stored.

    `neutral` is the value that stands for how things were before the field existed. It is also the default, and may
    never change: records that hold it keep their old identity. The default of a part's settings may change; it belongs
    to the settings, which are stored in full.
    """
    return field(default=neutral, metadata={_NEUTRAL: neutral})


def identity(record: Any) -> Any:
    """The record as JSON values, without fields for readers and without added fields that hold their neutral value."""
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
    """16 hexadecimal digits that change when the identity of any of the records does."""
    text = json.dumps([identity(record) for record in records], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_neutral(record: Any, part: Any) -> bool:
    return _NEUTRAL in part.metadata and getattr(record, part.name) == part.metadata[_NEUTRAL]
