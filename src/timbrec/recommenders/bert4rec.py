"""BERT4Rec on content: a bidirectional transformer predicts masked tracks of a history (Sun et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from timbrec.protocols import Content, Workspace
from timbrec.recommenders.shared.log_sum import mean_log_sum
from timbrec.recommenders.shared.projected_log_sum import projected_log_sum
from timbrec.recommenders.shared.scaling import Scale, Scaling
from timbrec.recommenders.shared.sequences import MASK, PADDING, Sequences, chunks, merged
from timbrec.recommenders.shared.transformer import ItemTransformer, Norm, Positions, Start
from timbrec.settings import Count, Number, Positive, Share
from timbrec.training import Trainable, TrainedRecommender, TrainedScorer
from timbrec.training.negatives import Systematic
from timbrec.training.recommender import STEP
from timbrec.training.scorer import ChosenUsersScorer
from timbrec.training.trainable import distance
from timbrec.types import Array, Bool, Float32, Int

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions

_ROWS = 8192  # items projected at once outside training
_TOKENS = 4800  # tracks in a block outside training, of 16 users or more
_CHUNKS, _CHUNK_USERS = 8, 4  # a training batch is split into about 8 chunks of at least 4 users


@dataclass(frozen=True)
class BERT4Rec(TrainedRecommender):
    """Score = inner product of the transformer's state for a user and the projected content of an item.

    The input for a user is the sequence of their last `length` - 1 tracks with a mask token after it; the state at the
    mask is the user's vector. Training masks a share `mask` of each user's tracks and predicts them by a softmax over
    the `targets`. Inputs and outputs are the same projected vectors, so tracks that were not in train can be ranked.

    - `targets`: the train items, or as in the paper the whole catalogue and the two special tokens.
    - `exact_up_to`: largest number of targets with an exact softmax. Above it, the denominator is estimated from
      `samples` items, drawn without replacement with weights plays^0.75 (unbiased; Horvitz and Thompson 1952).
    - `width`: dimension of the projection; None leaves it out.
    - `learned`: `("items",)` if the item vectors are learned as well.
    - `norm`, `positions`, `start`: as in ItemTransformer. `scale`: as for KNN.
    """

    version: ClassVar[int] = 7
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tamm2026": {
            "width": None, "learned": ("items",), "targets": "catalogue", "scale": "none",
            "stop_on": "validation loss", "exact_up_to": 2**63 - 1, "norm": "after", "positions": "start",
            "start": "random", "batch": 128, "lr": 1e-3, "patience": 16, "plateau": 5,
            "average": False, "least_gain": 0.0, "layers": 2, "mask": 0.2,
        },
        "quick": {
            "epochs": 5, "width": 64, "feed_forward": 64, "length": 24, "batch": 64, "lr": 3e-3,
        },
    }  # fmt: skip

    epochs: Count = 200
    batch: Count = 16
    lr: Positive = 5e-4
    patience: Count = 4
    least_gain: Share = 0.02
    plateau: Count = 4
    average: bool = True
    width: Count | None = 256
    layers: Count = 1
    heads: Count = 2
    feed_forward: Count = 256
    length: Annotated[int, Field(ge=2), Number] = 300
    mask: Annotated[float, Field(gt=0, lt=1), Number] = 0.4
    dropout: Share = 0.1
    norm: Norm = "before"
    positions: Positions = "end"
    start: Start = "copying"
    targets: Literal["train", "catalogue"] = "train"
    exact_up_to: Count = 200_000
    samples: Count = 8192
    learned: tuple[Literal["items"], ...] = ()
    scale: Scale = "standardise"

    def model(
        self, train: Interactions, content: Content, rng: np.random.Generator, workspace: Workspace = Workspace()
    ) -> BERT4RecModel:
        """The model before training."""
        return BERT4RecModel(self, train, content)

    def memory(self, n_users: int, n_items: int, dim: int) -> int:
        """Upper bound of the bytes of a training: the items, twice while it is scaled, or with gradient, moments
        and average; the projected items twice; the users' states; a batch of full length in all layers."""
        width, copies = self.width or dim, 2 + (3 + self.average) * ("items" in self.learned)
        tables = n_items * (copies * dim + 2 * width) + n_users * width
        layer = 24 * width + 3 * self.feed_forward + 2 * self.heads * self.length  # numbers per track of a batch
        return 4 * (tables + self.batch * self.length * self.layers * layer) + STEP


