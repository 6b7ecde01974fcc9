"""Checkpoints: the state of a training in one safetensors file, replaced atomically."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from timbrec.errors import ConfigError, in_words
from timbrec.files import replacing
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold
    from timbrec.protocols import Recommender, Workspace

_NAME = "checkpoint.safetensors"
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint of a training in a folder.

    `identity` (JSON) holds everything that decides the training's numbers except `epochs`; a checkpoint with another
    identity is refused.
    """

    folder: Path
    identity: dict[str, Any]

    @property
    def path(self) -> Path:
        """The checkpoint file, which may not exist yet."""
        return self.folder / _NAME

    def save(self, tensors: Tensors, facts: dict[str, Any]) -> None:
        """Replace the file in one step; a crash leaves the previous one. `facts` is JSON."""
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        metadata = {"identity": json.dumps(self.identity), "facts": json.dumps(facts)}
        with replacing(self.path) as partial:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, metadata)

    def load(self) -> tuple[Tensors, dict[str, Any]] | None:
        """The tensors and facts saved last, None if the file does not exist.

        Raises ConfigError for a damaged file and for the checkpoint of another training.
        """
        from safetensors import SafetensorError, safe_open

        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                metadata = file.metadata()
                self._check(json.loads(metadata["identity"]))
                return {name: file.get_tensor(name) for name in file.keys()}, json.loads(metadata["facts"])  # noqa: SIM118 - not a dict
        except (SafetensorError, KeyError, ValueError) as error:
            fix = "Move it away, or train in another folder."
            raise ConfigError(f"{self.path} is no readable checkpoint: {error}", fix=fix) from error

    def _check(self, saved: dict[str, Any]) -> None:
        own = json.loads(json.dumps(self.identity))
        differences = ", ".join(
            f"{name} is {in_words(saved.get(name))} there and {in_words(own.get(name))} here"
            for name in sorted(own.keys() | saved.keys())
            if own.get(name) != saved.get(name)
        )
        if differences:
            raise ConfigError(
                f"{self.path} belongs to another training: {differences}",
                fix="Train in another folder, or move the checkpoint away; it was not changed.",
            )


def joined(parts: Mapping[str, Tensors]) -> Tensors:
    """The tensors of all parts, each named `part/name`."""
    return {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def part_of(tensors: Tensors, part: str) -> Tensors:
    """The tensors of a part, by their names inside it."""
    return {name.removeprefix(f"{part}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{part}/")}


def drop_checkpoints(workspace: Workspace) -> None:
    """Delete the checkpoints of the finished fits in a workspace; the logs stay."""
    for path in [] if workspace.folder is None else workspace.folder.rglob(f"*{_NAME}"):
        path.unlink()


def identity(
    recommender: Recommender,
    pairs: Interactions,
    validation: Fold | None,
    vectors: Float32[Array, "items dim"] | None,
    seed: int,
) -> dict[str, Any]:
    """Everything that decides a training's numbers, as JSON, except `epochs`: a training may be continued for longer.

    `vectors` is None for a recommender that reads no content.
    """
    digests: list[str] = []
    if validation is not None:
        digests = [validation.hot.digest, validation.cold.digest]
        digests += [validation.cold_candidates, validation.mixed_candidates]
    return {
        "recommender": type(recommender).__name__,
        "version": recommender.version,
        **{name: value for name, value in asdict(recommender).items() if name != "epochs"},
        "train": pairs.digest,
        "validation": " ".join(digests),
        "vectors": None if vectors is None else hashlib.sha256(np.ascontiguousarray(vectors).data).hexdigest()[:16],
        "seed": seed,
    }
