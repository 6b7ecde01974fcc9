"""Fitted recommenders on disk: arrays as safetensors, everything else as JSON. Loading needs no training data.

PyTorch is imported only for scorers that contain networks.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from timbrec.errors import DataError
from timbrec.files import replacing
from timbrec.protocols import Scorer

FORMAT = 2
_ARRAYS, _STRUCTURE = "scorer.safetensors", "scorer.json"
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8",
    "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def save_scorer(scorer: Scorer, folder: Path, apart: Sequence[str] = ()) -> None:
    """Write a fitted recommender into a folder, in place of any earlier one.

    Arrays of the fields `apart` are not written: the caller keeps them, and gives them to `load_scorer`. Each file is
    replaced in one step, and `load_scorer` refuses files that do not belong together. Raises DataError for a scorer
    with a value of a type that cannot be saved.
    """
    arrays: dict[str, np.ndarray] = {}
    packed_scorer = packed(scorer, arrays)
    for name in apart:
        del arrays[f"/{name}"]
    structure = {"format": FORMAT, "scorer": packed_scorer, "arrays": _digest(arrays)}
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / _STRUCTURE) as described, replacing(folder / _ARRAYS) as stored:
        save_file(arrays, stored)
        described.write_text(json.dumps(structure, indent=1))


def load_scorer(folder: Path, *, mapped: bool = False, apart: Mapping[str, np.ndarray] | None = None) -> Scorer:
    """The scorer that `save_scorer` wrote, with the same scores.

    With `mapped`, arrays are mapped into memory and their digest is not compared: the caller has compared checksums.
    `apart` are the arrays of fields that were not written. Only classes of this package and of installed plug-ins are
    created. Raises DataError for a folder without a readable scorer.
    """
    try:
        structure = json.loads((folder / _STRUCTURE).read_text())
        if structure["format"] != FORMAT:
            raise ValueError(f"format {structure['format']}, this version reads {FORMAT}")
        arrays = mapped_arrays(folder / _ARRAYS) if mapped else load_file(folder / _ARRAYS)
        if not mapped and structure["arrays"] != _digest(arrays):
            raise ValueError(f"{_ARRAYS} does not belong to {_STRUCTURE}, or was changed")
        arrays |= {f"/{name}": array for name, array in (apart or {}).items()}
        scorer = unpacked(structure["scorer"], arrays)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise DataError(f"{folder} holds no readable recommender: {error}", fix="Fit and save it again.") from error
    if not isinstance(scorer, Scorer):
        raise DataError(f"{folder} holds a {type(scorer).__name__}, not a fitted recommender")
    return scorer


def mapped_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, mapped into memory; a change of one does not reach the file.

    Raises ValueError for another kind of file and for one that is too short.
    """
    content = np.memmap(path, np.uint8, mode="c")
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    if start > len(content):
        raise ValueError(f"{path.name} is cut off")
    arrays = {}
    for name, entry in json.loads(content[8:start].tobytes()).items():
        if name != "__metadata__":
            low, high = entry["data_offsets"]
            arrays[name] = np.frombuffer(content[start + low : start + high], _DTYPES[entry["dtype"]]).reshape(
                entry["shape"]
            )
    return arrays


def packed(value: Any, arrays: dict[str, np.ndarray], path: str = "") -> Any:
    """The value as JSON. Arrays are added to `arrays` under their path."""
    if isinstance(value, np.ndarray):
        arrays[path] = np.ascontiguousarray(value)
        return {"is": "array", "path": path}
    if _is_network(type(value)):
        weights = {name: tensor.cpu().numpy() for name, tensor in value.state_dict().items()}
        return {"is": _name(value), "module": value.settings, "weights": packed(weights, arrays, path)}
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        return {"is": _name(value), "fields": packed(parts, arrays, path)["of"]}
    if isinstance(value, dict):
        return {"is": "dict", "of": {key: packed(part, arrays, f"{path}/{key}") for key, part in value.items()}}
    if isinstance(value, tuple):
        return {"is": "tuple", "of": [packed(part, arrays, f"{path}/{number}") for number, part in enumerate(value)]}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise DataError(f"a {type(value).__name__} cannot be saved", example=path)


def unpacked(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The value that `packed` described."""
    if not isinstance(value, dict):
        return value
    kind = value["is"]
    if kind == "array":
        return arrays[value["path"]]
    if kind == "dict":
        return {key: unpacked(part, arrays) for key, part in value["of"].items()}
    if kind == "tuple":
        return tuple(unpacked(part, arrays) for part in value["of"])
    if "module" in value:
        from torch import from_numpy

        module = _class(kind)(**value["module"])
        weights = unpacked(value["weights"], arrays)
        module.load_state_dict({name: from_numpy(array) for name, array in weights.items()})
        return module.frozen()
    return _class(kind)(**{name: unpacked(part, arrays) for name, part in value["fields"].items()})


def _digest(arrays: dict[str, np.ndarray]) -> str:
    """A hash of the arrays and their names."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()[:16]


def _is_network(kind: type) -> bool:
    """Whether a class is a network of PyTorch, which then is loaded."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and issubclass(kind, torch.nn.Module)


def _name(value: object) -> str:
    return f"{type(value).__module__}:{type(value).__qualname__}"


def _class(name: str) -> type:
    """The class `module:name` of this package or of a plug-in. Raises ValueError for any other."""
    module, attribute = name.split(":")
    package = module.split(".")[0]
    if package != "timbrec" and package not in {
        point.module.split(".")[0] for point in entry_points(group="timbrec.recommenders")
    }:
        raise ValueError(f"{module} is not a module of recommenders")
    kind = getattr(import_module(module), attribute)
    if not (isinstance(kind, type) and (is_dataclass(kind) or _is_network(kind))):
        raise ValueError(f"{name} is not a part of a recommender")
    return kind
