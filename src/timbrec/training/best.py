"""The weights of the best epoch, kept in a file: memory holds those of one epoch only."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timbrec.errors import ConfigError
from timbrec.files import replacing

if TYPE_CHECKING:
    from timbrec.training.checkpoint import Tensors
    from timbrec.training.trainable import Trainable


class Best:
    """The weights of one epoch or, until a checkpoint names the later one, of two, in a folder.

    A file is called `best-EPOCH.checkpoint.safetensors`. Without a folder, a temporary one is used.
    """

    def __init__(self, folder: Path | None) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="timbrec-") if folder is None else None
        self.folder = Path(self._temporary.name) if self._temporary else folder or Path()

    def keep(self, epoch: int, weights: Tensors) -> None:
        """Write the weights of an epoch."""
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._path(epoch)) as partial:
            save_file({name: tensor.detach().contiguous() for name, tensor in weights.items()}, partial)

    def drop_all_but(self, epoch: int) -> None:
        """Delete the weights of other epochs."""
        for path in self.folder.glob(self._path("*").name):
            if path != self._path(epoch):
                path.unlink()

    def give(self, epoch: int, model: Trainable[Any]) -> None:
        """Load the weights of an epoch into the model. Raises ConfigError if the file is missing or damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self._path(epoch)
        try:
            model.load_state_dict(load_file(path))
        except (OSError, SafetensorError) as error:
            fix = "Move the checkpoint beside it away: the training then starts again."
            raise ConfigError(
                f"{path}, with the weights of the best epoch, cannot be read: {error}", fix=fix
            ) from error

    def _path(self, epoch: int | str) -> Path:
        return self.folder / f"best-{epoch}.checkpoint.safetensors"
