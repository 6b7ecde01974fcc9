"""EncodecMAE: a transformer that learned to predict EnCodec's codes of masked audio (Pepino, Riera & Ferrer 2023)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timbrec.encoders.bases.layered import LayeredEncoder
from timbrec.encoders.bases.wav2vec import import_transformers, plain_convolutions, without_weight_norm
from timbrec.encoders.weights.hub import find_files
from timbrec.encoders.weights.official import inference_tensors, read_json
from timbrec.encoders.weights.reading import Slim, load_strictly, read_config, read_weights
from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard, WeightsFile

if TYPE_CHECKING:
    import torch

    from timbrec.encoders.networks.encodecmae import EncodecMAENetwork

RATE, HOP, HEADS = 24_000, 320, 12
CHUNK = 4 * RATE  # samples
# What the checkpoint holds besides: what predicts the codes while training, and the codes.
UNUSED = re.compile(r"(decoder|decoder_projector|head|target_encoder|masker)\..+")
CODEC = re.compile(r"wav_encoder\.model\.model\.(\d+)\.(.*)")


class EncodecMAE(LayeredEncoder):
    """768 values: the mean over time of a layer of EncodecMAE "base" (v1), by default the last.

    A window is cut into chunks of 4 s that know nothing of each other, the last as long as what is left; a frame is
    13.3 ms of a chunk, the last one perhaps of less. Layer 0 is the input of the first block, k the output of the
    k-th: of its two streams, that which is normalised. The last layer has the other one added and is what the model
    returns.

    `weights`: None (the hub), "owner/name@revision" there, the official `model.pt`, a safetensors file of its tensors,
    or the folder of either. Sizes are read from the tensors; a `config.json` beside them may tell the number of heads
    (`num_encoder_heads`) where it is not 12. `dtype="bfloat16"` concerns the transformer and moves values by some
    hundredths; EnCodec's encoder stays in float32. float16 is refused.
    """

    card = EncoderCard(
        name="encodecmae-base",
        revision="encodecmae-base v1",
        rate=RATE,
        window=30.0,
        dim=768,
        frames_per_second=RATE / HOP,
        layers=10,
        parameters=37_446_401,
        licence_code="MIT (EnCodec) and none (EncodecMAE: its code is not used)",
        licence_weights="MIT",
        commercial=True,
        trained_on="AudioSet, Free Music Archive and Libri-Light (no labels): EnCodec's codes of masked frames",
        citation="Pepino, Riera & Ferrer, EnCodecMAE: leveraging neural codecs for universal audio representation "
        "learning, 2023",
        gflop=499.2,
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

        self._check_dtype(dtype)
        tensors, heads, source = _read(weights)
        network = encodecmae_network(tensors, heads, source)
        network.to(device)
        for part in (network.feat_projector, network.positional_encoder, network.visible_encoder):
            part.to(getattr(torch, dtype))
        self._network = network
        self._set(tensors, device, layer, network.sizes.layers, network.sizes.dim, dtype)
        self.card = replace(self.card, parameters=_count(tensors))

    @classmethod
    def slim(cls, weights: Path | str | None = None) -> Slim:
        """The tensors under their official names, and the number of heads. Raises ConfigError as loading them does."""
        tensors, heads, source = _read(weights)
        encodecmae_network(tensors, heads, source)
        return Slim(tensors, {"num_encoder_heads": heads}, [source])

    def _states(self, audio: torch.Tensor, wanted: Collection[int]) -> dict[int, torch.Tensor]:
        """All whole chunks at once, then what is left of each window."""
        import torch

        whole = audio.shape[1] // CHUNK
        chunks, rest = audio[:, : whole * CHUNK], audio[:, whole * CHUNK :]
        parts = []
        if whole:
            states = self._network(chunks.reshape(-1, CHUNK), HOP, wanted)
            parts.append({layer: state.unflatten(0, (-1, whole)).flatten(1, 2) for layer, state in states.items()})
        if rest.shape[1]:
            parts.append(self._network(rest, HOP, wanted))
        return {layer: torch.cat([part[layer] for part in parts], 1) for layer in parts[0]}

    def _time(self, samples: int) -> int:
        return -(-samples // HOP)


def _read(weights: Path | str | None) -> tuple[dict[str, torch.Tensor], int, Path]:
    """What encoding needs of the checkpoint, the number of heads, and the file."""
    source = Path(str(find_files(weights, EncodecMAE.card)[0]))
    beside = source.parent / "config.json"
    config = read_config(source) or read_json(beside if beside.is_file() else None)
    return inference_tensors(read_weights(source), UNUSED), config.get("num_encoder_heads", HEADS), source


def encodecmae_network(tensors: Mapping[str, torch.Tensor], heads: int, source: Path) -> EncodecMAENetwork:
    """The network with these tensors. Raises ConfigError where some are missing, or of another model."""
    import torch

    from timbrec.encoders.networks.encodecmae import EncodecMAENetwork, Sizes

    name = EncodecMAE.card.name
    transformers = import_transformers(name)
    try:
        sizes = Sizes.of(tensors, heads)
    except KeyError as error:
        raise ConfigError(
            f"{source} lacks tensors of {name}", example=error.args[0], fix=f"Give the weights of {name}."
        ) from error
    if sizes.dim % heads:
        raise ConfigError(
            f"{source}: {sizes.dim} values cannot be shared out among {heads} heads",
            fix="Put the config.json that tells `num_encoder_heads` beside it.",
        )
    config = transformers.EncodecConfig(num_filters=sizes.filters, hidden_size=sizes.codec)
    codec = plain_convolutions(transformers.EncodecModel(config).encoder)
    with torch.device("meta"):
        network = EncodecMAENetwork(sizes, codec)
    plain = {CODEC.sub(_codec_name, key): value for key, value in without_weight_norm(tensors).items()}
    load_strictly(network, plain, source, name)
    return network.eval()


def _codec_name(match: re.Match[str]) -> str:
    """transformers' name of a tensor of EnCodec's encoder; its convolutions stand one module less deep."""
    return f"wav_encoder.layers.{match[1]}.{match[2].replace('conv.conv.', 'conv.')}"


def _count(tensors: Mapping[str, torch.Tensor]) -> int:
    """The number of values; what several blocks share is counted once, however the file holds it."""
    distinct: dict[tuple[Any, ...], int] = {}
    for name, tensor in tensors.items():
        key = re.sub(r"\.\d+\.ff_layer\.", ".ff_layer.", name)
        distinct[key, tuple(tensor.shape), float(tensor.double().sum())] = tensor.numel()
    return sum(distinct.values())
