"""Principal components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from timbrec.errors import DataError
from timbrec.transforms.shared.affine import Affine, principal_axes
from timbrec.types import Array, Float32


@dataclass(frozen=True)
class PCA:
    """The first `dim` principal components of the train tracks' vectors (Hotelling 1933)."""

    version: ClassVar[int] = 1

    dim: Annotated[int, Field(ge=1)]

    def fitted(self, train: Float32[Array, "n dim"]) -> Affine:
        """The projection. Raises DataError for more components than dimensions or than train tracks can span."""
        most = min(train.shape[1], max(len(train) - 1, 0))
        if self.dim > most:
            raise DataError(
                f"pca cannot give {self.dim} components of {train.shape[1]} dimensions and {len(train):,} train tracks",
                fix=f"Ask for at most {most}.",
            )
        mean, _, axes = principal_axes(train)
        return Affine(mean, np.ascontiguousarray(axes[:, : self.dim]))
