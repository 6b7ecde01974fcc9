"""Controls: vectors that look like an encoder's and contain nothing about the tracks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from timbrec.types import Array, Float32, Int

REAL = "real"  # the name of the encoder's own vectors among the controls
Control = Callable[[Float32[Array, "items dim"], Int[Array, "n"], int], Float32[Array, "items dim"]]


def shuffled(vectors: Float32[Array, "items dim"], seed: int) -> Float32[Array, "items dim"]:
    """The same vectors, dealt to the tracks at random."""
    return vectors[np.random.default_rng([seed, 0x5_4F]).permutation(len(vectors))]


def gaussian(
    vectors: Float32[Array, "items dim"], train_items: Int[Array, "n"], seed: int
) -> Float32[Array, "items dim"]:
    """Normal vectors with the mean and covariance of the train items' vectors.

    Draws are multiplied by the symmetric root of the covariance. Any other root depends on the signs and order of
    eigenvectors, which differ from machine to machine where eigenvalues are close.
    """
    train = vectors[train_items].astype(np.float64)
    mean = train.mean(0)
    variances, axes = np.linalg.eigh((train - mean).T @ (train - mean) / max(len(train) - 1, 1))
    spread = ((axes * np.sqrt(variances.clip(min=0))) @ axes.T).astype(np.float32)
    drawn = np.random.default_rng([seed, 0x6_A5]).standard_normal(vectors.shape, dtype=np.float32)
    return drawn @ spread + mean.astype(np.float32)


CONTROLS: dict[str, Control] = {
    "shuffled": lambda vectors, train_items, seed: shuffled(vectors, seed),
    "gaussian": gaussian,
}
VERSIONS = {"gaussian": 2}  # 1 where none is given; raise it with every change of numbers


def vectors_of(
    control: str, vectors: Float32[Array, "items dim"], train_items: Int[Array, "n"], seed: int
) -> Float32[Array, "items dim"]:
    """The vectors of a control by its name; for "real", the vectors themselves."""
    return vectors if control == REAL else CONTROLS[control](vectors, train_items, seed)
