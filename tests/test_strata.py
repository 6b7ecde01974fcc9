"""Strata against counts by hand, and their use in a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import small_world
from timbrec.api import report
from timbrec.errors import ConfigError, DataError
from timbrec.metrics.ndcg import NDCG
from timbrec.result import Result
from timbrec.results.lines import lines
from timbrec.results.strata import NAMES, compute_strata
from timbrec.study.config import make_config, read_config
from timbrec.study.description import describe_run
from timbrec.study.grid import run_study
from timbrec.study.inputs import load_inputs
from timbrec.study.runs import TRACKS, Run

GENRES = ("dub", "pop", None)


def write(folder: Path, **changes: Any) -> Path:
    """The small world with 90 artists, genres and no trained recommender."""
    path = small_world.write(folder, recommenders=["knn", "artist-mean"], seeds=[0], **changes)
    tracks = pl.read_csv(folder / "tracks.csv")
    artists = [f"artist {row % 90}" for row in range(len(tracks))]
    genres = [GENRES[row % 3] for row in range(len(tracks))]
    tracks.with_columns(artist=pl.Series(artists), genre=pl.Series(genres)).write_csv(folder / "tracks.csv")
    return path


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    config = read_config(write(tmp_path_factory.mktemp("strata"), strata=list(NAMES)))
    inputs = load_inputs(config)
    run = Run.create(config.at(config.output), describe_run(config, inputs), inputs.split)
    inputs.tracks.write_parquet(run.folder / TRACKS)
    run_study(config, inputs, run)
    return report(run)


@pytest.fixture(scope="module")
def table(result: Result) -> pl.DataFrame:
    return pl.read_csv(result.run.folder / "strata.csv")


def by_hand(result: Result, scenario: str, kind: str) -> dict[str, tuple[float, int, int]]:
    """Stratum -> (NDCG@20, users, pairs) of good / knn, pair by pair."""
    run = result.run
    line = next(line for line in lines(run, scenario) if line.key == ("good", "knn"))  # type: ignore[arg-type]
    artist, genre = run.tracks["artist"].to_list(), run.tracks["genre"].to_list()
    train = run.split.test.train
    known = {artist[item] for item in train.item}
    played = {(int(user), artist[item]) for user, item in zip(train.user, train.item, strict=True)}
    relevant: dict[str, dict[int, set[int]]] = {}
    for user, item in zip(line.task.relevant.user.tolist(), line.task.relevant.item.tolist(), strict=True):
        name = {
            "artist": "artist in train" if artist[item] in known else "artist not in train",
            "discovery": "artist played by the user" if (user, artist[item]) in played else "artist new to the user",
            "genre": genre[item] or "genre unknown",
        }[kind]
        relevant.setdefault(name, {}).setdefault(user, set()).add(item)
    lists = dict(zip(line.task.users.tolist(), line.of()[0].items.tolist(), strict=True))
    strata = {}
    for name, users in relevant.items():
        values = []
        for user, items in users.items():
            gained = sum(1 / np.log2(rank + 2) for rank, item in enumerate(lists[user][:20]) if item in items)
            values.append(gained / sum(1 / np.log2(rank + 2) for rank in range(min(20, len(items)))))
        strata[name] = (float(np.mean(values)), len(users), sum(map(len, users.values())))
    return strata


@pytest.mark.parametrize("kind", ["artist", "discovery", "genre"])
@pytest.mark.parametrize("scenario", ["hot", "cold", "mixed"])
def test_figures_of_strata_are_those_counted_by_hand(
    result: Result, table: pl.DataFrame, scenario: str, kind: str
) -> None:
    rows = table.filter(scenario=scenario, by=kind, encoder="good", recommender="knn")
    expected = by_hand(result, scenario, kind)
    assert set(rows["stratum"]) == set(expected)
    for row in rows.iter_rows(named=True):
        value, users, pairs = expected[row["stratum"]]
        assert (row["users"], row["pairs"]) == (users, pairs)
        assert row["value"] == pytest.approx(value, abs=1e-12)
        assert row["low"] is None or row["low"] <= row["value"] <= row["high"]


@pytest.mark.parametrize("kind", NAMES)
def test_every_relevant_pair_is_in_one_stratum(result: Result, table: pl.DataFrame, kind: str) -> None:
    for scenario in ("hot", "cold", "mixed"):
        rows = table.filter(scenario=scenario, by=kind, encoder="good", recommender="knn")
        assert rows["pairs"].sum() == len(result.run.split.test.task(scenario).relevant)


def test_lines_are_compared_with_artist_mean_on_the_same_vectors(table: pl.DataFrame) -> None:
    key = ["scenario", "by", "stratum", "encoder"]
    knn, base = (table.filter(recommender=name).select(*key, "value") for name in ("knn", "artist-mean"))
    joined = table.filter(recommender="knn").join(base, on=key, suffix="_base")
    assert len(joined) == len(knn) > 0
    assert joined["reference"].to_list() == [f"{name} / artist-mean" for name in joined["encoder"]]
    np.testing.assert_allclose(joined["difference"], joined["value"] - joined["value_base"], atol=1e-12)
    assert (joined["difference_low"] <= joined["difference"]).all()


def test_another_reference_is_subtracted_under_each_recommender(result: Result) -> None:
    table = compute_strata(result.run, ["artist"], NDCG(20).label, "poor")
    good = table.filter(scenario="hot", encoder="good")
    assert set(good["reference"]) == {"poor / knn", "poor / artist-mean"}
    assert table.filter(encoder="poor")["difference"].is_null().all()


def test_classes_of_users_and_tracks_have_about_equal_sizes(table: pl.DataFrame) -> None:
    activity = table.filter(scenario="hot", by="activity", encoder="good", recommender="knn")
    assert len(activity) == 3
    assert activity["users"].max() < 2 * activity["users"].min()  # type: ignore[operator]
    assert set(table.filter(scenario="cold", by="popularity")["stratum"]) == {"not in train"}


def test_the_page_shows_strata(result: Result) -> None:
    page = result.report.read_text()
    assert "By kind of track and user" in page
    assert "artist not in train" in page


def test_strata_without_their_data_are_refused(tmp_path: Path, result: Result) -> None:
    with pytest.raises(ConfigError, match=r"no stratum 'artits'\. Did you mean 'artist'"):
        compute_strata(result.run, ["artits"], "ndcg@20")
    with pytest.raises(ConfigError, match="the run has no 'musicnn' to compare with"):
        compute_strata(result.run, ["artist"], "ndcg@20", "musicnn")
    path = small_world.write(tmp_path, strata=["genre"])
    with pytest.raises(DataError, match=r"no column of genres\. Name it as `items\.columns\.genre`"):
        load_inputs(read_config(path))
    settings = {key: value for key, value in small_world.CONFIG.items() if key != "items"}
    with pytest.raises(ConfigError, match=r"`strata` by discovery need a table of tracks"):
        make_config(settings | {"recommenders": ["knn"], "strata": ["discovery"]})
