"""Controls: vectors that carry nothing about the tracks, but look like the encoder's."""

from __future__ import annotations

from typing import Literal

import numpy as np

from timbrec.types import Array, Float32, Int

Control = Literal["real", "shuffled", "gaussian"]
CONTROLS: tuple[Control, ...] = ("shuffled", "gaussian")


def vectors_of(
    control: Control, vectors: Float32[Array, "items dim"], train_items: Int[Array, "n"], seed: int
) -> Float32[Array, "items dim"]:
    """The vectors themselves, or one of their controls, by name."""
    if control == "shuffled":
        return shuffled(vectors, seed)
    return gaussian(vectors, train_items, seed) if control == "gaussian" else vectors


def shuffled(vectors: Float32[Array, "items dim"], seed: int) -> Float32[Array, "items dim"]:
    """The same vectors, dealt to the tracks at random."""
    return vectors[np.random.default_rng([seed, 0x5_4F]).permutation(len(vectors))]


def gaussian(
    vectors: Float32[Array, "items dim"], train_items: Int[Array, "n"], seed: int
) -> Float32[Array, "items dim"]:
    """Normal vectors with the mean and covariance of the train items' vectors."""
    train = vectors[train_items].astype(np.float64)
    mean = train.mean(0)
    variances, axes = np.linalg.eigh((train - mean).T @ (train - mean) / max(len(train) - 1, 1))
    spread = (axes * np.sqrt(variances.clip(min=0))).T.astype(np.float32)
    drawn = np.random.default_rng([seed, 0x6_A5]).standard_normal(vectors.shape, dtype=np.float32)
    return drawn @ spread + mean.astype(np.float32)
