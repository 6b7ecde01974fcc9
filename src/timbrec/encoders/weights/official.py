"""Official checkpoints: what of one is needed to encode."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from timbrec.encoders.weights.reading import damaged, fingerprint

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


def inference_tensors(tensors: Mapping[str, T], unused: re.Pattern[str], prefix: str = "") -> dict[str, T]:
    """The tensors without `prefix` in their names and without those whose whole name, then, matches `unused`.

    Names that begin otherwise keep what they are called. Nothing else is left out, so that a strict load finds what
    is of another model.
    """
    named = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in named.items() if not unused.fullmatch(name)}


def read_json(path: Path | None) -> dict[str, Any]:
    """The content of a JSON file; nothing of no file. Raises ConfigError for another one."""
    try:
        content = {} if path is None else json.loads(path.read_bytes())
    except ValueError as error:
        raise damaged(Path(str(path))) from error
    return content if isinstance(content, dict) else {}


def small_fingerprint(tensors: Mapping[str, torch.Tensor]) -> str:
    """Of all tensors, the large ones by every 61st value: hashing a gigabyte takes seconds."""
    return fingerprint({name: _sample(tensor) for name, tensor in tensors.items()})


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.numel() < 1 << 16 else tensor.flatten()[::61]
