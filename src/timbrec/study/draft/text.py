"""A config as YAML with comments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

Comments = Mapping[str, str]  # by the place of a key: `interactions.columns.item`
WIDTH = 120


def commented(config: Mapping[str, Any], beside: Comments, below: Comments) -> str:
    """The config as YAML: comments `beside` a key in its line, comments `below` it in lines of their own."""
    return "\n".join(_lines(config, beside, below)) + "\n"


def _lines(part: Mapping[str, Any], beside: Comments, below: Comments, place: str = "") -> Iterator[str]:
    indent = "  " * place.count(".")
    for key, value in part.items():
        here = f"{place}{key}"
        if not place and isinstance(value, dict | list):
            yield ""
        comment = f"  # {beside[here]}" if here in beside else ""
        if isinstance(value, dict) and value:
            yield f"{indent}{_flow(key)}:{comment}"
            yield from _lines(value, beside, below, f"{here}.")
        elif isinstance(value, list) and not place:
            yield f"{indent}{_flow(key)}:{comment}"
            yield from (f"{indent}  - {_flow(entry)}" for entry in value)
        else:
            yield f"{indent}{_flow(key)}: {_flow(value)}{comment}"
        if here in below:
            yield from (f"{indent}  # {line}".rstrip() for line in below[here].splitlines())


def _flow(value: Any) -> str:
    """A value in one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=float("inf"), allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
