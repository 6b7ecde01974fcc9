"""Layers of TensorFlow networks in torch, with the variables' official names and layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

EPSILON = 1e-3


class Layer(nn.Module):
    """A kernel, its last axis the outputs, and a bias."""

    def __init__(self, kernel: tuple[int, ...]) -> None:
        super().__init__()
        self.kernel, self.bias = nn.Parameter(torch.empty(kernel)), nn.Parameter(torch.empty(kernel[-1]))


class Norm(nn.Module):
    """Batch normalisation of the last axis by the statistics of training."""

    gamma: Tensor
    beta: Tensor
    moving_mean: Tensor
    moving_variance: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            self.register_parameter(name, nn.Parameter(torch.empty(size)))

    @property
    def sign(self) -> Tensor:
        """-1 for channels with a negative gain, because the normalisation reverses their order, else 1."""
        return torch.where(self.gamma < 0, -1.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """The normalised values, of the shape of `x`."""
        return (x - self.moving_mean) * (self.gamma * torch.rsqrt(self.moving_variance + EPSILON)) + self.beta


def renamed(variables: Mapping[str, Tensor], ours: Mapping[str, str]) -> dict[str, Tensor]:
    """The variables "layer/variable" as "our layer.variable"; a layer that `ours` lacks keeps its name."""
    parts = {variable: variable.split("/") for variable in variables}
    return {".".join([ours.get(layer, layer), *part]): variables[name] for name, (layer, *part) in parts.items()}


def numbered(kind: str, names: Sequence[str]) -> dict[str, str]:
    """TensorFlow's names of the layers of a kind, "kind", "kind_1", "kind_2", ..., for these names of ours."""
    return {f"{kind}_{number}" if number else kind: name for number, name in enumerate(names)}
