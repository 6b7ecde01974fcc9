"""Reader of YAML: a repeated key is an error, and `no` and `on` are text, as in YAML 1.2."""

from __future__ import annotations

import re
from typing import Any

import yaml

from timbrec.errors import ConfigError

_BOOL = "tag:yaml.org,2002:bool"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without two of its habits: YAML 1.1's words for booleans, and the last of repeated keys."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own table, per first character
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """The mapping of a node. Raises ConfigError for a key that comes twice and for one that is not text."""
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if not isinstance(key, str | int) or isinstance(key, bool):
                raise ConfigError(f"line {line}: the key {key_node.value!r} is not text", fix="Put it in quotes.")
            if key in seen:
                raise ConfigError(f"lines {seen[key]} and {line} set {key!r} twice", fix="Keep one of them.")
            seen[key] = line
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def read_yaml(text: str, where: str) -> Any:
    """The content of a YAML text. Raises ConfigError, starting with `where`, for text that is not valid YAML."""
    try:
        return yaml.load(text, _Loader)
    except ConfigError as error:
        error.args = (f"{where}: {error}",)
        raise
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error
