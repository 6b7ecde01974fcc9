"""Settings: dataclasses with field types that declare the accepted values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Annotated, Any, get_type_hints

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from timbrec.errors import ConfigError, SeveralErrors, TimbrecError, did_you_mean, in_words


def _no_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number, not true or false")
    return value


Number = BeforeValidator(_no_flag)  # pydantic reads `true` as 1; put last, so that the schema shows the bounds
Count = Annotated[int, Field(ge=1), Number]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), Number]
Share = Annotated[float, Field(ge=0, lt=1), Number]


def checked(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the dataclass `kind`, converted to their types: lists to tuples, whole floats to integers.

    Raises ConfigError for an unknown setting and for a value that its type does not accept, SeveralErrors if there are
    several of them.
    """
    converted: dict[str, Any] = {}
    errors: list[TimbrecError] = []
    for name, value in values.items():
        try:
            adapter = _adapters(kind)[name]
            converted[name] = adapter.validate_python(value.item() if isinstance(value, np.generic) else value)
        except KeyError:
            errors.append(_unknown(kind, name))
        except ValidationError as error:
            errors.append(_refused(kind, name, error))
    if errors:
        raise errors[0] if len(errors) == 1 else SeveralErrors(errors)
    return converted


def accepted(kind: Any) -> dict[str, str]:
    """Setting -> accepted values in words, e.g. "integer, at least 1" or "none, centre, standardise"."""
    return {name: _in_words(schema) for name, schema in schemas(kind).items()}


def schemas(kind: Any) -> dict[str, dict[str, Any]]:
    """Setting -> JSON schema of the accepted values; a setting with a type that JSON lacks accepts anything."""
    return {name: adapter.json_schema() for name, adapter in _adapters(kind).items()}


def check_counts(**counts: int | None) -> None:
    """Raise ConfigError for a number below 1; None stands for a default."""
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ConfigError(f"`{name}` must be 1 or more", example=count, fix="Leave it out for the default.")


@cache
def _adapters(kind: Any) -> dict[str, Any]:
    """Setting -> pydantic's TypeAdapter of its type."""
    hints = get_type_hints(kind, include_extras=True)
    config = ConfigDict(arbitrary_types_allowed=True)
    return {field.name: TypeAdapter(hints[field.name], config=config) for field in fields(kind)}


def _unknown(kind: Any, name: str) -> ConfigError:
    known = list(_adapters(kind))
    fix = f"{did_you_mean(name, known)}Known: {', '.join(known) or 'none'}."
    return ConfigError(f"{kind.__name__} has no setting {name!r}", fix=fix)


def _refused(kind: Any, name: str, error: ValidationError) -> ConfigError:
    detail = error.errors()[0]
    problem = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    choices = re.findall(r"'([^']*)'", problem) if detail["type"] == "literal_error" else []
    hint = did_you_mean(str(detail["input"]), choices)
    default = next(field.default for field in fields(kind) if field.name == name)
    fix = hint if default is MISSING else f"{hint}Its default is {in_words(default)}."
    return ConfigError(f"`{name}` of {kind.__name__} must be {problem}", example=detail["input"], fix=fix)


def _in_words(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_in_words(part) for part in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {_in_words(schema['items'])}"
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    bounds = [f"{words[key]} {schema[key]:g}" for key in words if key in schema]
    return ", ".join([schema.get("type", "any").replace("null", "none"), *bounds])
