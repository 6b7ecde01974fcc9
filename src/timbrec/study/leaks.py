"""Leaks: cold tracks that train contains in another form, such as a copy or another track of the album."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from timbrec.data.split import Fold, Split
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.study.near_copies import near_copies
from timbrec.types import Array, Bool, Int

if TYPE_CHECKING:
    from timbrec.store import VectorSource


def without_leaks(split: Split, sources: Mapping[str, VectorSource], albums: pl.Series | None) -> Split:
    """The split without cold pairs of tracks with a near copy, the same audio or the album of a train track.

    Both folds are reduced. `albums` is the result of `albums_of`. Raises DataError if no cold test pair is left.
    """
    validation, test = (
        replace(fold, cold=fold.cold.where(~leaked_items(fold, split.items, sources, albums)[fold.cold.item]))
        for fold in (split.validation, split.test)
    )
    if len(split.test.cold) and not len(test.cold):
        raise DataError(
            "no cold track is left: all have an album or near copies in train",
            count=len(split.test.cold.items),
            fix="Set `leaks: report`.",
        )
    return replace(split, validation=validation, test=test)


def leaked_items(
    fold: Fold, items: Vocabulary, sources: Mapping[str, VectorSource], albums: pl.Series | None
) -> Bool[Array, "items"]:
    """(items,) the cold items with a near copy, the same audio or the album of an item in the fold's train part."""
    cold, leaked = fold.cold.items, np.zeros(fold.train.n_items, bool)
    if albums is not None:
        leaked[cold] = known_in_train(albums, fold)
    for source in sources.values():
        for copies in (with_near_copies(fold, source, items), with_same_audio(fold, source, items)):
            if copies is not None:
                leaked[cold] |= copies >= 0
    return leaked


def known_in_train(values: pl.Series, fold: Fold) -> Bool[Array, "c"]:
    """(c,) whether the value of each cold item is that of an item in train; False for unknown values."""
    numbers = Vocabulary.numbers(values)
    cold = numbers[fold.cold.items]
    return (cold >= 0) & np.isin(cold, numbers[fold.train.items])


def albums_of(artists: pl.Series | None, albums: pl.Series | None) -> pl.Series | None:
    """The album of each track, distinct from albums of the same title by other artists; null if either is unknown."""
    if artists is None or albums is None:
        return None
    return pl.select(pl.when(artists.is_not_null() & albums.is_not_null()).then(artists + "\0" + albums)).to_series()


def with_near_copies(fold: Fold, source: VectorSource, items: Vocabulary) -> Int[Array, "c"] | None:
    """(c,) the train item that each cold item nearly copies, -1 if none; None if the vectors cannot show it."""
    train, cold = fold.train.items, fold.cold.items
    if not len(cold):
        return None
    copies = near_copies(source.aligned(items.take(train)), source.aligned(items.take(cold)))
    return None if copies is None else np.where(copies[0] >= 0, train[copies[0]], -1)


def with_same_audio(fold: Fold, source: VectorSource, items: Vocabulary) -> Int[Array, "c"] | None:
    """(c,) a train item with the decoded audio of each cold item, -1 if none; None if the audio is unknown."""
    audio = source.audio_of(items.ids)
    if audio is None:
        return None
    heard = Vocabulary.numbers(audio)
    train, cold = fold.train.items[heard[fold.train.items] >= 0], fold.cold.items
    order = np.argsort(heard[train], kind="stable")
    if not len(order):
        return np.full(len(cold), -1)
    place = np.searchsorted(heard[train], heard[cold], sorter=order).clip(max=len(order) - 1)
    nearest = train[order[place]]
    return np.where((heard[cold] >= 0) & (heard[nearest] == heard[cold]), nearest, -1)
