"""Benchmarks from memory: frames, arrays and encoder objects give the same figures as files."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import small_world
import timbrec
from timbrec.errors import ConfigError, DataError
from timbrec.protocols import EncoderCard

SETTINGS: dict[str, Any] = {"split": {"test_at": "2019-02-01"}, "seeds": [0], "k": [10], "primary": "ndcg@10"}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disk")
    small_world.write(folder, recommenders=["knn"], **SETTINGS)
    return folder


def test_frames_and_arrays_give_the_figures_of_files(disk: Path, tmp_path: Path) -> None:
    expected = timbrec.bench(disk / "config.yaml")
    plays = pl.read_csv(disk / "plays.csv", try_parse_dates=True)
    ids = (disk / "ids.txt").read_text().splitlines()
    encoders = {name: (ids, np.load(disk / f"{name}.npy")) for name in ("good", "poor")}
    frame = plays.rename({"track": "item", "played_at": "time"})
    for table in (frame, frame.to_pandas()):
        result = timbrec.bench(interactions=table, encoders=encoders, output=tmp_path / "run", **SETTINGS)
        assert_frame_equal(result.figures, expected.figures)
    config = timbrec.make_config(result.run.facts["config"])
    assert timbrec.load_inputs(config).split.digest == result.run.split.digest  # it can be read again later


def test_a_result_has_a_representation(disk: Path) -> None:
    result = timbrec.bench(disk / "config.yaml")
    assert len(repr(result)) < 300
    assert "Cold: good / knn is best" in repr(result)
    html = result._repr_html_()
    assert "ndcg@10" in html
    assert "good" in html
    assert "<svg" in result.plot()._repr_html_()


class Loudness:
    """Root mean square, and the mean, of the window."""

    card = EncoderCard(name="loudness", revision="1", rate=8000, window=1.0, dim=2, trained_on="nothing")

    def encode(self, windows: np.ndarray) -> np.ndarray:
        return self.frames(windows).mean(1)

    def frames(self, windows: np.ndarray, layer: int | None = None) -> np.ndarray:
        tenths = windows[:, :8000].reshape(len(windows), 10, 800)
        return np.stack([np.sqrt((tenths**2).mean(2)), tenths.mean(2)], axis=2).astype(np.float32)


def test_an_encoder_object_encodes_the_audio(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "clips").mkdir()
    for number in range(12):
        with wave.open(str(tmp_path / "clips" / f"t{number}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes((rng.normal(0, 500 * (number + 1), 8000)).astype(np.int16).tobytes())
    rows = [(f"u{user}", f"t{track}", f"2019-01-{1 + track:02}") for user in range(8) for track in range(user % 4, 9)]
    rows += [(f"u{user}", f"t{9 + user % 3}", "2019-02-03") for user in range(8)]
    log = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row").with_columns(pl.col("time").str.to_date())
    for encoder in (Loudness, Loudness()):
        result = timbrec.bench(
            interactions=log, encoders={"mine": {"audio": tmp_path / "clips", "encoder": encoder}},
            output=tmp_path / "run", split={"test_at": "2019-02-01", "validate_at": "2019-01-08"},
            seeds=[0], k=[2], primary="ndcg@2",
        )  # fmt: skip
        assert result.figures.filter(encoder="mine", scenario="cold", control="real", metric="ndcg@2").height == 1


def test_input_that_is_neither_table_nor_encoder_is_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": ["a"], "item": ["b"]})
    with pytest.raises(ConfigError, match=r"encoder 'mine' is a list.*Give \(ids, array\)"):
        timbrec.bench(interactions=frame, encoders={"mine": [1, 2]}, output=tmp_path, **SETTINGS)
    with pytest.raises(DataError, match="`interactions` is a list"):
        timbrec.bench(interactions=[1], encoders={"mine": (["b"], np.ones((1, 2)))}, output=tmp_path, **SETTINGS)
    with pytest.raises(ConfigError, match="has no `audio` to encode"):
        timbrec.bench(interactions=frame, encoders={"mine": {"encoder": Loudness}}, output=tmp_path, **SETTINGS)
    with pytest.raises(ConfigError, match="nothing to run"):
        timbrec.bench()
    with pytest.raises(ConfigError, match="a config file and further settings"):
        timbrec.bench(tmp_path / "config.yaml", k=[3])


def test_a_finished_run_is_neither_audited_nor_counted_again(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = timbrec.bench(disk / "config.yaml")
    page = first.report.read_bytes()
    with monkeypatch.context() as patch:
        for name in ("api.audit", "result.compute_figures"):
            patch.setattr(f"timbrec.{name}", lambda *_: pytest.fail("done again"))
        again = timbrec.bench(disk / "config.yaml")
    for name in ("figures", "standings", "gains", "differences"):
        assert_frame_equal(getattr(again, name), getattr(first, name))
    assert again.verdict == first.verdict
    assert again.report.read_bytes().count(b"tied") == page.count(b"tied")
    edited = first.run.folder / "standings.csv"
    edited.write_text(edited.read_text().replace("0.", "0.9"))  # a table that somebody changed is not taken for ours
    assert_frame_equal(timbrec.bench(disk / "config.yaml").standings, first.standings)
    lists = next((first.run.folder / "cells").glob("*/cold.parquet"))
    table = pl.read_parquet(lists)
    table[1:].write_parquet(lists)
    with pytest.raises(timbrec.TimbrecError, match=r"cold\.parquet was changed after it was written"):
        timbrec.bench(disk / "config.yaml")


def test_a_frame_without_the_needed_columns_says_how_to_name_them(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": ["a"], "song": ["x"], "played_at": ["2019-01-01"]})
    with pytest.raises(ConfigError, match=r"the frame `interactions` has no column 'item'.*'song'"):
        timbrec.bench(interactions=frame, encoders={"mine": (["x"], np.ones((1, 2)))}, output=tmp_path, **SETTINGS)
    assert not any(tmp_path.iterdir())
