"""Jukebox: hidden states of the transformer that OpenAI trained to continue music, halfway through its 72 blocks."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from timbrec.encoders.signals.windows import mono
from timbrec.encoders.weights.reading import (
    Slim,
    damaged,
    fingerprint,
    load_strictly,
    read_config,
    read_weights,
    refuse_other_tensors,
)
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import EncoderCard
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    import torch

    from timbrec.encoders.networks.jukebox import JukeboxNetwork

RATE, HOP = 44_100, 128
LISTENED = 25 * RATE  # samples; the rest of a longer window is not used
LAYER = 36
BLOCK = re.compile(r"prior\.transformer\._attn_mods\.(\d+)\.")
# What the checkpoints hold besides: the finer codes, the decoders, the output of the prior.
UNUSED = re.compile(r"(encoders|bottleneck\.level_blocks)\.[01]\..+|decoders\..+|prior\.x_out\.weight")


class Jukebox:
    """4,800 values: the mean over time of what block 36 of Jukebox's 5b prior makes of a window's codes.

    A window is divided by its peak and becomes codes of 128 samples each, of which the first 8,192 (23.8 s) are used;
    of silence, all codes are those of zeros. Shorter windows are encoded as they are. The prior is told what the study
    tells it: unknown artist and genre, a song of 62 s heard from its start.

    `weights`: a folder with `vqvae.pth.tar` and `prior_level_2.pth.tar` of OpenAI's "5b" (not "5b_lyrics"; the prior
    takes 10.3 GB), or one safetensors file of what is needed of both. A folder may also have a `config.json` with the
    `heads` and `blocks` of a `prior` that is not the 5b one; other sizes are read from the tensors. `layer`: after how
    many blocks (None: 36, or all of a smaller file); the blocks behind it are not loaded. `half`: matrices in float16,
    half the memory (5 GB) and values off by about 0.1 %; norms, softmax and the sum of the blocks stay in float32.
    """

    card = EncoderCard(
        name="jukebox-5b",
        revision="5b",
        rate=RATE,
        window=24.0,
        dim=4800,
        frames_per_second=RATE / HOP,
        layers=72,
        parameters=5_050_921_696,
        licence_code="Noncommercial Use License of OpenAI (the reference; its code is not used)",
        licence_weights="Noncommercial Use License of OpenAI",
        commercial=False,
        trained_on="1.2 million songs from the web, unpublished, with artists and genres",
        citation="Dhariwal et al., Jukebox: a generative model for music, 2020; Castellon, Donahue & Liang, Codified "
        "audio language modeling learns useful representations for music information retrieval, ISMIR 2021",
        time="codes of 2.9 ms",
        gflop=41_000.0,
    )

    def __init__(
        self,
        weights: Path | str | None = None,
        device: str = "cpu",
        layer: int | None = None,
        half: bool = False,
    ) -> None:
        tensors, config, source = read_jukebox(weights, layer)
        network = _network(tensors, config, source)
        small = {name: tensor for name, tensor in tensors.items() if tensor.numel() < 1 << 20}  # training moves all
        self.device, self.layer = device, network.sizes.layers
        parts = [self.card.revision, f"layer {self.layer}", f"weights {fingerprint(small)}"] + ["half"] * half
        self.card = replace(
            self.card,
            revision=", ".join(parts),
            dim=network.sizes.width,
            layers=self.layer,
            parameters=sum(tensor.numel() for tensor in tensors.values()),
        )
        self._network = (network.halved() if half else network).to(device)

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n dim"]:
        """The mean over the codes. Raises AudioError for windows under 128 samples: one code."""
        hidden = [self._hidden(window, self.layer).mean(0).cpu().numpy() for window in mono(windows)]
        return np.stack(hidden) if hidden else np.empty((0, self.card.dim), np.float32)

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> Float32[Array, "n codes dim"]:
        """The hidden state of each code after `layer` blocks: up to as many as are loaded, 0 for the first's input."""
        if layer is not None and not 0 <= layer <= self.layer:
            raise ConfigError(
                f"there is no layer {layer} among the {self.layer} loaded", fix=f"Load it: layer={layer}."
            )
        wanted = self.layer if layer is None else layer
        hidden = [self._hidden(window, wanted).cpu().numpy() for window in mono(windows)]
        codes = min(windows.shape[1] // self._network.sizes.hop, self._network.sizes.context)
        return np.stack(hidden) if hidden else np.empty((0, codes, self.card.dim), np.float32)

    @classmethod
    def slim(cls, weights: Path | str | None = None, layer: int | None = None) -> Slim:
        """What embeddings after `layer` blocks need of both files, in their precision. Raises as loading does."""
        tensors, config, source = read_jukebox(weights, layer)
        refuse_other_tensors(_empty(tensors, config, source), tensors, source, cls.card.name)
        return Slim(tensors, config, _find(weights)[1])

    def encode_layers(
        self, windows: Float32[Array, "n samples"], layers: Sequence[int]
    ) -> Float32[Array, "n layers dim"]:
        """The mean over the codes after each of these numbers of blocks, from one pass. Raises as `frames` does."""
        if unknown := [layer for layer in layers if not 0 <= layer <= self.layer]:
            raise ConfigError(
                f"there is no layer {unknown[0]} among the {self.layer} loaded", fix=f"Load it: layer={unknown[0]}."
            )
        if not len(windows) or not len(layers):
            return np.empty((len(windows), len(layers), self.card.dim), np.float32)
        return np.stack([self._layer_means(window, layers) for window in windows])

    def _layer_means(self, window: Float32[Array, "samples"], layers: Sequence[int]) -> Float32[Array, "layers dim"]:
        outputs = enumerate(islice(self._network.all_hidden(self.codes(window)[None]), max(layers) + 1))
        means = {layer: hidden[0].mean(0).cpu().numpy() for layer, hidden in outputs if layer in layers}
        return np.stack([means[layer] for layer in layers])

    def codes(self, window: Float32[Array, "samples"]) -> torch.Tensor:
        """The numbers of the codes, (time) int64. Raises AudioError for a window under 128 samples."""
        import torch

        if len(window) < self._network.sizes.hop:
            raise AudioError(
                f"{len(window):,} samples are too short for Jukebox", fix=f"One code takes {HOP} at {RATE:,} Hz."
            )
        peak = np.abs(window).max()
        if not np.isfinite(peak):  # codes would hide it
            raise AudioError("there are samples that are NaN or infinite")
        audio = torch.from_numpy(window[:LISTENED] / (peak or np.float32(1))).to(self.device)
        return self._network.codes(audio[None])[0, : self._network.sizes.context]

    def _hidden(self, window: Float32[Array, "samples"], layer: int) -> torch.Tensor:
        return self._network.hidden(self.codes(window)[None], layer)[0]


def read_jukebox(
    weights: Path | str | None, layer: int | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, Any], Path]:
    """The tensors that embeddings after `layer` blocks need, by their official names; the config; where they are.

    Raises ConfigError for files that are missing, damaged or of another model, and for a layer they do not have.
    """
    source, files, config = _find(weights)
    tensors: dict[str, torch.Tensor] = {}
    for file in files:
        tensors |= {name.removeprefix("module."): tensor for name, tensor in read_weights(file).items()}
    numbers = {name: int(match[1]) for name in tensors if (match := BLOCK.match(name))}
    blocks = max(numbers.values(), default=-1) + 1
    wanted = min(LAYER, blocks) if layer is None else layer
    if blocks and not 0 < wanted <= blocks:
        raise ConfigError(f"{source} has no layer {wanted} of jukebox-5b", fix=f"Its prior has {blocks} blocks.")
    kept = {name for name in tensors if not UNUSED.fullmatch(name) and numbers.get(name, -1) < wanted}
    return {name: tensors[name] for name in kept}, config, source


