"""Base class of MERT and Music2Vec: a model of the wav2vec 2.0 family, built by transformers, with official weights."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from timbrec.encoders.bases.layered import LayeredBase, checked_dtype, dtype_details, layer_details
from timbrec.encoders.weights.hub import check_files, find_files
from timbrec.encoders.weights.official import inference_tensors, read_json, small_fingerprint
from timbrec.encoders.weights.reading import load_strictly, read_config, read_weights, refuse_other_tensors
from timbrec.errors import ConfigError
from timbrec.protocols import Slim, WeightsFile

if TYPE_CHECKING:
    import torch

UNUSED = re.compile("masked_spec_embed")  # replaces masked frames in training
# Settings that the forward pass depends on. A setting that a config leaves out has transformers' default.
SIZES = {
    "conv_bias", "conv_dim", "conv_kernel", "conv_pos_kernel_size", "conv_stride", "do_stable_layer_norm",
    "feat_extract_activation", "feat_extract_norm", "hidden_act", "hidden_size", "intermediate_size", "layer_norm_eps",
    "num_attention_heads", "num_conv_pos_embedding_groups", "num_conv_pos_embeddings", "num_hidden_layers",
}  # fmt: skip
UNSUPPORTED = ("add_adapter", "conv_pos_batch_norm", "deepnorm", "feature_extractor_cqt")  # settings, if true
EPSILON = 1e-7  # added to a window's variance
_NEW = "parametrizations.weight.original"  # PyTorch's newer name of weight norm's length (0) and direction (1)


class Wav2VecEncoder(LayeredBase):
    """Base of MERT and Music2Vec: convolutions that turn 320 samples into a frame, then a transformer."""

    normalise: bool
    _model: ClassVar[str]  # the class in transformers
    _published: ClassVar[dict[str, Any]] = {}  # the settings without a config.json

    def _load(
        self,
        source: Path,
        config: Mapping[str, Any],
        device: str,
        layer: int | None,
        dtype: str,
        options: Sequence[str] = (),
    ) -> None:
        """Build the network with its weights. Raises ConfigError for missing weights and for another model's."""
        import torch

        checked_dtype(dtype, self.card.name)
        tensors = inference_tensors(read_weights(source), UNUSED)
        network = self._empty(config)
        load_strictly(network, without_weight_norm(tensors), source, self.card.name)
        self._network, self.device = network.to(device, getattr(torch, dtype)), device
        shape = network.config
        self._strides = list(zip(shape.conv_kernel, shape.conv_stride, strict=True))
        self.shortest, layers = _samples(self._strides), shape.num_hidden_layers
        self.card = self.card.loaded(layers=layers, dim=shape.hidden_size)
        self.layer = layers if layer is None else self._checked(layer)
        details = [f"weights {small_fingerprint(tensors)}", *options, *layer_details(self.layer, layers)]
        count = sum(tensor.numel() for tensor in tensors.values())
        self.card = self.card.loaded(*details, *dtype_details(dtype), parameters=count)

    @classmethod
    def check_weights(cls, weights: Path | str | None) -> list[WeightsFile]:
        """The official files that loading would download. Raises ConfigError for missing weights."""
        return check_files(weights, cls.card)

    @classmethod
    def slim(cls, weights: Path | str | None = None, layer: int | None = None) -> Slim:
        """The tensors by their official names, and the config. Raises ConfigError as loading does."""
        source, config = cls._find(weights)
        tensors = inference_tensors(read_weights(source), UNUSED)
        refuse_other_tensors(cls._empty(config), without_weight_norm(tensors), source, cls.card.name)
        return Slim(tensors, config, [source])

    @property
    def normalisation(self) -> str:
        """The part of the card's revision that says whether windows are normalised."""
        return "normalised" if self.normalise else "not normalised"

    @classmethod
    def _find(cls, weights: Path | str | None) -> tuple[Path, dict[str, Any]]:
        """The file of tensors, and its config ({} without one), with `do_normalize` where a file states it."""
        path, beside = find_files(weights, cls.card)
        source = Path(str(path))
        config = read_config(source) or read_json(beside)
        recipe = source.parent / "preprocessor_config.json"
        stated = read_json(recipe if recipe.is_file() else None).get("do_normalize")
        config = config | config.get("config", {})
        return source, config if stated is None else config | {"do_normalize": stated}

    @classmethod
    def _empty(cls, config: Mapping[str, Any]) -> Any:
        return wav2vec_network(cls._model, config if "hidden_size" in config else cls._published, cls.card.name)

    def _states(self, audio: torch.Tensor, layers: Collection[int]) -> Iterator[tuple[int, torch.Tensor]]:
        audio = standardised(audio) if self.normalise else audio
        return hidden_states(self._network, audio.to(self._network.dtype), layers)

    def _shape(self, samples: int, layer: int) -> tuple[int, int]:
        for kernel, stride in self._strides:
            samples = max(0, (samples - kernel) // stride + 1)
        return samples, self.card.dim


def hidden_states(network: Any, audio: torch.Tensor, layers: Collection[int]) -> Iterator[tuple[int, torch.Tensor]]:
    """Pairs of layer and states (n, time, dim) of (n, samples), ascending; blocks above the highest are skipped.

    They equal `hidden_states` of the model, with one exception: in models that normalise before each block, the last
    layer includes the final norm, as in the reference. transformers 5 leaves it out.
    """
    encoder, last = network.encoder, network.config.num_hidden_layers
    norm_at_end = getattr(network.config, "do_stable_layer_norm", False)
    x = _first(network.feature_projection(network.feature_extractor(audio).mT))
    x = x + encoder.pos_conv_embed(x)
    x = x if norm_at_end else encoder.layer_norm(x)
    if 0 in layers:
        yield 0, x
    for number, block in enumerate(encoder.layers[: max(layers)], 1):
        x = _first(block(x))
        if number in layers:
            yield number, encoder.layer_norm(x) if norm_at_end and number == last else x


def wav2vec_network(model: str, config: Mapping[str, Any], name: str) -> Any:
    """The network of a config, without values and without the parts that are for training only."""
    import torch

    transformers = import_transformers(name)
    if setting := next((key for key in UNSUPPORTED if config.get(key)), None):
        raise ConfigError(
            f"the config of {name} asks for {setting}, which is not supported", fix="Give the official one."
        )
    sizes = {key: value for key, value in config.items() if key in SIZES}
    try:
        kind = getattr(transformers, model)
        shape = kind.config_class(**sizes, mask_time_prob=0.0, mask_feature_prob=0.0, attn_implementation="sdpa")
        with torch.device("meta"):
            network = kind(shape)
    except Exception as error:  # sizes that are missing, of another type, or do not fit together
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(f"the config of {name} describes no model: {reason}", fix="Give the official one.") from error
    return plain_convolutions(network).eval()


def import_transformers(name: str) -> Any:
    """The package transformers. Raises ConfigError where it is not installed."""
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(
            f"{name} needs the package transformers, which is not installed",
            fix="Run `pip install 'timbrec[encoders]'`.",
        ) from error
    return transformers


def plain_convolutions(network: Any) -> Any:
    """The network with each weight-normalised weight (length and direction) stored as one tensor."""
    from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

    for module in network.modules():
        if is_parametrized(module, "weight"):
            remove_parametrizations(module, "weight")
    return network


def without_weight_norm(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors with each pair of length and direction, under either name of PyTorch, replaced by one `weight`.

    The length has one value per index of one axis of the direction, which is normalised over all other axes.
    """
    plain = dict(tensors)
    for length, direction in (("weight_g", "weight_v"), (f"{_NEW}0", f"{_NEW}1")):
        for name in [name for name in plain if name.endswith(f".{length}")]:
            stem = name.removesuffix(length)
            g, v = plain.get(name), plain.get(stem + direction)
            if g is None or v is None or g.ndim != v.ndim:
                continue  # loading reports the missing tensor
            axes = [axis for axis, size in enumerate(g.shape) if size == 1]
            g, v = plain.pop(name).float(), plain.pop(stem + direction).float()
            plain[f"{stem}weight"] = v * (g / v.norm(dim=axes, keepdim=True))
    return plain


def standardised(audio: torch.Tensor) -> torch.Tensor:
    """(n, samples) with mean 0 and variance 1 in each row, computed as in Hugging Face's feature extractor."""
    import torch

    variance, mean = torch.var_mean(audio, dim=1, correction=0, keepdim=True)
    return (audio - mean) / (variance + EPSILON).sqrt()


def _first(output: Any) -> Any:
    """The states; some versions of transformers return them in a tuple with other values."""
    return output[0] if isinstance(output, tuple) else output


def _samples(strides: list[tuple[int, int]]) -> int:
    """The number of samples in one frame."""
    samples = 1
    for kernel, stride in reversed(strides):
        samples = (samples - 1) * stride + kernel
    return samples
