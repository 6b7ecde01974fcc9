"""Checkpoints to slim safetensors: only what an encoder needs, in one file that the same encoder loads."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timbrec.encoders import find, load
from timbrec.encoders.weights.reading import Slim, damaged
from timbrec.errors import ConfigError
from timbrec.files import flush, replacing


@dataclass(frozen=True)
class Converted:
    """What became of some weights: the new file, its tensors, and bytes before (0 if unknown) and after."""

    path: Path
    tensors: int
    before: int
    after: int


def convert(name: str, weights: Path | str | None, out: Path | str, **options: Any) -> Converted:
    """Write what the encoder `name` needs of its weights to `out`, which `load(name, weights=out)` then takes.

    `options` are those that decide what is needed, such as `layer` for jukebox-5b. Values keep their precision; the
    encoder's settings go into the file. It appears when it is complete, or not at all. Raises ConfigError where loading
    the weights would, for encoders without weights, and for an `out` that exists or cannot be written.
    """
    target = Path(out)
    if target.suffix != ".safetensors" or target.exists() or not target.absolute().parent.is_dir():
        raise ConfigError(
            f"{target} cannot be written: {'it exists' if target.exists() else 'no new .safetensors file in a folder'}",
            fix="Name a file that is not there yet, NAME.safetensors, in a folder that is.",
        )
    slim = _slim(name, weights, options)
    _write(slim, target, name)
    return Converted(target, len(slim.tensors), sum(map(_size, slim.files)), _size(target))


def _slim(name: str, weights: Path | str | None, options: dict[str, Any]) -> Slim:
    """By the class's own `slim` or, where it has none, what a loaded encoder says of itself."""
    encoder = find(name)
    if hasattr(encoder, "slim"):
        known = inspect.signature(encoder.slim).parameters
        if unknown := [option for option in options if option not in known]:
            raise ConfigError(f"{name} cannot be cut down by {unknown[0]!r}", fix=f"It takes: {', '.join(known)}.")
        slim: Slim = encoder.slim(weights, **options)
        return slim
    if not hasattr(encoder, "tensors"):
        raise ConfigError(f"{name} has no weights to convert", fix="See `timbrec list`.")
    loaded: Any = load(name, weights, **options)
    path = Path(weights) if weights is not None else None
    return Slim(loaded.tensors(), getattr(loaded, "config", {}), [path] if path is not None and path.is_file() else [])


def _write(slim: Slim, target: Path, name: str) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    told = {"timbrec": json.dumps({"encoder": name, "config": dict(slim.config)})}  # one key: several have no order
    try:
        with replacing(target) as partial:
            save_file(_apart(slim.tensors), partial, told)
            with safe_open(partial, "pt") as file:
                if set(file.keys()) != set(slim.tensors):
                    raise damaged(partial)
            flush(partial)
    except Exception as error:  # the library's own, and those of the disk
        raise ConfigError(f"{target} cannot be written: {error}", fix="Is there space and permission?") from error


def _apart(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Each tensor in memory of its own: safetensors takes none that is part of another, or the same under two names."""
    seen, apart = set(), {}
    for key, value in tensors.items():
        tensor = value.detach().cpu()
        storage = tensor.untyped_storage()
        whole = tensor.is_contiguous() and storage.nbytes() == tensor.numel() * tensor.element_size()
        apart[key] = tensor if whole and storage.data_ptr() not in seen else tensor.contiguous().clone()
        seen.add(storage.data_ptr())
    return apart


def _size(path: Path) -> int:
    return path.stat().st_size