@dataclass(frozen=True, eq=False, kw_only=True)
class BERT4RecScorer(TrainedScorer):
    """A TrainedScorer that also computes vectors of new users and items."""

    transformer: ItemTransformer
    scaling: Scaling

    def user_vectors(self, histories: Interactions) -> Float32[Array, "users width"]:
        """Vectors (histories.n_users, width) of users, from their histories in the order of first plays."""
        return user_states(self.transformer, self.items, Sequences(histories), np.arange(histories.n_users))

    def add_items(self, vectors: Float32[Array, "n dim"]) -> BERT4RecScorer:
        """A scorer with new items after the present ones, from their content vectors (n, dim)."""
        new = projected(self.transformer, len(vectors), lambda rows: self.scaling(vectors[rows]))
        return replace(self, items=np.concatenate([self.items, new]))


class BERT4RecModel(Trainable[Sequences]):
    """The transformer and the item table; `items` holds the targets' vectors before projection."""

    items: torch.Tensor
    divides = True
    block = 1024

    def __init__(self, settings: BERT4Rec, train: Interactions, content: Content) -> None:
        super().__init__()
        self.settings, self.train_pairs, self.histories = settings, train, Sequences(train)
        self.catalogue = content.vectors
        self.scaling = Scaling.of(settings.scale, content.vectors[train.items])
        self.transformer = ItemTransformer(
            content.vectors.shape[1], settings.width, settings.layers, settings.heads, settings.feed_forward,
            settings.length, settings.dropout, settings.norm, settings.positions,
            settings.start,
        )  # fmt: skip
        self.targets = train.items if settings.targets == "train" else np.arange(train.n_items)
        self.column_of = np.full(train.n_items, PADDING)
        self.column_of[self.targets] = np.arange(len(self.targets))
        self.add_table("items", torch.from_numpy(self._start()), "items" in settings.learned)
        self.sample = Systematic((train.item_users[self.targets] + 1.0) ** 0.75, settings.samples)

    def examples(self, pairs: Interactions) -> Sequences:
        """The users of these pairs with their sequences."""
        return self.histories if pairs is self.train_pairs else Sequences(pairs)

    def forward(self, examples: Sequences, rows: Int[Array, "batch"], rng: np.random.Generator) -> torch.Tensor:
        """Mean cross-entropy of the masked tracks; at least one track of the batch is masked."""
        tracks = examples.latest(examples.users[rows], self.settings.length)
        columns = np.where(tracks == PADDING, PADDING, self.column_of[tracks])
        masked = _masked(columns != PADDING, self.settings.mask, rng)
        columns, masked = self._own(columns, masked)
        exact = len(self.targets) <= self.settings.exact_up_to
        return self._cross_entropy(columns, masked, None if exact else self.sample.rows(rng))

    def scorer(self, users: Int[Array, "u"] | None = None) -> TrainedScorer:
        """A scorer with the states of all users, or of `users` only; without `users` a BERT4RecScorer."""
        items = projected(self.transformer, self.train_pairs.n_items, self._content)
        rows = np.arange(self.train_pairs.n_users) if users is None else users
        states = user_states(self.transformer, items, self.histories, rows)
        if users is not None:
            return ChosenUsersScorer(states, items, chosen_users=users)
        return BERT4RecScorer(states, items, transformer=self.transformer.frozen(), scaling=self.scaling)

    def moved(self) -> dict[str, float]:
        """Relative change of the item table."""
        return {"items": distance(self.items, self._start)}

    def _start(self, rows: slice = slice(None)) -> Float32[Array, "targets dim"]:
        return self.scaling(self.catalogue[self.targets[rows]])

    def _content(self, rows: slice) -> Float32[Array, "items dim"]:
        """Rows of the catalogue before projection: the item table's, and the content of items that are no targets."""
        vectors, columns = self.scaling(self.catalogue[rows]), self.column_of[rows]
        targets = columns != PADDING
        vectors[targets] = self.items[torch.from_numpy(columns[targets]).to(self.device)].detach().cpu().numpy()
        return vectors

    def _own(
        self, columns: Int[Array, "users length"], masked: Bool[Array, "users length"]
    ) -> tuple[Int[Array, "_ length"], Bool[Array, "_ length"]]:
        """The share of a batch that this process computes; if it masks nothing, one track is masked without
        counting."""
        if self.share is not None:
            columns, masked = columns[self.share], masked[self.share]
        self.terms = int(masked.sum())
        return columns, masked if self.terms else _masked(columns != PADDING, 0.0, np.random.default_rng(0))

    def _cross_entropy(
        self, columns: Int[Array, "users length"], masked: Bool[Array, "users length"], drawn: Int[Array, "n"] | None
    ) -> torch.Tensor:
        """Mean cross-entropy of the masked places of sequences of targets.

        The denominator is exact, or estimated from the `drawn` targets. Of the projected items only those of the
        sequences and the drawn ones are kept.
        """
        kept = np.union1d(columns[columns != PADDING], [] if drawn is None else drawn).astype(np.int64)
        places = np.where(columns == PADDING, PADDING, np.searchsorted(kept, columns))
        table = self.transformer.table(self.items[torch.from_numpy(kept).to(self.device)])
        hidden, labels = self._hidden(places, masked, table)
        goals = (hidden * nn.functional.embedding(labels, table)).sum(1)
        if drawn is None:
            special = self.transformer.special if self.settings.targets == "catalogue" else None
            return projected_log_sum(hidden, self.items, self.transformer.project, special) - goals.mean()
        rows = torch.from_numpy(np.searchsorted(kept, drawn)).to(self.device)
        return self._sampled(hidden, labels, goals, table, rows, drawn) - goals.mean()

    def _sampled(
        self,
        hidden: torch.Tensor,
        labels: torch.Tensor,
        goals: torch.Tensor,
        table: torch.Tensor,
        rows: torch.Tensor,
        drawn: Int[Array, "samples"],
    ) -> torch.Tensor:
        """The mean logarithm of the denominators estimated from the `drawn` targets, which are `rows` of the table.

        The logit of the target itself always enters exactly once, drawn or not.
        """
        correction = torch.from_numpy(-np.log(self.sample.chances[drawn])).to(table)
        column = torch.full((len(table),), -1, device=self.device)
        column[rows] = torch.arange(len(rows), device=self.device)
        sides = [(hidden, nn.functional.embedding(rows, table))]
        return mean_log_sum(sides, self.block, column[labels], -math.inf, correction, goals)

    def _hidden(
        self, places: Int[Array, "users length"], masked: Bool[Array, "users length"], table: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """States (m, width) at the m masked places, and the rows (m,) of the table that were masked there.

        Users with sequences of similar length share a chunk, because padding costs as much as tracks, and each chunk
        costs time by itself.
        """
        lengths = (places != PADDING).sum(1)
        groups = merged(chunks(lengths, max(_CHUNK_USERS, len(lengths) // _CHUNKS)), lengths)
        parts = [np.s_[group, : lengths[group].max()] for group in groups]
        inputs = [torch.from_numpy(np.where(masked, MASK, places)[part]).to(self.device) for part in parts]
        vectors = nn.functional.embedding(torch.cat([tracks.flatten() for tracks in inputs]) % len(table), table)
        embedded = vectors.split([tracks.numel() for tracks in inputs])
        states, labels = [], []
        for part, tracks, inside in zip(parts, inputs, embedded, strict=True):
            if masked[part].any():
                at = torch.from_numpy(np.argwhere(masked[part])).to(self.device)
                states.append(self.transformer.hidden(inside.view(*tracks.shape, -1), tracks == PADDING, at))
                labels.append(places[part][masked[part]])
        return torch.cat(states), torch.from_numpy(np.concatenate(labels)).to(self.device)


def projected(
    transformer: ItemTransformer, items: int, vectors: Callable[[slice], Float32[Array, "n dim"]]
) -> Float32[Array, "items width"]:
    """Item vectors (items, width) for serving, projected in blocks on the transformer's device.

    `vectors` returns the rows of a block before projection.
    """
    weights = transformer.special
    out = np.empty((items, weights.shape[1]), np.float32)
    with torch.no_grad():
        for start in range(0, items, _ROWS):
            rows = slice(start, start + _ROWS)
            out[rows] = transformer.project(torch.from_numpy(vectors(rows)).to(weights)).cpu().numpy()
    return out


def user_states(
    transformer: ItemTransformer, items: Float32[Array, "items width"], sequences: Sequences, users: Int[Array, "u"]
) -> Float32[Array, "u width"]:
    """States (u, width) at a mask after each user's latest tracks; `items` are the projected vectors."""
    device, out = transformer.special.device, np.empty((len(users), items.shape[1]), np.float32)
    with torch.no_grad():
        table = torch.cat([torch.from_numpy(items).to(device), transformer.special])
        longest = transformer.settings["length"]
        for chunk in chunks(sequences.lengths[users], max(16, _TOKENS // longest)):
            latest = sequences.latest(users[chunk], longest - 1)
            ends = (latest != PADDING).sum(1)
            places = np.pad(latest, ((0, 0), (0, 1)), constant_values=PADDING)
            places[np.arange(len(chunk)), ends] = MASK
            tracks = torch.from_numpy(places).to(device)
            at = torch.from_numpy(np.column_stack([np.arange(len(chunk)), ends])).to(device)
            vectors = nn.functional.embedding(tracks % len(table), table)
            out[chunk] = transformer.hidden(vectors, tracks == PADDING, at).cpu().numpy()
    return out


def _masked(
    present: Bool[Array, "users length"], share: float, rng: np.random.Generator
) -> Bool[Array, "users length"]:
    """Whether each track is masked: with probability `share`, but at least one track of the batch."""
    masked = present & (rng.random(present.shape) < share)
    if not masked.any():
        track = rng.integers(present.sum())
        masked[tuple(axis[track] for axis in np.nonzero(present))] = True
    return masked
