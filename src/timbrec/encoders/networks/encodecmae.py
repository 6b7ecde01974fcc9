"""EncodecMAE (Pepino, Riera & Ferrer 2025) up to its embeddings; EnCodec's encoder comes from transformers.

Modules are nested so that tensors have the names of the official checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model. No tensor's shape depends on the number of heads."""

    heads: int
    codec: int  # width of an EnCodec frame
    filters: int  # of EnCodec's first convolution
    dim: int
    inner: int
    layers: int

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], heads: int) -> Sizes:
        """Sizes read from the tensors. Raises KeyError for a missing tensor."""
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

    def states(self, audio: Tensor, hop: int, layers: Collection[int]) -> Iterator[tuple[int, Tensor]]:
        """The numbers and states (n, time, dim) of these layers, of chunks of one length, (n, samples).

        Layer 0 is the input of the first block, layer k the normalised stream after the k-th. The layer above the last
        block is the model's output: the normalised stream plus the other one after the final norm. An incomplete last
        hop makes a frame that no other frame attends to, unless it is the only frame.
        """
        frames = self.wav_encoder(audio[:, None]).mT
        x = self.positional_encoder(self.feat_projector(frames.to(self.feat_projector.weight.dtype)))
        return self.visible_encoder.states(x, max(1, audio.shape[1] // hop), layers)


class _Positions(nn.Module):
    """Adds sines and cosines of each frame's number, interleaved and multiplied by a learned scale."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(()))

    def forward(self, x: Tensor) -> Tensor:
        time, dim = x.shape[1:]
        speeds = torch.exp(torch.arange(0, dim, 2, device=x.device) * (-math.log(10_000) / dim))
        angles = torch.arange(time, device=x.device)[:, None] * speeds
        return x + self.scale * torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1).to(x.dtype)


class _Encoder(nn.Module):
    """Blocks with two residual streams (ResiDual, Xie et al. 2023): one is normalised after each step, one is not."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.encoder_layers = nn.ModuleList(_Block(sizes) for _ in range(sizes.layers))
        self.final_norm = nn.LayerNorm(sizes.dim)

    def states(self, x: Tensor, keys: int, layers: Collection[int]) -> Iterator[tuple[int, Tensor]]:
        normed = summed = x
        if 0 in layers:
            yield 0, x
        for number, block in enumerate(self.encoder_layers[: max(layers)], 1):
            normed, summed = block(normed, summed, keys)
            if number in layers:
                yield number, normed
        if len(self.encoder_layers) + 1 in layers:
            yield len(self.encoder_layers) + 1, normed + self.final_norm(summed)


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
    """Each frame attends to the first `keys` frames of its chunk. Every `heads`-th value belongs to one head."""

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
