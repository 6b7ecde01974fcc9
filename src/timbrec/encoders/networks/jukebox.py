"""The parts of Jukebox (Dhariwal et al., 2020) that its embeddings need: audio to codes, and codes to hidden states.

Modules are nested so that their tensors have the names of the official checkpoints, `vqvae` and `prior_level_2`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

RATE = 44_100
# What the prior is told of a song: unknown artist and genre, 62 s long, heard from its start.
SONG, SHORTEST, LONGEST = 2_734_080, 60 * RATE, 600 * RATE  # samples
UNKNOWN_ARTIST = UNKNOWN_GENRE = 0


@dataclass(frozen=True)
class Sizes:
    """The sizes of the coarsest encoder and of its prior. Those of the published 5b model by default."""

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
        """Samples of a code."""
        return 2 ** sum(self.downs)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], heads: int, blocks: int) -> Sizes:
        """The sizes of a model with these tensors. Raises KeyError where one that tells them is missing."""
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


class JukeboxNetwork(nn.Module):
    """Audio to codes to the hidden states of the prior."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.encoders = nn.ModuleDict({"2": _Encoder(sizes)})
        self.bottleneck = _Bottleneck(sizes)
        self.y_emb = _Conditioning(sizes)
        self.prior = _Prior(sizes)

    def codes(self, audio: Tensor) -> Tensor:
        """(n, samples) to (n, samples // hop): the nearest of the codebook's entries to what the encoder makes."""
        return self.bottleneck(self.encoders["2"](audio[:, None]).mT)

    def hidden(self, codes: Tensor, layer: int) -> Tensor:
        """(n, time) codes to (n, time, width): the output of block `layer`; 0 is the input of the first block."""
        return next(islice(self.all_hidden(codes), layer, None))

    def all_hidden(self, codes: Tensor) -> Iterator[Tensor]:
        """What `hidden` gives for layer 0, 1, ...; each block is computed when it is asked for."""
        song, places = self.y_emb()
        return self.prior(codes, song, places)

    def halved(self) -> JukeboxNetwork:
        """Itself, with the matrices of the blocks in float16."""
        for module in self.modules():
            if isinstance(module, _Linear):
                module.half()
        return self


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    return sum(re.fullmatch(pattern, name) is not None for name in tensors)


class _Encoder(nn.Module):
    """(n, 1, samples) to (n, code_width, codes): three parts, each of some halvings and a convolution."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        inputs = (1, *[sizes.code_width] * (len(sizes.downs) - 1))
        parts = zip(inputs, sizes.downs, strict=True)
        self.level_blocks = nn.ModuleList(_EncoderPart(channels, downs, sizes) for channels, downs in parts)

    def forward(self, x: Tensor) -> Tensor:
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


class _Bottleneck(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.level_blocks = nn.ModuleDict({"2": _Codebook(sizes)})

    def forward(self, x: Tensor) -> Tensor:
        return self.level_blocks["2"](x)


class _Codebook(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.k = nn.Parameter(torch.empty(sizes.codes, sizes.code_width))

    def forward(self, x: Tensor) -> Tensor:
        """(n, time, code_width) to (n, time): the entry at the smallest distance."""
        return (self.k.square().sum(1) - 2 * x @ self.k.T).argmin(-1)


class _Table(nn.Module):
    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(rows, width)


class _Conditioning(nn.Module):
    """What the prior is told of the song, and of each code's place in it."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.context, self.samples = sizes.context, sizes.context * sizes.hop
        self.artist_emb = _Table(sizes.artists, sizes.width)
        self.bow_genre_emb = _Table(sizes.genres, sizes.width)
        self.total_length_emb = _Table(sizes.time_bins, sizes.width)
        self.absolute_pos_emb = _Table(sizes.time_bins, sizes.width)
        self.relative_pos_emb = _Table(sizes.time_bins, sizes.width)

    def forward(self) -> tuple[Tensor, Tensor]:
        """(width) of the song, and (context, width) of the places."""
        artist, genre = self.artist_emb.emb.weight[UNKNOWN_ARTIST], self.bow_genre_emb.emb.weight[UNKNOWN_GENRE]
        # In float32, as in training: the bins of some places depend on how their edges are rounded.
        passed = torch.arange(self.context, dtype=torch.float32, device=artist.device) / self.context
        samples, song = (torch.tensor(float(number), device=artist.device) for number in (self.samples, SONG))
        total = self._binned(self.total_length_emb, (song - SHORTEST) / (LONGEST - SHORTEST))
        absolute = self._binned(self.absolute_pos_emb, samples * passed / LONGEST)
        relative = self._binned(self.relative_pos_emb, samples / song * passed)
        return artist + genre, total + absolute + relative

    @staticmethod
    def _binned(table: _Table, share: Tensor) -> Tensor:
        rows = table.emb.weight
        return rows[(len(rows) * share).floor().long()]


