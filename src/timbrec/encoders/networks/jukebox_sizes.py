"""Sizes of a Jukebox model, read from its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Sizes:
    """Sizes of the coarsest encoder and its prior; the defaults are the published 5b model's."""

    code_width: int = 64
    codes: int = 2048
    downs: tuple[int, ...] = (3, 2, 2)  # halvings of each part of the encoder
    encoder_width: int = 32
    units: int = 4  # residual units after each halving
    context: int = 8192  # codes
    width: int = 4800
    state: int = 1200  # of attention
    inner: int = 4800
    layers: int = 72
    time_bins: int = 128
    genres: int = 120
    artists: int = 4111
    heads: int = 8
    blocks: int = 128  # of the context, in attention

    @property
    def hop(self) -> int:
        """The number of samples of a code."""
        return 2 ** sum(self.downs)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], heads: int, blocks: int) -> Sizes:
        """Sizes read from the tensors, which do not show `heads` and `blocks`. Raises KeyError for a missing tensor."""
        encoder, layer = "encoders.2.level_blocks", "prior.transformer._attn_mods"
        codes, code_width = tensors["bottleneck.level_blocks.2.k"].shape
        context, width = tensors["prior.pos_emb.pos_emb"].shape
        return cls(
            code_width=code_width,
            codes=codes,
            downs=tuple(_count(tensors, rf"{encoder}\.{part}\.model\.(\d+)\.0\.weight") for part in range(3)),
            encoder_width=len(tensors[f"{encoder}.0.model.0.0.weight"]),
            units=_count(tensors, rf"{encoder}\.0\.model\.0\.1\.model\.(\d+)\.model\.1\.weight"),
            context=context,
            width=width,
            state=tensors[f"{layer}.0.attn.c_proj.w"].shape[0],
            inner=tensors[f"{layer}.0.mlp.c_proj.w"].shape[0],
            layers=_count(tensors, rf"{layer}\.(\d+)\.ln_0\.weight"),
            time_bins=len(tensors["y_emb.absolute_pos_emb.emb.weight"]),
            genres=len(tensors["y_emb.bow_genre_emb.emb.weight"]),
            artists=len(tensors["y_emb.artist_emb.emb.weight"]),
            heads=heads,
            blocks=blocks,
        )


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    return sum(re.fullmatch(pattern, name) is not None for name in tensors)
