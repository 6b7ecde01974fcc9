"""What encoders with numbered layers share: one pass over some windows at a time, of which any layers are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from timbrec.encoders.signals.windows import mono
from timbrec.encoders.weights.official import small_fingerprint
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import EncoderCard
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import torch

DTYPES = ("float32", "bfloat16")
ON_CPU, ON_GPU = 30.0, 240.0  # seconds of audio at once: one window fills a processor, a GPU takes more


class LayeredEncoder(ABC):
    """Layer 0 is the input of the first block, k the output of the k-th, and the last one what the model returns."""

    card: EncoderCard
    shortest: int  # samples of one frame

    def _set(
        self,
        tensors: Mapping[str, torch.Tensor],
        device: str,
        layer: int | None,
        layers: int,
        dim: int,
        dtype: str,
        options: Sequence[str] = (),
    ) -> None:
        """Take over the settings; the card's revision names all that the vectors depend on."""
        self.card = replace(self.card, dim=dim, layers=layers)
        self.device, self.dtype, self.layer = device, dtype, self._checked(layers if layer is None else layer)
        count = sum(tensor.numel() for tensor in tensors.values())
        parts = [self.card.revision, f"weights {small_fingerprint(tensors)}", *options]
        parts += [f"layer {self.layer}"] * (self.layer != layers) + [dtype] * (dtype != DTYPES[0])
        self.card = replace(self.card, revision=", ".join(parts), parameters=count)

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n dim"]:
        """The mean over time of `frames`. Raises AudioError for windows too short for a frame."""
        return self.encode_layers(windows, [self.layer])[:, 0]

    def encode_layers(
        self, windows: Float32[Array, "n samples"], layers: Sequence[int]
    ) -> Float32[Array, "n layers dim"]:
        """The mean over time of each of these layers, in their order, all from one pass that ends with the highest."""
        wanted = [self._checked(layer) for layer in layers]
        if not wanted:
            return np.empty((len(windows), 0, self.card.dim), np.float32)
        blocks = [
            np.stack([_numpy(states[layer].mean(1)) for layer in wanted], 1) for states in self._blocks(windows, wanted)
        ]
        return np.concatenate(blocks) if blocks else np.empty((0, len(wanted), self.card.dim), np.float32)

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> Float32[Array, "n time dim"]:
        """The states of one layer, from 0 to `card.layers`; None is what `encode` takes the mean of.

        Raises ConfigError for any other layer.
        """
        wanted = self.layer if layer is None else self._checked(layer)
        blocks = [_numpy(states[wanted]) for states in self._blocks(windows, [wanted])]
        if not blocks:
            return np.empty((0, self._time(windows.shape[1]), self.card.dim), np.float32)
        return np.concatenate(blocks)

    @abstractmethod
    def _states(self, audio: torch.Tensor, wanted: Collection[int]) -> dict[int, torch.Tensor]:
        """The wanted layers, (n, time, dim) each, of (n, samples) of audio on the device."""

    @abstractmethod
    def _time(self, samples: int) -> int:
        """The number of frames of so many samples; 0 if there are too few."""

    def _blocks(
        self, windows: Float32[Array, "n samples"], wanted: Collection[int]
    ) -> Iterator[dict[int, torch.Tensor]]:
        """The wanted layers of some windows at a time, so that memory does not grow with their number."""
        import torch

        samples = mono(windows).shape[1]
        if len(windows) and samples < self.shortest:
            raise AudioError(
                f"{samples:,} samples are too short for {self.card.name}",
                fix=f"One frame takes {self.shortest:,} at {self.card.rate:,} Hz.",
            )
        seconds = ON_CPU if self.device == "cpu" else ON_GPU
        step = max(1, int(seconds * self.card.rate) // max(samples, 1))
        for start in range(0, len(windows), step):
            with torch.inference_mode():
                audio = torch.from_numpy(np.array(windows[start : start + step])).to(self.device)
                yield {layer: state.float() for layer, state in self._states(audio, wanted).items()}

    def _checked(self, layer: int) -> int:
        if not 0 <= layer <= self.card.layers:
            raise ConfigError(
                f"{self.card.name} has no layer {layer}", fix=f"Its layers are 0 to {self.card.layers}, the last."
            )
        return layer

    @classmethod
    def _check_dtype(cls, dtype: str) -> None:
        if dtype not in DTYPES:
            raise ConfigError(f"{cls.card.name} does not compute in {dtype!r}", fix=f"Choose from {', '.join(DTYPES)}.")


def _numpy(tensor: torch.Tensor) -> Float32[Array, "..."]:
    return tensor.cpu().numpy()
