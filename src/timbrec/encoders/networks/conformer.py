"""The network of MusicFM and MuQ in torch: mel spectrum, convolutional stem, conformer (Gulati et al. 2020).

Each layer is two half-step feed-forward parts around self-attention and a convolution over time. Rotary positions turn
the input of the queries' and keys' projections, not the queries and keys themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import glu, linear, scaled_dot_product_attention, silu
from torch.nn.utils.fusion import fuse_conv_bn_eval

from timbrec.encoders.signals.mel import mel_power

RATE, N_FFT, HOP, MELS = 24_000, 2048, 240, 128
FLOOR = 1e-10  # of a band's power: -100 dB


@dataclass(frozen=True)
class Sizes:
    """Sizes and settings of a network; the defaults are the published models'."""

    dim: int = 1024
    layers: int = 12
    heads: int = 16
    feed_forward: int = 4096
    kernel: int = 31
    channels: int = 512
    epsilon: float = 1e-5
    rotary_base: float = 10_000.0

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], settings: Mapping[str, float]) -> Sizes:
        """Sizes read from the tensors; `settings` add the number of layers and all that tensors do not show.

        Raises KeyError or IndexError where a tensor with a size is missing or has fewer dimensions.
        """
        layer = "conformer.layers.0"
        numbers = {name.split(".")[2] for name in tensors if name.startswith("conformer.layers.")}
        speeds = tensors.get("conformer.embed_positions.inv_freq")
        dim = tensors["conformer.layer_norm.weight"].shape[0]
        heads = cls.heads if speeds is None else dim // (2 * max(1, len(speeds)))
        return cls(
            dim=dim,
            layers=int(settings.get("layers", len(numbers))),
            heads=int(settings.get("heads", heads)),
            feed_forward=tensors[f"{layer}.ffn1.intermediate_dense.weight"].shape[0],
            kernel=tensors[f"{layer}.conv_module.depthwise_conv.weight"].shape[2],
            channels=tensors["conv.conv.0.conv1.weight"].shape[0],
            epsilon=settings.get("epsilon", cls.epsilon),
            rotary_base=settings.get("rotary_base", cls.rotary_base),
        )

    def gflop(self, samples: int) -> float:
        """The cost of a window's products and convolutions in 10^9 multiplications and additions."""
        frames, width = samples // HOP, self.channels
        half, time = -(-frames // 2), -(-frames // 4)
        mel = frames * MELS * (N_FFT // 2 + 1)
        stem = 9 * (MELS // 2 * half * width * (width + 2) + MELS // 4 * time * 3 * width**2)
        stem += time * MELS // 4 * width * self.dim
        layer = 4 * self.feed_forward + 7 * self.dim + self.kernel + 2 * time
        return 2 * (mel + stem + self.layers * time * self.dim * layer) / 1e9


def decibels(audio: Tensor, bands: Tensor) -> Tensor:
    """(n, samples) at 24 kHz to (n, 128, samples // 240): 10 log10 of the power in each of the bands."""
    return 10 * mel_power(audio, bands, HOP)[..., :-1].clamp(min=FLOOR).log10()


def training_bands() -> Tensor:
    """(128, 1025) triangular filters with a peak of 1, evenly spaced in HTK mel from 0 to 12 kHz.

    They are computed in float32, as in training, which moves the edges of narrow bands by a few millionths.
    """
    top = 2595 * torch.tensor(1 + RATE / 2 / 700, dtype=torch.float64).log10()
    edges = 700 * (10 ** (torch.linspace(0, float(top), MELS + 2) / 2595) - 1)
    from_edges = edges - torch.linspace(0, RATE // 2, N_FFT // 2 + 1)[:, None]
    widths = edges.diff()
    falling, rising = from_edges[:, 2:] / widths[1:], -from_edges[:, :-2] / widths[:-1]
    return torch.minimum(rising, falling).clamp(min=0).T.contiguous()


class ConformerNetwork(nn.Module):
    """Hidden states of normalised mel spectra. Modules are named as in the official checkpoints."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.conv = _Stem(sizes.channels, sizes.dim)
        self.conformer = _Layers(sizes)

    def states(self, mel: Tensor, layers: Collection[int]) -> Iterator[tuple[int, Tensor]]:
        """The numbers and states (n, time, dim) of these layers, from 0 (the stem) to the last (after the last norm).

        `mel` is (n, 128, frames); time is a quarter of the frames, rounded up. Layers above the highest are not
        computed.
        """
        hidden = self.conv(mel)
        turn = _rotation(hidden, self.sizes)
        for number, layer in enumerate(self.conformer.layers):
            if number in layers:
                yield number, hidden
            if number >= max(layers):
                return
            hidden = layer(hidden, turn)
        yield self.sizes.layers, self.conformer.layer_norm(hidden)

    def ready(self) -> ConformerNetwork:
        """This network in inference mode, each batch normalisation merged into the convolution before it."""
        self.eval()
        for module in self.modules():
            for norm, conv in getattr(module, "normalised", {}).items():
                setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
                setattr(module, norm, nn.Identity())
        return self


class _Layers(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(sizes) for _ in range(sizes.layers))
        self.layer_norm = _norm(sizes)


class _Stem(nn.Module):
    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(_Residual(1, channels), _Residual(channels, channels))
        self.linear = nn.Linear(channels * MELS // 4, dim)

    def forward(self, mel: Tensor) -> Tensor:
        """(n, 128, frames) to (n, frames / 4, dim): all channels and bands of a frame make its vector."""
        vectors: Tensor = self.linear(self.conv(mel[:, None]).flatten(1, 2).mT)
        return vectors


class _Residual(nn.Module):
    """Two convolutions and a convolved shortcut, which halve bands and frames."""

    normalised: ClassVar[dict[str, str]] = {"bn1": "conv1", "bn2": "conv2", "bn3": "conv3"}

    def __init__(self, inside: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, channels, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv3 = nn.Conv2d(inside, channels, 3, stride=2, padding=1)
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm2d(channels) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_()))
        return inner.add_(self.bn3(self.conv3(x))).relu_()


class _Layer(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.ffn1_layer_norm, self.ffn1 = _norm(sizes), _FeedForward(sizes)
        self.self_attn_layer_norm, self.self_attn = _norm(sizes), _Attention(sizes)
        self.conv_module = _Convolution(sizes)
        self.ffn2_layer_norm, self.ffn2 = _norm(sizes), _FeedForward(sizes)
        self.final_layer_norm = _norm(sizes)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        x = x.add(self.ffn1(self.ffn1_layer_norm(x)), alpha=0.5)
        x = x + self.self_attn(self.self_attn_layer_norm(x), turn)
        x = x + self.conv_module(x)
        x = x.add(self.ffn2(self.ffn2_layer_norm(x)), alpha=0.5)
        out: Tensor = self.final_layer_norm(x)
        return out


class _FeedForward(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(sizes.dim, sizes.feed_forward)
        self.output_dense = nn.Linear(sizes.feed_forward, sizes.dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.output_dense(silu(self.intermediate_dense(x), inplace=True))
        return out


class _Attention(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.linear_q, self.linear_k = nn.Linear(sizes.dim, sizes.dim), nn.Linear(sizes.dim, sizes.dim)
        self.linear_v, self.linear_out = nn.Linear(sizes.dim, sizes.dim), nn.Linear(sizes.dim, sizes.dim)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        cos, sin = turn
        first, second = x.unflatten(2, (self.heads, -1)).chunk(2, dim=3)
        placed = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=3).flatten(2)
        q, k, v = self.linear_q(placed), self.linear_k(placed), self.linear_v(x)
        heads = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        mixed = scaled_dot_product_attention(*heads)
        out: Tensor = self.linear_out(mixed.transpose(1, 2).flatten(2))
        return out


class _Convolution(nn.Module):
    normalised: ClassVar[dict[str, str]] = {"batch_norm": "depthwise_conv"}

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        dim, kernel = sizes.dim, sizes.kernel
        self.layer_norm = _norm(sizes)
        self.pointwise_conv1 = nn.Conv1d(dim, 2 * dim, 1, bias=False)
        self.depthwise_conv = nn.Conv1d(dim, dim, kernel, padding=(kernel - 1) // 2, groups=dim, bias=False)
        self.batch_norm = nn.BatchNorm1d(dim)
        self.pointwise_conv2 = nn.Conv1d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolutions of width 1 are computed as matrix products."""
        gated = glu(linear(self.layer_norm(x), self.pointwise_conv1.weight[..., 0]), dim=2)
        smoothed = silu(self.batch_norm(self.depthwise_conv(gated.mT)), inplace=True)
        return linear(smoothed.mT, self.pointwise_conv2.weight[..., 0])


def _norm(sizes: Sizes) -> nn.LayerNorm:
    return nn.LayerNorm(sizes.dim, sizes.epsilon)


def _rotation(hidden: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor]:
    """Cosines and sines (time, 1, head / 2) of the rotary position angles (Su et al. 2021)."""
    head = sizes.dim // sizes.heads
    speeds = 1 / sizes.rotary_base ** (torch.arange(0, head, 2, device=hidden.device) / head)
    angles = torch.arange(hidden.shape[1], device=hidden.device)[:, None, None] * speeds
    return angles.cos().to(hidden.dtype), angles.sin().to(hidden.dtype)
