"""Recommenders: one file each, a frozen record of hyperparameters whose fit gives a Scorer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from timbrec import catalog
from timbrec.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from timbrec.protocols import Recommender


def recommender(name: str, settings: Mapping[str, Any]) -> Recommender:
    """The recommender of the catalogue with these hyperparameters.

    Raises ConfigError for a name or a setting that does not exist, and for a value that a setting cannot have.
    """
    kind = catalog.load("recommenders", name)
    known = [field.name for field in fields(kind)]
    if unknown := [setting for setting in settings if setting not in known]:
        hint = did_you_mean(unknown[0], known)
        raise ConfigError(f"recommender {name!r} has no setting {unknown[0]!r}",
                          fix=f"{hint}Known: {', '.join(known) or 'none'}.")  # fmt: skip
    try:
        made: Recommender = TypeAdapter(kind).validate_python(dict(settings))
    except ValidationError as error:
        detail = error.errors()[0]
        raise ConfigError(
            f"recommender {name!r}: {detail['loc'][0]}: {detail['msg']}", example=detail["input"]
        ) from error
    return made
