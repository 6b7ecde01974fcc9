"""Which pretrained audio representation makes your music recommender better, hot and cold, and by how much?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timbrec.api import audit_all as audit_all
    from timbrec.api import bench as bench
    from timbrec.api import compare as compare
    from timbrec.api import compare_published as compare_published
    from timbrec.api import fit_run as fit_run
    from timbrec.errors import TimbrecError as TimbrecError
    from timbrec.models import Model as Model
    from timbrec.models import fit as fit
    from timbrec.models.adding import add_audio as add_audio
    from timbrec.models.from_music import fit_music as fit_music
    from timbrec.result import Result as Result
    from timbrec.study.config import Config as Config
    from timbrec.study.config import make_config as make_config
    from timbrec.study.config import read_config as read_config
    from timbrec.study.inputs import Inputs as Inputs
    from timbrec.study.inputs import load_inputs as load_inputs

__version__ = "0.2.0"

# The public names: where each is defined. They are stable; so are the modules that docs/api.md lists.
_HOMES = {
    "Config": "study.config",
    "Inputs": "study.inputs",
    "Model": "models",
    "Result": "result",
    "TimbrecError": "errors",
    "add_audio": "models.adding",
    "audit_all": "api",
    "bench": "api",
    "compare": "api",
    "compare_published": "api",
    "fit": "models",
    "fit_music": "models.from_music",
    "fit_run": "api",
    "load_inputs": "study.inputs",
    "make_config": "study.config",
    "read_config": "study.config",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import timbrec` costs nothing."""
    if name in _HOMES:
        return getattr(import_module(f"timbrec.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'timbrec' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
