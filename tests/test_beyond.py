"""The gain of audio over artists: positive where it is planted, zero where audio only encodes the artist."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import small_world
import timbrec
from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold
from timbrec.metrics.ndcg import NDCG
from timbrec.protocols import Content
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank
from timbrec.recommenders.knn import KNN
from timbrec.results.beyond import differences, sentence
from timbrec.statistics.comparison import compare
from timbrec.statistics.influence import Influence, influence

WORLDS = 20
USERS, ARTISTS, TRACKS = 400, 40, 10  # tracks of each artist, two of them new


@cache
def gain(effect: float, seed: int) -> dict[str, Any]:
    """The cold gain of KNN on metadata and audio over metadata alone, in a world of this effect of the tracks.

    Users draw tracks in proportion to exp(affinity to the artist + effect * taste of the track). The audio holds a code
    of the artist, which is random and so unrelated to other artists, noise, and the track's own qualities if they
    have an effect.
    """
    rng = np.random.default_rng([seed, 7])
    artist = np.arange(ARTISTS * TRACKS) % ARTISTS
    qualities = rng.standard_normal((len(artist), 4))
    affinity = 1.5 * rng.standard_normal((USERS, ARTISTS))[:, artist]
    utility = affinity + effect * rng.standard_normal((USERS, 4)) @ qualities.T
    new = np.arange(len(artist)) >= ARTISTS * (TRACKS - 2)
    score = utility + rng.gumbel(size=utility.shape)
    parts = []
    for released, count in ((~new, 30), (new, 8)):
        chosen = np.argsort(-np.where(released, score, -np.inf), axis=1)[:, :count]
        user, item = np.repeat(np.arange(USERS), count), np.sort(chosen, axis=1).ravel()
        parts.append(Interactions(user, item, np.ones(len(user), int), None, USERS, len(artist)))
    train, cold = parts
    fold = Fold(train, cold.where(np.zeros(len(cold), bool)), cold)
    code = rng.standard_normal((ARTISTS, 16))[artist]
    own = qualities if effect else rng.standard_normal(qualities.shape)
    audio = np.concatenate([code, own, 0.5 * rng.standard_normal((len(artist), 4))], 1)
    one_hot = np.eye(ARTISTS)[artist]
    lines = [_line(fold, vectors) for vectors in (one_hot, np.concatenate([audio, one_hot], 1))]
    key = {"scenario": "cold", "audio": "audio", "recommender": "knn", "base": "metadata"}
    return key | next(differences(compare(lines, ["knn", "knn"]), [(1, 0)]))


def _line(fold: Fold, vectors: np.ndarray) -> Influence:
    scorer = KNN().fit(fold.train, Content(vectors.astype(np.float32)), None, np.random.default_rng(0))
    task = fold.task("cold")
    lists = rank(scorer, task.users, task.candidates, fold.train, 11)
    return influence([outcome(lists.items, task, fold.train)], task, NDCG(10))


def test_no_gain_is_found_where_audio_only_encodes_the_artist() -> None:
    sentences = [sentence(gain(0.0, seed), "ndcg@10") for seed in range(WORLDS)]
    assert sum("no gain of audio beyond metadata was found, and a gain of 0.0" in text for text in sentences) >= 18
    assert all(row["detectable"] > 0 for row in (gain(0.0, seed) for seed in range(WORLDS)))


def test_a_planted_gain_is_found() -> None:
    sentences = [sentence(gain(1.0, seed), "ndcg@10") for seed in range(WORLDS)]
    assert sum("audio adds to metadata (+" in text for text in sentences) >= 18


ROW: dict[str, Any] = {
    "scenario": "cold", "audio": "mert", "recommender": "knn", "base": "metadata", "difference": 0.004, "low": -0.01,
    "high": 0.018, "detectable": 0.0123, "reason": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Cold, knn: no gain of mert beyond metadata was found, and a gain of 0.012 ndcg@10 would have been "
             "(+0.004 ndcg@10, 95 % interval -0.010 to +0.018)."),
        ({"base": "artist-mean", "difference": 0.02, "low": 0.001},
         "Cold, knn: mert adds to the artist (+0.020 ndcg@10, 95 % interval +0.001 to +0.018)."),
        ({"difference": -0.02, "high": -0.001},
         "Cold, knn: no gain of mert beyond metadata was found, and a gain of 0.012 ndcg@10 would have been; mert "
         "lowers the figure (-0.020 ndcg@10, 95 % interval -0.010 to -0.001)."),
        ({"low": None, "high": None, "reason": "3 users"},
         "Cold, knn: this test cannot tell whether mert adds to metadata (3 users)."),
    ],
)  # fmt: skip
def test_sentences(changes: dict[str, Any], expected: str) -> None:
    assert sentence(ROW | changes, "ndcg@10") == expected


@pytest.mark.slow
def test_a_run_with_metadata_shows_the_gain_of_audio(tmp_path: Path) -> None:
    encoders = {"good": small_world.CONFIG["encoders"]["good"], "metadata": {}}
    fused = {"good + metadata": {"of": ["good", "metadata"]}}
    path = small_world.write(
        tmp_path, encoders=encoders, representations=fused, recommenders=["knn", "artist-mean"], seeds=[0], k=[10],
        primary="ndcg@10",
    )  # fmt: skip
    result = timbrec.bench(path)
    page = result.report.read_text()
    assert "Audio beyond the artist" in page
    assert "beyond metadata was found" in page or "adds to metadata" in page
    table = pl.read_parquet(result.run.folder / "tables" / "beyond.parquet")
    assert set(table["base"]) == {"metadata", "artist-mean"}
    values = {
        (row["encoder"], row["recommender"], row["scenario"]): row["value"]
        for row in result.standings.filter(metric="ndcg@10", control="real").iter_rows(named=True)
    }
    for row in table.filter(base="metadata").iter_rows(named=True):
        fused_value, alone = (values[name, "knn", row["scenario"]] for name in ("good + metadata", "metadata"))
        assert row["difference"] == pytest.approx(fused_value - alone)
