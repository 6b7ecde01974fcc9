"""Which pretrained audio representation makes your music recommender better, hot and cold, and by how much?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timbrec.api import Result, audit_all, bench
    from timbrec.errors import TimbrecError
    from timbrec.study.config import Config, make_config, read_config
    from timbrec.study.inputs import Inputs, load_inputs

__version__ = "0.1.0"

_HOMES = {
    "Config": "study.config",
    "Inputs": "study.inputs",
    "Result": "api",
    "TimbrecError": "errors",
    "audit_all": "api",
    "bench": "api",
    "load_inputs": "study.inputs",
    "make_config": "study.config",
    "read_config": "study.config",
}
__all__ = [
    "Config",
    "Inputs",
    "Result",
    "TimbrecError",
    "__version__",
    "audit_all",
    "bench",
    "load_inputs",
    "make_config",
    "read_config",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import timbrec` costs nothing."""
    if name in _HOMES:
        return getattr(import_module(f"timbrec.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'timbrec' has no attribute {name!r}")
