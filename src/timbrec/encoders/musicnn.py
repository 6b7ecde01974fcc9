"""MusiCNN: a small music tagger; the official weights come with the `musicnn` package, TensorFlow is not needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from timbrec.encoders.bases.patches import FRAMES, MELS, MSD_CARD, MTT, PATCH, PatchTagger
from timbrec.encoders.shared import musicnn_tags
from timbrec.encoders.shared.resampling import resampled
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    import torch

    from timbrec.encoders.networks.musicnn import MusiCNNNetwork

FRONT, MIDDLE, UNITS = 561, 64, 200  # values of the front end, a middle convolution, the penultimate layer
# Layer: states in a patch, values in a state.
STATES = ((FRAMES, MELS), (FRAMES, FRONT), *[(FRAMES, MIDDLE)] * 3, (1, 2 * (FRONT + 3 * MIDDLE)), (1, UNITS))


class MusiCNN(PatchTagger):
    """The mean over patches of the penultimate layer. Base of the two published models.

    Layers: 0 is the log-mel spectrum (96 values), 1 the front end, timbral then temporal filters (561), 2 to 4 the
    middle convolutions (64 each), 5 the pooled back end, maximum and mean over a patch interleaved (1,506), and 6, the
    default, the penultimate layer (200). `first_patch_only` repeats a defect of the released package, and perhaps of
    the study: the first patch's vector is returned for all patches. `resampler="kaiser_best"`, which needs resampy,
    converts files to 16 kHz as librosa did before version 0.10. The other options: see PatchTagger.
    """

    _layer_states = STATES
    _published: ClassVar[dict[str, str]] = {"a435820f343a": "musicnn-msd", "7e01a9674997": "musicnn-mtt"}

    def __init__(
        self,
        weights: Path | str | None = None,
        device: str = "cpu",
        layer: int | None = None,
        first_patch_only: bool = False,
        pad_mode: str = "reflect",
        overlap: float = 0.0,
        resampler: str = "soxr",
    ) -> None:
        super().__init__(weights, device, layer, pad_mode, overlap)
        self.first_patch_only = first_patch_only
        self.card = resampled(self.card, resampler)
        if first_patch_only:
            self.card = self.card.loaded("first patch")

    def patches(self, window: Float32[Array, "samples"]) -> torch.Tensor:
        """The network's input: log10(1 + 10,000 power) of 96 mel bands, in (patches, 187, 96)."""
        return super().patches(window[: PATCH if self.first_patch_only else None])[: self._count(len(window))]

    def _count(self, samples: int) -> int:
        return 1 if self.first_patch_only else super()._count(samples)

    @classmethod
    def _empty(cls) -> MusiCNNNetwork:
        from timbrec.encoders.networks.musicnn import MusiCNNNetwork

        return MusiCNNNetwork()

    @staticmethod
    def _renamed(variables: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        from timbrec.encoders.networks.musicnn import renamed

        return renamed(variables)

    def _layers(self, patches: torch.Tensor, layers: Collection[int]) -> dict[int, torch.Tensor]:
        import torch

        if set(layers) <= {0}:
            return {0: patches}
        stages = self._network(patches)
        pooled = torch.stack([stages["max_pool"], stages["mean_pool"]], dim=2).flatten(1)
        states = (
            patches,
            torch.cat([stages["timbral"], stages["temporal"]], dim=2),
            *(stages[name] for name in ("cnn1", "cnn2", "cnn3")),
            pooled[:, None],
            stages["penultimate"][:, None],
        )
        return {layer: states[layer] for layer in layers}


class MusiCNNMSD(MusiCNN):
    """200 values: the penultimate layer of MusiCNN, a tagger trained on the Million Song Dataset."""

    card = replace(MSD_CARD, name="musicnn-msd", dim=UNITS, layers=6, parameters=792_079, gflop=28.0)
    tags = musicnn_tags.MSD
    _folder = "MSD_musicnn"


class MusiCNNMTT(MusiCNN):
    """200 values: the penultimate layer of MusiCNN, a tagger trained on MagnaTagATune."""

    card = replace(MusiCNNMSD.card, name="musicnn-mtt", **MTT)
    tags = musicnn_tags.MTT
    _folder = "MTT_musicnn"
