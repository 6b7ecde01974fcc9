"""VGG: convolutional music taggers; the official weights come with the `musicnn` package, TensorFlow is not needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from timbrec.encoders.bases.patches import FRAMES, MELS, MSD_CARD, MTT, PatchTagger
from timbrec.encoders.shared import musicnn_tags

if TYPE_CHECKING:
    import torch

    from timbrec.encoders.networks.vgg import VGGNetwork

# Layer: states in a patch, values in a state.
STATES = ((FRAMES, MELS), (92, 48 * 128), (46, 24 * 128), (23, 12 * 128), (11, 6 * 128), (1, 2 * 128))


class VGG(PatchTagger):
    """The mean over patches of the last pool's 256 values. Base of the two published models.

    Layers: 0 is the log-mel spectrum (96 values), 1 to 4 the first four pools, a state for each time step with the 128
    channels of the lowest band first (6,144, 3,072, 1,536 and 768 values), and 5, the default, the last pool: both time
    steps of a patch in one state, which is the input of the tag layer. There is no penultimate layer. Options: see
    PatchTagger.
    """

    _layer_states = STATES
    _published: ClassVar[dict[str, str]] = {"355d69aa8c2f": "vgg-msd", "c190ba22f2f1": "vgg-mtt"}

    @classmethod
    def _empty(cls) -> VGGNetwork:
        from timbrec.encoders.networks.vgg import VGGNetwork

        return VGGNetwork()

    @staticmethod
    def _renamed(variables: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        from timbrec.encoders.networks.vgg import renamed

        return renamed(variables)

    def _layers(self, patches: torch.Tensor, layers: Collection[int]) -> dict[int, torch.Tensor]:
        stages = {} if set(layers) <= {0} else self._network(patches)
        states = {layer: stages[f"pool{layer}"] if layer else patches for layer in layers}
        return {layer: state.reshape(len(patches), *STATES[layer]) for layer, state in states.items()}


class VGGMSD(VGG):
    """256 values: the last pool of a VGG, a tagger trained on the Million Song Dataset."""

    card = replace(MSD_CARD, name="vgg-msd", dim=STATES[-1][1], layers=5, parameters=607_030, gflop=17.8)
    tags = musicnn_tags.MSD
    _folder = "MSD_vgg"


class VGGMTT(VGG):
    """256 values: the last pool of a VGG, a tagger trained on MagnaTagATune."""

    card = replace(VGGMSD.card, name="vgg-mtt", **MTT)
    tags = musicnn_tags.MTT
    _folder = "MTT_vgg"
