"""The network of MULE (McCallum et al., 2022) in torch: SF-NFNet-F0, two pathways over a log-mel slice.

The slow pathway has many channels and few time steps, the fast one few channels and many time steps. Before each stage,
the fast pathway is strided down and joined to the slow one. There is no batch normalisation: convolution kernels are
standardised, and activations are scaled to keep their variance. Tensors are (n, channels, bands, frames), with channels
last in memory; the weights keep TensorFlow's layouts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, gelu, pad, relu

GELU_GAIN = 1.7015043497085571  # keeps the variance of a normal input
BRANCH = 0.2  # the share of a block's residual branch
SLOW_STEM = (((3, 1), (2, 8)), ((3, 1), (1, 1)), ((3, 1), (1, 1)), ((3, 3), (2, 2)))  # kernel, stride of each
FAST_STEM = (((3, 3), (2, 2)), ((3, 3), (1, 1)), ((3, 3), (1, 1)), ((3, 3), (2, 2)))
STAGES = 4


@dataclass(frozen=True)
class Sizes:
    """Channels of both pathways; the defaults are the published model's."""

    slow_stem: tuple[int, ...] = (16, 32, 64, 128)
    fast_stem: tuple[int, ...] = (2, 4, 8, 16)
    slow: tuple[int, ...] = (256, 512, 1536, 1536)
    fast: tuple[int, ...] = (32, 64, 192, 192)
    fused: tuple[int, ...] = (
        128,
        256,
        512,
        3072,
    )  # channels that the fast pathway adds to each stage of the slow one
    depths: tuple[int, ...] = (1, 2, 6, 3)
    slow_group: int = 128  # channels of a group of a grouped convolution
    fast_group: int = 16

    @property
    def dim(self) -> int:
        """The length of an embedding."""
        return self.slow[-1] + self.fast[-1]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Sizes:
        """Sizes read from the weights. Raises KeyError for a missing weight."""
        out = {name.removesuffix(".bias"): len(tensors[name]) for name in tensors if name.endswith(".bias")}
        stages = range(STAGES)
        return cls(
            slow_stem=tuple(out[f"slow_stem.{layer}"] for layer in range(len(SLOW_STEM))),
            fast_stem=tuple(out[f"fast_stem.{layer}"] for layer in range(len(FAST_STEM))),
            slow=tuple(out[f"slow.{stage}.0.conv3"] for stage in stages),
            fast=tuple(out[f"fast.{stage}.0.conv3"] for stage in stages),
            fused=tuple(out[f"fusion.{stage}.conv_1x1"] for stage in stages),
            depths=tuple(sum(f"slow.{stage}.{block}.conv3" in out for block in range(len(out))) for stage in stages),
            slow_group=tensors["slow.0.0.conv1.kernel"].shape[2],
            fast_group=tensors["fast.0.0.conv1.kernel"].shape[2],
        )


class MULENetwork(nn.Module):
    """(n, 96, 300) standardised log-mel slices to (n, dim). `final_activation`: whether the last layer has one."""

    def __init__(self, sizes: Sizes, final_activation: bool = True) -> None:
        super().__init__()
        self.dim, self.final_activation = sizes.dim, final_activation
        self.slow_stem, self.fast_stem = _Stem(SLOW_STEM, sizes.slow_stem), _Stem(FAST_STEM, sizes.fast_stem)
        slow_in = [sizes.slow_stem[-1], *sizes.slow][:STAGES]
        fast_in = [sizes.fast_stem[-1], *sizes.fast][:STAGES]
        joined = [slow + fused for slow, fused in zip(slow_in, sizes.fused, strict=True)]
        self.fusion = nn.ModuleList(map(_Fusion, fast_in, sizes.fast[:1] + sizes.fast[:3], sizes.fused))
        self.slow = _stages(joined, sizes.slow, sizes.depths, sizes.slow_group)
        self.fast = _stages(fast_in, sizes.fast, sizes.depths, sizes.fast_group)

    def forward(self, slices: Tensor) -> Tensor:
        """The embeddings of slices."""
        image = slices[:, None].contiguous(memory_format=torch.channels_last)
        slow, fast = self.slow_stem(image), self.fast_stem(image)
        for fusion, slow_stage, fast_stage in zip(self.fusion, self.slow, self.fast, strict=True):
            slow = slow_stage(torch.cat([slow, fusion(fast)], dim=1))
            fast = fast_stage(fast)
        pooled = torch.cat([slow.mean((2, 3)), fast.mean((2, 3))], dim=1)
        return _activation(pooled) if self.final_activation else pooled


