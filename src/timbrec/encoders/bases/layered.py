"""Base class of encoders with numbered layers: one pass over a few windows returns any of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from timbrec.encoders.signals.windows import batches, mono
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import EncoderCard
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16")


class LayeredBase(ABC):
    """An encoder that returns the mean over time of a layer's states.

    Layer 0 is the input of the first block, layer k the output of the k-th block, and the last layer the output of the
    model. A subclass sets `card`, `device`, `layer` (the layer that `encode` pools) and `shortest` (the samples of one
    frame), and computes states.
    """

    card: EncoderCard
    device: str
    layer: int
    shortest: int
    seconds: ClassVar[tuple[float, float]] = (30.0, 240.0)  # audio per pass, on a processor and on a GPU

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n dim"]:
        """The mean over time of the default layer. Raises AudioError for windows shorter than a frame."""
        return self.encode_layers(windows, [self.layer])[self.layer]

    def encode_layers(
        self, windows: Float32[Array, "n samples"], layers: Sequence[int]
    ) -> dict[int, Float32[Array, "n dim"]]:
        """The mean over time of each of these layers, from one pass that ends with the highest.

        Raises ConfigError for a layer that does not exist, AudioError for windows shorter than a frame.
        """
        import torch

        numbers = [self._checked(layer) for layer in layers]
        with torch.inference_mode():
            passes = [
                {layer: _numpy(self._pool(states)) for layer, states in batch}
                for batch in self._passes(windows, numbers)
            ]
        if not passes:
            return {layer: np.empty((len(windows), self._dim(layer)), np.float32) for layer in numbers}
        return {layer: np.concatenate([vectors[layer] for vectors in passes]) for layer in numbers}

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> Float32[Array, "n time dim"]:
        """The states of one layer; None is the layer that `encode` pools. Raises the errors of `encode_layers`."""
        import torch

        number = self.layer if layer is None else self._checked(layer)
        with torch.inference_mode():
            states = [_numpy(state) for batch in self._passes(windows, [number]) for _, state in batch]
        return np.concatenate(states or [np.empty((0, *self._shape(windows.shape[1], number)), np.float32)])

    def _dim(self, layer: int) -> int:
        """The length of a layer's vector."""
        return self.card.dim

    def _pool(self, states: torch.Tensor) -> torch.Tensor:
        return states.mean(1)

    @abstractmethod
    def _states(self, audio: torch.Tensor, layers: Collection[int]) -> Iterator[tuple[int, torch.Tensor]]:
        """Pairs of layer and states (n, time, dim), in ascending order, of (n, samples) on the device."""

    @abstractmethod
    def _shape(self, samples: int, layer: int) -> tuple[int, int]:
        """The number of a layer's states in a window of `samples` (0 for too few), and the length of a state."""

    def _passes(
        self, windows: Float32[Array, "n samples"], layers: Collection[int]
    ) -> Iterator[Iterator[tuple[int, torch.Tensor]]]:
        """Passes over a few windows each, so that memory does not grow with the number of windows."""
        samples = mono(windows).shape[1]
        if len(windows) and layers and samples < self.shortest:
            raise self._too_short(samples)
        seconds = self.seconds[not self.device.startswith("cpu")]
        at_once = int(seconds * self.card.rate) // max(samples, 1)
        for audio in batches(windows if layers else windows[:0], at_once, self.device):
            yield ((layer, states.float()) for layer, states in self._states(audio, layers))

    def _too_short(self, samples: int) -> AudioError:
        return AudioError(
            f"{samples:,} samples are too short for {self.card.name}",
            fix=f"One frame takes {self.shortest:,} at {self.card.rate:,} Hz.",
        )

    def _checked(self, layer: int) -> int:
        """The layer's number. Raises ConfigError if the encoder has no such layer."""
        if not 0 <= layer <= self.card.layers:
            raise ConfigError(f"{self.card.name} has no layer {layer}", fix=f"Its layers are 0 to {self.card.layers}.")
        return layer


def layer_details(layer: int, default: int) -> list[str]:
    """The part of a card's revision that names a layer other than the default."""
    return [f"layer {layer}"] * (layer != default)


def dtype_details(dtype: str) -> list[str]:
    """The part of a card's revision that names a precision other than float32."""
    return [dtype] * (dtype != DTYPES[0])


def checked_dtype(dtype: str, name: str) -> str:
    """The precision. Raises ConfigError for one that the encoder `name` does not compute in."""
    if dtype not in DTYPES:
        raise ConfigError(f"{name} does not compute in {dtype!r}", fix=f"Choose from {', '.join(DTYPES)}.")
    return dtype


def _numpy(tensor: torch.Tensor) -> Float32[Array, "..."]:
    return tensor.cpu().numpy()
