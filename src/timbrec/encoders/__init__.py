"""Audio encoders: one file each, windows of audio in, one vector per window out."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, NoReturn

from timbrec import catalog
from timbrec.devices import device_of
from timbrec.encoders.shared.own import class_in_file, is_file_name
from timbrec.encoders.shared.precomputed import Precomputed, is_vectors
from timbrec.errors import ConfigError, did_you_mean
from timbrec.protocols import Encoder


def load(name: str, weights: Path | str | None = None, device: str = "cpu", **options: Any) -> Encoder:
    """The encoder called `name`, ready to encode on `device`.

    `name` is one of the catalogue, an installed entry point's, `path/to/file.py:Name` for a class of one's own, or a
    file of vectors, which has a card and refuses to encode. `weights` is a file or folder (None: where the encoder
    finds its own, if it has any); `options` are the encoder's own settings. What is known of an encoder without loading
    it is its class's `card`. Raises ConfigError for an unknown name, for a file that holds no such encoder, and for
    weights and options the encoder does not take.
    """
    if is_vectors(name):
        weights, encoder = name, Precomputed
    else:
        encoder = find(name)
    known = inspect.signature(encoder).parameters
    given = options if weights is None else {"weights": weights, **options}
    if unknown := next((option for option in given if option not in known), None):
        hint = did_you_mean(unknown, known)
        raise ConfigError(f"encoder {name!r} takes no {unknown!r}", fix=f"{hint}It takes: {', '.join(known) or '–'}.")
    device = device if device == "cpu" else str(device_of(device))
    if "device" in known:
        given = {"device": device, **given}
    loaded: Encoder = encoder(**given)
    return loaded


def find(name: str) -> Any:
    """The class of an encoder, which has a `card`, by a name that `load` takes; not of a file of vectors.

    A class without `frames` gets one that says so.
    """
    encoder = class_in_file(name) if is_file_name(name) else catalog.load("encoders", name)
    if not hasattr(encoder, "frames"):
        encoder.frames = _no_frames
    return encoder


def _no_frames(self: Encoder, windows: object, layer: int | None = None) -> NoReturn:
    raise ConfigError(f"{self.card.name} gives no frames, only what it pools of them", fix="Use its own output.")
