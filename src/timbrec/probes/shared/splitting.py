"""Splits into train, validation and test, by groups of tracks such as the tracks of an artist."""

from __future__ import annotations

import numpy as np

from timbrec.types import Array, Int

PARTS = ("train", "validation", "test")
_FIFTHS = (2, 1, 0, 0, 0)  # the part of each fold of five


def grouped_split(groups: Int[Array, "n"], classes: Int[Array, "n"] | None, seed: int) -> Int[Array, "n"]:
    """(n,) the part of each track: 0 train (three fifths), 1 validation, 2 test (a fifth each).

    Tracks with the same number in `groups` are in one part. With `classes`, parts have similar shares of each class
    (scikit-learn's StratifiedGroupKFold); otherwise similar numbers of tracks.
    """
    if classes is not None and len(np.unique(groups)) >= 5 and np.bincount(classes).max() >= 5:
        return _stratified(groups, classes, seed)
    rng = np.random.default_rng(seed)
    sizes = np.bincount(groups)
    order = rng.permutation(len(sizes))
    middle = np.cumsum(sizes[order]) - sizes[order] / 2
    of_group = np.empty(len(sizes), np.int64)
    of_group[order] = np.searchsorted(np.array([0.6, 0.8]) * len(groups), middle, side="right")
    return of_group[groups]


def _stratified(groups: Int[Array, "n"], classes: Int[Array, "n"], seed: int) -> Int[Array, "n"]:
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    part = np.empty(len(groups), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer tracks than folds: counted by the caller
        for number, (_, rows) in zip(_FIFTHS, folds.split(classes, classes, groups), strict=True):
            part[rows] = number
    return part
