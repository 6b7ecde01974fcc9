"""Base class of the taggers in the `musicnn` package, which tag patches of a log-mel spectrum."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from timbrec.encoders.bases.layered import LayeredBase, layer_details
from timbrec.encoders.shared import bibliography
from timbrec.encoders.signals.mel import mel_bands, mel_power
from timbrec.encoders.signals.windows import mono
from timbrec.encoders.weights.packaged import MUSICNN, WeightsPackage
from timbrec.encoders.weights.reading import (
    damaged,
    fingerprint,
    load_strictly,
    read_weights,
    refuse_other_tensors,
    weights_file,
)
from timbrec.encoders.weights.tf_checkpoint import data_file, read_tf_checkpoint
from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard, Slim, WeightsFile
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    import torch

RATE, N_FFT, HOP = 16_000, 512, 256
FRAMES, MELS = 187, 96  # of a patch
PATCH = FRAMES * HOP  # samples
PAD_MODES = ("reflect", "constant")
MSD_CARD = EncoderCard(  # shared by the package's models; models of other training data replace fields
    name="",
    revision="musicnn 0.1.0",
    rate=RATE,
    window=30.0,
    dim=0,
    frames_per_second=RATE / PATCH,
    licence_code="ISC",
    licence_weights="ISC",
    commercial=True,
    trained_on="Million Song Dataset: 50 Last.fm tags of 200,000 tracks",
    datasets=("Million Song Dataset",),
    citation="Pons & Serra, musicnn: pre-trained convolutional neural networks for music audio tagging, "
    "ISMIR late-breaking demo, 2019",
    bibtex=bibliography.MUSICNN,
    time="patches of 3 s",
    concurrent=True,
)
MTT: dict[str, Any] = {  # in the card of a model trained on MagnaTagATune
    "trained_on": "MagnaTagATune: 50 tags of 19,000 clips from Magnatune",
    "datasets": ("MagnaTagATune",),
}


class PatchTagger(LayeredBase):
    """A tagger of patches of 187 mel frames (2.992 s); a vector is the mean over patches.

    Samples after the last whole patch are not used. A window shorter than a patch is repeated until it fills one, as
    in the models' training. Layer 0 is the log-mel spectrum; a subclass defines the others.

    `weights`: None (the installed `musicnn` package), its folder or one model's folder, a `.index` file of a TensorFlow
    checkpoint, or a safetensors file of its variables. `pad_mode` extends the window's ends: `reflect` as in librosa
    before 0.9, which the models were trained with, or `constant` zeros as in librosa since 0.9; the choice changes
    values of the first and last patch by up to 0.1. `overlap` is the official extractor's `input_overlap` in seconds,
    which is the step from one patch to the next; 0 is a step of one patch. The log-mel is float32 throughout; the
    official one is rounded to float16, which changes a patch's values by up to 0.0005 and overflows on loud music under
    numpy 2.
    """

    shortest = 1
    package: ClassVar[WeightsPackage] = MUSICNN  # contains the published weights
    tags: ClassVar[tuple[str, ...]]
    _folder: ClassVar[str]  # of the model in the package
    _published: ClassVar[dict[str, str]]  # names of models by the fingerprints of their published variables
    _layer_states: ClassVar[Sequence[tuple[int, int]]]  # by layer: states in a patch, values in a state

    def __init__(
        self,
        weights: Path | str | None = None,
        device: str = "cpu",
        layer: int | None = None,
        pad_mode: str = "reflect",
        overlap: float = 0.0,
    ) -> None:
        import torch

        if pad_mode not in PAD_MODES:
            raise ConfigError(f"there is no pad_mode {pad_mode!r}", fix=f"Known: {', '.join(PAD_MODES)}.")
        self._step = _step(overlap)
        path = self._find(weights)
        variables = read_variables(path)
        with torch.device("meta"):
            network = self._empty()
        load_strictly(network, self._renamed(variables), path, self.card.name)
        self.device, self.pad_mode, self._network = device, pad_mode, network.to(device)
        self._bands = torch.from_numpy(mel_bands(RATE, N_FFT, MELS)).float().to(device)
        self.layer = self.card.layers if layer is None else self._checked(layer)
        details = [*layer_details(self.layer, self.card.layers), *["constant padding"] * (pad_mode == "constant")]
        details += [f"overlap {overlap:g} s"] * bool(overlap)
        model = self._model(fingerprint(variables), path, installed=weights is None)
        self.card = self.card.loaded(
            *[f"weights {fingerprint(variables)}"] * (model is None),
            *details,
            dim=self._dim(self.layer),
            frames_per_second=self._state(self.layer)[0] * RATE / (self._step * HOP),
        )

    @classmethod
    def check_weights(cls, weights: Path | str | None) -> list[WeightsFile]:
        """An empty list: nothing is downloaded. Raises ConfigError for missing weights."""
        path = weights_file(cls._find(weights))
        if path.name.endswith(".index"):
            weights_file(data_file(path))
        return []

    @classmethod
    def slim(cls, weights: Path | str | None = None, layer: int | None = None) -> Slim:
        """The variables of the network by their official names. Raises ConfigError as loading does."""
        import torch

        path = cls._find(weights)
        variables = read_variables(path)
        with torch.device("meta"):
            refuse_other_tensors(cls._empty(), cls._renamed(variables), path, cls.card.name)
        return Slim(variables, files=[path, data_file(path)] if path.name.endswith(".index") else [path])

    def stages(self, windows: Float32[Array, "n samples"]) -> dict[str, Float32[Array, "n patches ..."]]:
        """All outputs of the official extractor by their names, by window and patch; at least one window."""
        import torch

        with torch.inference_mode():
            patches = torch.stack([self.patches(window) for window in mono(windows)])
            blocks = [self._network(block) for block in self._blocks(patches)]
            return {
                stage: torch.cat([block[stage] for block in blocks]).unflatten(0, patches.shape[:2]).cpu().numpy()
                for stage in blocks[0]
            }

    def patches(self, window: Float32[Array, "samples"]) -> torch.Tensor:
        """The network's input: log10(1 + 10,000 power) of 96 mel bands, in (patches, 187, 96)."""
        import torch

        window = np.resize(window, max(len(window), PATCH - HOP))  # repeats a short one; n frames take n - 1 hops
        power = mel_power(torch.from_numpy(window[None]).to(self.device), self._bands, HOP, pad_mode=self.pad_mode)
        return (10_000 * power[0].T + 1).log10().unfold(0, FRAMES, self._step).mT.contiguous()

    def _states(self, audio: torch.Tensor, layers: Collection[int]) -> Iterator[tuple[int, torch.Tensor]]:
        import torch

        patches = torch.stack([self.patches(window) for window in audio.cpu().numpy()])
        blocks = [self._layers(block, layers) for block in self._blocks(patches)]
        for layer in sorted(set(layers)):
            yield layer, torch.cat([block[layer] for block in blocks]).unflatten(0, patches.shape[:2]).flatten(1, 2)

    def _blocks(self, patches: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The patches of all windows, one per block on a processor (its cache holds one) and 32 on a GPU."""
        return patches.flatten(0, 1).split(1 if self.device.startswith("cpu") else 32)

    def _count(self, samples: int) -> int:
        """The number of patches in a window of this many samples."""
        return (1 + max(samples, PATCH - HOP) // HOP - FRAMES) // self._step + 1

    def _dim(self, layer: int) -> int:
        return self._state(layer)[1]

    def _shape(self, samples: int, layer: int) -> tuple[int, int]:
        per_patch, width = self._state(layer)
        return self._count(samples) * per_patch, width

    def _state(self, layer: int) -> tuple[int, int]:
        """The number of a layer's states in a patch, and the values in a state."""
        return self._layer_states[layer]

    @classmethod
    @abstractmethod
    def _empty(cls) -> Any:
        """The network without values."""

    @staticmethod
    @abstractmethod
    def _renamed(variables: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The checkpoint's variables by their names in the network."""

    @abstractmethod
    def _layers(self, patches: torch.Tensor, layers: Collection[int]) -> dict[int, torch.Tensor]:
        """The states (n, time, dim) of these layers for each of (n, 187, 96) patches."""

    def _model(self, digest: str, path: Path, installed: bool) -> str | None:
        """The published model with these weights; None for other weights."""
        model = self._published.get(digest)
        if model is None and installed:
            raise damaged(path)
        if model not in (None, self.card.name):
            raise ConfigError(f"{path} holds the weights of {model}, not {self.card.name}", fix=f"Load {model}.")
        return model

    @classmethod
    def _find(cls, weights: Path | str | None) -> Path:
        """The file to read."""
        if weights is None:
            spec = find_spec(cls.package.name)
            if spec is None or not spec.submodule_search_locations:
                raise ConfigError(
                    f"the weights of {cls.card.name} come with the musicnn package, which is not installed",
                    fix="Run `timbrec weights get musicnn`, or give the weights' path.",
                )
            weights = spec.submodule_search_locations[0]
        path = Path(weights)
        if not path.is_dir():
            return path
        names = (".index", f"{cls._folder}/.index", f"{cls._folder}.safetensors")
        file = next((path / name for name in names if (path / name).exists()), None)
        if file is None:
            raise ConfigError(
                f"there are no weights of {cls.card.name} in {path}", fix=f"Looked for {', '.join(names)}."
            )
        return file


def read_variables(path: Path) -> dict[str, torch.Tensor]:
    """The variables of a network, without the optimiser's."""
    import torch

    if not path.name.endswith(".index"):
        return read_weights(path)
    variables = read_tf_checkpoint(path)
    kept = {name: value for name, value in variables.items() if not _of_the_optimiser(name)}
    return {name: torch.from_numpy(np.array(value)) for name, value in kept.items()}


def _of_the_optimiser(variable: str) -> bool:
    """Whether a variable is one of Adam's two moments of another variable, or one of its two running powers."""
    return variable.endswith(("/Adam", "/Adam_1")) or variable in ("beta1_power", "beta2_power")


def _step(overlap: float) -> int:
    """Frames from one patch to the next, as the official extractor counts them."""
    step = FRAMES if overlap == 0 else (int(overlap * RATE) - N_FFT // 2) // HOP
    if step < 1:
        raise ConfigError(f"overlap={overlap:g} s is less than a frame", fix="Give 0, or at least 0.032 s.")
    return step
