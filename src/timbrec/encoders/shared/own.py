"""A user's own encoders: classes in Python files, named as `path/to/file.py:Name`."""

from __future__ import annotations

import hashlib
import inspect
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from timbrec.errors import ConfigError
from timbrec.protocols import Encoder, EncoderCard

_PREFIX = "timbrec_own_"  # of the modules' names, before a digest of the file


def is_file_name(name: str) -> bool:
    """Whether a name is the path of a Python file, with or without a class."""
    return name.endswith(".py") or ".py:" in name


def located(name: str, base: Path) -> str:
    """The name with its path taken relative to `base`."""
    return str(base / name) if is_file_name(name) else name


def class_in_file(name: str) -> Any:
    """The class `Name` of `path/to/file.py:Name`; its card's revision includes a digest of the file.

    The file is executed, as Python executes any module. Raises ConfigError for a missing file or class, for a file that
    fails, and for a class without a card or an `encode`.
    """
    file, _, attribute = name.rpartition(":") if ".py:" in name else (name, "", "")
    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"there is no file {file}", fix="Check the path: path/to/file.py:Name.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    classes = {key: value for key, value in vars(_run(path, digest)).items() if isinstance(value, type)}
    own = classes.get(attribute)
    if own is None:
        encoders = [key for key, value in classes.items() if isinstance(vars(value).get("card"), EncoderCard)]
        problem = f"there is no class {attribute} in {path}" if attribute else f"{name} names no class of {path}"
        raise ConfigError(problem, fix=f"Name one, path/to/file.py:Name. It has: {', '.join(encoders) or 'none'}.")
    _check(own, name)
    card = inspect.getattr_static(own, "card")
    return type(own.__name__, (own,), {"__doc__": own.__doc__, "card": card.loaded(f"file {digest}")})


def created(encoder: Any, name: str, options: dict[str, Any]) -> Encoder:
    """An instance of a class from `class_in_file`. Raises ConfigError where the constructor fails."""
    try:
        instance: Any = encoder(**options)
    except ConfigError:
        raise
    except Exception as error:  # the user's code may raise anything
        path = Path(name.rpartition(":")[0])
        raise ConfigError(f"{name} cannot be created: {_described(error, path)}", fix="Check its options.") from error
    state = encoder.card.revision.rpartition(", ")[2]
    if state not in instance.card.revision:  # the constructor has replaced the card
        instance.card = instance.card.loaded(state)
    return instance


def _run(path: Path, digest: str) -> ModuleType:
    """The executed module of a file, importable by a name that no other file has."""
    spec = spec_from_file_location(f"{_PREFIX}{digest}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file", fix="Name it path/to/file.py:Name.")
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's code may raise anything
        sys.modules.pop(module.__name__)
        raise ConfigError(f"{path} cannot be run: {_described(error, path)}", fix="Try `python` on it.") from error
    return module


def _described(error: Exception, path: Path) -> str:
    """The error and the line of the file that raised it."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == str(path) else line
        trace = trace.tb_next
    text = error.msg if isinstance(error, SyntaxError) else str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" + (f" (line {line})" if line else "")


def _check(encoder: type, name: str) -> None:
    """Raise ConfigError for a class that is not an encoder."""
    card = inspect.getattr_static(encoder, "card", None)
    if not isinstance(card, EncoderCard):
        raise ConfigError(f"{name} has no card", fix="Give it a class attribute `card = EncoderCard(...)`.")
    if not isinstance(encoder, Encoder):  # the class has the method if its instances have
        raise ConfigError(f"{name} has no method `encode`", fix="Add encode(self, windows): (n, samples) to (n, dim).")
    if card.precomputed or card.window <= 0 or card.dim < 1:
        raise ConfigError(
            f"the card of {name} says it takes no audio or returns no values",
            example=(card.rate, card.window, card.dim),
            fix="rate, window and dim must be above 0.",
        )
