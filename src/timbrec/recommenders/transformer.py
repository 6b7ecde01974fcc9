"""A BERT over sequences of item vectors, on PyTorch's own encoder layers."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from timbrec.errors import ConfigError
from timbrec.recommenders.sequences import PADDING

_EPSILON = 1e-12  # of BERT's layer norms
_SPREAD = 0.02  # standard deviation of BERT's initial weights


class ItemTransformer(nn.Module):
    """Item vectors projected to `width` (as they are if None), plus learned positions, through BERT's layers.

    As in BERT (Devlin et al. 2019): layer norm after each sublayer, GELU, dropout on the embeddings, on attention and
    on each sublayer's output. The segment embedding, constant here, is part of the positions. `settings` is what makes
    the same transformer again.
    """

    def __init__(
        self, dim: int, width: int | None, layers: int, heads: int, feed_forward: int, length: int, dropout: float
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "dim": dim, "width": width, "layers": layers, "heads": heads, "feed_forward": feed_forward,
            "length": length, "dropout": dropout,
        }  # fmt: skip
        hidden = width or dim
        if hidden % heads:
            raise ConfigError(f"{hidden} dimensions do not divide into {heads} heads", fix="Set `width` or `heads`.")
        self.project = nn.Identity() if width is None else _projection(dim, width)
        self.special = nn.Parameter(torch.empty(2, hidden))  # mask, padding
        self.positions = nn.Parameter(torch.empty(length, hidden))
        self.norm, self.dropout = nn.LayerNorm(hidden, _EPSILON), nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(
            hidden, heads, feed_forward, dropout, "gelu", layer_norm_eps=_EPSILON, batch_first=True
        )
        layer.dropout.p = 0.0  # BERT has none inside the feed-forward part
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        for name, weights in [("", self.special), ("", self.positions), *self.encoder.named_parameters()]:
            if weights.dim() == 2:
                nn.init.normal_(weights, std=_SPREAD)
            elif name.endswith("bias"):
                nn.init.zeros_(weights)

    def table(self, vectors: torch.Tensor) -> torch.Tensor:
        """(n + 2, width): the vectors projected, and behind them what MASK and PADDING stand for."""
        return torch.cat([self.project(vectors), self.special])

    def forward(self, places: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """(users, length, width) hidden states of (users, length) rows of a table; nobody attends to padding."""
        vectors = nn.functional.embedding(places % len(table), table)
        embedded = self.dropout(self.norm(vectors + self.positions[: places.shape[1]]))
        hidden: torch.Tensor = self.encoder(embedded, src_key_padding_mask=places == PADDING)
        return hidden

    def frozen(self) -> ItemTransformer:
        """A copy on the CPU that no training changes."""
        return copy.deepcopy(self).cpu().eval().requires_grad_(False)


def _projection(dim: int, width: int) -> nn.Linear:
    """From inputs of unit variance to vectors of about unit length, so that logits begin near one."""
    linear = nn.Linear(dim, width)
    nn.init.normal_(linear.weight, std=(dim * width) ** -0.5)
    nn.init.zeros_(linear.bias)
    return linear
