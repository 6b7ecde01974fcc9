"""Jukebox (Dhariwal et al., 2020) up to its embeddings: audio to codes, and codes to hidden states of the prior.

Modules are nested so that tensors have the names of the official checkpoints `vqvae` and `prior_level_2`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from timbrec.encoders.networks.jukebox_codes import Bottleneck, Encoder
from timbrec.encoders.networks.jukebox_sizes import Sizes

RATE = 44_100
# The conditions of the prior: unknown artist and genre, a song of 62 s played from its start.
SONG, SHORTEST, LONGEST = 2_734_080, 60 * RATE, 600 * RATE  # samples
UNKNOWN_ARTIST = UNKNOWN_GENRE = 0


class JukeboxNetwork(nn.Module):
    """Audio to codes to the hidden states of the prior."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.encoders = nn.ModuleDict({"2": Encoder(sizes)})
        self.bottleneck = Bottleneck(sizes)
        self.y_emb = _Conditioning(sizes)
        self.prior = _Prior(sizes)

    def codes(self, audio: Tensor) -> Tensor:
        """(n, samples) to (n, samples // hop): the codebook entry nearest to each output of the encoder."""
        return self.bottleneck(self.encoders["2"](audio[:, None]).mT)

    def states(self, codes: Tensor, layers: Collection[int]) -> Iterator[tuple[int, Tensor]]:
        """Pairs of layer and states (n, time, width), in ascending order, of (n, time) codes.

        Layer 0 is the input of the first block, layer k the output of the k-th; higher blocks are not computed.
        """
        song, positions = self.y_emb()
        return self.prior.states(codes, song, positions, layers)

    def halved(self) -> JukeboxNetwork:
        """This network, with the matrices of the blocks in float16."""
        for module in self.modules():
            if isinstance(module, _Linear):
                module.half()
        return self


class _Table(nn.Module):
    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(rows, width)


class _Conditioning(nn.Module):
    """Embeddings of the song, and of each code's position in it."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.context, self.samples = sizes.context, sizes.context * sizes.hop
        self.artist_emb = _Table(sizes.artists, sizes.width)
        self.bow_genre_emb = _Table(sizes.genres, sizes.width)
        self.total_length_emb = _Table(sizes.time_bins, sizes.width)
        self.absolute_pos_emb = _Table(sizes.time_bins, sizes.width)
        self.relative_pos_emb = _Table(sizes.time_bins, sizes.width)

    def forward(self) -> tuple[Tensor, Tensor]:
        """(width) of the song, and (context, width) of the positions."""
        artist, genre = self.artist_emb.emb.weight[UNKNOWN_ARTIST], self.bow_genre_emb.emb.weight[UNKNOWN_GENRE]
        # In float32, as in training: the bins of some positions depend on the rounding of their edges.
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

    def states(
        self, codes: Tensor, song: Tensor, positions: Tensor, layers: Collection[int]
    ) -> Iterator[tuple[int, Tensor]]:
        """See `JukeboxNetwork.states`. Each code's input is the code before it, the first code's is the song."""
        time = codes.shape[1]
        before = torch.cat([song.expand(len(codes), 1, -1), self.x_emb(codes[:, :-1])], dim=1)
        x = before + self.pos_emb.pos_emb[:time] + positions[:time]
        if 0 in layers:
            yield 0, x
        for number, block in enumerate(self.transformer._attn_mods[: max(layers)], 1):
            x = block(x)
            if number in layers:
                yield number, x


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
    """Sparse attention over a context that is cut into blocks.

    In the pattern `block`, a code attends to earlier codes of its block; in `column`, to the codes at its position in
    earlier blocks; in `previous`, to all codes of the block before, and to zeros in the first block.
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
        """(n, time, state) to (n, groups, heads, codes of a group, state of a head), with zeros after the last code."""
        full = pad(x, (0, 0, 0, -x.shape[1] % self.block))
        blocks = full.unflatten(2, (self.heads, -1)).unflatten(1, (-1, self.block))
        return (blocks.transpose(1, 2) if self.pattern == "column" else blocks).transpose(2, 3)

    def _ungrouped(self, x: Tensor, n: int) -> Tensor:
        """The inverse of `_grouped`, from the groups of all n windows."""
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
    """x w + b in the precision of w; the residual stream and its norms are always float32."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.empty(inputs, outputs)), nn.Parameter(torch.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x.to(self.w.dtype) @ self.w + self.b