def _stages(inputs: list[int], outputs: tuple[int, ...], depths: tuple[int, ...], group: int) -> nn.ModuleList:
    def stage(number: int) -> Iterator[Block]:
        for block in range(depths[number]):
            first = block == 0
            channels = inputs[number] if first else outputs[number]
            # Every block adds the square of its branch's share; a stage after the first starts with one added.
            variance = 1 + BRANCH**2 * (block + (number > 0))
            yield Block(channels, outputs[number], group, variance, shortcut=first, halve=first and number > 0)

    return nn.ModuleList(nn.Sequential(*stage(number)) for number in range(STAGES))


class Convolution(nn.Module):
    """A convolution with a kernel standardised for each output channel, padded as TensorFlow's SAME."""

    def __init__(
        self, channels: int, filters: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1), groups: int = 1
    ) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(*kernel, channels // groups, filters))
        self.gain, self.bias = nn.Parameter(torch.empty(filters)), nn.Parameter(torch.empty(filters))
        self.stride, self.groups = stride, groups
        self._standardised: Tensor | None
        self.register_buffer("_standardised", None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The convolved input: its bands and frames divided by the stride and rounded up."""
        if self._standardised is None:
            self._standardised = self._standardise()
        return conv2d(self._padded(x), self._standardised, self.bias, self.stride, groups=self.groups)

    def _standardise(self) -> Tensor:
        kernel = self.kernel.permute(3, 2, 0, 1).contiguous()
        variance, mean = torch.var_mean(kernel, dim=(1, 2, 3), correction=0, keepdim=True)
        scale = torch.rsqrt((variance * kernel[0].numel()).clamp(min=1e-4)) * self.gain.view(-1, 1, 1, 1)
        return ((kernel - mean) * scale).contiguous(memory_format=torch.channels_last)

    def _padded(self, x: Tensor) -> Tensor:
        sides: list[int] = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel.shape[1::-1], self.stride[::-1], strict=True):
            missing = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            sides += [missing // 2, missing - missing // 2]
        return pad(x, sides) if any(sides) else x


class _Stem(nn.Sequential):
    """Convolutions with activations between them."""

    def __init__(self, layers: tuple[tuple[tuple[int, int], tuple[int, int]], ...], filters: tuple[int, ...]) -> None:
        shapes = zip((1, *filters), filters, layers, strict=False)
        super().__init__(*(Convolution(channels, out, *layer) for channels, out, layer in shapes))

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self
        x = first(x)
        for convolution in others:
            x = convolution(_activation(x))
        return x


class _Fusion(nn.Module):
    """The fast pathway at the slow one's time steps."""

    def __init__(self, channels: int, filters: int, fused: int) -> None:
        super().__init__()
        self.conv_t = Convolution(channels, filters, (1, 7), (1, 4))
        self.conv_1x1 = Convolution(filters, fused, (1, 1))

    def forward(self, fast: Tensor) -> Tensor:
        return self.conv_1x1(self.conv_t(fast))


class Block(nn.Module):
    """A residual block; `variance` is the expected variance of its input."""

    def __init__(self, channels: int, out: int, group: int, variance: float, shortcut: bool, halve: bool) -> None:
        super().__init__()
        inner = out // 2
        self.conv0 = Convolution(channels, inner, (1, 1))
        self.conv1 = Convolution(inner, inner, (1, 3), (2, 1) if halve else (1, 1), inner // group)
        self.conv2 = Convolution(inner, inner, (3, 1), groups=inner // group)
        self.conv3 = Convolution(inner, out, (1, 1))
        self.se = _SqueezeExcite(out, inner)
        self.skip_gain = nn.Parameter(torch.empty(()))
        self.shortcut = Convolution(channels, out, (1, 1)) if shortcut else None
        self.deviation, self.halve = variance**0.5, halve

    def forward(self, x: Tensor) -> Tensor:
        """The input plus the branch; the first block of a stage convolves the input."""
        branch = _activation(x) / self.deviation
        if self.shortcut is not None:
            x = self.shortcut(avg_pool2d(branch, (2, 1)) if self.halve else branch)
        for convolution in (self.conv0, self.conv1, self.conv2):
            branch = _activation(convolution(branch))
        return x + self.se(self.conv3(branch)) * (BRANCH * self.skip_gain)


class _SqueezeExcite(nn.Module):
    """Each channel times a gate in (0, 2), computed from the means of all channels."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = _Dense(channels, inner), _Dense(inner, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x * (2 * torch.sigmoid(self.fc2(relu(self.fc1(x.mean((2, 3)))))))[:, :, None, None]


class _Dense(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.kernel, self.bias = nn.Parameter(torch.empty(channels, out)), nn.Parameter(torch.empty(out))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.kernel + self.bias


def _activation(x: Tensor) -> Tensor:
    return gelu(x) * GELU_GAIN
