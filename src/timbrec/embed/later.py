"""Encoders loaded at their first use: where no track lacks a vector, the card of an earlier load is enough."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from timbrec import catalog, encoders
from timbrec.encoders.weights.hub import files_here
from timbrec.errors import ConfigError
from timbrec.files import write_atomically
from timbrec.machine.devices import check_device
from timbrec.machine.versions import code_digest
from timbrec.places import user_cache
from timbrec.protocols import Encoder, EncoderCard, WeightedEncoder
from timbrec.types import Array, Float32

_CARD = TypeAdapter(EncoderCard)
_MOST_FILES = 1000  # beside the weights; a larger folder is not one of weights


@dataclass
class Later:
    """An encoder that is loaded when it first encodes. `card` is the card of an earlier load, stored at `path`."""

    card: EncoderCard
    path: Path
    load: Callable[[], Encoder]

    @cached_property
    def encoder(self) -> Encoder:
        """The loaded encoder. Raises ConfigError if its card is not the earlier one any more."""
        encoder = self.load()
        if encoder.card != self.card:
            self.path.unlink(missing_ok=True)
            raise ConfigError(f"{self.card.name} is not what it was when it was loaded before",
                              example=(self.card.revision, encoder.card.revision), fix="Start again.")  # fmt: skip
        return encoder

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n dim"]:
        """Vectors of the loaded encoder."""
        return self.encoder.encode(windows)


def load_later(name: str, weights: Path | str | None = None, device: str = "cpu", **options: Any) -> Encoder:
    """The encoder called `name`; one with weights that was loaded before is loaded at its first use (see `ready`).

    Raises ConfigError as `timbrec.encoders.load` does; damaged weights are noticed at the first use.
    """
    load = partial(encoders.load, name, weights, device, **options)
    kind = encoders.find(name) if name in catalog.names("encoders") else None
    if not isinstance(kind, WeightedEncoder):
        return load()
    check_device(device)
    path = card_path(kind, weights, device, options)
    if path is not None and (card := stored_card(path)) is not None:
        return Later(card, path, load)
    encoder = load()
    if path is not None:
        store_card(path, encoder.card)
    return encoder


def ready(encoder: Encoder) -> Encoder:
    """The encoder itself, with all its abilities; one that waits is loaded."""
    return encoder.encoder if isinstance(encoder, Later) else encoder


def card_path(kind: Any, weights: Path | str | None, device: str, options: Mapping[str, Any]) -> Path | None:
    """The file of a loaded encoder's card in the user's cache, whether it exists or not.

    It is named by all that a card depends on: the class, weights, device, options, and the code of this package. None
    for classes of other packages, and for weights whose files are not known or not all on this machine.
    """
    if not kind.__module__.startswith("timbrec.") or (files := _weights_here(kind, weights)) is None:
        return None
    try:
        states = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    except OSError:
        return None
    state = [kind.__module__, kind.__qualname__, device, sorted(options.items()), states, code_digest()]
    return user_cache() / "cards" / f"{hashlib.sha256(repr(state).encode()).hexdigest()[:32]}.json"


def stored_card(path: Path) -> EncoderCard | None:
    """The card in a file; None without a file, and for a file that is no card."""
    try:
        return _CARD.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def store_card(path: Path, card: EncoderCard) -> None:
    """Write a card. A cache that cannot be written costs time at the next load, no more."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, _CARD.dump_json(card))


def _weights_here(kind: Any, weights: Path | str | None) -> list[Path] | None:
    """All files that the weights may be read from: a given folder, or the folder of a given file; None if unknown."""
    if weights is None and (package := getattr(kind, "package", None)) is not None:
        spec = find_spec(package.name)
        weights = spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else None
    if weights is not None and (path := Path(weights)).exists():
        inside = (entry for entry in (path.rglob("*") if path.is_dir() else path.parent.glob("*")) if entry.is_file())
        files = sorted(islice(inside, _MOST_FILES + 1))
        return files if 0 < len(files) <= _MOST_FILES else None
    return files_here(weights, kind.card) if kind.card.files else None
