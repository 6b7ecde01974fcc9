"""What MusicFM, MuQ and MuQ-MuLan share: reading a conformer's weights, and its hidden states for windows of audio."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from timbrec.encoders.signals.windows import mono
from timbrec.encoders.weights.hub import find_files
from timbrec.encoders.weights.official import inference_tensors, read_json, small_fingerprint
from timbrec.encoders.weights.reading import Slim, load_strictly, read_config, read_weights, refuse_other_tensors
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import EncoderCard
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    import torch

    from timbrec.encoders.networks.conformer import ConformerNetwork

RATE, HOP, SHORTEST = 24_000, 240, 1025  # SHORTEST samples can be mirrored at their ends by half a transform
DTYPES = ("float32", "bfloat16")
MSD = {"mean": 6.768444971712967, "deviation": 18.417922652295623}  # of the decibels in the Million Song Dataset
# What checkpoints hold besides: what only training uses, and the positions that rotary ones replaced.
_UNUSED = (
    r"cls_token|linear\.(weight|bias)|conformer\.embed_positions\.inv_freq"
    r"|conformer\.pos_conv_embed\.conv\.(bias|weight|weight_g|weight_v|parametrizations\.weight\.original[01])"
)
UNUSED = {
    "musicfm": re.compile(rf"{_UNUSED}|quantizer_melspec_2048_\d+\..+|preprocessor_melspec_2048\..+"),
    "muq": re.compile(rf"{_UNUSED}|quantizer_melspec_2048\..+|rvq\..+"),
}
_SETTINGS = {
    "encoder_depth": "layers",
    "num_attention_heads": "heads",
    "layer_norm_eps": "epsilon",
    "rotary_embedding_base": "rotary_base",
    "melspec_2048_mean": "mean",
    "melspec_2048_std": "deviation",
    "clip_secs": "clip",
}


class Conformer:
    """A conformer on a device, with the mel spectrum that is its input."""

    def __init__(
        self,
        tensors: Mapping[str, torch.Tensor],
        settings: Mapping[str, float],
        unused: re.Pattern[str],
        source: Path,
        card: EncoderCard,
        device: str,
        dtype: str,
    ) -> None:
        import torch

        from timbrec.encoders.networks.conformer import training_bands

        if dtype not in DTYPES:
            raise ConfigError(f"{card.name} cannot compute in {dtype!r}", fix=f"Choose from {', '.join(DTYPES)}.")
        network, needed = empty(tensors, settings, unused, source, card.name)
        load_strictly(network, needed, source, card.name)
        self.device, self.dtype, self.sizes = device, getattr(torch, dtype), network.sizes
        self.mean, self.deviation = mel_statistics(settings, source, card)
        self.bands = training_bands().to(device)
        self.network = network.ready().to(device, self.dtype)

    def states(self, windows: Float32[Array, "n samples"], wanted: Sequence[int]) -> Iterator[dict[int, torch.Tensor]]:
        """The wanted layers of some windows at a time: one fills a processor, and then is the same in any batch.

        Raises AudioError for windows under 1,025 samples.
        """
        import torch

        step = 1 if self.device == "cpu" else max(1, 8 * 30 * RATE // max(1, windows.shape[1]))
        for start in range(0, len(windows), step):
            with torch.inference_mode():
                mel = self.mel(windows[start : start + step]).to(self.dtype)
                yield {number: state.float() for number, state in self.network(mel, wanted).items()}

    def digest(self, tensors: Mapping[str, torch.Tensor], *others: float) -> str:
        """A fingerprint of all in the files that decides the hidden states: tensors, and what stands beside them."""
        import torch

        sizes = self.sizes
        numbers = (sizes.heads, sizes.epsilon, sizes.rotary_base, self.mean, self.deviation, *others)
        return small_fingerprint({**tensors, "settings": torch.tensor(numbers, dtype=torch.float32)})

    def mel(self, windows: Float32[Array, "n samples"]) -> torch.Tensor:
        """(n, 128, samples // 240) decibels, standardised by their mean and deviation in the training data."""
        import torch

        from timbrec.encoders.networks.conformer import decibels

        if windows.shape[1] < SHORTEST:
            raise AudioError(
                f"{windows.shape[1]:,} samples are too short", fix=f"It takes {SHORTEST:,} at {RATE:,} Hz (43 ms)."
            )
        audio = torch.from_numpy(np.ascontiguousarray(windows)).to(self.device)
        return (decibels(audio, self.bands) - self.mean) / self.deviation


class ConformerEncoder(ABC):
    """Hidden states of a conformer over mel spectra; base of MusicFM and MuQ. A frame is 40 ms."""

    card: EncoderCard
    _model: ClassVar[str]

    def __init__(
        self,
        weights: Path | str | None = None,
        device: str = "cpu",
        layer: int | None = None,
        dtype: str = DTYPES[0],
    ) -> None:
        tensors, settings, path = self._read(weights)
        unused = UNUSED[self._model]
        self._conformer = Conformer(tensors, settings, unused, path, self.card, device, dtype)
        sizes, self.device = self._conformer.sizes, device
        self.card = replace(self.card, layers=sizes.layers)
        self.layer = sizes.layers if layer is None else self._checked(layer)
        found = self._conformer.digest(inference_tensors(tensors, unused))
        parts = [self.card.revision, f"weights {found}", *([dtype] * (dtype != DTYPES[0]))]
        parts += [f"layer {self.layer}"] * (self.layer != sizes.layers)
        self.card = sized(replace(self.card, revision=", ".join(parts), dim=sizes.dim), self._conformer)

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n dim"]:
        """The mean over time of `frames`. Raises AudioError for windows under 1,025 samples (43 ms)."""
        return self.encode_layers(windows, [self.layer])[:, 0]

    def encode_layers(
        self, windows: Float32[Array, "n samples"], layers: Sequence[int]
    ) -> Float32[Array, "n layers dim"]:
        """The mean over time of each of these layers, all from one pass."""
        import torch

        wanted = [self._checked(layer) for layer in layers]
        pooled = [torch.stack([states[layer].mean(self._pooled) for layer in wanted], 1).cpu().numpy()
                  for states in self._conformer.states(mono(windows), wanted)] if wanted else []  # fmt: skip
        return np.concatenate(pooled) if pooled else np.empty((len(windows), len(wanted), self.card.dim), np.float32)

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> Float32[Array, "n time dim"]:
        """The states of a layer: 0 is the first one's input, the last (the default) comes behind the final norm."""
        wanted = self.layer if layer is None else self._checked(layer)
        states = [states[wanted].cpu().numpy() for states in self._conformer.states(mono(windows), [wanted])]
        time = -(-(windows.shape[1] // HOP) // 4)
        return np.concatenate(states) if states else np.empty((0, time, self._conformer.sizes.dim), np.float32)

    @classmethod
    def slim(cls, weights: Path | str | None = None) -> Slim:
        """What encoding needs of the weights, in their precision. Raises ConfigError as loading does."""
        tensors, settings, path = cls._read(weights)
        network, needed = empty(tensors, settings, UNUSED[cls._model], path, cls.card.name)
        refuse_other_tensors(network, needed, path, cls.card.name)
        mel_statistics(settings, path, cls.card)
        return Slim(needed, told(settings | {"heads": float(network.sizes.heads)}, cls.card.name), [path])

    _pooled: int = 1  # the axis

    @classmethod
    def _read(cls, weights: Path | str | None) -> tuple[dict[str, torch.Tensor], dict[str, float], Path]:
        """The tensors without their prefix, what the files say besides, and where they are."""
        found, beside = find_files(weights, cls.card)
        path = Path(str(found))
        tensors = inference_tensors(read_weights(path), re.compile(""), "model.")
        return tensors, cls._settings(path, beside), path

    @classmethod
    @abstractmethod
    def _settings(cls, path: Path, beside: Path | None) -> dict[str, float]:
        """What the files at this path and beside it say of the model."""

    def _checked(self, layer: int) -> int:
        if not 0 <= layer <= self.card.layers:
            raise ConfigError(f"{self.card.name} has no layer {layer}", fix=f"Its layers are 0 to {self.card.layers}.")
        return layer


def empty(
    tensors: Mapping[str, torch.Tensor],
    settings: Mapping[str, float],
    unused: re.Pattern[str],
    source: Path,
    name: str,
) -> tuple[ConformerNetwork, dict[str, torch.Tensor]]:
    """The network for these tensors, without values, and those it needs. Raises ConfigError where they tell no size."""
    import torch

    from timbrec.encoders.networks.conformer import ConformerNetwork, Sizes

    fix = f"Give the weights of {name}."
    try:
        sizes = Sizes.of(tensors, settings)
    except KeyError as error:
        raise ConfigError(f"{source} lacks tensors of {name}", example=error.args[0], fix=fix) from error
    except IndexError as error:
        raise ConfigError(f"{source} holds tensors of other shapes than {name}", fix=fix) from error
    if sizes.heads < 1 or sizes.dim % (2 * sizes.heads):
        raise ConfigError(f"{source}: {sizes.dim} channels cannot be dealt to {sizes.heads} heads", fix=fix)
    with torch.device("meta"):
        network = ConformerNetwork(sizes)
    return network, inference_tensors(tensors, unused)


def settings_in(config: Mapping[str, Any]) -> dict[str, float]:
    """What a config says of the network and its mel spectrum, at whatever depth, by the names of `Sizes`."""
    found: dict[str, float] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            found |= settings_in(value)
        elif key in _SETTINGS and isinstance(value, int | float) and math.isfinite(value):
            found[_SETTINGS[key]] = float(value)
    return found


def beside_or_within(path: Path, beside: Path | None, name: str) -> dict[str, float]:
    """The settings that a converted file of weights holds itself, or those of a JSON file beside it.

    Raises ConfigError for a file that was converted for another encoder.
    """
    within = read_config(path)
    if within.get("encoder", name) != name:
        raise ConfigError(f"{path} holds the weights of {within['encoder']}, not {name}", fix="Give the other's.")
    return settings_in(read_json(beside)) | settings_in(within)


def told(settings: Mapping[str, float], name: str) -> dict[str, Any]:
    """The settings as a config that `beside_or_within` reads."""
    return {"encoder": name} | {key: settings[value] for key, value in _SETTINGS.items() if value in settings}


def mel_statistics(settings: Mapping[str, float], path: Path, card: EncoderCard) -> tuple[float, float]:
    """Mean and standard deviation of the mel spectrum's decibels in the training data. Raises ConfigError without."""
    if "mean" not in settings or settings.get("deviation", 0.0) <= 0:
        raise ConfigError(
            "the mel spectrum's mean and standard deviation in the training data are missing",
            fix=f"Put {card.files[1].path} of {card.files[1].repo} beside {path}.",
        )
    return settings["mean"], settings["deviation"]


def sized(card: EncoderCard, conformer: Conformer) -> EncoderCard:
    """The card, with the cost of a network that is not of the published sizes."""
    from timbrec.encoders.networks.conformer import Sizes

    if conformer.sizes == Sizes():
        return card
    parameters = sum(one.numel() for one in conformer.network.parameters())
    return replace(card, parameters=parameters, gflop=conformer.sizes.gflop(round(card.window * RATE)))
