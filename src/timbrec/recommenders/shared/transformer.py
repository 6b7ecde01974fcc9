"""A BERT over sequences of item vectors, built from PyTorch's encoder layers."""

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
    """Like torch's dropout, several times faster on a CPU, because it draws 16 random bits per element."""

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """The vectors with elements zeroed with probability p, rounded to 1 / 65,536, and the others scaled up."""
        dropped = round(self.p * 2**16)
        if not self.training or vectors.device.type != "cpu" or not 0 < dropped < 2**16:
            return super().forward(vectors)
        bits = torch.empty(-(-vectors.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = bits[: vectors.numel()].view(vectors.shape) >= dropped - 2**15
        return vectors * kept.to(vectors.dtype).mul_(2**16 / (2**16 - dropped))


class ItemTransformer(nn.Module):
    """BERT's layers over projected item vectors plus learned positions (Devlin et al. 2019).

    An MLP projects the directions of the item vectors to `width`; None keeps the vectors as they are. Activations
    (GELU) and dropout (on embeddings, attention and each sublayer's output) are BERT's. The segment embedding would be
    constant and is part of the positions.

    - `norm`: layer norms `after` the residual sums and on the embeddings, as in BERT, or `before` each sublayer and at
      the end (Xiong et al. 2020), which needs no warm-up.
    - `positions`: counted from the `start` of a sequence, as in BERT, or from its `end`.
    - `start`: `random` initial weights, as in BERT, or `copying`: attention's value and output matrices start as the
      identity, so attention starts as a mean of its inputs (after Trockman and Kolter 2023).

    `settings` are the arguments for creating an equal transformer.
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
            raise ConfigError(f"{hidden} dimensions cannot be split into {heads} heads", fix="Set `width` or `heads`.")
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
            for block in self.encoder.layers:
                nn.init.eye_(block.self_attn.in_proj_weight.data[2 * hidden :])
                nn.init.eye_(block.self_attn.out_proj.weight.data)

    def table(self, vectors: torch.Tensor) -> torch.Tensor:
        """Embeddings (n + 2, width): the projected vectors, then the mask token and the padding token."""
        return torch.cat([self.project(vectors), self.special])

    def forward(self, places: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Hidden states (users, length, width) of sequences (users, length) of table rows; padding is not attended."""
        return self.hidden(nn.functional.embedding(places % len(table), table), places == PADDING)

    def hidden(self, vectors: torch.Tensor, padding: torch.Tensor, at: torch.Tensor | None = None) -> torch.Tensor:
        """Hidden states (users, length, width) of embedded sequences; `padding` (users, length) is not attended.

        With `at` (m, 2), pairs of user and position in ascending order, the states (m, width) at these places; the
        last layer is then computed for them only.
        """
        before = self.settings["norm"] == "before"
        states = vectors + self._positions(padding)
        states = self.dropout(states if before else self.norm(states))
        mask = padding if padding.any() else None
        *layers, last = self.encoder.layers
        for layer in layers:
            states = layer(states, src_key_padding_mask=mask)
        states = last(states, src_key_padding_mask=mask) if at is None else _states_at(last, states, mask, *at.T)
        return self.norm(states) if before else states

    def _positions(self, padding: torch.Tensor) -> torch.Tensor:
        """Position embeddings: (length, width) if counted from the start, else (users, length, width)."""
        places = torch.arange(padding.shape[1], device=padding.device)
        if self.settings["positions"] == "start":
            return self.positions[places]
        ends = padding.logical_not().sum(1, keepdim=True)
        return nn.functional.embedding((ends - 1 - places).clamp(min=0), self.positions)

    def frozen(self) -> ItemTransformer:
        """A copy on the CPU without gradients or dropout."""
        return copy.deepcopy(self).cpu().eval().requires_grad_(False)


def _states_at(
    layer: nn.TransformerEncoderLayer,
    states: torch.Tensor,
    padding: torch.Tensor | None,
    user: torch.Tensor,
    position: torch.Tensor,
) -> torch.Tensor:
    """Output (m, width) of an encoder layer at m places (user, position): queries are these places, keys are all."""
    counts = torch.bincount(user, minlength=len(states))
    number = torch.arange(len(user), device=user.device) - (counts.cumsum(0) - counts)[user]
    places = states.new_zeros(len(states), int(counts.max()), dtype=torch.int64)
    places[user, number] = position
    keys = layer.norm1(states) if layer.norm_first else states
    queries = keys.gather(1, places[:, :, None].expand(-1, -1, states.shape[2]))
    attended, _ = layer.self_attn(queries, keys, keys, key_padding_mask=padding, need_weights=False)
    summed = states[user, position] + layer.dropout1(attended[user, number])
    residual = summed if layer.norm_first else layer.norm1(summed)
    fed = layer.norm2(residual) if layer.norm_first else residual
    output: torch.Tensor = residual + layer.dropout2(layer.linear2(nn.functional.gelu(layer.linear1(fed))))
    return output if layer.norm_first else layer.norm2(output)


class _Projection(nn.Module):
    """An MLP from the directions of its inputs to vectors of about unit length, so that initial logits are near 1.

    Inputs are normalised because a few very long ones would dominate the softmax. The output is scaled down after the
    weights, not by small weights, because Adam's steps have the same size for every weight.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(dim, width), nn.Linear(width, width)
        for layer, variance in ((self.first, 1 / dim), (self.second, 2 / width)):
            nn.init.normal_(layer.weight, std=variance**0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Projected vectors (n, width). The products are divided by the norms, which saves a copy of the inputs."""
        lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp(min=_EPSILON)
        products = nn.functional.linear(vectors, self.first.weight)
        hidden = torch.addcmul(self.first.bias, products, vectors.shape[1] ** 0.5 / lengths).relu_()
        projected: torch.Tensor = self.second(hidden)
        return projected.mul_(projected.shape[1] ** -0.5)
