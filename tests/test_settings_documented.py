"""docs/settings.md mentions every key of a config."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from timbrec.data.items import ItemsConfig
from timbrec.data.log import LogConfig
from timbrec.data.splitting import SplitConfig
from timbrec.histories.importing import ImportConfig
from timbrec.study.config import Config
from timbrec.study.entries import EncoderConfig, RepresentationConfig

TEXT = (Path(__file__).parent.parent / "docs" / "settings.md").read_text(encoding="utf-8")


PARTS = [Config, LogConfig, ImportConfig, ItemsConfig, EncoderConfig, RepresentationConfig, SplitConfig]


@pytest.mark.parametrize("part", PARTS)
def test_every_key_is_documented(part: type[BaseModel]) -> None:
    keys = [field.alias or key for key, field in part.model_fields.items() if key != "base"]
    assert [key for key in keys if f"`{key}`" not in TEXT and f"`{key}." not in TEXT] == []
