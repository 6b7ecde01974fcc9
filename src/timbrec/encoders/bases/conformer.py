"""Conformers over mel spectra: reading weights, computing states, and the base class of MusicFM and MuQ."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from timbrec.encoders.bases.layered import DTYPES, LayeredBase, checked_dtype, dtype_details, layer_details
from timbrec.encoders.weights.hub import check_files, find_files
from timbrec.encoders.weights.official import inference_tensors, read_json, small_fingerprint
from timbrec.encoders.weights.reading import load_strictly, read_config, read_weights, refuse_other_tensors
from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard, Slim, WeightsFile

if TYPE_CHECKING:
    import torch

    from timbrec.encoders.networks.conformer import ConformerNetwork

RATE, HOP = 24_000, 240
SHORTEST = 1025  # samples; fewer cannot be mirrored at their ends by half a transform
SECONDS = (
    0.0,
    240.0,
)  # per pass; one window fills a processor, and alone it has the same bits in any batch
MSD = {"mean": 6.768444971712967, "deviation": 18.417922652295623}  # of the decibels in the Million Song Dataset
# Tensors in checkpoints that encoding does not need: for training only, or positions replaced by rotary ones.
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

        checked_dtype(dtype, card.name)
        network, needed = empty(tensors, settings, unused, source, card.name)
        load_strictly(network, needed, source, card.name)
        self.dtype, self.sizes = getattr(torch, dtype), network.sizes
        self.mean, self.deviation = mel_statistics(settings, source, card)
        self.bands = training_bands().to(device)
        self.network = network.ready().to(device, self.dtype)

    def states(self, audio: torch.Tensor, layers: Collection[int]) -> Iterator[tuple[int, torch.Tensor]]:
        """Pairs of layer and states (n, time, dim), in ascending order, of (n, samples) on the device."""
        return self.network.states(self.mel(audio).to(self.dtype), layers)

    def mel(self, audio: torch.Tensor) -> torch.Tensor:
        """(n, 128, samples // 240) decibels, standardised by mean and deviation of the training data."""
        from timbrec.encoders.networks.conformer import decibels

        return (decibels(audio, self.bands) - self.mean) / self.deviation

    def digest(self, tensors: Mapping[str, torch.Tensor], *settings: float) -> str:
        """A fingerprint of the tensors and of all settings that the states depend on."""
        import torch

        sizes = self.sizes
        numbers = (sizes.heads, sizes.epsilon, sizes.rotary_base, self.mean, self.deviation, *settings)
        return small_fingerprint({**tensors, "settings": torch.tensor(numbers, dtype=torch.float32)})


class ConformerEncoder(LayeredBase):
    """Base of MusicFM and MuQ: hidden states of a conformer over mel spectra. A frame is 40 ms."""

    shortest = SHORTEST
    seconds = SECONDS
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
        self.card = self.card.loaded(layers=sizes.layers, dim=sizes.dim)
        self.layer = sizes.layers if layer is None else self._checked(layer)
        details = [f"weights {self._conformer.digest(inference_tensors(tensors, unused))}", *dtype_details(dtype)]
        self.card = self.card.loaded(
            *details, *layer_details(self.layer, sizes.layers), **costs(self._conformer, self.card.window)
        )

    @classmethod
    def check_weights(cls, weights: Path | str | None) -> list[WeightsFile]:
        """The official files that loading would download. Raises ConfigError for missing weights."""
        return check_files(weights, cls.card)

    @classmethod
    def slim(cls, weights: Path | str | None = None, layer: int | None = None) -> Slim:
        """The tensors that encoding needs, in their precision. Raises ConfigError as loading does."""
        tensors, settings, path = cls._read(weights)
        network, needed = empty(tensors, settings, UNUSED[cls._model], path, cls.card.name)
        refuse_other_tensors(network, needed, path, cls.card.name)
        mel_statistics(settings, path, cls.card)
        return Slim(needed, stored(settings | {"heads": float(network.sizes.heads)}, cls.card.name), [path])

    def _states(self, audio: torch.Tensor, layers: Collection[int]) -> Iterator[tuple[int, torch.Tensor]]:
        return self._conformer.states(audio, layers)

    def _shape(self, samples: int, layer: int) -> tuple[int, int]:
        return -(-(samples // HOP) // 4), self._conformer.sizes.dim

    @classmethod
    def _read(cls, weights: Path | str | None) -> tuple[dict[str, torch.Tensor], dict[str, float], Path]:
        """The tensors without their prefix, the settings in the files, and the path of the tensors."""
        tensors, beside = find_files(weights, cls.card)
        path = Path(str(tensors))
        return inference_tensors(read_weights(path), re.compile(""), "model."), cls._settings(path, beside), path

    @classmethod
    @abstractmethod
    def _settings(cls, path: Path, beside: Path | None) -> dict[str, float]:
        """The settings of the model, from the file of weights and the file beside it."""


def empty(
    tensors: Mapping[str, torch.Tensor],
    settings: Mapping[str, float],
    unused: re.Pattern[str],
    source: Path,
    name: str,
) -> tuple[ConformerNetwork, dict[str, torch.Tensor]]:
    """The network for these tensors, without values, and the tensors it needs.

    Raises ConfigError if sizes cannot be read from the tensors.
    """
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
        raise ConfigError(f"{source}: {sizes.dim} channels cannot be divided among {sizes.heads} heads", fix=fix)
    with torch.device("meta"):
        network = ConformerNetwork(sizes)
    return network, inference_tensors(tensors, unused)


def settings_in(config: Mapping[str, Any]) -> dict[str, float]:
    """The settings of network and mel spectrum at any depth of a config, by their names in `Sizes`."""
    settings: dict[str, float] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            settings |= settings_in(value)
        elif key in _SETTINGS and isinstance(value, int | float) and math.isfinite(value):
            settings[_SETTINGS[key]] = float(value)
    return settings


def beside_or_within(path: Path, beside: Path | None, name: str) -> dict[str, float]:
    """The settings in a JSON file beside the weights, overridden by the settings within a converted file.

    Raises ConfigError for a file that was converted for another encoder.
    """
    within = read_config(path)
    if within.get("encoder", name) != name:
        raise ConfigError(
            f"{path} holds the weights of {within['encoder']}, not {name}", fix=f"Give the weights of {name}."
        )
    return settings_in(read_json(beside)) | settings_in(within)


def stored(settings: Mapping[str, float], name: str) -> dict[str, Any]:
    """The settings as a config that `beside_or_within` reads."""
    return {"encoder": name} | {key: settings[value] for key, value in _SETTINGS.items() if value in settings}


def mel_statistics(settings: Mapping[str, float], path: Path, card: EncoderCard) -> tuple[float, float]:
    """Mean and standard deviation of the mel spectrum's decibels in the training data.

    Raises ConfigError if the settings lack them.
    """
    if "mean" not in settings or settings.get("deviation", 0.0) <= 0:
        raise ConfigError(
            "the mel spectrum's mean and standard deviation in the training data are missing",
            fix=f"Put {card.files[1].path} of {card.files[1].repo} beside {path}.",
        )
    return settings["mean"], settings["deviation"]


def costs(conformer: Conformer, window: float) -> dict[str, Any]:
    """The card's `parameters` and `gflop` for a network of other sizes than the published; {} for the published."""
    from timbrec.encoders.networks.conformer import Sizes

    if conformer.sizes == Sizes():
        return {}
    parameters = sum(parameter.numel() for parameter in conformer.network.parameters())
    return {"parameters": parameters, "gflop": conformer.sizes.gflop(round(window * RATE))}
