"""The network of MusiCNN (Pons & Serra, 2019) in torch, with its first convolutions as matrix products.

The first convolutions have one input channel and large kernels, up to 7 frames by 67 bands or 128 frames by one band,
and only the maximum over bands is kept. The patches under a kernel are overlapping views of the input, so that no copy
is needed. The network normalises before it takes the maximum; here the maximum comes first, which is the same for a
positive gain. For a negative gain, the signs of the kernel and of the maximum are flipped.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from timbrec.encoders.networks import tf_layers
from timbrec.encoders.networks.tf_layers import Layer, Norm, numbered

FRAMES, MELS = 187, 96  # of a patch
UNITS, TAGS = 200, 50
TIMBRAL, TEMPORAL, MIDDLE = 204, 51, 64  # filters
FRONT = 2 * TIMBRAL + 3 * TEMPORAL
POOLED = 2 * (FRONT + 3 * MIDDLE)


class MusiCNNNetwork(nn.Module):
    """All stages of the official extractor, computed from log-mel patches."""

    def __init__(self) -> None:
        super().__init__()
        self.input = Norm(1)
        self.timbral = nn.ModuleList(_Timbral((7, bands, 1, TIMBRAL)) for bands in (38, 67))
        self.temporal = nn.ModuleList(_Temporal((frames, 1, 1, TEMPORAL)) for frames in (128, 64, 32))
        self.middle = nn.ModuleList(_Middle((7, channels, 1, MIDDLE)) for channels in (FRONT, MIDDLE, MIDDLE))
        self.pooled = Norm(POOLED)
        self.hidden = Layer((POOLED, UNITS))
        self.penultimate = Norm(UNITS)
        self.output = Layer((UNITS, TAGS))

    def forward(self, patches: Tensor) -> dict[str, Tensor]:
        """Each stage of (n, 187, 96) patches, by its official name.

        `timbral` (n, 187, 408), `temporal` (n, 187, 153), `cnn1` to `cnn3` (n, 187, 64), `max_pool` and `mean_pool`
        (n, 753), `penultimate` (n, 200) and `taggram` (n, 50), probabilities.
        """
        patches = self.input(patches)
        timbral = torch.cat([convolution(patches) for convolution in self.timbral], dim=2)
        temporal = torch.cat([convolution(patches) for convolution in self.temporal], dim=2)
        front = torch.cat([timbral, temporal], dim=2)
        first, second, third = self.middle
        cnn1 = first(front)
        cnn2 = second(cnn1) + cnn1
        cnn3 = third(cnn2) + cnn2
        features = torch.cat([front, cnn1, cnn2, cnn3], dim=2)
        stages = {"timbral": timbral, "temporal": temporal, "cnn1": cnn1, "cnn2": cnn2, "cnn3": cnn3}
        return stages | self._tagged(features.amax(1), features.mean(1))

    def _tagged(self, max_pool: Tensor, mean_pool: Tensor) -> dict[str, Tensor]:
        pooled = torch.stack([max_pool, mean_pool], dim=2).flatten(1)  # maximum, mean, maximum, mean, ...
        hidden = self.pooled(pooled) @ self.hidden.kernel + self.hidden.bias
        penultimate = self.penultimate(relu(hidden))
        taggram = torch.sigmoid(penultimate @ self.output.kernel + self.output.bias)
        return {"max_pool": max_pool, "mean_pool": mean_pool, "penultimate": penultimate, "taggram": taggram}


def renamed(variables: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The variables of the official checkpoint by their names in `MusiCNNNetwork`; unknown names are kept."""
    convolutions = [f"{kind}.{number}" for kind, count in _CONVOLUTIONS for number in range(count)]
    norms = ["input", *(f"{convolution}.norm" for convolution in convolutions), "pooled", "penultimate"]
    layers = numbered("conv2d", convolutions) | numbered("batch_normalization", norms)
    return tf_layers.renamed(variables, layers | numbered("dense", ["hidden", "output"]))


_CONVOLUTIONS = (("timbral", 2), ("temporal", 3), ("middle", 3))


class _Convolution(Layer):
    def __init__(self, kernel: tuple[int, ...]) -> None:
        super().__init__(kernel)
        self.norm = Norm(kernel[-1])

    def activated(self, convolved: Tensor) -> Tensor:
        return self.norm(relu(convolved + self.bias))


class _Timbral(_Convolution):
    """(n, 187, 96) to (n, 187, filters): the maximum over all positions of the kernel along the bands."""

    def forward(self, patches: Tensor) -> Tensor:
        """The maximum over bands, normalised.

        A row (patch, frame) holds the 7 frames around it, grouped by band. A position of the kernel is a run of
        columns, and the next position starts one band later.
        """
        kernel = self.kernel[:, :, 0] * self.norm.sign
        frames, bands, filters = kernel.shape
        rows = pad(patches, (0, 0, frames // 2, frames // 2)).unfold(1, frames, 1).reshape(-1, MELS * frames)
        windows = rows.unfold(1, bands * frames, frames).transpose(0, 1)  # (positions, rows, columns), a view
        matrix = kernel.transpose(0, 1).reshape(1, bands * frames, filters)
        # The products of a few positions at a time stay in a processor's cache until their maximum is taken.
        parts = [torch.bmm(part, matrix.expand(len(part), -1, -1)).amax(0) for part in windows.split(8)]
        largest = torch.stack(parts).amax(0)
        return self.activated(largest.view(-1, FRAMES, filters) * self.norm.sign)


class _Temporal(_Convolution):
    """(n, 187, 96) to (n, 187, filters): a convolution of each band over time, the maximum over bands."""

    def forward(self, patches: Tensor) -> Tensor:
        """The maximum over bands, normalised. A column is a (patch, band), and the kernel moves along its rows."""
        kernel = self.kernel[:, 0, 0] * self.norm.sign
        frames, filters = kernel.shape
        columns = pad(patches.mT, ((frames - 1) // 2, frames // 2)).flatten(0, 1)
        windows = columns.unfold(1, frames, 1).permute(1, 2, 0)  # (positions, kernel's frames, columns), a view
        products = torch.bmm(kernel.T.expand(FRAMES, -1, -1), windows)
        largest = products.view(FRAMES, filters, -1, MELS).amax(3).permute(2, 0, 1)
        return self.activated(largest * self.norm.sign)


class _Middle(_Convolution):
    """(n, 187, channels) to (n, 187, filters): a convolution over time."""

    def forward(self, features: Tensor) -> Tensor:
        """One product computes the contribution of each frame to the frames around it; then they are summed."""
        kernel = self.kernel[:, :, 0].transpose(0, 1)
        channels, frames, filters = kernel.shape
        added = (features @ kernel.reshape(channels, -1)).unflatten(2, (frames, filters))
        padded = pad(added, (0, 0, 0, 0, frames // 2, frames // 2))
        around = [padded[:, frame : frame + FRAMES, frame] for frame in range(frames)]
        return self.activated(torch.stack(around).sum(0))
