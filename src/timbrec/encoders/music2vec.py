"""Music2Vec: a transformer trained to predict its own states of masked music (Li et al. 2022)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from timbrec.encoders.bases.wav2vec import Wav2VecEncoder
from timbrec.encoders.shared import bibliography
from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard, WeightsFile

RATE, STUDY_RATE, HOP = 16_000, 24_000, 320
STUDY_GFLOP = 806.9  # of a window at STUDY_RATE
_HUB = "m-a-p/music2vec-v1"


class Music2Vec(Wav2VecEncoder):
    """768 values: the mean over time of a layer of Music2Vec-v1, by default the last, which is the model's output.

    A frame is 20 ms and attends to the whole window. Layer 0 is the input of the first block, k the output of the k-th.

    `weights`: None (the hub), "owner/name@revision" there, a checkpoint in the layout of `pytorch_model.bin`, or its
    folder. A `config.json` beside it gives the sizes; without one they are the published ones. `rate=24_000` is the
    study's way: samples at 24 kHz for a model trained at 16 kHz, so that music seems to play at two thirds of its
    speed, and a window has 75 frames a second. `normalise` gives each window mean 0 and variance 1. None follows
    `do_normalize` in a `preprocessor_config.json` beside the weights, and normalises without one, as the model card's
    recipe does; at 24 kHz it does not normalise, as in the study. `dtype="bfloat16"` halves memory and changes values
    by a few hundredths; float16 is refused.
    """

    card = EncoderCard(
        name="music2vec",
        revision="music2vec-v1",
        rate=RATE,
        window=30.0,
        dim=768,
        frames_per_second=RATE / HOP,
        layers=12,
        parameters=93_163_520,
        licence_code="Apache-2.0 (transformers)",
        licence_weights="CC-BY-NC-4.0",
        commercial=False,
        trained_on="music of 1,000 hours, unpublished (no labels): the model's own states of masked frames",
        citation="Li et al., MAP-Music2Vec: a simple and effective baseline for self-supervised music audio "
        "representation learning, ISMIR late-breaking demo, 2022",
        bibtex=bibliography.MUSIC2VEC,
        gflop=496.4,
        concurrent=True,
        files=(
            WeightsFile(_HUB, "pytorch_model.bin", bytes=373_000_000),
            WeightsFile(_HUB, "config.json"),
        ),
    )
    _model: ClassVar[str] = "Data2VecAudioModel"

    def __init__(
        self,
        weights: Path | str | None = None,
        device: str = "cpu",
        layer: int | None = None,
        rate: int = RATE,
        normalise: bool | None = None,
        dtype: str = "float32",
    ) -> None:
        if rate not in (RATE, STUDY_RATE):
            raise ConfigError(f"music2vec takes no audio at {rate:,} Hz", fix=f"Choose from {RATE}, {STUDY_RATE}.")
        source, config = self._find(weights)
        self.normalise = _normalises(config, rate) if normalise is None else normalise
        gflop = self.card.gflop if rate == RATE else STUDY_GFLOP
        self.card = self.card.loaded(rate=rate, frames_per_second=rate / HOP, gflop=gflop)
        self._load(source, config, device, layer, dtype, [*[f"{rate} Hz"] * (rate != RATE), self.normalisation])


def _normalises(config: dict[str, Any], rate: int) -> bool:
    """Whether windows are normalised by default. The config of a test model says how its values were computed."""
    raw = str(config.get("input_normalisation", "")).startswith("none")
    return rate == RATE and bool(config.get("do_normalize", not raw))
