"""Vectors that were made elsewhere, in an encoder's place: they have a card, and refuse to encode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    from timbrec.store import VectorSource

KINDS = (".npy", ".parquet", ".tsv", ".csv", ".bz2")


class Precomputed:
    """A file of vectors, or a store of ours, as `read_vectors` reads it; `vectors` gives them by id.

    Its card is named after the file; the revision tells its ids and values. Raises what `read_vectors` raises.
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
        """Raises ConfigError: there is nothing that could encode."""
        raise no_model(f"{self._path}")

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> NoReturn:
        """Raises ConfigError: there is nothing that could encode."""
        raise no_model(f"{self._path}")


def is_vectors(name: str) -> bool:
    """Whether a name is that of a file of vectors."""
    return Path(name).suffix.lower() in KINDS


def no_model(what: str) -> ConfigError:
    """The error for audio given to vectors."""
    return ConfigError(
        f"{what} holds vectors of tracks, no model that could encode audio",
        fix="Name it in a config under `encoders: NAME: {vectors: ...}`, or choose an encoder of `timbrec list`.",
    )
