"""MULE: embeddings of slices of 3 s, learned without labels; its official file is read without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from timbrec.encoders.shared import bibliography
from timbrec.encoders.shared.resampling import resampled
from timbrec.encoders.signals.mel import mel_bands, mel_power
from timbrec.encoders.signals.windows import mono
from timbrec.encoders.weights.reading import fingerprint, read_config, read_weights, weights_file
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import EncoderCard, Slim, WeightsFile
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    import torch

    from timbrec.encoders.networks.mule import MULENetwork

RATE, N_FFT, WIN, HOP, MELS = 16_000, 2048, 400, 160, 96
FRAMES, STEP = 300, 200  # of a slice; from one slice's centre to the next
FLOOR = 0.01  # of a slice's standard deviation
POOLS, MONO_GAINS = ("mean", "sum"), {"full": 1.0, "official": 0.5}


class MULE:
    """1,728 values: the mean over its slices of a window's embeddings by SF-NFNet-F0, trained on Musicset.

    A slice is 3 s of log-mel, standardised as a whole. Slices are centred every 2 s, the first at 2 s; the last slice
    is moved back to end with the window. A window shorter than a slice is repeated until it fills one.

    `weights`: the official `model.keras` (h5py reads it), a safetensors file of its variables, or the folder of either.
    `pool="sum"` is the study's way: it adds up the slices, so that vectors grow with the track. `mono_gain="official"`
    halves the samples, as the official reader does with mono files but not with stereo files.
    `resampler="kaiser_best"`, which needs resampy, converts files to 16 kHz as librosa did before version 0.10.
    """

    card = EncoderCard(
        name="mule",
        revision="sxmp-mule 1.1.2",
        rate=RATE,
        window=30.0,
        dim=1728,
        frames_per_second=RATE / HOP / STEP,
        layers=0,
        parameters=62_345_742,
        licence_code="GPL-3.0 (the reference; its code is not used)",
        licence_weights="CC-BY-NC-4.0",
        commercial=False,
        trained_on="Musicset, unpublished: pairs of excerpts of a track, no labels",
        citation="McCallum et al., Supervised and unsupervised learning of audio representations for music "
        "understanding, ISMIR 2022",
        bibtex=bibliography.MULE,
        time="slices of 3 s, one every 2 s",
        gflop=128.0,
        concurrent=True,
    )

    def __init__(
        self,
        weights: Path | str | None = None,
        device: str = "cpu",
        pool: str = "mean",
        mono_gain: str = "full",
        resampler: str = "soxr",
    ) -> None:
        import torch

        if pool not in POOLS:
            raise ConfigError(f"mule cannot be pooled by {pool!r}", fix=f"Known: {', '.join(POOLS)}.")
        if mono_gain not in MONO_GAINS:
            raise ConfigError(f"there is no mono_gain {mono_gain!r}", fix=f"Known: {', '.join(MONO_GAINS)}.")
        network = _read(_find(weights))
        options = ["summed"] * (pool == "sum") + ["half gain"] * (mono_gain == "official")
        self.card = self.card.loaded(
            f"weights {fingerprint(network.state_dict())}",
            *options,
            dim=network.dim,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
        )
        self.card = resampled(self.card, resampler)
        self.device, self.pool, self.mono_gain = device, pool, mono_gain
        self._network = network.to(device)
        self._bands = torch.from_numpy(mel_bands(RATE, N_FFT, MELS, scale="htk", norm="l2")).float().to(device)

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n dim"]:
        """The mean (or sum) of the slices' embeddings. Raises AudioError for windows of no samples."""
        embeddings = self.frames(windows)
        return embeddings.mean(axis=1) if self.pool == "mean" else embeddings.sum(axis=1)

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> Float32[Array, "n slices dim"]:
        """The embedding of each slice. There are no numbered layers: ConfigError."""
        if layer is not None:
            raise ConfigError("mule has no numbered layers", example=layer, fix="Leave `layer` out.")
        import torch

        if not len(mono(windows)):
            return np.empty((0, len(_starts(_frames(windows.shape[1]))), self.card.dim), np.float32)
        slices = torch.cat([self.slices(window) for window in windows])
        # Few slices stay in a processor's cache; a GPU needs many to be busy.
        blocks = [self._network(block).cpu().numpy() for block in slices.split(5 if self.device == "cpu" else 120)]
        return np.concatenate(blocks).reshape(len(windows), -1, self.card.dim)

    @classmethod
    def check_weights(cls, weights: Path | str | None) -> list[WeightsFile]:
        """An empty list: nothing is downloaded. Raises ConfigError for missing weights."""
        weights_file(_find(weights))
        return []

    @classmethod
    def slim(cls, weights: Path | str | None = None, layer: int | None = None) -> Slim:
        """The weights by their positions in the network. Raises ConfigError as loading does."""
        path = _find(weights)
        network = _read(path)
        return Slim(network.state_dict(), {"final_activation": network.final_activation}, [path])

    def slices(self, window: Float32[Array, "samples"]) -> torch.Tensor:
        """The network's input: (slices, 96, 300), each of mean 0 and, unless it hardly varies, standard deviation 1."""
        import torch

        if not len(window):
            raise AudioError("there are no samples to encode")
        window = np.resize(window, max(len(window), (FRAMES - 1) * HOP))  # repeats a short window
        audio = torch.from_numpy(window * np.float32(MONO_GAINS[self.mono_gain])).to(self.device)
        log_mel = (10_000 * mel_power(audio[None], self._bands, HOP, win=WIN)[0] + 1).log10()
        slices = torch.stack([log_mel[:, start : start + FRAMES] for start in _starts(log_mel.shape[1])])
        deviation, mean = torch.std_mean(slices, dim=(1, 2), correction=0, keepdim=True)
        return (slices - mean) / deviation.clamp(min=FLOOR)


def _frames(samples: int) -> int:
    return 1 + max(samples // HOP, FRAMES - 1)


def _starts(frames: int) -> list[int]:
    """The first frame of each slice. Slices that would pass an end are moved to it."""
    return [min(max(centre - FRAMES // 2, 0), frames - FRAMES) for centre in range(STEP, frames, STEP)]


def _find(weights: Path | str | None) -> Path:
    if weights is None:
        raise ConfigError(
            "mule's weights must be given: their licence (CC BY-NC 4.0) forbids shipping them with this package",
            fix="`git lfs pull` github.com/PandoraMedia/music-audio-representations and give the path of "
            "supporting_data/model/model.keras.",
        )
    path = Path(weights)
    if not path.is_dir():
        return path
    names = ("model.keras", "mule.safetensors", "supporting_data/model/model.keras")
    file = next((path / name for name in names if (path / name).exists()), None)
    if file is None:
        raise ConfigError(f"there are no weights of mule in {path}", fix=f"Looked for {', '.join(names)}.")
    return file


def _read(path: Path) -> MULENetwork:
    from timbrec.encoders.weights.mule import load_keras, mule_network

    if path.suffix != ".safetensors":
        return load_keras(path)
    return mule_network(read_weights(path), path, read_config(path).get("final_activation", True))
