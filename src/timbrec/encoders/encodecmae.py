"""EncodecMAE: a transformer trained to predict EnCodec's codes of masked audio (Pepino, Riera & Ferrer 2025)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timbrec.encoders.bases.layered import LayeredBase, checked_dtype, dtype_details, layer_details
from timbrec.encoders.bases.wav2vec import import_transformers, plain_convolutions, without_weight_norm
from timbrec.encoders.shared import bibliography
from timbrec.encoders.weights.hub import check_files, find_files
from timbrec.encoders.weights.official import inference_tensors, read_json, small_fingerprint
from timbrec.encoders.weights.reading import load_strictly, read_config, read_weights
from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard, Slim, WeightsFile

if TYPE_CHECKING:
    import torch

    from timbrec.encoders.networks.encodecmae import EncodecMAENetwork

RATE, HOP, HEADS = 24_000, 320, 12
CHUNK = 4 * RATE  # samples
# Tensors in the checkpoint that only training uses: the decoder, the targets and the mask.
UNUSED = re.compile(r"(decoder|decoder_projector|head|target_encoder|masker)\..+")
SECOND = ("wav_encoder.encoder.", "wav_encoder.post_net.")  # tensors that only the second version has
CODEC = re.compile(r"wav_encoder\.model\.model\.(\d+)\.(.*)")


class EncodecMAE(LayeredBase):
    """768 values: the mean over time of a layer of EncodecMAE "base" (v1), by default the model's output.

    A window is cut into independent chunks of 4 s, the last of which has the remaining length. A frame is 13.3 ms of a
    chunk; the last frame may be shorter.

    Layer 0 is the input of the first block. Layers 1 to 10 are the outputs of the blocks, before the final norm: a
    block has two residual streams, and the layer is the normalised one. Layer 11, the default, is the model's output:
    layer 10 plus the other stream after the final norm. The official package counts blocks from 0: its layer k is layer
    k + 1 here.

    `weights`: None (the hub), "owner/name@revision" there, the official `model.pt`, a safetensors file of its tensors,
    or the folder of either. Sizes are read from the tensors; a `config.json` beside them may give the number of heads
    (`num_encoder_heads`) where it is not 12. `dtype="bfloat16"` applies to the transformer and changes values by a few
    hundredths; EnCodec's encoder stays in float32. float16 is refused, and so are checkpoints of the second version
    (`mel256-ec-base_st` and its like).
    """

    card = EncoderCard(
        name="encodecmae-base",
        revision="encodecmae-base v1, 11 layers",
        rate=RATE,
        window=30.0,
        dim=768,
        frames_per_second=RATE / HOP,
        layers=11,
        parameters=37_446_401,
        licence_code="MIT (EnCodec) and none (EncodecMAE: its code is not used)",
        licence_weights="MIT",
        commercial=True,
        trained_on="AudioSet, Free Music Archive and Libri-Light (no labels): EnCodec's codes of masked frames; "
        "EnCodec itself also on MTG-Jamendo (no labels)",
        datasets=("AudioSet", "Free Music Archive", "Libri-Light", "MTG-Jamendo"),
        citation="Pepino, Riera & Ferrer, EnCodecMAE: leveraging neural codecs for universal audio representation "
        "learning, Interspeech 2025",
        bibtex=bibliography.ENCODECMAE,
        gflop=499.2,
        concurrent=True,
        files=(WeightsFile("lpepino/encodecmae-base", "model.pt", bytes=255_000_000),),
    )
    shortest = 1

    def __init__(
        self,
        weights: Path | str | None = None,
        device: str = "cpu",
        layer: int | None = None,
        dtype: str = "float32",
    ) -> None:
        import torch

        checked_dtype(dtype, self.card.name)
        tensors, heads, source = _read(weights)
        network = encodecmae_network(tensors, heads, source).to(device)
        for part in (network.feat_projector, network.positional_encoder, network.visible_encoder):
            part.to(getattr(torch, dtype))
        self._network, self.device = network, device
        layers = network.sizes.layers + 1  # the last is the model's output
        self.card = self.card.loaded(layers=layers, dim=network.sizes.dim)
        self.layer = layers if layer is None else self._checked(layer)
        details = [f"weights {small_fingerprint(tensors)}", *layer_details(self.layer, layers), *dtype_details(dtype)]
        self.card = self.card.loaded(*details, parameters=_count(tensors))

    @classmethod
    def check_weights(cls, weights: Path | str | None) -> list[WeightsFile]:
        """The official files that loading would download. Raises ConfigError for missing weights."""
        return check_files(weights, cls.card)

    @classmethod
    def slim(cls, weights: Path | str | None = None, layer: int | None = None) -> Slim:
        """The tensors by their official names, and the number of heads. Raises ConfigError as loading does."""
        tensors, heads, source = _read(weights)
        encodecmae_network(tensors, heads, source)
        return Slim(tensors, {"num_encoder_heads": heads}, [source])

    def _states(self, audio: torch.Tensor, layers: Collection[int]) -> Iterator[tuple[int, torch.Tensor]]:
        """The states of all whole chunks at once, followed by the states of each window's remainder."""
        import torch

        whole = audio.shape[1] // CHUNK
        chunks, rest = audio[:, : whole * CHUNK], audio[:, whole * CHUNK :]
        parts: list[Iterator[tuple[int, torch.Tensor]]] = []
        if whole:
            states = self._network.states(chunks.reshape(-1, CHUNK), HOP, layers)
            parts.append((layer, state.unflatten(0, (-1, whole)).flatten(1, 2)) for layer, state in states)
        if rest.shape[1]:
            parts.append(self._network.states(rest, HOP, layers))
        for same in zip(*parts, strict=True):
            yield same[0][0], torch.cat([state for _, state in same], 1)

    def _shape(self, samples: int, layer: int) -> tuple[int, int]:
        return -(-samples // HOP), self.card.dim


def _read(weights: Path | str | None) -> tuple[dict[str, torch.Tensor], int, Path]:
    """The checkpoint's tensors that encoding needs, the number of heads, and the file."""
    source = Path(str(find_files(weights, EncodecMAE.card)[0]))
    beside = source.parent / "config.json"
    config = read_config(source) or read_json(beside if beside.is_file() else None)
    return inference_tensors(read_weights(source), UNUSED), config.get("num_encoder_heads", HEADS), source


def encodecmae_network(tensors: Mapping[str, torch.Tensor], heads: int, source: Path) -> EncodecMAENetwork:
    """The network with these tensors. Raises ConfigError for missing tensors and for another model's."""
    import torch

    from timbrec.encoders.networks.encodecmae import EncodecMAENetwork, Sizes

    name = EncodecMAE.card.name
    if any(key.startswith(SECOND) for key in tensors):
        raise ConfigError(
            f"{source} is a checkpoint of EncodecMAE's second version, which is not supported: the settings of its "
            "input could not be verified",
            fix="Give the first version's: lpepino/encodecmae-base, model.pt.",
        )
    transformers = import_transformers(name)
    try:
        sizes = Sizes.of(tensors, heads)
    except KeyError as error:
        raise ConfigError(
            f"{source} lacks tensors of {name}", example=error.args[0], fix=f"Give the weights of {name}."
        ) from error
    if sizes.dim % heads:
        raise ConfigError(
            f"{source}: {sizes.dim} values cannot be divided among {heads} heads",
            fix="Put a config.json with the right `num_encoder_heads` beside it.",
        )
    config = transformers.EncodecConfig(num_filters=sizes.filters, hidden_size=sizes.codec)
    codec = plain_convolutions(transformers.EncodecModel(config).encoder)
    with torch.device("meta"):
        network = EncodecMAENetwork(sizes, codec)
    plain = {CODEC.sub(_codec_name, key): value for key, value in without_weight_norm(tensors).items()}
    load_strictly(network, plain, source, name)
    return network.eval()


def _codec_name(match: re.Match[str]) -> str:
    """The name in transformers of a tensor of EnCodec's encoder: convolutions are nested one module less deep."""
    return f"wav_encoder.layers.{match[1]}.{match[2].replace('conv.conv.', 'conv.')}"


def _count(tensors: Mapping[str, torch.Tensor]) -> int:
    """The number of distinct values: tensors shared by several blocks, or repeated in the file, count once."""
    distinct: dict[tuple[Any, ...], int] = {}
    for name, tensor in tensors.items():
        key = re.sub(r"\.\d+\.ff_layer\.", ".ff_layer.", name)
        distinct[key, tuple(tensor.shape), float(tensor.double().sum())] = tensor.numel()
    return sum(distinct.values())
