"""MERT: transformers trained to predict codes and a constant-Q transform of masked music (Li et al. 2024)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from timbrec.encoders.bases.wav2vec import Wav2VecEncoder
from timbrec.encoders.shared import bibliography
from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard, WeightsFile

RATE = 24_000


def _files(repo: str, size: int, revision: str = "main", sha256: str = "") -> tuple[WeightsFile, ...]:
    tensors = WeightsFile(repo, "pytorch_model.bin", revision, sha256, size)
    return tensors, WeightsFile(repo, "config.json", revision)


class MERT(Wav2VecEncoder):
    """The mean over time of a layer of MERT, by default the last, which is the model's output.

    A frame is 13.3 ms and attends to the whole window. Layers are numbered as in the reference: 0 is the input of the
    first block, k the output of the k-th. mert-330m normalises before each block and once at the end: its last layer
    includes that final norm, its other layers do not.

    `weights`: None (the hub), "owner/name@revision" there, a checkpoint in the layout of `pytorch_model.bin`, or its
    folder. A `config.json` beside it gives the sizes; without one they are the published ones. `normalise` gives each
    window mean 0 and variance 1. None follows `do_normalize` in a `preprocessor_config.json` beside the weights, and
    normalises without one, as the hub's file says. False is the study's way: raw samples, as in training. Quiet music
    depends on it: vectors of quiet tracks change by a fifth to a third. `dtype="bfloat16"` halves memory and changes
    values by a few hundredths; float16 is refused.
    """

    _model: ClassVar[str] = "HubertModel"

    def __init__(
        self,
        weights: Path | str | None = None,
        device: str = "cpu",
        layer: int | None = None,
        normalise: bool | None = None,
        dtype: str = "float32",
    ) -> None:
        source, config = self._find(weights)
        sizes = (config.get("hidden_size"), config.get("num_hidden_layers"))
        for other in {MERT95M, MERT330M} - {type(self)}:
            if sizes == (other.card.dim, other.card.layers):
                raise ConfigError(f"{source} holds the weights of {other.card.name}", fix=f"Load {other.card.name}.")
        self.normalise = bool(config.get("do_normalize", True)) if normalise is None else normalise
        self._load(source, config, device, layer, dtype, [self.normalisation])


class MERT95M(MERT):
    """768 values: MERT-v1-95M, a transformer trained on masked music to predict codes and a constant-Q transform."""

    card = EncoderCard(
        name="mert-95m",
        revision="MERT-v1-95M",
        rate=RATE,
        window=30.0,
        dim=768,
        frames_per_second=RATE / 320,
        layers=12,
        parameters=94_370_944,
        licence_code="Apache-2.0 (transformers; the reference's code is not used)",
        licence_weights="CC-BY-NC-4.0",
        commercial=False,
        trained_on="music of 1,000 hours (no labels): EnCodec's codes and constant-Q spectra of masked frames",
        citation="Li et al., MERT: acoustic music understanding model with large-scale self-supervised training, "
        "ICLR 2024",
        bibtex=bibliography.MERT,
        gflop=812.4,
        concurrent=True,
        files=_files("m-a-p/MERT-v1-95M", 377_000_000, "12af15fef9d0ac838c3f475bfbbf26d2060dd4f5"),
    )


class MERT330M(MERT):
    """1,024 values: MERT-v1-330M, a transformer trained on masked music to predict codes and a constant-Q transform."""

    card = replace(
        MERT95M.card,
        name="mert-330m",
        revision="MERT-v1-330M",
        dim=1024,
        layers=24,
        parameters=315_427_968,
        trained_on="music of 160,000 hours (no labels): EnCodec's codes and constant-Q spectra of masked frames",
        gflop=2116.6,
        files=_files("m-a-p/MERT-v1-330M", 1_260_000_000, sha256="0c03774d"),
    )
    _published: ClassVar[dict[str, Any]] = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "do_stable_layer_norm": True,
    }
