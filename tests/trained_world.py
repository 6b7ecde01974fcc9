"""A small world with planted tastes, for the recommenders that are trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold
from timbrec.protocols import Content


@dataclass(frozen=True)
class World:
    """`fold.cold` are plays of items without train plays; plays are drawn by `affinity` (users, items)."""

    fold: Fold
    content: Content
    affinity: np.ndarray


def world(n_users: int = 240, n_items: int = 320, plays: int = 30, seed: int = 0, dial: float = 4.0) -> World:
    """A world with content of six rotated taste factors with a large common mean and dominant nuisance dimensions.

    Users have two tastes and play items near either of them; a fifth of the items is cold, a fifth of the other plays
    is held out.
    """
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n_items, 6))
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    tastes = rng.standard_normal((n_users, 2, 6))
    tastes /= np.linalg.norm(tastes, axis=2, keepdims=True)
    affinity = np.einsum("utf,if->uti", tastes, factors).max(1)
    noisy = dial * affinity + rng.gumbel(size=affinity.shape)
    played = np.zeros(affinity.shape, bool)
    np.put_along_axis(played, np.argsort(-noisy, axis=1)[:, :plays], True, axis=1)

    cold_item = np.zeros(n_items, bool)
    cold_item[rng.choice(n_items, n_items // 5, replace=False)] = True
    user, item = np.nonzero(played)
    held_out = rng.random(len(user)) < 0.2
    seen_item, seen_user = np.zeros(n_items, bool), np.zeros(n_users, bool)
    train = ~cold_item[item] & ~held_out
    seen_item[item[train]], seen_user[user[train]] = True, True
    hot = held_out & ~cold_item[item] & seen_item[item] & seen_user[user]
    cold = cold_item[item] & seen_user[user]

    first = rng.permutation(len(user))
    counts = rng.integers(1, 9, len(user))
    parts = [
        Interactions(user[keep], item[keep], counts[keep], first[keep], n_users, n_items) for keep in (train, hot, cold)
    ]
    nuisance = 2 * rng.standard_normal((n_items, 4))
    mixed = np.concatenate([factors, nuisance, rng.standard_normal((n_items, 10)) * 0.1], axis=1)
    rotation = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    vectors = (mixed @ rotation + 3 * rng.standard_normal(20)).astype(np.float32)
    return World(Fold(*parts), Content(vectors), affinity)


def grad_of(tensor: torch.Tensor) -> torch.Tensor:
    """The dense gradient of a tensor, which must have one."""
    assert tensor.grad is not None
    return tensor.grad.to_dense()
