"""How well a number per track, such as its popularity, is predicted from the track's vector."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from timbrec.types import Array, Float, Float32

PERMUTATIONS = 200
_FOLDS = 5
_PENALTIES = 10.0 ** np.arange(-3, 4)  # times the mean eigenvalue
_SEED = 0x9095


def predictability(
    vectors: Mapping[str, Float32[Array, "n _"]], target: Float[Array, "n"]
) -> tuple[dict[str, float], float]:
    """How well vectors predict a number per track: a correlation by name of the vectors, and the 5 % level of chance.

    The correlation is between the target and its out-of-fold prediction; rows are in random order. Predictions are
    ridge regressions on standardised dimensions, with the penalty chosen by generalised cross-validation inside each of
    five folds. The target is also dealt to the tracks at random 200 times. The level is the 95 % quantile, over these,
    of the highest correlation of all names, so it holds for all of them at once.
    """
    rng = np.random.default_rng(_SEED)
    dealt = np.stack([target, *(rng.permutation(target) for _ in range(PERMUTATIONS))], axis=1)
    values = {name: correlations(rows.astype(np.float64), dealt) for name, rows in vectors.items()}
    highest = np.max([own[1:] for own in values.values()], axis=0)
    return {name: float(own[0]) for name, own in values.items()}, float(np.quantile(highest, 0.95))


def correlations(x: Float[Array, "n dim"], y: Float[Array, "n m"]) -> Float[Array, "m"]:
    """The out-of-fold correlation of each column of y with its prediction from x: the mean over five folds.

    Rows are in random order; predictions as in `predictability`. 0 where a column is constant in a fold.
    """
    fold = np.arange(len(x)) % _FOLDS
    return np.mean([_in_fold(x[fold != k], y[fold != k], x[fold == k], y[fold == k]) for k in range(_FOLDS)], axis=0)


def _in_fold(
    x: Float[Array, "n dim"], y: Float[Array, "n m"], x_new: Float[Array, "t dim"], y_new: Float[Array, "t m"]
) -> Float[Array, "m"]:
    """The correlation of each new column with a ridge regression on the other rows, in its dual form."""
    mean, spread = x.mean(0), x.std(0)
    spread[spread == 0] = 1
    x, x_new, y = (x - mean) / spread, (x_new - mean) / spread, y - y.mean(0)
    values, axes = np.linalg.eigh(x @ x.T)
    values, parts = values.clip(0), axes.T @ y
    penalties = values.mean() * _PENALTIES if values.any() else np.ones(1)
    left = penalties[:, None] / (values + penalties[:, None])  # the share of each component that a fit leaves
    freedom = left.sum(1) - 1
    chosen = (left**2 @ parts**2 / freedom[:, None] ** 2).argmin(0)
    predicted = x_new @ (x.T @ (axes @ (parts / (values[:, None] + penalties[chosen]))))
    return _correlation(predicted, y_new)


def _correlation(first: Float[Array, "t m"], second: Float[Array, "t m"]) -> Float[Array, "m"]:
    """The correlation of each pair of columns; 0 where a column is constant."""
    first, second = first - first.mean(0), second - second.mean(0)
    size = np.sqrt((first**2).sum(0) * (second**2).sum(0))
    return np.divide((first * second).sum(0), size, out=np.zeros(len(size)), where=size > 0)
