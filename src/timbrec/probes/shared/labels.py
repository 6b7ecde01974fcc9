"""Labels as a data set or a user gives them, and targets: labels of tracks with vectors, checked and split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import polars as pl

from timbrec.data.ids import examples, likeness
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError, listing
from timbrec.probes.shared.splitting import PARTS, grouped_split
from timbrec.types import Array, Bool, Int

Kind = Literal["classes", "tags", "numbers", "key"]
LEAST = 2  # examples of a class: one to learn from, one to be judged by


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of tracks, before anything is checked.

    `tracks` has a row per track: `id` and, where known, `part` (train, validation or test), `artist`, and `path` (the
    audio file). `values` belong to these rows: (n,) numbers of classes or keys, whose names are `names`; (n, tags) True
    where a track has a tag; (n, outputs) numbers. `remarks` are sentences about the way the labels were read.
    """

    tracks: pl.DataFrame
    kind: Kind
    values: Array
    names: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """A hash of tracks, labels and remarks."""
        content = hashlib.sha256(f"{self.kind} {self.names} {self.remarks} {self.tracks.write_csv()}".encode())
        content.update(np.ascontiguousarray(self.values).data)
        return content.hexdigest()[:16]

    def of(self, keep: Bool[Array, "n"]) -> Labels:
        """The labels of some of the tracks."""
        return replace(self, tracks=self.tracks.filter(pl.Series(keep)), values=self.values[keep])


def class_labels(tracks: pl.DataFrame, names: pl.Series, remarks: tuple[str, ...] = ()) -> Labels:
    """Labels of one class per track from the name of each track's class; tracks without one are left out."""
    known = names.is_not_null()
    vocabulary = Vocabulary.of(names.filter(known).cast(pl.String))
    values = vocabulary.rows(names.filter(known).cast(pl.String))
    return Labels(tracks.filter(known), "classes", values, tuple(vocabulary.ids), remarks)


@dataclass(frozen=True, eq=False)
class Targets:
    """Labels that a head can learn: of tracks with vectors, each in a part, without labels that cannot be tested.

    `ids` (n,) are the tracks, `part` (n,) 0 for train, 1 for validation, 2 for test. `groups` (n,) numbers artists, or
    tracks if artists are unknown. `remarks` are sentences on everything left out and everything odd.
    """

    ids: pl.Series
    kind: Kind
    values: Array
    names: tuple[str, ...]
    part: Int[Array, "n"]
    groups: Int[Array, "n"]
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, part: str) -> Int[Array, "m"]:
        """The rows of a part."""
        return np.flatnonzero(self.part == PARTS.index(part))

    @cached_property
    def digest(self) -> str:
        """A hash of tracks, labels, parts and groups."""
        content = hashlib.sha256(f"{self.kind} {self.names} {Vocabulary(self.ids).digest}".encode())
        for array in (self.values, self.part, self.groups):
            content.update(np.ascontiguousarray(array).data)
        return content.hexdigest()[:16]


def prepare(labels: Labels, available: pl.Series, seed: int) -> Targets:
    """The targets of the tracks in `available`, the ids that have vectors.

    Tracks without vectors, classes with a single track, and labels that every track or no track of the train or test
    part has are left out and counted. Without parts, 60 % of the tracks are train, 20 % validation and 20 % test, drawn
    by artist if artists are known. Raises DataError if nothing is left to learn from or to test, and for a track with
    two rows.
    """
    remarks = list(labels.remarks)
    labels = _with_vectors(labels, available, remarks)
    labels = _without_gaps(labels, remarks)
    if labels.kind == "classes":
        labels = _without_rare_classes(labels, remarks)
    groups, known = _groups(labels.tracks)
    part = _parts(labels, groups, known, seed, remarks)
    labels, part, groups = _learnable(labels, part, groups, remarks)
    _check(labels, part, groups, known, remarks)
    return Targets(labels.tracks["id"], labels.kind, labels.values, labels.names, part, groups, tuple(remarks))


def _with_vectors(labels: Labels, available: pl.Series, remarks: list[str]) -> Labels:
    ids = labels.tracks["id"]
    if not len(ids):
        raise DataError("no track has a label", fix="Name another column: `columns: {label: NAME}`.")
    if len(repeated := ids.filter(ids.is_duplicated())):
        keys = [name for name in ("id", "part") if name in labels.tracks.columns]
        several = labels.tracks.unique(keys)["id"].is_duplicated().any()
        where = ", in different parts of the split" if several else ""
        raise DataError(f"some tracks have two rows of labels{where}", count=repeated.n_unique(), example=repeated[0],
                        fix="Keep one row per track.")  # fmt: skip
    keep = ids.is_in(available.implode())
    lacking, unlabelled = ids.filter(~keep), available.filter(~available.is_in(ids.implode()))
    if len(lacking) == len(ids):
        near = likeness(ids, available)
        raise DataError(
            "no labelled track has vectors" + (f": ids differ by {near}" if near else ""),
            example=None if near or not len(available) else (ids[0], available[0]),
            fix="Make the ids of labels and vectors the same kind.",
        )
    if len(lacking):
        remarks.append(f"labelled tracks without vectors: {len(lacking):,}, e.g. {examples(lacking)}")
    if len(unlabelled):
        remarks.append(f"tracks with vectors and without a label: {len(unlabelled):,}, e.g. {examples(unlabelled)}")
    return labels.of(keep.to_numpy())


