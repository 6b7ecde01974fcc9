"""docs/settings.md mentions every key of a config."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from timbrec.data.items import ItemsConfig
from timbrec.data.log import LogConfig
from timbrec.data.splitting import SplitConfig
from timbrec.study.config import Config
from timbrec.study.entries import EncoderConfig, RepresentationConfig

TEXT = (Path(__file__).parent.parent / "docs" / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("part", [Config, LogConfig, ItemsConfig, EncoderConfig, RepresentationConfig, SplitConfig])
def test_every_key_is_documented(part: type[BaseModel]) -> None:
    keys = [key for key in part.model_fields if key != "base"]
    assert [key for key in keys if f"`{key}`" not in TEXT and f"`{key}." not in TEXT] == []
