"""Reading of a config: a YAML file, checked as a whole before any data is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from timbrec.data.items import ItemsConfig
from timbrec.data.log import LogConfig
from timbrec.data.splitting import SplitConfig
from timbrec.data.yaml_text import read_yaml
from timbrec.errors import ConfigError, SeveralErrors, TimbrecError, did_you_mean
from timbrec.histories.importing import ImportConfig
from timbrec.places import location
from timbrec.study.config_checks import problems
from timbrec.study.config_keys import BASELINES, Config
from timbrec.study.entries import EncoderConfig

__all__ = ["BASELINES", "Config", "make_config", "read_config"]
_TAGS = {"interactions": ("log", "import"), "dataset": ("set", "name")}  # pydantic puts them into places of errors
_PARTS: dict[str, type[BaseModel]] = {
    "interactions": LogConfig, "items": ItemsConfig, "encoders": EncoderConfig, "split": SplitConfig,
}  # fmt: skip
_MUST_BE = {  # by the kind of error
    "bool_parsing": "true or false", "bool_type": "true or false", "dict_type": "keys with values",
    "float_parsing": "a number", "float_type": "a number", "int_from_float": "a whole number",
    "int_parsing": "a whole number", "int_type": "a whole number", "list_type": "a list",
    "model_type": "keys with values", "path_type": "a path", "string_type": "text",
}  # fmt: skip
_SHOULD_BE = "Input should be "


def read_config(path: Path) -> Config:
    """Read and check a YAML config. Raises ConfigError, or SeveralErrors when more than one thing is wrong."""
    path = location(path)
    if not path.is_file():
        raise ConfigError(f"there is no config {path}", fix="`timbrec init` writes one from your files.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text", fix="Save it as UTF-8.") from error
    data = read_yaml(text, str(path))
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds no settings", fix="See the README for an example.")
    return make_config(data | {"base": path.parent}, str(path))


def make_config(data: dict[str, Any], where: str = "the config") -> Config:
    """Check settings given as a dictionary, as `read_config` checks a file."""
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise _one_or_several([_explained(detail, where) for detail in error.errors()]) from error
    if wrong := [ConfigError(f"{where}: {problem}") for problem in problems(config)]:
        raise _one_or_several(wrong)
    return config


def _one_or_several(errors: Sequence[TimbrecError]) -> TimbrecError:
    return errors[0] if len(errors) == 1 else SeveralErrors(list(errors))


def _explained(detail: Any, where: str) -> ConfigError:
    """A validation error as one sentence: the key, the problem, and the nearest key that exists."""
    place = detail["loc"]
    tag = place[1] if len(place) > 1 and place[1] in _TAGS.get(place[0], ()) else ""
    key = ".".join(str(part) for part in (place if not tag else (place[0], *place[2:])))
    if detail["type"] == "extra_forbidden":
        known = _keys(place[:-1])
        hint = did_you_mean(str(detail["loc"][-1]), known)
        return ConfigError(f"{where}: there is no key {key!r}", fix=f"{hint}Known: {', '.join(known)}.")
    if detail["type"] == "missing":
        return ConfigError(f"{where}: key {key!r} is missing", fix="Add it.")
    example = None if isinstance(detail["input"], dict | list) else detail["input"]
    key = key or "config"
    if detail["type"] in _MUST_BE:
        keys = f"Known: {', '.join(_keys(place))}." if place[0] in _PARTS and "model" in detail["type"] else ""
        return ConfigError(f"{where}: {key} must be {_MUST_BE[detail['type']]}", example=example, fix=keys)
    message = detail["msg"].removeprefix("Value error, ")
    if message.startswith(_SHOULD_BE):
        return ConfigError(f"{where}: {key} must be {message.removeprefix(_SHOULD_BE)}", example=example)
    return ConfigError(f"{where}: {key}: {message}", example=example)


def _keys(place: tuple[int | str, ...]) -> list[str]:
    """The keys that a place of the config accepts."""
    model = _PARTS.get(str(place[0]), Config) if place else Config
    if place[:2] == ("interactions", "import"):
        model = ImportConfig
    names = [field.alias or name for name, field in model.model_fields.items() if name != "base"]
    return [*names, "import"] if model is LogConfig else names
