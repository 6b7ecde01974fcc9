"""A BERT over sequences of item vectors, on PyTorch's own encoder layers."""

from __future__ import annotations

import copy
from typing import Any, Literal

import torch
from torch import nn

from timbrec.errors import ConfigError
from timbrec.recommenders.shared.sequences import PADDING

Norm = Literal["before", "after"]
Positions = Literal["end", "start"]
Start = Literal["copying", "random"]

_EPSILON = 1e-12  # of BERT's layer norms
_SPREAD = 0.02  # standard deviation of BERT's initial weights


class Dropout(nn.Dropout):
    """torch's dropout, several times as fast on a CPU: whether an element is kept takes 16 random bits."""

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """The vectors with a share p of their elements zero, rounded to 1 / 65,536, and the others larger to match."""
        dropped = round(self.p * 2**16)
        if not self.training or vectors.device.type != "cpu" or not 0 < dropped < 2**16:
            return super().forward(vectors)
        bits = torch.empty(-(-vectors.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = bits[: vectors.numel()].view(vectors.shape) >= dropped - 2**15
        return vectors * kept.to(vectors.dtype).mul_(2**16 / (2**16 - dropped))


class ItemTransformer(nn.Module):
    """The directions of item vectors through an MLP to `width`, or the vectors as they are if None, plus learned
    positions, through BERT's layers.

    As in BERT (Devlin et al. 2019): GELU, dropout on the embeddings, on attention and on each sublayer's output. The
    layer norms stand `after` the sums, as there, and on the embeddings; or `before` each sublayer and once at the end
    (Xiong et al. 2020), which trains without a warm-up. `positions` count from the `start`, as there, or from the `end`
    of a sequence. All weights `start` at random, as there, or attention's values and outputs as the identity, by which
    it is a mean of what it attends to (after Trockman and Kolter 2023). The segment embedding, constant here, is part
    of the positions. `settings` is what makes the same transformer again.
    """

    def __init__(
        self, dim: int, width: int | None, layers: int, heads: int, feed_forward: int, length: int, dropout: float,
        norm: Norm, positions: Positions, start: Start,
    ) -> None:  # fmt: skip
        super().__init__()
        self.settings: dict[str, Any] = {
            "dim": dim, "width": width, "layers": layers, "heads": heads, "feed_forward": feed_forward,
            "length": length, "dropout": dropout, "norm": norm, "positions": positions, "start": start,
        }  # fmt: skip
        hidden = width or dim
        if hidden % heads:
            raise ConfigError(f"{hidden} dimensions do not divide into {heads} heads", fix="Set `width` or `heads`.")
        self.project = nn.Identity() if width is None else _Projection(dim, width)
        self.special = nn.Parameter(torch.empty(2, hidden))  # mask, padding
        self.positions = nn.Parameter(torch.empty(length, hidden))
        self.norm, self.dropout = nn.LayerNorm(hidden, _EPSILON), Dropout(dropout)
        layer = nn.TransformerEncoderLayer(
            hidden, heads, feed_forward, dropout, "gelu", layer_norm_eps=_EPSILON, batch_first=True,
            norm_first=norm == "before",
        )  # fmt: skip
        layer.dropout.p = 0.0  # BERT has none inside the feed-forward part
        layer.dropout1, layer.dropout2 = Dropout(dropout), Dropout(dropout)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        for name, weights in [("", self.special), ("", self.positions), *self.encoder.named_parameters()]:
            if weights.dim() == 2:
                nn.init.normal_(weights, std=_SPREAD)
            elif name.endswith("bias"):
                nn.init.zeros_(weights)
        if start == "copying":
            for one in self.encoder.layers:
                nn.init.eye_(one.self_attn.in_proj_weight.data[2 * hidden :])
                nn.init.eye_(one.self_attn.out_proj.weight.data)

    def table(self, vectors: torch.Tensor) -> torch.Tensor:
        """(n + 2, width): the vectors projected, and behind them what MASK and PADDING stand for."""
        return torch.cat([self.project(vectors), self.special])

    def forward(self, places: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """(users, length, width) hidden states of (users, length) rows of a table; nobody attends to padding."""
        return self.hidden(nn.functional.embedding(places % len(table), table), places == PADDING)

    def hidden(self, vectors: torch.Tensor, padding: torch.Tensor, at: torch.Tensor | None = None) -> torch.Tensor:
        """The (users, length, width) hidden states of such vectors; those of (m, 2) places `at`, user and position in
        ascending order, as (m, width) without the others' last layer. `padding` says which nobody attends to.
        """
        before = self.settings["norm"] == "before"
        states = vectors + self._positions(padding)
        states = self.dropout(states if before else self.norm(states))
        away = padding if padding.any() else None
        *layers, last = self.encoder.layers
        for layer in layers:
            states = layer(states, src_key_padding_mask=away)
        states = last(states, src_key_padding_mask=away) if at is None else _states_at(last, states, away, *at.T)
        return self.norm(states) if before else states

    def _positions(self, padding: torch.Tensor) -> torch.Tensor:
        """(length, width), or (users, length, width) where every user's are others."""
        places = torch.arange(padding.shape[1], device=padding.device)
        if self.settings["positions"] == "start":
            return self.positions[places]
        ends = padding.logical_not().sum(1, keepdim=True)
        return nn.functional.embedding((ends - 1 - places).clamp(min=0), self.positions)

    def frozen(self) -> ItemTransformer:
        """A copy on the CPU that no training changes."""
        return copy.deepcopy(self).cpu().eval().requires_grad_(False)


def _states_at(
    layer: nn.TransformerEncoderLayer,
    states: torch.Tensor,
    away: torch.Tensor | None,
    user: torch.Tensor,
    position: torch.Tensor,
) -> torch.Tensor:
    """What the layer makes of the states at some places: only these ask, though all are attended to."""
    asked = torch.bincount(user, minlength=len(states))
    number = torch.arange(len(user), device=user.device) - (asked.cumsum(0) - asked)[user]
    of = states.new_zeros(len(states), int(asked.max()), dtype=torch.int64)
    of[user, number] = position
    seen = layer.norm1(states) if layer.norm_first else states
    asking = seen.gather(1, of[:, :, None].expand(-1, -1, states.shape[2]))
    answers, _ = layer.self_attn(asking, seen, seen, key_padding_mask=away, need_weights=False)
    summed = states[user, position] + layer.dropout1(answers[user, number])
    chosen = summed if layer.norm_first else layer.norm1(summed)
    fed = layer.norm2(chosen) if layer.norm_first else chosen
    found: torch.Tensor = chosen + layer.dropout2(layer.linear2(nn.functional.gelu(layer.linear1(fed))))
    return found if layer.norm_first else layer.norm2(found)


class _Projection(nn.Module):
    """An MLP from the directions of its inputs to vectors of about unit length, so that logits begin near one.

    The lengths are set before and behind the weights: a few very long inputs would decide the whole softmax, and Adam
    moves each weight by as much a step, which would outrun small ones.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(dim, width), nn.Linear(width, width)
        for layer, variance in ((self.first, 1 / dim), (self.second, 2 / width)):
            nn.init.normal_(layer.weight, std=variance**0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """(n, width). The products are divided by the lengths: no copy of the inputs is kept."""
        lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp(min=_EPSILON)
        products = nn.functional.linear(vectors, self.first.weight)
        hidden = torch.addcmul(self.first.bias, products, vectors.shape[1] ** 0.5 / lengths).relu_()
        projected: torch.Tensor = self.second(hidden)
        return projected.mul_(projected.shape[1] ** -0.5)
