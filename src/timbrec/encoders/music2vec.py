"""Music2Vec: a transformer that learned to predict its own states of masked music (Li et al. 2022)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from timbrec.encoders.bases.wav2vec import Wav2VecEncoder
from timbrec.encoders.weights.official import read_json
from timbrec.errors import ConfigError
from timbrec.protocols import EncoderCard, WeightsFile

RATE, STUDY_RATE, HOP = 16_000, 24_000, 320
_HUB = "m-a-p/music2vec-v1"


class Music2Vec(Wav2VecEncoder):
    """768 values: the mean over time of a layer of Music2Vec-v1, by default the last, which is what the model returns.

    A frame is 20 ms, and looks at the whole window. Layer 0 is the input of the first block, k the output of the k-th.

    `weights`: None (the hub), "owner/name@revision" there, a checkpoint in the layout of `pytorch_model.bin`, or its
    folder; a `config.json` beside it tells the sizes, which are the published ones without. `rate=24_000` is the
    study's way: samples at 24 kHz for a model that was trained on 16 kHz, so that music seems to play at two thirds of
    its speed, and a window has 75 frames a second. `normalise` gives each window mean 0 and variance 1; None does what
    the folder of the weights says (`do_normalize` in `preprocessor_config.json`), else what the model card's recipe
    does, which is to normalise; at 24 kHz it does as the study, which did not. `dtype="bfloat16"` halves memory and
    moves values by some hundredths; float16 is refused.
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
        gflop=496.4,
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
        gflop = self.card.gflop if rate == RATE else 806.9
        self.card = replace(self.card, rate=rate, frames_per_second=rate / HOP, gflop=gflop)
        options = [f"{rate} Hz"] * (rate != RATE) + ["normalised" if self.normalise else "not normalised"]
        self._load(source, config, device, layer, dtype, options)

    @classmethod
    def _find(cls, weights: Path | str | None) -> tuple[Path, dict[str, Any]]:
        source, config = super()._find(weights)
        beside = source.parent / "preprocessor_config.json"
        says = read_json(beside if beside.is_file() else None).get("do_normalize")
        return source, config if says is None else {**config, "do_normalize": says}


def _normalises(config: dict[str, Any], rate: int) -> bool:
    """Whether windows are normalised by default. A test model's config says how its values were made."""
    raw = str(config.get("input_normalisation", "")).startswith("none")
    return rate == RATE and bool(config.get("do_normalize", not raw))
