"""The network of the `musicnn` package's VGG taggers in torch (Pons & Serra, 2019): five convolutions and a tagger."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d, relu

from timbrec.encoders.networks import tf_layers
from timbrec.encoders.networks.tf_layers import Layer, Norm, numbered

FILTERS, TAGS = 128, 50
POOLS = (((4, 1), 2), ((2, 2), 2), ((2, 2), 2), ((2, 2), 2), ((4, 4), 4))  # kernel and stride of each
SHAPES = ((92, 48), (46, 24), (23, 12), (11, 6), (2, 1))  # time steps and bands after each pool


class VGGNetwork(nn.Module):
    """All stages of the official extractor, computed from log-mel patches."""

    def __init__(self) -> None:
        super().__init__()
        self.input = Norm(1)
        self.blocks = nn.ModuleList(_Block(1 if number == 0 else FILTERS, *pool) for number, pool in enumerate(POOLS))
        self.output = Layer((SHAPES[-1][0] * SHAPES[-1][1] * FILTERS, TAGS))

    def forward(self, patches: Tensor) -> dict[str, Tensor]:
        """Each stage of (n, 187, 96) patches, by its official name.

        `pool1` to `pool5` (n, time, bands, 128), and `taggram` (n, 50), probabilities.
        """
        x, stages = self.input(patches[..., None]), dict[str, Tensor]()
        for number, block in enumerate(self.blocks, 1):
            x = stages[f"pool{number}"] = block(x)
        logits = x.flatten(1) @ self.output.kernel + self.output.bias
        return stages | {"taggram": torch.sigmoid(logits)}


class _Block(Layer):
    """A convolution of 3 by 3, ReLU, normalisation and a pool; channels come last, as in TensorFlow.

    The pool comes before ReLU and normalisation here, which have fewer values to compute then. Both keep the order of
    values, so that the result is the same to the bit; where the gain is negative, the convolution's sign is flipped.
    Bands that a pool leaves out, because it is narrower than its step, are not computed.
    """

    def __init__(self, channels: int, kernel: tuple[int, int], stride: int) -> None:
        super().__init__((3, 3, channels, FILTERS))
        self.norm, self.pool, self.stride = Norm(FILTERS), kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        sign, skipped = self.norm.sign, self.stride if self.pool[1] == 1 else 1
        kernel = (self.kernel * sign).permute(3, 2, 0, 1)
        convolved = conv2d(x.permute(0, 3, 1, 2), kernel, self.bias * sign, (1, skipped), padding=1)
        largest = max_pool2d(convolved, self.pool, (self.stride, self.stride // skipped)).permute(0, 2, 3, 1)
        return self.norm(relu(largest * sign))


def renamed(variables: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The variables of the official checkpoint by their names in `VGGNetwork`; unknown names are kept."""
    blocks = [f"blocks.{number}" for number in range(len(POOLS))]
    norms = numbered("batch_normalization", ["input", *(f"{block}.norm" for block in blocks)])
    convolutions = {f"{number}CNN": block for number, block in enumerate(blocks, 1)}
    return tf_layers.renamed(variables, norms | convolutions | {"dense": "output"})
