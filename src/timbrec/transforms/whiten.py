"""Whitening."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from timbrec.transforms.shared.affine import Affine, principal_axes
from timbrec.types import Array, Float32


@dataclass(frozen=True)
class Whiten:
    """Uncorrelated components of variance 1 on the train tracks (PCA whitening; Kessy et al. 2018).

    Directions with less than the share `least` of the largest variance are left out: they hold rounding, not music.
    """

    version: ClassVar[int] = 1

    least: Annotated[float, Field(ge=0, lt=1)] = 1e-6

    def fitted(self, train: Float32[Array, "n dim"]) -> Affine:
        """The map; vectors that do not vary at all become vectors of no components."""
        mean, variances, axes = principal_axes(train)
        kept = (variances > 0) & (variances > self.least * variances[0])
        return Affine(mean, axes[:, kept] / np.sqrt(variances[kept]))
