"""docs/settings.md mentions every key of a config, and says of each what the schema says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from timbrec.data.items import ItemsConfig
from timbrec.data.log import LogConfig
from timbrec.data.splitting import SplitConfig
from timbrec.histories.importing import ImportConfig
from timbrec.study.config import Config
from timbrec.study.entries import EncoderConfig, RepresentationConfig
from timbrec.study.schema import config_schema

TEXT = (Path(__file__).parent.parent / "docs" / "settings.md").read_text(encoding="utf-8")


PARTS = [Config, LogConfig, ImportConfig, ItemsConfig, EncoderConfig, RepresentationConfig, SplitConfig]


@pytest.mark.parametrize("part", PARTS)
def test_every_key_is_documented(part: type[BaseModel]) -> None:
    keys = [field.alias or key for key, field in part.model_fields.items() if key != "base"]
    assert [key for key in keys if f"`{key}`" not in TEXT and f"`{key}." not in TEXT] == []


TABLES = [
    "Config",
    "LogConfig",
    "ImportConfig",
    "ItemsConfig",
    "EncoderConfig",
    "RepresentationConfig",
    "SplitConfig",
    "LogConfig",
]


def test_every_row_begins_with_the_sentence_of_the_schema() -> None:
    schema = config_schema()
    tables = re.findall(r"\| key \| default \| meaning \|\n.*\n((?:\|.*\n)+)", TEXT)
    compared = 0
    for model, table in zip(TABLES, tables, strict=True):
        properties = schema["properties"] if model == "Config" else schema["$defs"][model]["properties"]
        for key, _, meaning in re.findall(r"\| `(\w+)` \| (.*?) \| (.*) \|", table):
            sentence = properties[key]["description"].removesuffix(".")
            assert (meaning[0].upper() + meaning[1:]).startswith(sentence), f"{model}.{key}: {sentence}"
            compared += 1
    assert compared > 60
