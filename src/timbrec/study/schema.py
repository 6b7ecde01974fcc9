"""The JSON schema of a config, with which editors complete keys and mark mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from timbrec import catalog
from timbrec.settings import schemas
from timbrec.study.config import Config
from timbrec.study.key_texts import text
from timbrec.study.short_forms import LISTS, TABLES

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
PRESETS = ("corrected", "tamm2026", "quick")


def config_schema() -> Schema:
    """The JSON schema of a config file: the models that check it, its short forms, and the settings of every part.

    The schema refuses unknown keys, types and names of parts. Conditions between keys, such as "either `vectors` or
    `audio`", are checked by `timbrec validate` alone.
    """
    schema = Config.model_json_schema()
    definitions, keys = schema["$defs"], schema["properties"]
    for name in [name for name in keys if name == "base"]:  # the folder of the file, set by the reader
        del keys[name]
    definitions |= {f"{kind}.{name}": _part(kind, name) for kind in _KINDS for name in catalog.names(kind)}
    for kind in ("recommenders", "cells", "probes"):
        keys[kind]["items"] = _entry(kind)
    keys["probes"]["items"]["anyOf"].append(_labels())
    keys["metrics"]["items"] = {"enum": catalog.names("metrics")}
    for key in LISTS:
        keys[key] = {"anyOf": [keys[key], keys[key]["items"]]}
    for key in TABLES:
        keys[key] = {"anyOf": [*_PATHS, keys[key]]}
    keys["thinning"] = {"anyOf": [{"type": ["boolean", "null"]}, _without_use(definitions["cells.thinning"])]}
    encoder = keys["encoders"]["additionalProperties"]
    keys["encoders"] |= {
        "properties": {"metadata": _or_null(encoder)}, "additionalProperties": {"anyOf": [_PATH, encoder]},
    }  # fmt: skip
    _open_dataset(definitions["DatasetConfig"])
    representation = definitions["RepresentationConfig"]["properties"]
    representation["transforms"]["items"] = _entry("transforms")
    representation["of"] = {"anyOf": [{"type": ["string", "number"]}, representation["of"]]}
    return {"$schema": DIALECT, "title": "Config of timbrec"} | _described(schema, "")


_PATH = {"type": "string"}
_PATHS: list[Schema] = [_PATH, {"type": "array", "items": _PATH, "minItems": 1}]
_KINDS: Mapping[str, Schema] = {  # keys of an entry besides the settings of its part
    "recommenders": {"label": {"type": ["string", "null"]}, "preset": {"enum": list(PRESETS)}},
    "cells": {},
    "probes": {
        "label": {"type": ["string", "number", "null"]},
        "vectors": {
            "type": "object",
            "additionalProperties": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/EncoderConfig"}]},
        },
    },
    "transforms": {},
}


def _entry(kind: str) -> Schema:
    """An entry of a list of parts: a name, or an object with `use` and settings."""
    names = catalog.names(kind)
    return {"anyOf": [{"enum": names}, *({"$ref": f"#/$defs/{kind}.{name}"} for name in names)]}


def _part(kind: str, name: str) -> Schema:
    """An object with `use: NAME` and the settings that the part takes."""
    part = catalog.load(kind, name)
    settings = {setting: _inlined(values) for setting, values in schemas(part).items()} if is_dataclass(part) else {}
    return {
        "type": "object",
        "description": catalog.summary(kind, name),
        "properties": {"use": {"const": name}} | _KINDS[kind] | settings,
        "required": ["use"],
        "additionalProperties": False,
    }


def _inlined(schema: Any) -> Any:
    """A schema without definitions of its own: every reference is replaced by its definition."""
    definitions = schema.pop("$defs", {})

    def inline(value: Any) -> Any:
        if isinstance(value, dict) and "$ref" in value:
            return inline(definitions[value["$ref"].rpartition("/")[2]])
        if isinstance(value, dict):
            return {key: inline(inner) for key, inner in value.items()}
        return [inline(inner) for inner in value] if isinstance(value, list) else value

    return inline(schema)


def _labels() -> Schema:
    """A probe of a user's own table: `labels: genres.csv`, with the settings of the probe `labels`."""
    own = _part("probes", "labels")
    settings = own["properties"] | {"labels": {"type": "string"}}
    keys = {key: value for key, value in settings.items() if key not in ("use", "path")}
    return own | {"properties": keys, "required": ["labels"]}


def _without_use(part: Schema) -> Schema:
    keys = {key: value for key, value in part["properties"].items() if key != "use"}
    return part | {"properties": keys, "required": []}


def _described(schema: Any, place: str) -> Any:
    """A copy in which every key has its sentence; `place` is the model or part of the keys."""
    if isinstance(schema, list):
        return [_described(inner, place) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {}
    for name, inner in schema.items():
        if name == "$defs":
            copy[name] = {part: _described(keys, part) for part, keys in inner.items()}
        elif name == "properties":
            copy[name] = {
                key: _described(values, f"{place}.{key}".lstrip(".")) | {"description": text(place, key)}
                for key, values in inner.items()
            }
        else:
            copy[name] = _described(inner, place)
    return copy


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [{"type": "null"}, {"type": "object", "maxProperties": 0}, schema]}


def _open_dataset(schema: Schema) -> None:
    schema["properties"]["use"] = {"enum": catalog.names("datasets")}
