"""Jukebox: hidden states of the transformer that OpenAI trained to continue music, halfway through its 72 blocks."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timbrec.encoders.bases.layered import LayeredBase
from timbrec.encoders.shared import bibliography
from timbrec.encoders.signals.windows import mono
from timbrec.encoders.weights.official import read_json
from timbrec.encoders.weights.reading import (
    fingerprint,
    load_strictly,
    read_config,
    read_weights,
    refuse_other_tensors,
    weights_file,
)
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import EncoderCard, Slim, WeightsFile
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    import torch

    from timbrec.encoders.networks.jukebox import JukeboxNetwork

RATE, HOP = 44_100, 128
USED = 25 * RATE  # samples; the rest of a longer window is not used
LAYER = 36
BLOCK = re.compile(r"prior\.transformer\._attn_mods\.(\d+)\.")
# Tensors in the checkpoints that embeddings do not need: finer codes, decoders, the output of the prior.
UNUSED = re.compile(r"(encoders|bottleneck\.level_blocks)\.[01]\..+|decoders\..+|prior\.x_out\.weight")


class Jukebox(LayeredBase):
    """4,800 values: the mean over time of a window's hidden states after block 36 of Jukebox's 5b prior.

    A window is divided by its peak and encoded as codes of 128 samples, of which the first 8,192 (23.8 s) are used.
    Silence has the codes of zeros. Shorter windows are encoded as they are. The prior gets the conditions that the
    study used: unknown artist and genre, a song of 62 s played from its start.

    `weights`: a folder with `vqvae.pth.tar` and `prior_level_2.pth.tar` of OpenAI's "5b" (not "5b_lyrics"; the prior
    takes 10.3 GB), or one safetensors file with the needed tensors of both. A folder may have a `config.json` with the
    `heads` and `blocks` of another `prior` than the 5b one; other sizes are read from the tensors. `layer`: the number
    of blocks (None: 36, or all blocks of a smaller file); higher blocks are not loaded. `half`: matrices in float16,
    half the memory (5 GB) and values off by about 0.1 %; norms, softmax and the residual stream stay in float32.
    """

    card = EncoderCard(
        name="jukebox-5b",
        revision="5b",
        rate=RATE,
        window=24.0,
        dim=4800,
        frames_per_second=RATE / HOP,
        layers=72,
        layer=LAYER,
        parameters=5_050_921_696,
        licence_code="Noncommercial Use License of OpenAI (the reference; its code is not used)",
        licence_weights="Noncommercial Use License of OpenAI",
        commercial=False,
        trained_on="1.2 million songs from the web, unpublished, with artists and genres",
        citation="Dhariwal et al., Jukebox: a generative model for music, 2020; Castellon, Donahue & Liang, Codified "
        "audio language modeling learns useful representations for music information retrieval, ISMIR 2021",
        bibtex=bibliography.JUKEBOX,
        time="codes of 2.9 ms",
        gflop=41_000.0,
        concurrent=True,
    )
    seconds = (0.0, 0.0)  # one window per pass

    def __init__(
        self,
        weights: Path | str | None = None,
        device: str = "cpu",
        layer: int | None = None,
        half: bool = False,
    ) -> None:
        tensors, config, source = read_jukebox(weights, layer)
        network = _empty(tensors, config, source)
        load_strictly(network, tensors, source, self.card.name)
        small = {
            name: tensor for name, tensor in tensors.items() if tensor.numel() < 1 << 20
        }  # training changes them all
        self.device, self.layer, self.shortest = device, network.sizes.layers, network.sizes.hop
        self.card = self.card.loaded(
            f"layer {self.layer}",
            f"weights {fingerprint(small)}",
            *["half"] * half,
            dim=network.sizes.width,
            layers=self.layer,
            layer=None,
            parameters=sum(tensor.numel() for tensor in tensors.values()),
        )
        self._network = (network.halved() if half else network).to(device)

    @classmethod
    def check_weights(cls, weights: Path | str | None) -> list[WeightsFile]:
        """An empty list: nothing is downloaded. Raises ConfigError for missing weights."""
        for file in _find(weights)[1]:
            weights_file(file)
        return []

    @classmethod
    def slim(cls, weights: Path | str | None = None, layer: int | None = None) -> Slim:
        """The tensors of both files that embeddings after `layer` blocks need. Raises ConfigError as loading does."""
        tensors, config, source = read_jukebox(weights, layer)
        refuse_other_tensors(_empty(tensors, config, source), tensors, source, cls.card.name)
        return Slim(tensors, config, _find(weights)[1])

    def codes(self, window: Float32[Array, "samples"]) -> torch.Tensor:
        """The codes of a window, (time) int64. Raises AudioError for a window of fewer than 128 samples."""
        import torch

        if len(mono(window[None])[0]) < self.shortest:
            raise self._too_short(len(window))
        return self._codes(torch.from_numpy(window[None]).to(self.device))[0]

    def _codes(self, audio: torch.Tensor) -> torch.Tensor:
        peak = audio.abs().amax(1, keepdim=True)
        if not peak.isfinite().all():  # codes would hide them
            raise AudioError("some samples are NaN or infinite")
        audio = audio[:, :USED] / peak.where(peak > 0, 1)
        return self._network.codes(audio)[:, : self._network.sizes.context]

    def _states(self, audio: torch.Tensor, layers: Collection[int]) -> Iterator[tuple[int, torch.Tensor]]:
        return self._network.states(self._codes(audio), layers)

    def _shape(self, samples: int, layer: int) -> tuple[int, int]:
        return min(samples // self._network.sizes.hop, self._network.sizes.context), self.card.dim

    def _checked(self, layer: int) -> int:
        if not 0 <= layer <= self.layer:
            raise ConfigError(
                f"{self.card.name} has no layer {layer} among the {self.layer} loaded",
                fix=f"Load more blocks by the option layer={layer}.",
            )
        return layer


def read_jukebox(
    weights: Path | str | None, layer: int | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, Any], Path]:
    """The tensors that embeddings after `layer` blocks need, by their official names; the config; the path.

    Raises ConfigError for files that are missing, damaged or of another model, and for a layer they do not have.
    """
    source, files, config = _find(weights)
    tensors: dict[str, torch.Tensor] = {}
    for file in files:
        tensors |= {name.removeprefix("module."): tensor for name, tensor in read_weights(file).items()}
    numbers = {name: int(match[1]) for name in tensors if (match := BLOCK.match(name))}
    blocks = max(numbers.values(), default=-1) + 1
    last = min(LAYER, blocks) if layer is None else layer
    if blocks and not 0 < last <= blocks:
        raise ConfigError(f"{source} has no layer {last} of jukebox-5b", fix=f"Its prior has {blocks} blocks.")
    kept = {name for name in tensors if not UNUSED.fullmatch(name) and numbers.get(name, -1) < last}
    return {name: tensors[name] for name in kept}, config, source


def _find(weights: Path | str | None) -> tuple[Path, list[Path], dict[str, Any]]:
    """The path of the weights, the files with their tensors, and the config beside or within them."""
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
    files = [sorted(path.glob(f"*{part}*"))[:1] for part in ("vqvae", "prior_level_2")]
    if not all(files):
        raise ConfigError(
            f"there are no weights of jukebox-5b in {path}", fix="Looked for vqvae.pth.tar and prior_level_2.pth.tar."
        )
    config = read_json(next(iter(sorted(path.glob("*config.json"))), None))
    return path, [file for part in files for file in part], config


def _empty(tensors: dict[str, torch.Tensor], config: dict[str, Any], source: Path) -> JukeboxNetwork:
    """The network for these tensors, without values."""
    import torch

    from timbrec.encoders.networks.jukebox import JukeboxNetwork
    from timbrec.encoders.networks.jukebox_sizes import Sizes

    prior = config.get("prior", {})
    try:
        sizes = Sizes.of(tensors, prior.get("heads", Sizes.heads), prior.get("blocks", Sizes.blocks))
    except KeyError as error:
        raise ConfigError(
            f"{source} lacks tensors of jukebox-5b", example=error.args[0], fix="Give the weights of OpenAI's 5b."
        ) from error
    with torch.device("meta"):
        return JukeboxNetwork(sizes)
