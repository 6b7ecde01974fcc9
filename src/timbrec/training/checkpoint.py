"""Checkpoints: everything a training needs to go on, in one safetensors file that is whole or not there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from timbrec.errors import ConfigError
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
    """The checkpoint of one training in a folder. `identity` is everything that decides its numbers but `epochs`."""

    folder: Path
    identity: dict[str, Any]

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / _NAME

    def save(self, tensors: Tensors, facts: dict[str, Any]) -> None:
        """Replace the file in one step; a crash leaves the one before."""
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        metadata = {"identity": json.dumps(self.identity), "facts": json.dumps(facts)}
        with replacing(self.path) as partial:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, metadata)

    def load(self) -> tuple[Tensors, dict[str, Any]] | None:
        """What was saved last; None if nothing was. Raises ConfigError for another training's checkpoint."""
        from safetensors import SafetensorError, safe_open

        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                metadata = file.metadata()
                self._check(json.loads(metadata["identity"]))
                return {name: file.get_tensor(name) for name in file.keys()}, json.loads(metadata["facts"])  # noqa: SIM118 - not a dict
        except (SafetensorError, KeyError, ValueError) as error:
            raise ConfigError(
                f"{self.path} is no readable checkpoint: {error}", fix="Move it away, or train afresh."
            ) from error

    def _check(self, saved: dict[str, Any]) -> None:
        asked = json.loads(json.dumps(self.identity))
        other = [name for name in asked.keys() | saved.keys() if asked.get(name) != saved.get(name)]
        if other:
            raise ConfigError(
                f"{self.path} is of another training: "
                + ", ".join(
                    f"its {name} is {saved.get(name)!r}, asked for is {asked.get(name)!r}" for name in sorted(other)
                ),
                fix="Train in another folder, or move the checkpoint away; it was left as it is.",
            )


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
    """Everything that decides a training's numbers. Not `epochs`: a training may go on for longer than first meant."""
    digests = [] if validation is None else [validation.hot.digest, validation.cold.digest]
    return {
        "recommender": type(recommender).__name__,
        "version": recommender.version,
        **{name: value for name, value in asdict(recommender).items() if name != "epochs"},
        "train": pairs.digest,
        "validation": " ".join(digests),
        "vectors": None if vectors is None else hashlib.sha256(np.ascontiguousarray(vectors).data).hexdigest()[:16],
        "seed": seed,
    }
