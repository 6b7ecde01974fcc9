"""What MERT and Music2Vec share: a model of the wav2vec 2.0 family as transformers has it, given official weights."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from timbrec.encoders.bases.layered import LayeredEncoder
from timbrec.encoders.weights.hub import find_files
from timbrec.encoders.weights.official import inference_tensors, read_json
from timbrec.encoders.weights.reading import Slim, load_strictly, read_config, read_weights, refuse_other_tensors
from timbrec.errors import ConfigError

if TYPE_CHECKING:
    import torch

UNUSED = re.compile("masked_spec_embed")  # what training puts in the place of masked frames
# Of a config, all that the forward pass depends on; what is left out is as in transformers' own classes.
SIZES = {
    "conv_bias", "conv_dim", "conv_kernel", "conv_pos_kernel_size", "conv_stride", "do_stable_layer_norm",
    "feat_extract_activation", "feat_extract_norm", "hidden_act", "hidden_size", "intermediate_size", "layer_norm_eps",
    "num_attention_heads", "num_conv_pos_embedding_groups", "num_conv_pos_embeddings", "num_hidden_layers",
}  # fmt: skip
# What a config may ask for that is not computed here.
OTHERS = ("add_adapter", "conv_pos_batch_norm", "deepnorm", "feature_extractor_cqt")
EPSILON = 1e-7  # of a window's variance
_NEW = "parametrizations.weight.original"  # PyTorch's newer name of a length, 0, and a direction, 1


class Wav2VecEncoder(LayeredEncoder):
    """Convolutions, one frame per 320 samples, then a transformer. Base of MERT and Music2Vec."""

    normalise: bool
    _model: ClassVar[str]  # transformers' class
    _published: ClassVar[dict[str, Any]] = {}  # the sizes where no config.json says others

    def _load(
        self,
        source: Path,
        config: Mapping[str, Any],
        device: str,
        layer: int | None,
        dtype: str,
        options: Sequence[str] = (),
    ) -> None:
        """Build the network with the weights in it. Raises ConfigError for weights that are missing or of another."""
        import torch

        self._check_dtype(dtype)
        tensors = inference_tensors(read_weights(source), UNUSED)
        network = self._empty(config)
        load_strictly(network, without_weight_norm(tensors), source, self.card.name)
        self._network = network.to(device, getattr(torch, dtype))
        shape = network.config
        self._strides = list(zip(shape.conv_kernel, shape.conv_stride, strict=True))
        self.shortest = _samples(self._strides)
        self._set(tensors, device, layer, shape.num_hidden_layers, shape.hidden_size, dtype, options)

    @classmethod
    def slim(cls, weights: Path | str | None = None) -> Slim:
        """The tensors under their official names, and the config. Raises ConfigError as loading them does."""
        source, config = cls._find(weights)
        tensors = inference_tensors(read_weights(source), UNUSED)
        refuse_other_tensors(cls._empty(config), without_weight_norm(tensors), source, cls.card.name)
        return Slim(tensors, config, [source])

    @classmethod
    def _find(cls, weights: Path | str | None) -> tuple[Path, dict[str, Any]]:
        """The file of tensors, and its config; {} where there is none."""
        path, beside = find_files(weights, cls.card)
        source = Path(str(path))
        config = read_config(source) or read_json(beside)
        return source, config | config.get("config", {})

    @classmethod
    def _empty(cls, config: Mapping[str, Any]) -> Any:
        return wav2vec_network(cls._model, config if "hidden_size" in config else cls._published, cls.card.name)

    def _states(self, audio: torch.Tensor, wanted: Collection[int]) -> dict[int, torch.Tensor]:
        audio = standardised(audio) if self.normalise else audio
        return hidden_states(self._network, audio.to(self._network.dtype), wanted)

    def _time(self, samples: int) -> int:
        for kernel, stride in self._strides:
            samples = max(0, (samples - kernel) // stride + 1)
        return samples


def hidden_states(network: Any, audio: torch.Tensor, wanted: Collection[int]) -> dict[int, torch.Tensor]:
    """The wanted layers, (n, time, dim) each, of (n, samples); blocks above the highest are not computed.

    As the model's own forward pass does, but for the last layer of models that normalise before each block: that is
    behind the final norm, as the reference has it, which transformers 5 leaves out of its `hidden_states`.
    """
    encoder, last = network.encoder, network.config.num_hidden_layers
    norm_at_end = getattr(network.config, "do_stable_layer_norm", False)
    x = _first(network.feature_projection(network.feature_extractor(audio).mT))
    x = x + encoder.pos_conv_embed(x)
    x = x if norm_at_end else encoder.layer_norm(x)
    states = {0: x} if 0 in wanted else {}
    for number, block in enumerate(encoder.layers[: max(wanted)], 1):
        x = _first(block(x))
        if number in wanted:
            states[number] = encoder.layer_norm(x) if norm_at_end and number == last else x
    return states


def wav2vec_network(model: str, config: Mapping[str, Any], name: str) -> Any:
    """The model of this config, without values and without the parts that only training uses."""
    import torch

    transformers = import_transformers(name)
    if asked := next((key for key in OTHERS if config.get(key)), None):
        raise ConfigError(
            f"the config of {name} asks for {asked}, which is not supported", fix="Give the official one."
        )
    sizes = {key: value for key, value in config.items() if key in SIZES}
    try:
        kind = getattr(transformers, model)
        shape = kind.config_class(**sizes, mask_time_prob=0.0, mask_feature_prob=0.0, attn_implementation="sdpa")
        with torch.device("meta"):
            network = kind(shape)
    except Exception as error:  # sizes that do not fit together, of another type, none
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(f"the config of {name} describes no model: {reason}", fix="Give the official one.") from error
    return plain_convolutions(network).eval()


def import_transformers(name: str) -> Any:
    """The package. Raises ConfigError where it is not installed."""
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(
            f"{name} takes the package transformers, which is not installed",
            fix="Run `pip install 'timbrec[encoders]'`.",
        ) from error
    return transformers


def plain_convolutions(network: Any) -> Any:
    """The network with each weight that is kept as length and direction made one tensor again."""
    from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

    for module in network.modules():
        if is_parametrized(module, "weight"):
            remove_parametrizations(module, "weight")
    return network


def without_weight_norm(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors with each pair of length and direction, under its old or new names, made one `weight`.

    The length has one value for each place on one axis of the direction, and is the norm over all others.
    """
    plain = dict(tensors)
    for length, direction in (("weight_g", "weight_v"), (f"{_NEW}0", f"{_NEW}1")):
        for name in [name for name in plain if name.endswith(f".{length}")]:
            stem = name.removesuffix(length)
            g, v = plain.get(name), plain.get(stem + direction)
            if g is None or v is None or g.ndim != v.ndim:
                continue  # loading says what is missing
            axes = [axis for axis, size in enumerate(g.shape) if size == 1]
            g, v = plain.pop(name).float(), plain.pop(stem + direction).float()
            plain[f"{stem}weight"] = v * (g / v.norm(dim=axes, keepdim=True))
    return plain


def standardised(audio: torch.Tensor) -> torch.Tensor:
    """(n, samples) with mean 0 and variance 1 in each row, as Hugging Face's feature extractor does it."""
    import torch

    variance, mean = torch.var_mean(audio, dim=1, correction=0, keepdim=True)
    return (audio - mean) / (variance + EPSILON).sqrt()


def _first(output: Any) -> Any:
    """Some versions of transformers return more than the states."""
    return output[0] if isinstance(output, tuple) else output


def _samples(strides: list[tuple[int, int]]) -> int:
    """How many samples one frame takes."""
    samples = 1
    for kernel, stride in reversed(strides):
        samples = (samples - 1) * stride + kernel
    return samples
