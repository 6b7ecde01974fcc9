"""MuQ: a conformer trained to predict the codes of masked music (Zhu et al. 2025)."""

from __future__ import annotations

from pathlib import Path

from timbrec.encoders.bases.conformer import RATE, ConformerEncoder, beside_or_within
from timbrec.encoders.shared import bibliography
from timbrec.protocols import EncoderCard, WeightsFile

_REPO = "OpenMuQ/MuQ-large-msd-iter"
_REVISION = "0562a57814f6f8bbd9fdea0a25921a2fce1a841a"


class MuQ(ConformerEncoder):
    """1,024 values: MuQ, a conformer trained to predict codes of masked music from the Million Song Dataset.

    `weights`: None (the hub), "owner/name@revision" there, or a folder with `model.safetensors` (or
    `pytorch_model.bin`) and `config.json`, which has the mel statistics. Layers are 0 to 12; the last is the default.
    The authors compute in float32 only: float16 gives NaN and is not offered; `dtype="bfloat16"` changes values by a
    few hundredths.
    """

    card = EncoderCard(
        name="muq",
        revision="MuQ-large-msd-iter",
        rate=RATE,
        window=30.0,
        dim=1024,
        frames_per_second=25.0,
        layers=12,
        parameters=333_130_880,
        licence_code="MIT (the reference; its code is not used)",
        licence_weights="CC BY-NC 4.0",
        commercial=False,
        trained_on="Million Song Dataset: audio, no labels",
        datasets=("Million Song Dataset",),
        citation="Zhu et al., MuQ: self-supervised music representation learning with mel residual vector "
        "quantization, 2025",
        bibtex=bibliography.MUQ,
        gflop=1282.8,
        concurrent=True,
        files=(
            WeightsFile(
                _REPO,
                "model.safetensors",
                _REVISION,
                sha256="273febab2be02872c37d2c37e48a9d6c52c1c9392f3eeeabd498efa281ccb7a6",
                bytes=1_333_825_096,
            ),
            WeightsFile(_REPO, "config.json", _REVISION, bytes=3133),
        ),
    )
    _model = "muq"

    @classmethod
    def _settings(cls, path: Path, beside: Path | None) -> dict[str, float]:
        return beside_or_within(path, beside, cls.card.name)
