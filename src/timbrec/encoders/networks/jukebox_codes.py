"""Jukebox's VQ-VAE: audio to codes of its coarsest level.

Modules are nested so that tensors have the names of the official checkpoint `vqvae`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from timbrec.encoders.networks.jukebox_sizes import Sizes


class Encoder(nn.Module):
    """(n, 1, samples) to (n, code_width, codes): three parts of several halvings and a convolution each."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        inputs = (1, *[sizes.code_width] * (len(sizes.downs) - 1))
        parts = zip(inputs, sizes.downs, strict=True)
        self.level_blocks = nn.ModuleList(_EncoderPart(channels, downs, sizes) for channels, downs in parts)

    def forward(self, x: Tensor) -> Tensor:
        """The output of the parts, one after the other."""
        for part in self.level_blocks:
            x = part(x)
        return x


class _EncoderPart(nn.Module):
    def __init__(self, channels: int, downs: int, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.encoder_width
        inputs = (channels, *[width] * (downs - 1))
        halvings = (nn.Sequential(nn.Conv1d(size, width, 4, 2, 1), _Units(width, sizes.units)) for size in inputs)
        self.model = nn.Sequential(*halvings, nn.Conv1d(width, sizes.code_width, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class _Units(nn.Module):
    """Residual units, each with three times the dilation of the one before."""

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*(_Unit(width, 3**unit) for unit in range(units)))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class _Unit(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        first = nn.Conv1d(width, width, 3, 1, dilation, dilation)
        self.model = nn.Sequential(nn.ReLU(), first, nn.ReLU(), nn.Conv1d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.model(x)


class Bottleneck(nn.Module):
    """The codebook of the coarsest level."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.level_blocks = nn.ModuleDict({"2": _Codebook(sizes)})

    def forward(self, x: Tensor) -> Tensor:
        """(n, time, code_width) to (n, time) codes."""
        return self.level_blocks["2"](x)


class _Codebook(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.k = nn.Parameter(torch.empty(sizes.codes, sizes.code_width))

    def forward(self, x: Tensor) -> Tensor:
        """(n, time, code_width) to (n, time): the entry at the smallest distance."""
        return (self.k.square().sum(1) - 2 * x @ self.k.T).argmin(-1)