class _Prior(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.x_emb = nn.Embedding(sizes.codes, sizes.width)
        self.pos_emb = _Positions(sizes)
        self.transformer = _Transformer(sizes)

    def forward(self, codes: Tensor, song: Tensor, places: Tensor) -> Iterator[Tensor]:
        """The input of the blocks, then each's output. A code is predicted from those before it, the first from the
        song alone."""
        time = codes.shape[1]
        before = torch.cat([song.expand(len(codes), 1, -1), self.x_emb(codes[:, :-1])], dim=1)
        x = before + self.pos_emb.pos_emb[:time] + places[:time]
        yield x
        for block in self.transformer._attn_mods:
            x = block(x)
            yield x


class _Positions(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.pos_emb = nn.Parameter(torch.empty(sizes.context, sizes.width))


class _Transformer(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self._attn_mods = nn.ModuleList(_Block(sizes, number) for number in range(sizes.layers))


class _Block(nn.Module):
    def __init__(self, sizes: Sizes, number: int) -> None:
        super().__init__()
        self.attn = _Attention(sizes, ("block", "column", "previous")[number % 3])
        self.mlp = _MLP(sizes)
        self.ln_0, self.ln_1 = nn.LayerNorm(sizes.width), nn.LayerNorm(sizes.width)

    def forward(self, x: Tensor) -> Tensor:
        attended = x + self.attn(self.ln_0(x))
        return attended + self.mlp(self.ln_1(attended))


class _Attention(nn.Module):
    """The context is cut into blocks, and a code looks at a part of them.

    `block`: at those before it in its block. `column`: at those at its place in the blocks before. `previous`: at all
    of the block before; in the first block, at zeros.
    """

    def __init__(self, sizes: Sizes, pattern: str) -> None:
        super().__init__()
        self.c_attn = _Linear(sizes.width, 3 * sizes.state)
        self.c_proj = _Linear(sizes.state, sizes.width)
        self.heads, self.block, self.pattern = sizes.heads, sizes.context // sizes.blocks, pattern

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (self._grouped(part) for part in self.c_attn(x).chunk(3, dim=2))
        if self.pattern == "previous":
            key, value = (pad(part[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0)) for part in (key, value))
        query, key, value = (part.flatten(0, 1) for part in (query, key, value))
        attended = scaled_dot_product_attention(query, key, value, is_causal=self.pattern != "previous")
        return self.c_proj(self._ungrouped(attended, len(x))[:, : x.shape[1]])

    def _grouped(self, x: Tensor) -> Tensor:
        """(n, time, state) to (n, groups, heads, codes of a group, state of a head); the last block is filled up."""
        full = pad(x, (0, 0, 0, -x.shape[1] % self.block))
        blocks = full.unflatten(2, (self.heads, -1)).unflatten(1, (-1, self.block))
        return (blocks.transpose(1, 2) if self.pattern == "column" else blocks).transpose(2, 3)

    def _ungrouped(self, x: Tensor, n: int) -> Tensor:
        """The reverse of `_grouped`, of groups of all n windows."""
        blocks = x.unflatten(0, (n, -1)).transpose(2, 3)
        return (blocks.transpose(1, 2) if self.pattern == "column" else blocks).flatten(1, 2).flatten(2)


class _MLP(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.c_fc, self.c_proj = _Linear(sizes.width, sizes.inner), _Linear(sizes.inner, sizes.width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c_fc(x)
        return self.c_proj(x * torch.sigmoid(1.702 * x))


class _Linear(nn.Module):
    """x w + b, in the precision of w; sums and norms of the residual stream are float32 whatever that is."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.empty(inputs, outputs)), nn.Parameter(torch.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x.to(self.w.dtype) @ self.w + self.b
