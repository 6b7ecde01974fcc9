"""A second implementation of KNN and artist-mean: by definition, in float64, from vectors looked up by id."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from timbrec import catalog
from timbrec.audit.audited import Audited
from timbrec.study.controls import vectors_of
from timbrec.study.experiment import Experiment
from timbrec.types import Array, Float, Int


@dataclass(frozen=True, eq=False)
class Nearest:
    """The scores of a finished KNN or artist-mean cell, on its representation or control."""

    audited: Audited
    experiment: Experiment

    def scores(self, user: int, items: Int[Array, "n"]) -> Float[Array, "n"]:
        """The scores of these items for a user row."""
        settings, train = self.experiment.settings, self.audited.run.split.test.train
        pairs = slice(train.starts[user], train.starts[user + 1])
        played, candidates = self.vectors[train.item[pairs]], self.vectors[items]
        weights = np.log1p(train.plays[pairs]) if settings["weights"] == "log" else np.ones(len(played))
        profile = unit(weights @ (unit(played) if settings["profile"] == "unit" else played))
        return np.asarray((unit(candidates) if settings["similarity"] == "cosine" else candidates) @ profile)

    @cached_property
    def vectors(self) -> Float[Array, "items dim"]:
        """(items, dim) scaled vectors, or their means by artist, in the run's order of rows."""
        scaled = self._scaled(self._content)
        return self._artist_means(scaled) if self.experiment.recommender == "artist-mean" else scaled

    @cached_property
    def _content(self) -> Float[Array, "items dim"]:
        """Vectors of the representation or control. Ids are looked up in descending order, unlike in a run."""
        representation, run = self.experiment.representation, self.audited.run
        assert representation is not None  # both recommenders read content
        ids: pl.Series = run.split.items.ids.reverse()
        parts = [self.audited.inputs.sources[source.encoder].aligned(ids)[::-1] for source in representation.sources]
        vectors = np.concatenate(parts, axis=1)
        train = run.split.test.train.items
        for step in representation.steps:
            transform = catalog.load("transforms", step.use)(**step.settings)
            vectors = transform.fitted(vectors[train])(vectors)
        if self.experiment.control == "shuffled":  # by definition: a shuffle that moves too little shows here
            return vectors[np.random.default_rng([self.experiment.seed, 0x5_4F]).permutation(len(vectors))]
        return vectors_of(self.experiment.control, np.ascontiguousarray(vectors), train, self.experiment.seed)

    def _scaled(self, vectors: Float[Array, "items dim"]) -> Float[Array, "items dim"]:
        """Vectors scaled in float32, as defined, by the mean and deviation of train items."""
        scale, train = self.experiment.settings["scale"], vectors[self.audited.run.split.test.train.items]
        mean = train.mean(0, dtype=np.float64).astype(np.float32)
        deviation = train.std(0, dtype=np.float64).astype(np.float32)
        if scale == "none":
            return vectors.astype(np.float64)
        if scale == "centre":
            return (vectors - mean).astype(np.float64)
        constant = deviation <= 1e-6 * np.abs(mean)
        factor = np.where(constant, 0, 1 / np.where(constant, 1, deviation)).astype(np.float32)
        return ((vectors - mean) * factor).astype(np.float64)

    def _artist_means(self, vectors: Float[Array, "items dim"]) -> Float[Array, "items dim"]:
        artists, means = self.audited.inputs.artist_rows, np.zeros_like(vectors)
        assert artists is not None  # the cell could not have run
        in_train = (self.audited.run.split.test.train.item_users > 0) & (artists >= 0)
        rows = np.flatnonzero(in_train)[np.argsort(artists[in_train], kind="stable")]
        present, starts, counts = np.unique(artists[rows], return_index=True, return_counts=True)
        by_artist = np.add.reduceat(unit(vectors[rows]), starts) / counts[:, None] if len(rows) else means[:0]
        place = np.searchsorted(present, artists).clip(max=max(len(present) - 1, 0))
        known = (artists >= 0) & (present[place] == artists) if len(rows) else np.zeros(len(artists), bool)
        means[known] = by_artist[place[known]]
        return means


def unit(vectors: Float[Array, "*n dim"]) -> Float[Array, "*n dim"]:
    """Vectors divided by their lengths; zero vectors stay zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
