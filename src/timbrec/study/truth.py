"""The share of taste that vectors contain, in a synthetic world where taste is known."""

from __future__ import annotations

import numpy as np
import polars as pl

from timbrec.errors import DataError
from timbrec.store.source import VectorSource
from timbrec.study.inputs import Inputs
from timbrec.study.predictability import correlations

TRUTH = {"encoder": pl.String, "factor": pl.String, "weight": pl.Float64, "share": pl.Float64}
_SAMPLE, _LEAST = 600, 50  # tracks that factors are predicted on
_SEED = 0x7A57


def shares_of_taste(inputs: Inputs, taste: VectorSource) -> pl.DataFrame:
    """The share of each factor of taste that each encoder's vectors predict, with the columns of TRUTH.

    A dimension of `taste` is a factor; listeners perceive distances between its rows. `weight` is the factor's part of
    the variance of taste; the weights add up to 1. `share` is the squared correlation between the factor and its
    out-of-fold prediction by ridge regression on the vectors, on at most 600 catalogue tracks; 0 for a negative
    correlation. Raises StoreError for a track without taste, DataError for fewer than 50 tracks.
    """
    rows = np.random.default_rng(_SEED).permutation(len(inputs.catalogue))[:_SAMPLE]
    if len(rows) < _LEAST:
        raise DataError("there are too few tracks to predict taste", count=len(rows), fix="Leave `truth` out.")
    ids = inputs.catalogue.take(rows)
    factors = taste.aligned(ids).astype(np.float64)
    names = taste.dimensions or [f"factor {number}" for number in range(taste.dim)]
    weights = factors.var(0) / max(factors.var(0).sum(), 1e-12)
    shares = {
        name: correlations(source.aligned(ids).astype(np.float64), factors).clip(min=0) ** 2
        for name, source in inputs.sources.items()
    }
    return pl.DataFrame(
        [
            {"encoder": encoder, "factor": factor, "weight": weight, "share": share}
            for encoder, values in shares.items()
            for factor, weight, share in zip(names, weights.tolist(), values.tolist(), strict=True)
        ],
        schema=TRUTH,
    )
