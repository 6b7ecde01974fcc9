"""Reads files of weights: refuses damaged ones, returns their tensors, and checks them against a model."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timbrec.errors import ConfigError

if TYPE_CHECKING:
    import torch

LFS_POINTER = b"version https://git-lfs"


def weights_file(path: Path) -> Path:
    """The path of an existing file. Raises ConfigError if it is missing, empty or a Git LFS pointer."""
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", fix="Check the path of the weights.")
    with path.open("rb") as file:
        head = file.read(len(LFS_POINTER))
    if not head:
        raise ConfigError(f"{path} is empty", fix="Get it again.")
    if head == LFS_POINTER:
        raise ConfigError(
            f"{path} is a Git LFS pointer, not the weights it points to", fix="Run `git lfs pull` where it came from."
        )
    return path


def damaged(path: Path) -> ConfigError:
    """The error for a file that is cut short or damaged."""
    return ConfigError(f"{path} is cut short or damaged", fix="Get it again.")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors file or, under any other name, of a PyTorch checkpoint; no code in it is run.

    A checkpoint may hold them under "model" or "state_dict". Raises ConfigError for the reasons of `weights_file`, and
    for files that are damaged, of another kind, or hold more than tensors.
    """
    if weights_file(path).suffix == ".safetensors":
        return _read_safetensors(path)
    saved = _read_checkpoint(path)
    for part in ("model", "state_dict"):
        saved = saved[part] if isinstance(saved, dict) and isinstance(saved.get(part), dict) else saved
    if not isinstance(saved, dict) or not all(hasattr(value, "shape") for value in saved.values()):
        raise ConfigError(f"{path} is no table of tensors", fix="Give the model's checkpoint.")
    return saved


def read_config(path: Path) -> dict[str, Any]:
    """The settings that `timbrec convert` stored in a .safetensors file; {} for other files."""
    from safetensors import SafetensorError, safe_open

    if weights_file(path).suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, "pt") as file:
            config: dict[str, Any] = json.loads((file.metadata() or {}).get("timbrec", '{"config": {}}'))["config"]
    except (SafetensorError, ValueError, LookupError, TypeError) as error:
        raise damaged(path) from error
    return config


def load_strictly(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor], source: Path, name: str) -> None:
    """Assign the tensors to the model, as float32, for inference. Raises ConfigError unless names and shapes match."""
    refuse_other_tensors(model, tensors, source, name)
    model.load_state_dict({key: value.float() for key, value in tensors.items()}, assign=True)
    model.requires_grad_(False)


def refuse_other_tensors(model: torch.nn.Module, tensors: Mapping[str, torch.Tensor], source: Path, name: str) -> None:
    """Raise ConfigError unless the tensors have the names and shapes of the model's, which may hold no values."""
    needed = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in tensors.items()}
    for problem, keys in (
        ("lacks tensors of", needed.keys() - given.keys()),
        ("holds tensors that are not of", given.keys() - needed.keys()),
        ("holds tensors of other shapes than", {key for key in needed if needed[key] != given.get(key)}),
    ):
        if keys:
            example = min(keys)
            shapes = f"{example} {given.get(example, '')}".strip()
            raise ConfigError(
                f"{source} {problem} {name}", count=len(keys), example=shapes, fix=f"Give the weights of {name}."
            )


def fingerprint(tensors: Mapping[str, torch.Tensor]) -> str:
    """12 hexadecimal digits of the tensors' names, shapes and values, independent of the file format."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(f"{key} {tuple(tensors[key].shape)}\n".encode())
        digest.update(tensors[key].detach().cpu().float().contiguous().numpy().data)
    return digest.hexdigest()[:12]


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise damaged(path) from error


def _read_checkpoint(path: Path) -> Any:
    import torch

    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\3\4"  # PyTorch's format since 1.6
    if zipped and not zipfile.is_zipfile(path):
        raise damaged(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        if "truncated" in str(error):
            raise damaged(path) from error
        raise ConfigError(
            f"{path} is no PyTorch checkpoint, or holds code besides tensors, which is never run",
            fix="Give the official file, or convert it to safetensors where you trust it.",
        ) from error
    except Exception as error:  # bytes that are not a pickle may raise anything
        raise damaged(path) from error
