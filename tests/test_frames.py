"""Frames, mappings and arrays in memory give the model and the run of the same data in polars frames and arrays."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import timbrec
from timbrec.data.frames import frame_of
from timbrec.data.log import LogConfig, make_log, read_log
from timbrec.data.tables import open_table
from timbrec.errors import ConfigError, DataError, TimbrecError
from timbrec.study.memory import stored_inputs
from timbrec.study.warnings import log_warnings

RNG = np.random.default_rng(2)
TRACKS = [f"t{n:02}" for n in range(30)]
VECTORS = RNG.standard_normal((30, 5)).astype(np.float32)
PLAYS = pl.DataFrame(
    {
        "user": [f"u{n % 8}" for n in range(200)],
        "item": RNG.choice(TRACKS, 200),
        "time": [datetime(2019, 1, 1) + timedelta(hours=n) for n in range(200)],
    }
)
OTHERS = PLAYS.rename({"user": "uid", "item": "song", "time": "played_at"})
COLUMNS = {"user": "uid", "item": "song", "time": "played_at"}


@pytest.fixture(scope="module")
def expected() -> pl.DataFrame:
    return timbrec.fit(PLAYS, (TRACKS, VECTORS)).recommend("u3", k=5)


def pandas_of(frame: pl.DataFrame) -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({name: frame[name].to_list() for name in frame.columns})


@pytest.mark.parametrize("kind", ["lazy", "arrow", "pandas", "pandas with an index", "file", "other names"])
def test_a_log_of_any_kind_gives_the_same_model(kind: str, expected: pl.DataFrame, tmp_path: Path) -> None:
    frames: dict[str, Callable[[], Any]] = {
        "lazy": lambda: PLAYS.lazy(),
        "arrow": lambda: PLAYS.to_arrow(),
        "pandas": lambda: pandas_of(PLAYS),
        "pandas with an index": lambda: pandas_of(PLAYS).set_index("user"),
        "file": lambda: tmp_path / "plays.csv",
        "other names": lambda: OTHERS,
    }
    OTHERS.write_csv(tmp_path / "plays.csv")
    columns = COLUMNS if kind in ("file", "other names") else None
    model = timbrec.fit(frames[kind](), (TRACKS, VECTORS), columns=columns)
    assert model.recommend("u3", k=5).equals(expected)


@pytest.mark.parametrize("kind", ["mapping", "frame", "file"])
def test_vectors_of_any_kind_give_the_same_model(kind: str, expected: pl.DataFrame, tmp_path: Path) -> None:
    table = pl.DataFrame({"id": TRACKS, "vector": VECTORS.tolist()})
    table.write_parquet(tmp_path / "v.parquet")
    kinds: dict[str, Any] = {
        "mapping": dict(zip(TRACKS, VECTORS, strict=True)),
        "frame": table,
        "file": str(tmp_path / "v.parquet"),
    }
    assert timbrec.fit(PLAYS, kinds[kind]).recommend("u3", k=5).equals(expected)


def test_an_index_of_times_is_a_column() -> None:
    frame = frame_of(pandas_of(PLAYS).set_index("time"), "the log")
    assert set(frame.columns) == {"user", "item", "time"}
    assert frame_of(pandas_of(PLAYS), "the log").columns == PLAYS.columns


@pytest.mark.parametrize(
    ("log", "vectors", "columns", "message"),
    [
        (
            OTHERS,
            (TRACKS, VECTORS),
            None,
            r"no column 'user_id'.*`columns: \{user: uid, item: song, time: played_at\}`",
        ),
        (PLAYS.to_dict(as_series=False), (TRACKS, VECTORS), None, r"the log is a dict, not a frame.*polars, pandas"),
        (PLAYS, [1, 2, 3], None, r"vectors: a list is no vectors\. Give \(ids, array\)"),
        (PLAYS, {"t00": [1.0, 2.0], "t01": [1.0]}, None, "different numbers of dimensions"),
        (PLAYS, (TRACKS, VECTORS), {"track": "item"}, "`columns` has no key 'track'. Its keys are user, item, time"),
    ],
)
def test_unusable_values_are_refused(log: Any, vectors: Any, columns: Any, message: str) -> None:
    with pytest.raises(TimbrecError, match=message):
        timbrec.fit(log, vectors, columns=columns)


def test_frames_with_other_names_are_entries_of_a_benchmark(tmp_path: Path) -> None:
    by_id = dict(zip(TRACKS, VECTORS, strict=True))
    entries = stored_inputs(tmp_path, {"frame": OTHERS, "columns": COLUMNS}, None, {"mine": by_id})
    log = read_log(LogConfig.model_validate(entries["interactions"]))
    assert (len(log), log.timed) == (len(PLAYS), True)
    np.testing.assert_array_equal(np.load(entries["encoders"]["mine"]["vectors"]), VECTORS)
    message = r"`interactions` has no column 'user'.*'columns': \{'user': 'uid', 'item': 'song', 'time': 'played_at'\}"
    with pytest.raises(ConfigError, match=message):
        stored_inputs(tmp_path / "other", OTHERS, None, None)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("frame", "warning"),
    [
        (
            OTHERS.rename({"uid": "user_id", "song": "track_id"}),
            r"'played_at' may hold them: `columns: {time: played_at}`",
        ),
        (OTHERS.select(user_id="uid", track_id="song", play_count=pl.lit(7)), "'play_count' may count them"),
    ],
)
def test_a_log_without_times_or_counts_names_the_columns_that_may_hold_them(frame: pl.DataFrame, warning: str) -> None:
    log = make_log(open_table(frame), LogConfig.model_validate({"path": "plays"}))
    assert sum(warning in sentence for sentence in log_warnings(log, log.items)) == 1


def test_a_fit_without_the_times_of_a_frame_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        timbrec.fit(PLAYS.rename({"time": "listened_at"}), (TRACKS, VECTORS))
    assert "read without times, and column 'listened_at' may hold them" in caplog.text


@pytest.mark.parametrize(
    ("ids", "vectors", "message"),
    [
        (["n"], np.ones((1, 4)), "the new vectors have 4 dimensions, those of the model 5"),
        (["n"], np.full((1, 5), np.nan), "NaN"),
        (["n", "n"], np.ones((2, 5)), "more than once"),
    ],
)
def test_new_tracks_need_vectors_like_those_of_the_model(ids: list[str], vectors: Any, message: str) -> None:
    model = timbrec.fit(PLAYS, (TRACKS, VECTORS))
    with pytest.raises(DataError, match=message):
        model.add_items(ids, vectors.astype(np.float32))
    assert len(model.add_items(["n"], np.ones((1, 5), np.float32)).items) == 31
