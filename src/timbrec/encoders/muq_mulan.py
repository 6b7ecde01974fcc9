"""MuQ-MuLan: MuQ trained to share a space with descriptions of music (Zhu et al. 2025); only its audio tower."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from timbrec.encoders.bases.conformer import (
    MSD,
    RATE,
    SECONDS,
    SHORTEST,
    UNUSED,
    Conformer,
    beside_or_within,
    costs,
    empty,
    stored,
)
from timbrec.encoders.bases.layered import dtype_details
from timbrec.encoders.shared import bibliography
from timbrec.encoders.signals.windows import batches, mono
from timbrec.encoders.weights.hub import check_files, find_files
from timbrec.encoders.weights.official import inference_tensors
from timbrec.encoders.weights.reading import load_strictly, read_weights, refuse_other_tensors
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import EncoderCard, Slim, WeightsFile
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    import torch
    from torch import nn

CLIP = 10.0  # seconds
_REPO, _AUDIO = "OpenMuQ/MuQ-MuLan-large", "audio.model.model."
# Tensors that audio does not need: the text tower, the contrastive loss, and the weights of an absent transformer.
_TRAINING = re.compile(r"(text|text_to_latents|contrast|audio\.aggregator)\..+")
_HEAD = {"audio.proj.": "0.", "audio_to_latents.": "1."}


class MuQMuLan:
    """512 values: the mean over its clips of a window's vector in the space that MuQ-MuLan shares with text.

    A clip is 10 s. A shorter last clip is completed with the start of the window. A window under 5 s is repeated once
    and makes one shorter clip. A clip's vector has length one; the mean over clips is shorter. There are no numbered
    layers.

    `weights`: None (the hub), "owner/name@revision" there, or a folder with `pytorch_model.bin` (or safetensors) and
    `config.json`. The mel statistics, which these lack, are MuQ's. `dtype`: see MuQ.
    """

    card = EncoderCard(
        name="muq-mulan",
        revision="MuQ-MuLan-large",
        rate=RATE,
        window=30.0,
        dim=512,
        frames_per_second=1 / CLIP,
        layers=0,
        parameters=660_000_000,  # about; half of them in the audio tower
        licence_code="MIT (the reference; its code is not used)",
        licence_weights="CC BY-NC 4.0",
        commercial=False,
        trained_on="MuQ's training, then pairs of music and text, unpublished",
        datasets=("Million Song Dataset",),
        citation="Zhu et al., MuQ: self-supervised music representation learning with mel residual vector "
        "quantization, 2025",
        bibtex=bibliography.MUQ,
        time="10 s clips",
        gflop=1265.5,
        concurrent=True,
        files=(
            WeightsFile(_REPO, "pytorch_model.bin", sha256="d42ae3f7", bytes=2_650_000_000),
            WeightsFile(_REPO, "config.json"),
        ),
    )

    def __init__(self, weights: Path | str | None = None, device: str = "cpu", dtype: str = "float32") -> None:
        tensors, settings, path = _read(weights)
        inner, outer = _parts(tensors)
        self._conformer = Conformer(inner, settings, UNUSED["muq"], path, self.card, device, dtype)
        head = _head(outer, self._conformer.sizes.dim)
        load_strictly(head, outer, path, self.card.name)
        self.device, self._head, self._clip = device, head.to(device), round(settings.get("clip", CLIP) * RATE)
        digest = self._conformer.digest(_needed(inner, outer), float(self._clip))
        self.card = self.card.loaded(
            f"weights {digest}",
            *dtype_details(dtype),
            dim=len(outer["1.bias"]),
            frames_per_second=RATE / self._clip,
            time=f"{self._clip / RATE:g} s clips",
            **costs(self._conformer, self.card.window),
        )

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n dim"]:
        """The mean over a window's clips. Raises AudioError for windows of fewer than 513 samples."""
        return self.frames(windows).mean(axis=1)

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> Float32[Array, "n clips dim"]:
        """A vector of length one for each clip. There are no numbered layers: ConfigError."""
        if layer is not None:
            raise ConfigError(f"{self.card.name} has no numbered layers", example=layer, fix="Leave `layer` out.")
        clips = self.clips(windows)
        n, count, samples = clips.shape
        if n and samples < SHORTEST:
            raise AudioError(
                f"{windows.shape[1]:,} samples are too short for {self.card.name}",
                fix=f"It takes {-(-SHORTEST // 2)} at {RATE:,} Hz (21 ms).",
            )
        at_once = int(SECONDS[not self.device.startswith("cpu")] * RATE) // max(samples, 1)
        parts = batches(clips.reshape(n * count, samples), at_once, self.device)
        vectors = [self._latents(audio) for audio in parts] or [np.empty((0, self.card.dim), np.float32)]
        return np.concatenate(vectors).reshape(n, count, self.card.dim)

    def clips(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n clips clip"]:
        """Windows cut into clips; a window shorter than half a clip makes one shorter clip, itself twice."""
        missing = -mono(windows).shape[1] % self._clip
        whole = np.concatenate([windows, windows[:, :missing]], axis=1)
        count = max(1, whole.shape[1] // self._clip)
        return whole.reshape(len(windows), count, whole.shape[1] // count)

    @classmethod
    def check_weights(cls, weights: Path | str | None) -> list[WeightsFile]:
        """The official files that loading would download. Raises ConfigError for missing weights."""
        return check_files(weights, cls.card)

    @classmethod
    def slim(cls, weights: Path | str | None = None, layer: int | None = None) -> Slim:
        """The tensors that encoding audio needs, in their precision. Raises ConfigError as loading does."""
        tensors, settings, path = _read(weights)
        inner, outer = _parts(tensors)
        network, needed = empty(inner, settings, UNUSED["muq"], path, cls.card.name)
        refuse_other_tensors(network, needed, path, cls.card.name)
        refuse_other_tensors(_head(outer, network.sizes.dim), outer, path, cls.card.name)
        config = stored(settings | {"heads": float(network.sizes.heads)}, cls.card.name)
        return Slim(_needed(inner, outer), config, [path])

    def _latents(self, audio: torch.Tensor) -> Float32[Array, "clips dim"]:
        """Unit vectors of (clips, samples) audio."""
        import torch
        from torch.nn.functional import normalize

        with torch.inference_mode():
            ((_, hidden),) = self._conformer.states(audio, [self._conformer.sizes.layers])
            return normalize(self._head[1](self._head[0](hidden.float()).mean(1)), dim=-1).cpu().numpy()


def _read(weights: Path | str | None) -> tuple[dict[str, torch.Tensor], dict[str, float], Path]:
    """The tensors that encoding needs, the settings in the files, and the path of the tensors."""
    card = MuQMuLan.card
    file, config = find_files(weights, card)
    path = Path(str(file))
    return (
        inference_tensors(read_weights(path), _TRAINING, "mulan."),
        MSD | beside_or_within(path, config, card.name),
        path,
    )


def _parts(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The tensors of MuQ by its own names, and the tensors of the head by their names in `_head`."""
    inner = {name.removeprefix(_AUDIO): tensor for name, tensor in tensors.items() if name.startswith(_AUDIO)}
    outer = {name: tensor for name, tensor in tensors.items() if not name.startswith(_AUDIO)}
    for official, ours in _HEAD.items():
        outer = {name.replace(official, ours): tensor for name, tensor in outer.items()}
    return inner, outer


def _needed(inner: Mapping[str, torch.Tensor], outer: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of both parts that encoding needs, by their official names."""
    official = {ours: name for name, ours in _HEAD.items()}
    named = {f"{_AUDIO}{name}": tensor for name, tensor in inference_tensors(inner, UNUSED["muq"]).items()}
    return named | {f"{official[name[:2]]}{name[2:]}": tensor for name, tensor in outer.items()}


def _head(tensors: Mapping[str, torch.Tensor], dim: int) -> nn.Sequential:
    """The two linear layers to the shared space, without values; the mean over time is taken between them."""
    import torch
    from torch import nn

    widths = [len(tensors.get(f"{number}.bias", "?")) for number in (0, 1)]
    with torch.device("meta"):
        return nn.Sequential(nn.Linear(dim, widths[0]), nn.Linear(widths[0], widths[1]))
