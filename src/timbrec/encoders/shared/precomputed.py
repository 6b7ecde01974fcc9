"""Vectors computed elsewhere, in place of an encoder: they have a card, and refuse to encode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    from timbrec.store import VectorSource

KINDS = (".npy", ".npz", ".safetensors", ".parquet", ".tsv", ".csv", ".bz2")


class Precomputed:
    """A file or store of vectors, read by `read_vectors`; `vectors` looks them up by id.

    The card is named after the file; its revision is a digest of ids and values. Raises the errors of `read_vectors`.
    """

    card: EncoderCard
    vectors: VectorSource

    def __init__(
        self,
        weights: Path | str,
        ids: Path | str | None = None,
        device: str = "cpu",
        columns: dict[str, str | list[str]] | None = None,
    ) -> None:
        from timbrec.store.vectors import read_vectors

        self._path, self.vectors = Path(weights), read_vectors(weights, ids, columns)
        name, digest = self._path.name.partition(".")[0], self.vectors.digest[:12]
        self.card = EncoderCard(name, f"vectors {digest}", rate=0, window=0.0, dim=self.vectors.dim)

    def encode(self, windows: Float32[Array, "n samples"]) -> NoReturn:
        """Raises ConfigError: vectors cannot encode audio."""
        raise no_model(f"{self._path}")

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> NoReturn:
        """Raises ConfigError: vectors cannot encode audio."""
        raise no_model(f"{self._path}")


def is_vectors(name: str) -> bool:
    """Whether a name is the path of a file of vectors."""
    return Path(name).suffix.lower() in KINDS


def no_model(name: str) -> ConfigError:
    """The error for audio given to vectors."""
    return ConfigError(
        f"{name} holds vectors of tracks, not a model that encodes audio",
        fix="Name it in a config under `encoders: NAME: {vectors: ...}`, or choose an encoder of `timbrec list`.",
    )
