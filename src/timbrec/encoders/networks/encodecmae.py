"""The parts of EncodecMAE (Pepino, Riera & Ferrer 2023) that its embeddings need, but for EnCodec's encoder.

Modules are nested so that their tensors have the names of the official checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True)
class Sizes:
    """The sizes of a model. Heads are in no tensor's shape."""

    heads: int
    codec: int  # values of an EnCodec frame
    filters: int  # of EnCodec's first convolution
    dim: int
    inner: int
    layers: int

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], heads: int) -> Sizes:
        """The sizes of a model with these tensors. Raises KeyError where one that tells them is missing."""
        dim, codec = tensors["feat_projector.weight"].shape
        block = "visible_encoder.encoder_layers"
        return cls(
            heads=heads,
            codec=codec,
            filters=len(tensors["wav_encoder.model.model.0.conv.conv.bias"]),
            dim=dim,
            inner=len(tensors[f"{block}.0.ff_layer.0.weight"]),
            layers=sum(name.startswith(block) and name.endswith(".norm1.weight") for name in tensors),
        )


class EncodecMAENetwork(nn.Module):
    """From EnCodec's frames to hidden states."""

    def __init__(self, sizes: Sizes, codec: nn.Module) -> None:
        super().__init__()
        self.sizes = sizes
        self.wav_encoder = codec
        self.feat_projector = nn.Linear(sizes.codec, sizes.dim)
        self.positional_encoder = _Positions()
        self.visible_encoder = _Encoder(sizes)

    def forward(self, audio: Tensor, hop: int, wanted: Collection[int]) -> dict[int, Tensor]:
        """The wanted layers, (n, time, dim) each, of chunks of one length, (n, samples).

        Layer 0 is the input of the first block, k the stream that is normalised after the k-th; the last one has the
        other stream, normalised, added to it. The frame of the last, incomplete hop is not looked at by any other
        frame unless it is the only one, but has states of its own.
        """
        frames = self.wav_encoder(audio[:, None]).mT
        x = self.positional_encoder(self.feat_projector(frames.to(self.feat_projector.weight.dtype)))
        return self.visible_encoder(x, max(1, audio.shape[1] // hop), wanted)


class _Positions(nn.Module):
    """Sines and cosines of each frame's number, in turns, times a learned scale."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(()))

    def forward(self, x: Tensor) -> Tensor:
        time, dim = x.shape[1:]
        speeds = torch.exp(torch.arange(0, dim, 2, device=x.device) * (-math.log(10_000) / dim))
        angles = torch.arange(time, device=x.device)[:, None] * speeds
        return x + self.scale * torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1).to(x.dtype)


class _Encoder(nn.Module):
    """Blocks with two residual streams (Xie et al. 2023, ResiDual): one normalised after each step, one only summed."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.encoder_layers = nn.ModuleList(_Block(sizes) for _ in range(sizes.layers))
        self.final_norm = nn.LayerNorm(sizes.dim)

    def forward(self, x: Tensor, keys: int, wanted: Collection[int]) -> dict[int, Tensor]:
        normed = summed = x
        states = {0: x} if 0 in wanted else {}
        for number, block in enumerate(self.encoder_layers[: max(wanted)], 1):
            normed, summed = block(normed, summed, keys)
            if number in wanted:
                last = number == len(self.encoder_layers)
                states[number] = normed + self.final_norm(summed) if last else normed
        return states


class _Block(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.att_layer = _Attention(sizes)
        self.ff_layer = nn.Sequential(nn.Linear(sizes.dim, sizes.inner), nn.ReLU(), nn.Linear(sizes.inner, sizes.dim))
        self.norm1, self.norm2 = nn.LayerNorm(sizes.dim), nn.LayerNorm(sizes.dim)

    def forward(self, normed: Tensor, summed: Tensor, keys: int) -> tuple[Tensor, Tensor]:
        attended = self.att_layer(normed, keys)
        normed, summed = self.norm1(normed + attended), summed + attended
        fed = self.ff_layer(normed)
        return self.norm2(normed + fed), summed + fed


class _Attention(nn.Module):
    """Each frame looks at the first `keys` of its chunk. Of a frame's values, every `heads`-th is of one head."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(sizes.dim, sizes.dim, bias=False) for _ in range(4))
        self.heads = sizes.heads

    def forward(self, x: Tensor, keys: int) -> Tensor:
        seen = x[:, :keys]
        query, key, value = (self._split(part) for part in (self.wq(x), self.wk(seen), self.wv(seen)))
        attended = scaled_dot_product_attention(query, key, value)
        return self.wo(attended.permute(0, 2, 3, 1).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """(n, time, dim) to (n, heads, time, dim of a head)."""
        return x.unflatten(2, (-1, self.heads)).permute(0, 3, 1, 2)