def _find(weights: Path | str | None) -> tuple[Path, list[Path], dict[str, Any]]:
    """Where the weights are, the files they are in, and the config beside them."""
    if weights is None:
        raise ConfigError(
            "jukebox-5b's weights must be given: their licence allows no commercial use, and they take 11 GB",
            fix="Get vqvae.pth.tar and prior_level_2.pth.tar of OpenAI's 5b model and give the path of their folder.",
        )
    path = Path(weights)
    if path.is_dir() and len(slim := list(path.glob("jukebox*.safetensors"))) == 1:
        path = slim[0]
    if not path.is_dir():
        return path, [path], read_config(path)
    found = [next(iter(sorted(path.glob(f"*{part}*"))), None) for part in ("vqvae", "prior_level_2")]
    files = [file for file in found if file is not None]
    if len(files) < 2:
        raise ConfigError(
            f"there are no weights of jukebox-5b in {path}", fix="Looked for vqvae.pth.tar and prior_level_2.pth.tar."
        )
    config = next(iter(sorted(path.glob("*config.json"))), None)
    try:
        return path, files, json.loads(config.read_bytes()) if config else {}
    except ValueError as error:
        raise damaged(path / "config.json") from error


def _network(tensors: dict[str, torch.Tensor], config: dict[str, Any], source: Path) -> JukeboxNetwork:
    network = _empty(tensors, config, source)
    load_strictly(network, tensors, source, "jukebox-5b")
    return network


def _empty(tensors: dict[str, torch.Tensor], config: dict[str, Any], source: Path) -> JukeboxNetwork:
    """The network for these tensors, without values."""
    import torch

    from timbrec.encoders.networks.jukebox import JukeboxNetwork, Sizes

    prior = config.get("prior", {})
    try:
        sizes = Sizes.of(tensors, prior.get("heads", Sizes.heads), prior.get("blocks", Sizes.blocks))
    except KeyError as error:
        raise ConfigError(
            f"{source} lacks tensors of jukebox-5b", example=error.args[0], fix="Give the weights of OpenAI's 5b."
        ) from error
    with torch.device("meta"):
        return JukeboxNetwork(sizes)
