"""`timbrec schema`: the JSON schema of a config agrees with the reader of configs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

import small_world
from timbrec import catalog
from timbrec.cli.app import app
from timbrec.errors import TimbrecError
from timbrec.study.config import make_config
from timbrec.study.key_texts import TEXTS
from timbrec.study.schema import config_schema
from timbrec.worlds import demo

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads(json.dumps(config_schema()))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def problems(validator: Draft202012Validator, config: Any) -> list[str]:
    as_json = json.loads(json.dumps(config, default=str))  # YAML's dates are text to an editor
    return [error.message for error in validator.iter_errors(as_json)]


def documented() -> list[Any]:
    """Every YAML block of the documentation that is a config, or some keys of one."""
    blocks: list[Any] = []
    for document in DOCUMENTS:
        for block in re.findall(r"```yaml\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
            blocks.append(pytest.param(yaml.safe_load(block), id=f"{document.name}-{len(blocks)}"))
    return blocks


@pytest.mark.parametrize("config", documented())
def test_every_config_of_the_documentation_is_valid(validator: Draft202012Validator, config: dict[str, Any]) -> None:
    whole = {"name": "n", "output": "o", "encoders": {"e": {"vectors": "v.parquet"}}, "split": {"test_at": 2019}}
    assert problems(validator, whole | config) == []


@pytest.mark.parametrize("config", [small_world.CONFIG, demo.CONFIG])
def test_configs_of_worlds_are_valid(validator: Draft202012Validator, config: dict[str, Any]) -> None:
    assert problems(validator, config) == []


ACCEPTED: list[dict[str, Any]] = [
    {"interactions": {"path": ["a.csv", "b.csv"], "header": False, "columns": {"user": 0, "item": [1, 2], "time": 3}}},
    {"interactions": {"import": "detect", "path": "export.zip", "catalogue": "tracks.csv"}},
    {"split": {"test_at": 2019}},
    {"split": {"protocol": "item-holdout", "cold": 0.2}},
    {"recommenders": ["knn", {"use": "hybrid", "preset": "quick", "label": "h", "epochs": 3}]},
    {"recommenders": [{"use": "knn", "scale": "none"}]},
    {"thinning": True},
    {"thinning": {"plays": [0, 1], "recommenders": ["knn"]}},
    {"probes": ["year", {"labels": "genres.csv", "columns": {"id": "track", "label": "genre"}}, {"use": "artist"}]},
    {"encoders": {"a": {"audio": "music", "encoder": "mfcc", "options": {"x": 1}}, "metadata": None}},
    {"representations": {"b": {"of": "good", "transforms": ["unit", {"use": "pca", "dim": 8}]}}},
    {"interactions": "plays.csv", "items": ["a.csv", "b.csv"], "encoders": {"a": "v.npy", "b": {"vectors": "w.npy"}}},
    {"recommenders": "knn", "k": 50, "seeds": 0, "metrics": "ndcg", "strata": "artist", "primary": "ndcg@50"},
    {"probes": {"use": "year"}},
    {"max_failures": 3, "device": "cpu", "strata": ["artist"], "note": None},
]
REFUSED: list[dict[str, Any]] = [
    {"seed": [0]},
    {"recommenders": ["kn"]},
    {"recommenders": [{"use": "knn", "similarty": "dot"}]},
    {"recommenders": [{"use": "knn", "scale": "some"}]},
    {"k": [0]},
    {"seeds": []},
    {"metrics": ["ndgc"]},
    {"metrics": "ndgc"},
    {"recommenders": "kn"},
    {"interactions": 3},
    {"split": {"test_at": "2019-02-01", "protocol": "correct"}},
    {"interactions": {"columns": {"user": "user"}}},
    {"interactions": {"path": "plays.csv", "colums": {}}},
    {"encoders": {}},
    {"encoders": {"a": {"vectors": "a.npy", "pool": "median"}}},
    {"thinning": {"play": [0]}},
    {"representations": {"b": {"of": "good", "transforms": ["pcs"]}}},
    {"output": None},
]


@pytest.mark.parametrize("changes", ACCEPTED, ids=str)
def test_what_the_reader_accepts_is_valid(validator: Draft202012Validator, changes: dict[str, Any]) -> None:
    config = small_world.CONFIG | changes
    make_config(config)
    assert problems(validator, config) == []


@pytest.mark.parametrize("changes", REFUSED, ids=str)
def test_what_the_reader_refuses_is_invalid(validator: Draft202012Validator, changes: dict[str, Any]) -> None:
    config = small_world.CONFIG | changes
    with pytest.raises(TimbrecError):
        make_config(config)
    assert problems(validator, config)


def test_the_schema_offers_every_part_with_its_summary() -> None:
    schema = config_schema()
    for kind in ("recommenders", "cells", "probes", "transforms"):
        for name in catalog.names(kind):
            assert schema["$defs"][f"{kind}.{name}"]["description"] == catalog.summary(kind, name)
    assert "base" not in schema["properties"]


def sentences(schema: Any) -> Iterator[tuple[str, str]]:
    """Key and description of every property in a schema, nested ones included."""
    if isinstance(schema, list):
        for inner in schema:
            yield from sentences(inner)
    elif isinstance(schema, dict):
        for name, inner in schema.items():
            if name == "properties":
                yield from ((key, values.get("description", "")) for key, values in inner.items())
                yield from sentences(list(inner.values()))
            elif name == "$defs":
                yield from sentences(list(inner.values()))
            else:
                yield from sentences(inner)


def test_every_key_has_a_sentence_and_every_sentence_a_key() -> None:
    described = list(sentences(config_schema()))
    assert len(described) > 250
    plain = re.compile(r"[A-Z`].*[^.]\.")
    assert [key for key, text in described if not plain.fullmatch(text) or ". " in text or len(text) > 110] == []
    assert set(TEXTS.values()) == {text for _, text in described}


def test_the_command_prints_the_schema_or_writes_it(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["schema"]).stdout
    assert json.loads(printed) == json.loads(json.dumps(config_schema()))
    answer = CliRunner().invoke(app, ["schema", "--out", str(tmp_path / "timbrec.json")])
    assert (tmp_path / "timbrec.json").read_text() == printed
    assert f"# yaml-language-server: $schema={tmp_path / 'timbrec.json'}" in answer.stdout
