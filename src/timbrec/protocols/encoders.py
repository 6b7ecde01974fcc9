"""The contract of encoders: metadata, a vector per window, and optional abilities."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from timbrec.types import Array, Float32

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch


@dataclass(frozen=True)
class WeightsFile:
    """An official file of weights on the model hub: `path` in the repository `repo`.

    `revision` is a commit, or a branch where no commit is pinned. `sha256` is the checksum or its first digits, empty
    where unknown; `bytes` is the size, 0 where unknown.
    """

    repo: str
    path: str
    revision: str = "main"
    sha256: str = ""
    bytes: int = 0


@dataclass(frozen=True)
class Slim:
    """The part of an encoder's weights that encoding needs, ready to be written to one file.

    `tensors` by the names that the encoder expects in a .safetensors file; `config`, the settings stored with them;
    `files`, the files they were read from.
    """

    tensors: Mapping[str, torch.Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[Path] = ()


@dataclass(frozen=True)
class EncoderCard:
    """Metadata of an encoder, readable without loading weights.

    `revision` identifies the vectors: two encoders of the same name and revision give the same vectors.
    `rate` is the sample rate in Hz and `window` the length of an encoded window in seconds; both are 0 for vectors
    that were computed elsewhere. `dim` is the length of a pooled vector.

    `frames_per_second` is the rate of the frames that `frames` returns, `time` the name of one of them. `layers` is the
    number of the last layer, 0 without numbered layers; layer 0 is the input of the first block. `layer` is the layer
    that `encode` pools by default where that is not the last; higher blocks are then not loaded. An encoder with layers
    takes the option `layer`.

    `trained_on` describes the training data; `datasets` names the public data sets in it, so that scores on them can be
    marked. It is empty without training ("nothing") and where the data are unpublished. `citation` and `bibtex` name
    the paper to cite.

    `commercial` says whether code and weights may be used commercially. `gflop` is the cost of one window in 10^9
    multiplications and additions, 0 if unknown. `concurrent` says whether several threads may call the encoder at once.
    `files` are the official weights on the model hub, the file with the tensors first; empty where weights come another
    way. `resampler` is the one that converts files to `rate`, `soxr` or `kaiser_best`. Fields with a default are
    optional for a user's own encoder.
    """

    name: str
    revision: str
    rate: int
    window: float
    dim: int
    frames_per_second: float = 0.0
    layers: int = 0
    layer: int | None = None
    parameters: int = 0
    licence_code: str = "not stated"
    licence_weights: str = "not stated"
    commercial: bool = False
    trained_on: str = "not stated"
    datasets: tuple[str, ...] = ()
    citation: str = "none"
    bibtex: str = "none"
    time: str = "frames"
    gflop: float = 0.0
    concurrent: bool = False
    files: tuple[WeightsFile, ...] = ()
    resampler: str = "soxr"

    @property
    def precomputed(self) -> bool:
        """Whether the card describes vectors computed elsewhere, with no model that encodes audio."""
        return self.rate == 0

    def loaded(self, *details: str, **changes: Any) -> EncoderCard:
        """The card of a loaded encoder: `details` (weights, options) extend the revision, `changes` replace fields."""
        return replace(self, revision=", ".join([self.revision, *details]), **changes)


@runtime_checkable
class Encoder(Protocol):
    """Turns windows of audio into vectors. The protocols below add optional abilities."""

    card: EncoderCard

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n dim"]:
        """One vector per window, pooled over time. Windows are mono, of equal length, sampled at `card.rate`."""
        ...


@runtime_checkable
class FrameEncoder(Encoder, Protocol):
    """An encoder that also returns frames, which other pools and layers need."""

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> Float32[Array, "n time dim"]:
        """The frames of a layer; None is the layer that `encode` pools."""
        ...


@runtime_checkable
class LayeredEncoder(FrameEncoder, Protocol):
    """An encoder that pools several layers in one pass."""

    def encode_layers(
        self, windows: Float32[Array, "n samples"], layers: Sequence[int]
    ) -> dict[int, Float32[Array, "n dim"]]:
        """One vector per window for each of these layers, by layer; the lengths of layers may differ."""
        ...


@runtime_checkable
class DeviceEncoder(Encoder, Protocol):
    """An encoder that computes on a device: "cpu", or another one by its name in torch."""

    device: str


@runtime_checkable
class WeightedEncoder(Protocol):
    """An encoder class that reads files of weights: `weights` is None (the usual place), a file or a folder."""

    card: EncoderCard

    @classmethod
    def check_weights(cls, weights: Path | str | None) -> list[WeightsFile]:
        """The official files that loading would download. Raises ConfigError for weights that do not exist."""
        ...


@runtime_checkable
class ConvertibleEncoder(WeightedEncoder, Protocol):
    """An encoder class with weights that `timbrec convert` reduces to one slim file."""

    @classmethod
    def slim(cls, weights: Path | str | None, layer: int | None = None) -> Slim:
        """The tensors that encoding needs, up to `layer` if given. Raises ConfigError as loading does."""
        ...
