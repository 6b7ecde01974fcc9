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

_NAME = "_timbrec_name"  # attribute of the classes
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
    return type(own.__name__, (own,), {"__doc__": own.__doc__, "card": card.loaded(f"file {digest}"), _NAME: name})


def name_of(encoder: Any) -> str:
    """The name `path/to/file.py:Name` of an instance or class from `class_in_file`; empty for other encoders."""
    name: str = getattr(encoder, _NAME, "")
    return name


def created(encoder: Any, name: str, options: dict[str, Any]) -> Encoder:
    """An instance of a class from `class_in_file`; its card's revision includes options and a digest of weights.

    Raises ConfigError where the constructor fails.
    """
    try:
        instance: Any = encoder(**options)
    except ConfigError:
        raise
    except Exception as error:  # the user's code may raise anything
        path = Path(name.rpartition(":")[0])
        raise ConfigError(f"{name} cannot be created: {described(error, path)}", fix="Check its options.") from error
    state = encoder.card.revision.rpartition(", ")[2]
    details = [] if state in instance.card.revision else [state]  # the constructor may have replaced the card
    details += _details(encoder, options)
    if details:
        object.__setattr__(instance, "card", instance.card.loaded(*details))  # the class may be a frozen dataclass
    return instance


def _details(encoder: Any, options: dict[str, Any]) -> list[str]:
    """What vectors depend on beside the file: options that differ from the constructor's defaults, and weights."""
    defaults = {key: value.default for key, value in inspect.signature(encoder).parameters.items()}
    return [
        f"{key} {_digest(Path(value)) if key == 'weights' else value}"
        for key, value in sorted(options.items())
        if key != "device" and value != defaults.get(key, inspect.Parameter.empty)
    ]


def _digest(weights: Path) -> str:
    """A digest of a file, or of the files in a folder and their names; the name itself for weights elsewhere."""
    if not weights.exists():
        return str(weights)
    digest = hashlib.sha256()
    for path in sorted(entry for entry in weights.rglob("*") if entry.is_file()) if weights.is_dir() else [weights]:
        digest.update(f"{path.relative_to(weights)}\n".encode() if weights.is_dir() else b"")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


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
        alone = "An encoder is a single file: put what it imports from beside it into it, or install that."
        fix = alone if isinstance(error, ModuleNotFoundError) else "Try `python` on it."
        raise ConfigError(f"{path} cannot be run: {described(error, path)}", fix=fix) from error
    return module


def described(error: Exception, path: Path) -> str:
    """The error and the line of the file that raised it."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if Path(trace.tb_frame.f_code.co_filename).absolute() == path.absolute() else line
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
            example={"rate": card.rate, "window": card.window, "dim": card.dim},
            fix="rate, window and dim must be above 0.",
        )
