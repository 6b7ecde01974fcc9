"""Similar names: pairs of recordings and tracks with artists and titles that differ in spelling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from timbrec.types import Array

_NEAR = 15.0  # below the threshold: similar enough to be named as the nearest track
_BLOCK = 1 << 24  # similarities computed at once
_WORD = 80.0  # the least similarity of two words that stand for each other
_SHORT = 3  # words of up to this many letters must be equal
_GLUE = frozenset(("a", "an", "and", "the"))
_SCHEMA = {"recording": pl.UInt32, "row": pl.UInt32, "score": pl.Float64, "sure": pl.Boolean}


class _Titles(NamedTuple):
    """The rows of an artist and their titles."""

    rows: list[int]
    titles: list[str]


def similar_names(recordings: pl.DataFrame, tracks: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Pairs (recording, row, score, sure) by similar artists and titles.

    The score is the smaller similarity of artists and titles: 100 times twice the length of their longest common
    subsequence over the sum of their lengths. A pair is sure from the threshold on, if moreover every word has its
    counterpart: a title with "live" or another number is another recording.
    """
    mine, theirs = _by_artist(recordings, "recording"), _by_artist(tracks, "row")
    if threshold >= 100 or not mine or not theirs:
        return pl.DataFrame(schema=_SCHEMA)
    pairs = list(_similar_titles(mine, theirs, threshold - _NEAR))
    table = pl.DataFrame([pair[:3] for pair in pairs], schema=list(_SCHEMA.items())[:3], orient="row")
    sure = [score >= threshold and _same_words(*names) for _, _, score, names in pairs]
    return table.with_columns(sure=pl.Series(sure, dtype=pl.Boolean))


def _by_artist(table: pl.DataFrame, key: str) -> dict[str, _Titles]:
    """The rows and titles of each artist, in order of first appearance."""
    named = table.select(key, "artist_key", "title_key").drop_nulls()
    groups = named.group_by("artist_key", maintain_order=True).agg(key, "title_key")
    return {artist: _Titles(rows, titles) for artist, rows, titles in groups.iter_rows()}


def _similar_titles(
    mine: Mapping[str, _Titles], theirs: Mapping[str, _Titles], least: float
) -> Iterator[tuple[int, int, float, tuple[str, str, str, str]]]:
    """(recording, row, score, (artist, artist, title, title)) of all pairs that are similar by at least `least`."""
    artists, others = list(mine), list(theirs)
    for artist, other, artist_score in _similar(artists, others, least):
        left, right = mine[artists[artist]], theirs[others[other]]
        for title, track_title, title_score in _similar(left.titles, right.titles, least):
            names = (artists[artist], others[other], left.titles[title], right.titles[track_title])
            yield left.rows[title], right.rows[track_title], min(artist_score, title_score), names


def _similar(left: Sequence[str], right: Sequence[str], least: float) -> Iterator[tuple[int, int, float]]:
    """The places of all similar pairs of texts with their similarity, computed block by block."""
    from rapidfuzz import fuzz, process

    step = max(1, _BLOCK // len(right))
    for start in range(0, len(left), step):
        block: Array = process.cdist(
            left[start : start + step], right, scorer=fuzz.ratio, score_cutoff=least, dtype=np.float32
        )
        for i, j in zip(*block.nonzero(), strict=True):
            yield start + int(i), int(j), float(block[i, j])


def _same_words(artist: str, other_artist: str, title: str, other_title: str) -> bool:
    """Whether every word of artist and title has its counterpart on the other side."""
    return _counterparts(artist, other_artist) and _counterparts(title, other_title)


def _counterparts(left: str, right: str) -> bool:
    """Whether two texts differ in nothing but the spelling of long words, blanks, and words such as "the"."""
    from rapidfuzz import fuzz

    if left.replace(" ", "") == right.replace(" ", ""):
        return True
    mine, theirs = ([word for word in text.split() if word not in _GLUE] for text in (left, right))
    if len(mine) != len(theirs):
        return False
    return all(
        word == other or (min(len(word), len(other)) > _SHORT and _no_digit(word + other)
                          and fuzz.ratio(word, other) >= _WORD)
        for word, other in zip(mine, theirs, strict=True)
    )  # fmt: skip


def _no_digit(text: str) -> bool:
    return not any(character.isdigit() for character in text)
