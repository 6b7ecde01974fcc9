"""Encoders of the user's own: a class in a Python file, named as `path/to/file.py:Name`."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard


def is_file_name(name: str) -> bool:
    """Whether a name is that of a class in a file, or of a file whose class is not named."""
    return name.endswith(".py") or ".py:" in name


def class_in_file(name: str) -> Any:
    """The class `Name` of `path/to/file.py:Name`; its card's revision says which state of the file it is of.

    The file is run, as Python runs any file it is given. Raises ConfigError where there is no such file or class, where
    running it fails, and for a class without a card or an `encode`.
    """
    file, _, attribute = name.rpartition(":") if ".py:" in name else (name, "", "")
    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"there is no file {file}", fix="Check the path: path/to/file.py:Name.")
    source = path.read_bytes()
    module = _run(path, hashlib.sha256(source).hexdigest()[:12])
    classes: dict[str, Any] = {key: value for key, value in vars(module).items() if isinstance(value, type)}
    encoders = [key for key, value in classes.items() if hasattr(value, "card")]
    found = classes.get(attribute)
    if found is None:
        what = f"there is no class {attribute} in {path}" if attribute else f"{name} does not say which class of {path}"
        raise ConfigError(what, fix=f"Name one, path/to/file.py:Name. It has: {', '.join(encoders) or 'none'}.")
    _check(found, name)
    if found.__module__ == module.__name__:
        found.card = replace(found.card, revision=f"{found.card.revision}, file {module.__name__.rpartition('_')[2]}")
    return found


def _run(path: Path, digest: str) -> ModuleType:
    """The module that a file makes, which other code may import or pickle by a name that no other file has."""
    spec = spec_from_file_location(f"timbrec_own_{digest}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file", fix="Name it path/to/file.py:Name.")
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's code raises
        sys.modules.pop(module.__name__)
        raise ConfigError(f"{path} cannot be run: {_told(error, path)}", fix="Try `python` on it.") from error
    return module


def _told(error: Exception, path: Path) -> str:
    """What went wrong, and in which line of the file."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == str(path) else line
        trace = trace.tb_next
    text = error.msg if isinstance(error, SyntaxError) else str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" + (f" (line {line})" if line else "")


def _check(encoder: Any, name: str) -> None:
    """Refuse what is no encoder."""
    if not isinstance(getattr(encoder, "card", None), EncoderCard):
        raise ConfigError(f"{name} has no card", fix="Give it a class attribute `card = EncoderCard(...)`.")
    if not callable(getattr(encoder, "encode", None)):
        raise ConfigError(f"{name} has no method `encode`", fix="Add encode(self, windows): (n, samples) to (n, dim).")
    if encoder.card.precomputed or encoder.card.window <= 0 or encoder.card.dim < 1:
        raise ConfigError(
            f"the card of {name} says it takes no audio or gives no vector",
            example=(encoder.card.rate, encoder.card.window, encoder.card.dim),
            fix="rate, window and dim must be above 0.",
        )
