"""Runs with a split by artist: config, data card and audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import small_world
from timbrec.audit.audited import Audited
from timbrec.audit.splits import split_clean
from timbrec.errors import ConfigError, DataError, SeveralErrors
from timbrec.study.config import read_config
from timbrec.study.data_card import data_card
from timbrec.study.description import describe_run
from timbrec.study.inputs import load_inputs
from timbrec.study.runs import Run

TESTED = {"cold_candidates": "tested", "mixed_candidates": "tested"}
TIMED = {"test_at": "2019-02-01"}
HOLDOUT = {"protocol": "item-holdout"}


def write(folder: Path, artists: int, **changes: Any) -> Path:
    """The small world's config, with this number of artists."""
    path = small_world.write(folder, recommenders=["knn", "artist-mean"], **changes)
    tracks = pl.read_csv(folder / "tracks.csv")
    names = [f"artist {row % artists}" for row in range(len(tracks))]
    tracks.with_columns(artist=pl.Series(names)).write_csv(folder / "tracks.csv")
    return path


@pytest.mark.parametrize("split", [TIMED, HOLDOUT], ids=["corrected", "item-holdout"])
def test_a_run_by_artist_has_no_artist_in_train_and_among_cold_tracks(tmp_path: Path, split: dict[str, str]) -> None:
    config = read_config(write(tmp_path, 140, split=split | {"by_artist": True}, **TESTED))
    inputs = load_inputs(config)
    run = Run.create(config.at(config.output), describe_run(config, inputs), inputs.split)
    artist, test = inputs.tracks["artist"].to_numpy(), inputs.split.test
    assert len(test.cold.items)
    assert not set(artist[test.train.items]) & set(artist[test.cold.items])
    assert dict(data_card(inputs))["tracks of the catalogue without an artist"] == "0"
    assert split_clean(Audited(run, inputs)).passed
    plain = load_inputs(read_config(write(tmp_path, 140, split=split, **TESTED))).split
    run.__dict__["split"] = plain
    finding = split_clean(Audited(run, inputs))
    assert not finding.passed
    assert "test: cold items by artists in train" in finding.detail


def test_a_split_by_artist_needs_items_and_tested_candidates(tmp_path: Path) -> None:
    path = write(tmp_path, 140, split=TIMED | {"by_artist": True})
    with pytest.raises(ConfigError, match=r"Set `cold_candidates` and `mixed_candidates` to tested"):
        read_config(path)
    path.write_text(path.read_text().replace("items:", "itms:"))
    with pytest.raises((ConfigError, SeveralErrors)):
        read_config(path)


def test_with_few_artists_no_cold_track_is_left(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no cold track is left.*plays of catalogue tracks are from"):
        load_inputs(read_config(write(tmp_path, 5, split=TIMED | {"by_artist": True}, **TESTED)))
