"""Options that several commands share, and the parsing of KEY=VALUE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from timbrec.errors import ConfigError

Engine = Annotated[
    str,
    typer.Option(metavar="local|ray|ray://HOST:PORT", help="Where work runs: this machine, or a Ray cluster."),
]


def on_this_machine(value: Any) -> Any:
    """A callback of typer: the path or paths of an option. Raises ConfigError for a URL."""
    for path in [] if value is None else value if isinstance(value, list | tuple) else [value]:
        if ":/" in str(path):
            from timbrec.places.locations import here

            here(path, "this argument")
    return value


def count(number: int, noun: str) -> str:
    """A number with a noun: "1 file", "2,000 files"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def texts_of(pairs: Sequence[str], form: str, example: str) -> dict[str, str]:
    """Return values by key from texts such as "pool=sum". Raises ConfigError for a text without key or "="."""
    values = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise ConfigError(f"{pair!r} is not {form}", fix=f"For example: {example}.")
        values[key] = value
    return values


def options_of(pairs: Sequence[str]) -> dict[str, Any]:
    """Return options by name from texts OPTION=VALUE; values are read as YAML: true, 7, text."""
    return {key: _value(key, text) for key, text in texts_of(pairs, "OPTION=VALUE", "--set pool=sum").items()}


def weights_by_encoder(pairs: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Return weights by encoder from texts NAME=PATH. Raises ConfigError for other names than `names`."""
    weights = texts_of(pairs, "NAME=PATH", f"--weights {names[0]}=PATH")
    if unknown := weights.keys() - set(names):
        raise _unknown(min(unknown), names)
    return weights


def options_by_encoder(pairs: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return options by encoder from texts NAME.OPTION=VALUE. Raises ConfigError for other names than `names`."""
    options: dict[str, dict[str, Any]] = {}
    for key, text in texts_of(pairs, "NAME.OPTION=VALUE", f"--set {names[0]}.OPTION=VALUE").items():
        name, _, option = key.rpartition(".")
        if key in names or not option:
            raise ConfigError(f"{key!r} names no option", fix=f"For example: --set {names[0]}.OPTION=VALUE.")
        if name not in names:
            raise _unknown(name or key, names)
        options.setdefault(name, {})[option] = _value(key, text)
    return options


def _unknown(name: str, names: Sequence[str]) -> ConfigError:
    return ConfigError(f"{name!r} is not an encoder of this command", fix=f"Known: {', '.join(names)}.")


def _value(key: str, text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value of {key!r} is not valid YAML", example=text, fix="Quote it.") from error
