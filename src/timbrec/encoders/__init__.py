"""Audio encoders, one file per family: windows of audio in, one vector per window out."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from timbrec import catalog
from timbrec.encoders.shared.own import class_in_file, created, is_file_name, located
from timbrec.encoders.shared.precomputed import Precomputed, is_vectors
from timbrec.errors import ConfigError, did_you_mean
from timbrec.machine.devices import device_name
from timbrec.protocols import Encoder, WeightedEncoder, WeightsFile

__all__ = ["check_options", "check_weights", "find", "load", "located"]


def load(name: str, weights: Path | str | None = None, device: str = "cpu", **options: Any) -> Encoder:
    """The encoder called `name`, ready to encode on `device`.

    `name` is a name of the catalogue or of an installed entry point, `path/to/file.py:Name` for a user's own class, or
    a file of vectors, which has a card and refuses to encode. `weights` is a file or folder, None for the encoder's
    usual place; `options` are the encoder's settings. Raises ConfigError for an unknown name, for a file without such
    an encoder, and for weights and options that the encoder does not take.
    """
    if is_vectors(name):
        weights, encoder = name, Precomputed
    else:
        encoder = find(name)
    given = options if weights is None else {"weights": weights, **options}
    device = device_name(device)  # PyTorch is not imported for an encoder without it
    _refuse_unknown(encoder, name, given)
    if "device" in inspect.signature(encoder).parameters:
        given = {"device": device, **given}
    if is_file_name(name):
        return created(encoder, name, given)
    loaded: Encoder = encoder(**given)
    return loaded


def find(name: str, base: Path = Path()) -> Any:
    """The class of the encoder called `name`, with a `card` that needs no weights; not for files of vectors.

    The path of a user's own class is relative to `base`. Raises ConfigError for a name without an encoder.
    """
    return class_in_file(located(name, base)) if is_file_name(name) else catalog.load("encoders", name)


def check_options(name: str, options: dict[str, Any], base: Path = Path()) -> None:
    """Raise ConfigError for options that the encoder called `name` does not take; their values are not checked."""
    _refuse_unknown(find(name, base), name, options)


def check_weights(name: str, weights: Path | str | None = None, base: Path = Path()) -> list[WeightsFile]:
    """The official files that loading the encoder would download; nothing is downloaded or loaded.

    Raises ConfigError for missing weights, and for weights given to an encoder that takes none. The list is empty for a
    user's own encoder: only its constructor knows its weights.
    """
    encoder = find(name, base)
    if weights is not None:
        _refuse_unknown(encoder, name, {"weights": weights})
    return encoder.check_weights(weights) if isinstance(encoder, WeightedEncoder) else []


def _refuse_unknown(encoder: Any, name: str, options: dict[str, Any]) -> None:
    known = inspect.signature(encoder).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return
    if unknown := next((option for option in options if option not in known), None):
        hint = did_you_mean(unknown, known)
        raise ConfigError(f"encoder {name!r} takes no {unknown!r}", fix=f"{hint}It takes: {', '.join(known) or '–'}.")
