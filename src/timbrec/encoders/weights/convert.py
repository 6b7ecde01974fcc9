"""Converts checkpoints to slim safetensors: one file with the tensors an encoder needs, which the encoder loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timbrec.encoders import find
from timbrec.encoders.weights.reading import damaged
from timbrec.errors import ConfigError
from timbrec.files import flush, replacing
from timbrec.protocols import ConvertibleEncoder, Slim


@dataclass(frozen=True)
class Converted:
    """The new file, the number of its tensors, and bytes before (0 if unknown) and after."""

    path: Path
    tensors: int
    before: int
    after: int


def convert(name: str, weights: Path | str | None, out: Path | str, layer: int | None = None) -> Converted:
    """Write the tensors that the encoder `name` needs to `out`, a file for `load(name, weights=out)`.

    An encoder that loads no blocks above its layer (Jukebox) keeps only those up to `layer`. Values keep their
    precision; the encoder's settings are stored in the file. The file appears complete or not at all. Raises
    ConfigError where loading would, for encoders without weights, for a `layer` of another encoder, and for an `out`
    that exists or cannot be written.
    """
    target = Path(out)
    if target.suffix != ".safetensors" or target.exists() or not target.absolute().parent.is_dir():
        raise ConfigError(
            f"{target} cannot be written: {'it exists' if target.exists() else 'no new .safetensors file in a folder'}",
            fix="Name a new file NAME.safetensors in an existing folder.",
        )
    encoder = find(name)
    if not isinstance(encoder, ConvertibleEncoder):
        raise ConfigError(f"{name} has no weights to convert", fix="See `timbrec list`.")
    if layer is not None and encoder.card.layer is None:
        raise ConfigError(f"{name} cannot be cut at a layer", fix="Leave `layer` out: all of its layers are loaded.")
    slim = encoder.slim(weights, layer)
    _write(slim, target, name)
    return Converted(target, len(slim.tensors), sum(map(_size, slim.files)), _size(target))


def _write(slim: Slim, target: Path, name: str) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    settings = {"timbrec": json.dumps({"encoder": name, "config": dict(slim.config)})}  # several keys have no order
    try:
        with replacing(target) as partial:
            save_file(_apart(slim.tensors), partial, settings)
            with safe_open(partial, "pt") as file:
                if set(file.keys()) != set(slim.tensors):
                    raise damaged(partial)
            flush(partial)
    except Exception as error:  # errors of the library and of the disk
        raise ConfigError(f"{target} cannot be written: {error}", fix="Is there space and permission?") from error


def _apart(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors in separate memory: safetensors refuses tensors that share memory."""
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
