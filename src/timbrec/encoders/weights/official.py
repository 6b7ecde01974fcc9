"""Official checkpoints: the tensors that encoding needs, the settings beside them, and their fingerprint."""

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
    """The tensors by name without `prefix`; tensors with a remaining name that matches `unused` are left out.

    Names without the prefix are kept. Nothing else is dropped, so that a strict load detects the weights of another
    model.
    """
    named = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in named.items() if not unused.fullmatch(name)}


def read_json(path: Path | None) -> dict[str, Any]:
    """The object in a JSON file; {} without a file or for another type. Raises ConfigError for invalid JSON."""
    try:
        content = {} if path is None else json.loads(path.read_bytes())
    except ValueError as error:
        raise damaged(Path(str(path))) from error
    return content if isinstance(content, dict) else {}


def small_fingerprint(tensors: Mapping[str, torch.Tensor]) -> str:
    """12 hexadecimal digits of all tensors. Large ones count by every 61st value: hashing a gigabyte takes seconds."""
    return fingerprint({name: _sample(tensor) for name, tensor in tensors.items()})


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.numel() < 1 << 16 else tensor.flatten()[::61]
