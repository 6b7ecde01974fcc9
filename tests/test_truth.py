"""Taste in a synthetic world, beside the results of its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import timbrec
from timbrec.errors import StoreError
from timbrec.results.truth import _agreement, sentence
from timbrec.study.predictability import correlations

RNG = np.random.default_rng(0)
TRACKS, USERS = 240, 60
IDS = [f"t{number:03}" for number in range(TRACKS)]
TASTE = RNG.standard_normal((TRACKS, 3)).astype(np.float32) * np.array([1, 1, 2], np.float32)


def _log() -> pl.DataFrame:
    """Plays of the tracks nearest to a point of taste, in random order of time; a tenth of the tracks come late."""
    wishes = RNG.standard_normal((USERS, 3)) * [1, 1, 2]
    nearest = np.argsort(((wishes[:, None] - TASTE[None]) ** 2).sum(2), axis=1)[:, :40]
    user, item = np.repeat(np.arange(USERS), 40), nearest.ravel()
    days = np.where(item % 10 == 0, RNG.integers(335, 365, len(item)), RNG.integers(0, 365, len(item)))
    return pl.DataFrame(
        {
            "user_id": [f"u{number:02}" for number in user],
            "track_id": [IDS[number] for number in item],
            "timestamp": (np.datetime64("2018-01-01", "us") + days.astype("timedelta64[D]")),
        }
    )


def _config(folder: Path, taste: Path) -> dict[str, Any]:
    noise = RNG.standard_normal((TRACKS, 4)).astype(np.float32)
    return {
        "interactions": _log(),
        "encoders": {"most": (IDS, TASTE[:, 2:]), "some": (IDS, TASTE[:, :2]), "none": (IDS, noise)},
        "split": {"protocol": "corrected", "test_at": "2018-12-01"},
        "output": folder / "run", "truth": taste, "seeds": [0], "k": [10], "metrics": ["ndcg"], "primary": "ndcg@10",
    }  # fmt: skip


def test_the_page_compares_taste_in_vectors_with_figures(tmp_path: Path) -> None:
    """Vectors that are factors of taste contain these factors and no others; their weights are 4/6 and 2/6."""
    path = tmp_path / "taste.parquet"
    columns = {name: TASTE[:, place] for place, name in enumerate(("tempo", "mode", "noise"))}
    pl.DataFrame({"id": IDS} | columns).write_parquet(path)
    result = timbrec.bench(**_config(tmp_path, path))
    table = pl.read_parquet(result.run.folder / "tables" / "truth.parquet")
    taste = dict(table.select("encoder", "taste").unique().iter_rows())
    variances = TASTE.var(0)
    assert taste["most"] == pytest.approx(variances[2] / variances.sum(), abs=0.05)
    assert taste["some"] == pytest.approx(variances[:2].sum() / variances.sum(), abs=0.05)
    assert taste["none"] < 0.05
    page = result.report.read_text()
    assert "Taste in the synthetic world" in page
    assert sentence(table) in page


def test_a_track_without_taste_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "taste.parquet"
    pl.DataFrame({"id": IDS[:100], "tempo": TASTE[:100, 0]}).write_parquet(path)
    with pytest.raises(StoreError, match="140 in all"):
        timbrec.bench(**_config(tmp_path, path))


def test_agreement_counts_separated_pairs_of_one_recommender() -> None:
    rows = [
        ("cold", "a / knn", "b / knn", 0.2, 0.1, 0.3),  # separated, in the order of taste
        ("cold", "a / knn", "c / knn", -0.2, -0.3, -0.1),  # separated, against it
        ("cold", "b / knn", "c / knn", 0.1, -0.1, 0.3),  # not separated
        ("cold", "a / knn", "b / elsa", 0.2, 0.1, 0.3),  # of two recommenders
        ("hot", "b / knn", "popularity", 0.2, 0.1, 0.3),  # a recommender without audio
    ]
    frame = pl.DataFrame(rows, ["scenario", "first", "second", "difference", "low", "high"], orient="row")
    taste = {"a": 0.5, "b": 0.3, "c": 0.1}
    lines = [(encoder, label, share) for encoder, share in taste.items() for label in ("knn", "elsa")]
    counts = _agreement(frame, pl.DataFrame(lines, ["encoder", "recommender", "taste"], orient="row"))
    assert counts.rows() == [("cold", "knn", 2, 1)]


def test_correlations_are_those_of_held_out_rows() -> None:
    x = RNG.standard_normal((400, 3))
    y = np.stack([x[:, 0], x[:, 1] + RNG.standard_normal(400), RNG.standard_normal(400)], axis=1)
    assert correlations(x, y) == pytest.approx([1.0, np.sqrt(0.5), 0.0], abs=0.12)
