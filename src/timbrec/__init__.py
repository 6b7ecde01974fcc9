"""Which pretrained audio representation makes your music recommender better, hot and cold, and by how much?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timbrec.benchmark import Result, audit_all, bench
    from timbrec.config import Config, make_config, read_config
    from timbrec.errors import TimbrecError
    from timbrec.inputs import Inputs, load_inputs

__version__ = "0.1.0"

_HOMES = {
    "Config": "config",
    "Inputs": "inputs",
    "Result": "benchmark",
    "TimbrecError": "errors",
    "audit_all": "benchmark",
    "bench": "benchmark",
    "load_inputs": "inputs",
    "make_config": "config",
    "read_config": "config",
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
