"""MusiCNN: a small tagger whose official weights come with a Python package; read and run without TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from timbrec.encoders.shared import musicnn_tags
from timbrec.encoders.signals.mel import mel_bands, mel_power
from timbrec.encoders.signals.windows import mono
from timbrec.encoders.weights.reading import (
    Slim,
    damaged,
    fingerprint,
    load_strictly,
    read_weights,
    refuse_other_tensors,
)
from timbrec.encoders.weights.tf_checkpoint import read_tf_checkpoint
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import EncoderCard
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    import torch

RATE, N_FFT, HOP = 16_000, 512, 256
FRAMES, MELS, UNITS = 187, 96, 200  # of a patch; of its vector
PATCH = FRAMES * HOP  # samples
OFFICIAL = {"a435820f343a": "musicnn-msd", "7e01a9674997": "musicnn-mtt"}  # the published variables' fingerprints
PAD_MODES = ("reflect", "constant")


class MusiCNN:
    """The mean over its patches of a window's 200 penultimate values. Base of the two published models.

    A patch is 187 mel frames, 2.992 s; what is left behind the last whole patch is not used. A window shorter than one
    patch is played again from its start until it fills one, as short tracks were in the models' training.

    `weights`: None (the installed `musicnn` package), its folder or that of one model, a `.index` file of a TensorFlow
    checkpoint, or a safetensors file of its variables. `first_patch_only`: what the released package makes of a track,
    and so perhaps the study: it repeats the first patch's vector for all others. `pad_mode`: what lies beyond the
    window's ends, `reflect` as in the librosa of the models' time, or `constant` zeros as in librosa since 0.9; it
    moves values of the first and last patch by up to 0.1. The log-mel is float32 throughout; the official one is
    rounded to float16, which moves values by up to 0.0002, and overflows on loud music under numpy 2.
    """

    card: EncoderCard
    tags: ClassVar[tuple[str, ...]]
    _folder: ClassVar[str]

    def __init__(
        self,
        weights: Path | str | None = None,
        device: str = "cpu",
        first_patch_only: bool = False,
        pad_mode: str = "reflect",
    ) -> None:
        import torch

        from timbrec.encoders.networks.musicnn import MusiCNNNetwork, renamed

        if pad_mode not in PAD_MODES:
            raise ConfigError(f"there is no pad_mode {pad_mode!r}", fix=f"Known: {', '.join(PAD_MODES)}.")
        path = self._find(weights)
        variables = _read(path)
        with torch.device("meta"):
            network = MusiCNNNetwork()
        load_strictly(network, renamed(variables), path, self.card.name)
        self.device, self.first_patch_only, self.pad_mode = device, first_patch_only, pad_mode
        self._network = network.to(device)
        self._bands = torch.from_numpy(mel_bands(RATE, N_FFT, MELS)).float().to(device)
        parts = [self._revision(fingerprint(variables), path, installed=weights is None)]
        parts += ["first patch"] * first_patch_only + ["constant padding"] * (pad_mode == "constant")
        self.card = replace(self.card, revision=", ".join(parts))

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n 200"]:
        """The mean of the patches' vectors. Raises AudioError for windows of no samples."""
        return self.frames(windows).mean(axis=1)

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> Float32[Array, "n patches 200"]:
        """The penultimate layer's values for each patch. There are no numbered layers: ConfigError."""
        if layer is not None:
            raise ConfigError(f"{self.card.name} has no numbered layers", example=layer, fix="Leave `layer` out.")
        if not len(mono(windows)):
            return np.empty((0, max(1, (1 + windows.shape[1] // HOP) // FRAMES), UNITS), np.float32)
        blocks = [self._network(block)["penultimate"] for block in self._blocks(windows)]
        return self._by_window(windows, blocks)

    def stages(self, windows: Float32[Array, "n samples"]) -> dict[str, Float32[Array, "n patches ..."]]:
        """All that the official extractor returns, under its names, by window and patch.

        `timbral` (187 frames x 408), `temporal` (187 x 153), `cnn1`, `cnn2`, `cnn3` (187 x 64), `max_pool` and
        `mean_pool` (753), `penultimate` (200) and `taggram` (50): the probabilities of `tags`.
        """
        blocks = [self._network(block) for block in self._blocks(windows)]
        return {stage: self._by_window(windows, [block[stage] for block in blocks]) for stage in blocks[0]}

    def patches(self, window: Float32[Array, "samples"]) -> torch.Tensor:
        """The network's input: log10(1 + 10,000 power) of 96 mel bands, in (patches, 187, 96). See `encode`."""
        import torch

        if not len(window):
            raise AudioError("there are no samples to encode")
        window = np.resize(window, max(len(window), PATCH - HOP))  # repeats what is short; n frames take n - 1 hops
        audio = torch.from_numpy(np.array(window[: PATCH if self.first_patch_only else None])).to(self.device)
        power = mel_power(audio[None], self._bands, HOP, pad_mode=self.pad_mode)[0].T
        whole = power[: len(power) // FRAMES * FRAMES]
        return (10_000 * whole + 1).log10().view(-1, FRAMES, MELS)

    def _blocks(self, windows: Float32[Array, "n samples"]) -> tuple[torch.Tensor, ...]:
        """The patches of all windows: one at a time stays in a processor's cache, a GPU needs many to be busy."""
        import torch

        return torch.cat([self.patches(window) for window in mono(windows)]).split(1 if self.device == "cpu" else 32)

    @classmethod
    def slim(cls, weights: Path | str | None = None) -> Slim:
        """The variables of the network by their official names. Raises ConfigError as loading them does."""
        import torch

        from timbrec.encoders.networks.musicnn import MusiCNNNetwork, renamed

        path = cls._find(weights)
        variables = _read(path)
        with torch.device("meta"):
            refuse_other_tensors(MusiCNNNetwork(), renamed(variables), path, cls.card.name)
        data = path.with_name(path.name.replace(".index", ".data-00000-of-00001"))
        return Slim(variables, files=sorted({path, data}))

    @staticmethod
    def _by_window(windows: Float32[Array, "n samples"], blocks: list[torch.Tensor]) -> Float32[Array, "n patches ..."]:
        values = np.concatenate([block.cpu().numpy() for block in blocks])
        return values.reshape(len(windows), -1, *values.shape[1:])

    def _revision(self, found: str, path: Path, installed: bool) -> str:
        """What the vectors depend on besides the options: the published weights, or which others."""
        model = OFFICIAL.get(found)
        if model is None and installed:
            raise damaged(path)
        if model not in (None, self.card.name):
            raise ConfigError(f"{path} holds the weights of {model}, not {self.card.name}", fix="Give the other's.")
        return self.card.revision if model else f"weights {found}"

    @classmethod
    def _find(cls, weights: Path | str | None) -> Path:
        """The file to read."""
        if weights is None:
            spec = find_spec("musicnn")
            if spec is None or not spec.submodule_search_locations:
                raise ConfigError(
                    f"the weights of {cls.card.name} come with the musicnn package, which is not installed",
                    fix="Run `pip install --no-deps musicnn`, or give the weights' path.",
                )
            weights = spec.submodule_search_locations[0]
        path = Path(weights)
        if not path.is_dir():
            return path
        names = (".index", f"{cls._folder}/.index", f"{cls._folder}.safetensors")
        found = next((path / name for name in names if (path / name).exists()), None)
        if found is None:
            raise ConfigError(
                f"there are no weights of {cls.card.name} in {path}", fix=f"Looked for {', '.join(names)}."
            )
        return found


class MusiCNNMSD(MusiCNN):
    """200 values: the penultimate layer of MusiCNN, a tagger trained on the Million Song Dataset."""

    card = EncoderCard(
        name="musicnn-msd",
        revision="musicnn 0.1.0",
        rate=RATE,
        window=30.0,
        dim=UNITS,
        frames_per_second=RATE / PATCH,
        layers=0,
        parameters=792_079,
        licence_code="ISC",
        licence_weights="ISC",
        commercial=True,
        trained_on="Million Song Dataset: 50 Last.fm tags of 200,000 tracks",
        citation="Pons & Serra, musicnn: pre-trained convolutional neural networks for music audio tagging, "
        "ISMIR late-breaking demo, 2019",
        time="patches of 3 s",
        gflop=28.0,
    )
    tags = musicnn_tags.MSD
    _folder = "MSD_musicnn"


class MusiCNNMTT(MusiCNN):
    """200 values: the penultimate layer of MusiCNN, a tagger trained on MagnaTagATune."""

    card = replace(
        MusiCNNMSD.card, name="musicnn-mtt", trained_on="MagnaTagATune: 50 tags of 19,000 clips from Magnatune"
    )
    tags = musicnn_tags.MTT
    _folder = "MTT_musicnn"


def _read(path: Path) -> dict[str, torch.Tensor]:
    """The variables of the network; the optimiser's are left out."""
    import torch

    if not path.name.endswith(".index"):
        return read_weights(path)
    variables = read_tf_checkpoint(path)
    kept = {name: value for name, value in variables.items() if not _of_the_optimiser(name)}
    return {name: torch.from_numpy(np.array(value)) for name, value in kept.items()}


def _of_the_optimiser(variable: str) -> bool:
    """Whether it is one of Adam's two moments of a variable, or one of its two running powers."""
    return variable.endswith(("/Adam", "/Adam_1")) or variable in ("beta1_power", "beta2_power")
