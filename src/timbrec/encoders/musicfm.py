"""MusicFM: a conformer trained to predict masked frames of music (Won, Hung & Le 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from timbrec.encoders.bases.conformer import MSD, RATE, ConformerEncoder, beside_or_within, settings_in
from timbrec.encoders.shared import bibliography
from timbrec.encoders.weights.official import read_json
from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard, WeightsFile
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    import torch

_HUB, _REVISION = "minzwon/MusicFM", "4513b38bc25ad1d227b1980819b9691ba97f4d87"
_AXES = ("time", "channels")


class MusicFM(ConformerEncoder):
    """Base of the two published models. Layer 12, the default, is the study's; the authors' example takes layer 7.

    `weights`: None (the hub), "owner/name@revision" there, a checkpoint, or its folder. The mel statistics of the
    training data are read from a file beside it: `msd_stats.json`, `fma_stats.json`, or a `config.json` with them.
    MSD's are known and may be missing; FMA's must be there. `over="channels"` is the study's way: each frame's mean
    over its channels, so that a vector has one value per frame, 750 of a window of 30 s, and describes the course of
    the window instead of its content; all windows must then last 30 s. `dtype="bfloat16"` halves the memory and changes
    values by a few hundredths; the authors recommend float32.
    """

    _model = "musicfm"
    _other: ClassVar[str]  # the other published model
    _mel: ClassVar[dict[str, float]] = {}

    def __init__(
        self,
        weights: Path | str | None = None,
        device: str = "cpu",
        layer: int | None = None,
        over: str = "time",
        dtype: str = "float32",
    ) -> None:
        if over not in _AXES:
            raise ConfigError(f"{self.card.name} cannot be pooled over {over!r}", fix=f"Known: {', '.join(_AXES)}.")
        super().__init__(weights, device, layer, dtype)
        self.over = over
        if over == "channels":
            self.card = self.card.loaded(
                "over channels",
                dim=self._shape(round(self.card.window * RATE), self.layer)[0],
                frames_per_second=self.card.dim / self.card.window,
                time="channels",
            )

    def encode_layers(
        self, windows: Float32[Array, "n samples"], layers: Sequence[int]
    ) -> dict[int, Float32[Array, "n dim"]]:
        """The mean over time (or channels) of each of these layers, from one pass.

        Raises ConfigError over channels for windows of another length than the card's.
        """
        values = self._shape(windows.shape[1], self.layer)[0] if windows.ndim == 2 else self.card.dim
        if self.over == "channels" and len(windows) and values != self.card.dim:
            raise ConfigError(
                f"over channels, a window of {windows.shape[1]:,} samples has {values} values, not {self.card.dim}",
                fix=f"Give windows of {self.card.window:g} s, or pool over time.",
            )
        return super().encode_layers(windows, layers)

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> Float32[Array, "n time dim"]:
        """The states of a layer, 0 to 12, of which the last includes the final norm; over channels, transposed."""
        states = super().frames(windows, layer)
        return states if self.over == "time" else np.ascontiguousarray(states.swapaxes(1, 2))

    def _pool(self, states: torch.Tensor) -> torch.Tensor:
        return states.mean(1 + (self.over == "channels"))

    @classmethod
    def _settings(cls, path: Path, beside: Path | None) -> dict[str, float]:
        if path.name == f"pretrained_{cls._other}.pt":
            raise ConfigError(f"{path} holds the weights of musicfm-{cls._other}", fix="Load that encoder.")
        config = path.parent / "config.json"
        general = settings_in(read_json(config if config.is_file() else None))
        if not cls._mel:  # a config may have MSD's statistics, which would give plausible but wrong vectors
            general = {key: value for key, value in general.items() if key not in MSD}
        return cls._mel | general | beside_or_within(path, beside, cls.card.name)


class MusicFMMSD(MusicFM):
    """1,024 values: MusicFM, a conformer trained on masked frames of the Million Song Dataset."""

    card = EncoderCard(
        name="musicfm-msd",
        revision="MusicFM 4513b38b",
        rate=RATE,
        window=30.0,
        dim=1024,
        frames_per_second=25.0,
        layers=12,
        parameters=328_932_480,
        licence_code="MIT and Apache-2.0 (the reference; its code is not used)",
        licence_weights="MIT",
        commercial=True,
        trained_on="Million Song Dataset: audio, no labels",
        datasets=("Million Song Dataset",),
        citation="Won, Hung & Le, A foundation model for music informatics, ICASSP 2024",
        bibtex=bibliography.MUSICFM,
        gflop=1282.8,
        concurrent=True,
        files=(
            WeightsFile(
                _HUB,
                "pretrained_msd.pt",
                _REVISION,
                sha256="218b483a0256ddef736267425fabb166fd97008983696bb9270def464b47bded",
                bytes=1_316_802_088,
            ),
            WeightsFile(_HUB, "msd_stats.json", _REVISION, sha256="c36c61ab10ca4d2e7fdfefc3fcc15205", bytes=2277),
        ),
    )
    _other, _mel = "fma", MSD


class MusicFMFMA(MusicFM):
    """1,024 values: MusicFM, a conformer trained on masked frames of the Free Music Archive."""

    card = replace(
        MusicFMMSD.card,
        name="musicfm-fma",
        trained_on="Free Music Archive: 8,000 hours of audio, no labels",
        datasets=("Free Music Archive",),
        files=(
            WeightsFile(
                _HUB,
                "pretrained_fma.pt",
                _REVISION,
                sha256="68392eee13d34c2941b3761934abb6b1e67b2e9df498695bda2ea5c1087d4b96",
                bytes=1_316_802_154,
            ),
            WeightsFile(_HUB, "fma_stats.json", _REVISION, sha256="5416e468018bae68c6231d4cbb2b11f0", bytes=2281),
        ),
    )
    _other = "msd"