def _without_gaps(labels: Labels, remarks: list[str]) -> Labels:
    if labels.kind != "numbers":
        return labels
    known = np.isfinite(labels.values).all(1)
    if not known.all():
        lacking = labels.tracks["id"].filter(pl.Series(~known))
        remarks.append(f"tracks without a number: {len(lacking):,}, e.g. {examples(lacking)}")
    return labels.of(known)


def _without_rare_classes(labels: Labels, remarks: list[str]) -> Labels:
    counts = np.bincount(labels.values, minlength=len(labels.names))
    rare = (counts > 0) & (counts < LEAST)
    if rare.any():
        names = listing([labels.names[place] for place in np.flatnonzero(rare)], 5)
        remarks.append(f"classes with a single track, left out: {int(rare.sum()):,}: {names}")
    return labels.of(~rare[labels.values])


def _groups(tracks: pl.DataFrame) -> tuple[Int[Array, "n"], bool]:
    """A number per artist, a number of its own for a track without one; and whether any artist is known."""
    own = np.arange(len(tracks))
    if "artist" not in tracks.columns or tracks["artist"].is_null().all():
        return own, False
    artist = Vocabulary.numbers(tracks["artist"])
    numbers = np.where(artist < 0, artist.max() + 1 + own, artist)
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64), True


def _parts(labels: Labels, groups: Int[Array, "n"], known: bool, seed: int, remarks: list[str]) -> Int[Array, "n"]:
    if "part" in labels.tracks.columns:
        named = labels.tracks["part"]
        if len(other := named.filter(~named.is_in(PARTS))):
            raise DataError("some parts of the split have other names", count=len(other), example=other[0],
                            fix="Call them train, validation and test.")  # fmt: skip
        part = np.array([PARTS.index(name) for name in named], np.int64)
    else:
        if not known:
            remarks.append("the artists are not known: tracks of one artist may be in train and test")
        part = grouped_split(groups, labels.values if labels.kind == "classes" else None, seed)
    for number, name in enumerate(PARTS):
        if not (part == number).any():
            raise DataError(f"the {name} part has no track", example=f"{len(part):,} tracks in all",
                            fix="Give more labels, or another split.")  # fmt: skip
    return part


def _learnable(labels: Labels, part: Int[Array, "n"], groups: Int[Array, "n"], remarks: list[str]) -> Any:
    train, test = part == 0, part == 2
    if labels.kind == "classes":
        learned = np.bincount(labels.values[train], minlength=len(labels.names)) > 0
        keep = learned[labels.values]
        if not keep.all():
            absent = np.unique(labels.values[~keep])
            names = listing([labels.names[place] for place in absent], 5)
            remarks.append(f"classes without a track in the train part, left out: {len(absent):,}: {names}")
        present = np.unique(labels.values[keep])
        if len(present) < 2:
            raise DataError("there are fewer than two classes to tell apart", example=listing(labels.names, 3),
                            fix="Name another column: `columns: {label: NAME}`.")  # fmt: skip
        values = np.searchsorted(present, labels.values[keep])
        kept = replace(labels.of(keep), values=values, names=tuple(labels.names[place] for place in present))
        return kept, part[keep], groups[keep]
    if labels.kind == "tags":
        defined = _varies(labels.values[train]) & _varies(labels.values[test])
        if not defined.any():
            raise DataError("every label is always or never there in the train or the test part",
                            count=len(labels.names), example=labels.names[0], fix="Give more tracks.")  # fmt: skip
        if not defined.all():
            names = listing([labels.names[place] for place in np.flatnonzero(~defined)], 5)
            count = int((~defined).sum())
            remarks.append(
                f"labels that are always or never there in the train or test part, left out: {count:,}: {names}"
            )
        names_kept = tuple(name for name, keep in zip(labels.names, defined, strict=True) if keep)
        return replace(labels, values=labels.values[:, defined], names=names_kept), part, groups
    if labels.kind == "numbers" and not all(np.ptp(labels.values[rows], axis=0).all() for rows in (train, test)):
        raise DataError("the label has the same value for all tracks of a part", example=labels.names[0],
                        fix="Name another column: `columns: {label: NAME}`.")  # fmt: skip
    return labels, part, groups


def _varies(values: Bool[Array, "n labels"]) -> Bool[Array, "labels"]:
    return np.asarray(values.any(0) & ~values.all(0))


def _check(labels: Labels, part: Int[Array, "n"], groups: Int[Array, "n"], known: bool, remarks: list[str]) -> None:
    for number, name in enumerate(PARTS):
        if not (part == number).any():
            raise DataError(f"the {name} part has no track left", fix="Give more labels, or another split.")
    if known:
        shared = np.intersect1d(groups[part == 0], groups[part == 2])
        if len(shared):
            of_test = len(np.unique(groups[part == 2]))
            artist = labels.tracks["artist"].filter(pl.Series(groups == shared[0]))[0]
            remarks.append(f"{len(shared):,} of the {of_test:,} artists of the test part are in train, e.g. {artist!r}")
