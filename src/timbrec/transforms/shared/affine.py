"""Affine maps of vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrec.types import Array, Float, Float32


@dataclass(frozen=True, eq=False)
class Affine:
    """x -> (x - shift) @ matrix, in float32."""

    shift: Float[Array, "dim"]
    matrix: Float[Array, "dim out"]

    def __call__(self, vectors: Float32[Array, "n dim"]) -> Float32[Array, "n out"]:
        """(n, out) mapped vectors."""
        return np.asarray((vectors - self.shift.astype(np.float32)) @ self.matrix.astype(np.float32))


def principal_axes(
    train: Float32[Array, "n dim"],
) -> tuple[Float[Array, "dim"], Float[Array, "dim"], Float[Array, "dim dim"]]:
    """Mean, variances in descending order, and the axes that have them as columns, in float64.

    The sign of an axis is such that its largest entry is positive, so that equal data give equal axes.
    """
    values = train.astype(np.float64)
    mean = values.mean(0)
    variances, axes = np.linalg.eigh((values - mean).T @ (values - mean) / max(len(values) - 1, 1))
    variances, axes = variances[::-1].clip(min=0), axes[:, ::-1]
    largest = axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])]
    return mean, variances, axes * np.where(largest < 0, -1, 1)
