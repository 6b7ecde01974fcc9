"""Inputs of a run: log, artists, vectors and split of a config, and the messages about faulty ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

import small_world
from made import log
from timbrec.data.cuts import by_items, by_time, tamm2026
from timbrec.data.splitting import SplitConfig, make_split
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError, NoAudioError, SeveralErrors, TimbrecError
from timbrec.study.catalogue import artists_of
from timbrec.study.config import make_config, read_config
from timbrec.study.data_card import data_card
from timbrec.study.inputs import Inputs, load_inputs

Change = Callable[[Path], None]
Read = Callable[..., Inputs]


def unchanged(folder: Path) -> None:
    """Leave the folder as it is."""


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """A function that reads the inputs of the small world after a change of its folder."""

    def reading(change: Change = unchanged, **changes: Any) -> Inputs:
        path = small_world.write(tmp_path, **changes)
        change(tmp_path)
        return load_inputs(read_config(path))

    return reading


def rewrite(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Change:
    """A change of a table in the folder."""

    def rewritten(folder: Path) -> None:
        change(pl.read_csv(folder / name, infer_schema=False)).write_csv(folder / name)

    return rewritten


def with_fewer_vectors(folder: Path) -> None:
    """The good encoder lacks five tracks, and has a track that is not in the log."""
    ids = (folder / "ids.txt").read_text().split()
    np.save(folder / "good.npy", np.load(folder / "good.npy")[5:])
    (folder / "good.txt").write_text("\n".join([*ids[6:], "unheard of"]))


FEWER: dict[str, Any] = {
    "encoders": {
        "good": {"vectors": "good.npy", "ids": "good.txt"},
        "poor": {"vectors": "poor.npy", "ids": "ids.txt"},
    }
}


def test_the_catalogue_is_the_intersection_of_encoders(read: Read) -> None:
    inputs = read(with_fewer_vectors, **FEWER)
    ids = small_world.WORLD.events.items.ids
    assert inputs.catalogue.ids.to_list() == sorted(ids[6:])
    assert set(inputs.events.items.ids.gather(inputs.events.table["item"].unique())) <= set(ids[6:])
    assert len(inputs.log.items) > len(inputs.catalogue)
    places = ids.to_list()
    expected = small_world.WORLD.vectors(0.2)[[places.index(track) for track in inputs.catalogue.ids]]
    assert np.array_equal(inputs.vectors(inputs.representation("poor")), expected)
    assert inputs.artist_rows is not None
    assert inputs.artist_rows.shape == (194,)


def test_the_data_card_counts_the_tracks_that_each_encoder_leaves_out(read: Read) -> None:
    card = dict(data_card(read(with_fewer_vectors, **FEWER)))
    assert card["users"] == "120"
    assert card["catalogue: tracks with vectors from every encoder"] == "194"
    assert card["good: vectors"].startswith("195 x 16; 97.0% of the log's tracks")
    assert card["good: tracks another encoder lacks, left out"] == "1"
    assert card["poor: tracks another encoder lacks, left out"] == "6"
    assert card["time span (UTC)"].startswith("2018-02-01")
    assert card["rows that equal another row (counted as plays)"] == "0"


def test_artists_come_from_the_items_table(read: Read) -> None:
    inputs = read(rewrite("tracks.csv", lambda table: table.slice(3).with_columns(
        artist=pl.when(pl.row_index() == 0).then(pl.lit("")).otherwise("artist"))))  # fmt: skip
    assert inputs.artist_rows is not None
    rows = dict(zip(inputs.catalogue.ids, inputs.artist_rows, strict=True))
    ids = small_world.WORLD.events.items.ids
    assert [rows[track] for track in ids[:4]] == [-1] * 4  # not in the table, or without an artist in it
    assert rows[ids[4]] == rows[ids[44]] != rows[ids[5]]
    assert read().artists_digest != inputs.artists_digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "ids.txt").write_text("\n".join(f"t{n}" for n in range(200))),
         r"no track of the log has vectors \(e.g. '.*', 't0'\)\. Make the ids"),
        (rewrite("tracks.csv", lambda table: pl.concat([table, table[:3]])),
         r"tracks.csv has tracks twice \(6 in all, e.g. '.*'\). Keep one row per track"),
        (rewrite("tracks.csv", lambda table: table.with_columns(track=pl.lit("t") + pl.col("track"))),
         "the items table knows the artist of no track that has vectors .* Make the ids of the table"),
        (rewrite("tracks.csv", lambda table: table.drop("artist")), "tracks.csv has no column 'artist'. It has: track"),
        (rewrite("plays.csv", lambda table: table.filter(pl.col("played_at") < "2019-02-01")),
         "both test scenarios are empty: nobody in train played anything new"),
        (rewrite("plays.csv", lambda table: table.filter(pl.col("played_at") >= "2019-02-01")),
         "no play falls into the train part; plays of .* from 2019-02-01 to 2019-02-28; train is from 2018-02-01 to"),
        (rewrite("plays.csv", lambda table: table[:1]), "both test scenarios are empty"),
        (rewrite("plays.csv", lambda table: table[:0]), r"plays\.csv: the log has no rows"),
        (rewrite("plays.csv", lambda table: table.drop("played_at")), "plays.csv has no column 'played_at'"),
        (lambda folder: (folder / "good.npy").unlink(), "good.npy does not exist. Did you mean 'poor.npy'"),
    ],
)  # fmt: skip
def test_faulty_files_are_refused_with_a_message(read: Read, change: Change, message: str) -> None:
    with pytest.raises(TimbrecError, match=message):
        read(change)


@pytest.mark.parametrize(
    ("name", "text", "importer"),
    [
        ("Streaming_History_Audio_2019_0.json",
         '[{"ts": "2019-01-01T00:00:00Z", "ms_played": 200000, "master_metadata_track_name": "t", '
         '"master_metadata_album_artist_name": "a", "spotify_track_uri": "spotify:track:1"}]', "spotify"),
        ("scrobbles.csv", "uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid\n"
         "1546300800,\"01 Jan 2019, 00:00\",a,,b,,t,\n", "lastfm"),
    ],
)  # fmt: skip
def test_an_export_that_is_named_as_a_log_leads_to_its_importer(
    read: Read, name: str, text: str, importer: str
) -> None:
    def change(folder: Path) -> None:
        (folder / name).write_text(text)

    with pytest.raises(DataError, match=rf"has no column 'user_id'.*an export that .*import: {importer}"):
        read(change, interactions={"path": name, "columns": {"item": "track"}})
    with pytest.raises(DataError, match="has no column") as caught:
        read(change, interactions={"path": name, "user": "me"})
    assert "import" not in str(caught.value)


def test_encoders_without_a_common_track_are_refused(read: Read) -> None:
    def change(folder: Path) -> None:
        np.save(folder / "good.npy", np.ones((1, 3)))
        (folder / "good.txt").write_text("elsewhere")

    with pytest.raises(DataError, match="no track has a vector from every encoder"):
        read(change, **FEWER)


def test_all_faults_are_reported_together(read: Read) -> None:
    def change(folder: Path) -> None:
        (folder / "plays.csv").write_text("")
        (folder / "tracks.csv").unlink()
        (folder / "ids.txt").write_text("one\n")

    with pytest.raises(SeveralErrors) as caught:
        read(change)
    lines = str(caught.value).split("\n")
    assert len(lines) == 4
    for line, name in zip(
        lines, ("plays.csv is empty", "tracks.csv does not exist", "good.npy", "poor.npy"), strict=True
    ):
        assert name in line


def test_a_log_of_one_user_is_enough(read: Read) -> None:
    user = small_world.WORLD.events.users.ids[7]
    inputs = read(rewrite("plays.csv", lambda table: table.filter(pl.col("user") == user)))
    assert len(inputs.split.users) == 1
    assert len(inputs.split.test.hot) + len(inputs.split.test.cold) > 0


# Splits as the config asks for them

START, VALIDATE, T, END = datetime(2018, 2, 1), datetime(2019, 1, 1), datetime(2019, 2, 1), datetime(2019, 3, 1)
EVENTS = log(
    (f"u{n % 5}", f"i{n % 11}", when)
    for n, when in enumerate(
        [START, datetime(2018, 8, 8), datetime(2018, 12, 31), VALIDATE, datetime(2019, 1, 31), T, datetime(2019, 2, 28)]
        * 22
    )
)


def split_of(**settings: Any) -> str:
    """The digest of the split with these settings."""
    return make_split(EVENTS, SplitConfig.model_validate(settings)).digest


def test_default_times_are_a_year_before_t_and_a_month_around_it() -> None:
    assert split_of(test_at="2019-02-01") == by_time(EVENTS, START, VALIDATE, T, END).digest
    assert split_of(protocol="tamm2026", test_at="2019-02-01") == tamm2026(EVENTS, START, T, END).digest
    times = {"test_at": T, "start": "2018-08-08", "validate_at": "2018-12-31", "end": "2019-02-28"}
    expected = by_time(EVENTS, datetime(2018, 8, 8), datetime(2018, 12, 31), T, datetime(2019, 2, 28))
    assert split_of(**times) == expected.digest


def test_times_with_a_zone_are_moments() -> None:
    times = {"test_at": "2019-02-01T01:00:00+01:00", "start": START, "validate_at": VALIDATE, "end": END}
    assert split_of(**times) == by_time(EVENTS, START, VALIDATE, T, END).digest


def test_shares_of_the_item_holdout() -> None:
    shares = {"protocol": "item-holdout", "seed": 4, "cold": 0.2, "hot": 0.3, "validation": 0.2}
    assert split_of(**shares) == by_items(EVENTS, 4, 0.2, 0.3, 0.2).digest


def test_validate_reads_the_first_bytes_of_audio_files(tmp_path: Path) -> None:
    path = small_world.write(tmp_path)
    ids = (tmp_path / "ids.txt").read_text().split()
    (tmp_path / "audio").mkdir()
    for track in ids:
        (tmp_path / "audio" / f"{track}.wav").write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00")
    (tmp_path / "audio" / f"{ids[0]}.wav").write_text("<!DOCTYPE html><html>not here</html>")
    (tmp_path / "audio" / f"{ids[1]}.wav").write_bytes(b"")
    settings = yaml.safe_load(path.read_text()) | {"encoders": {"mfcc": {"audio": "audio"}}, "base": tmp_path}
    inputs = load_inputs(make_config(settings), encode=False)
    assert len(inputs.catalogue) == len(ids) - 2
    assert inputs.files["reason"].to_list() == ["this is an HTML page, not audio", "this is an empty file, not audio"]
    assert any(warning.startswith("mfcc: 2 of the audio files cannot be encoded, e.g. ") for warning in inputs.warnings)
    for track in ids:
        (tmp_path / "audio" / f"{track}.wav").write_text("<html>")
    with pytest.raises(DataError, match=r"mfcc: no file of .*audio is audio \(200 in all, e\.g\. 'this is an HTML"):
        load_inputs(make_config(settings), encode=False)


def test_audio_that_cannot_be_encoded_at_all_ends_like_embed(tmp_path: Path) -> None:
    settings = yaml.safe_load(small_world.write(tmp_path).read_text()) | {"base": tmp_path}
    (tmp_path / "audio").mkdir()
    for track in (tmp_path / "ids.txt").read_text().split()[:3]:
        (tmp_path / "audio" / f"{track}.wav").write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00")
    with pytest.raises(
        NoAudioError, match=r"mfcc: no audio file could be encoded \(3 in all, e\.g\. '.*wav: "
    ) as error:
        load_inputs(make_config(settings | {"encoders": {"mfcc": {"audio": "audio"}}}))
    assert error.value.exit_code == 1
    with pytest.raises(DataError, match=r"mfcc has no vectors\. Embed the audio again"):
        load_inputs(make_config(settings | {"encoders": {"mfcc": {"vectors": "vectors/mfcc"}}}))


def test_one_seed_of_a_trained_recommender_is_said_to_give_no_spread(read: Read) -> None:
    sentence = "one seed: the spread of shallow over seeds is not estimated, and no interval includes it"
    assert sentence in read(seeds=[0], recommenders=["knn", "shallow"]).warnings
    assert sentence not in read(seeds=[0, 1], recommenders=["knn", "shallow"]).warnings
    assert not any("one seed" in warning for warning in read(seeds=[0], recommenders=["knn"]).warnings)


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (rewrite("plays.csv", lambda table: pl.concat([table, table])), "rows equal another one in every column"),
        (rewrite("plays.csv", lambda table: table.with_columns(
            user=pl.when(pl.col("user") == table["user"][0]).then(pl.lit("Anonymous")).otherwise("user"))),
         "users 'Anonymous' may stand for unknown ones; if so, drop their rows"),
        (rewrite("plays.csv", lambda table: table.with_columns(
            user=pl.when(pl.col("user") == table["user"][0]).then(pl.lit("-1")).otherwise("user"))),
         "users '-1' may stand for unknown ones; if so, drop their rows"),
        (rewrite("plays.csv", lambda table: table.with_columns(
            played_at=pl.when(pl.row_index() < 7).then(pl.lit("1900-01-01T00:00:00")).otherwise("played_at"))),
         "7 plays are dated before 1990, e.g. 1900-01-01, as by a clock that was not set"),
        (lambda folder: np.save(folder / "poor.npy", np.load(folder / "good.npy")),
         "poor and good have the same vectors"),
        (lambda folder: np.save(folder / "poor.npy", np.roll(np.load(folder / "good.npy"), 1, 0)),
         "poor and good have the same vectors, but on other tracks: check the ids"),
        (rewrite("tracks.csv", lambda table: table.with_columns(artist=pl.lit("Various Artists"))),
         "all tracks are by one artist, 'Various Artists'"),
        (rewrite("tracks.csv", lambda table: table.with_columns(artist="track")),
         "every track has an artist of its own"),
        (rewrite("tracks.csv", lambda table: table.with_columns(
            artist=pl.when(pl.row_index() < 20).then(pl.lit("<Unknown>")).otherwise("artist"))),
         "artist '<Unknown>' has 10.0% of the tracks; leave the cells empty"),
        (rewrite("tracks.csv", lambda table: table.with_columns(
            artist=pl.when(pl.row_index() < 40).then(pl.col("artist") + " ").otherwise("artist"))),
         "artists differ from others only by blanks at the ends (40 in all"),
    ],
)  # fmt: skip
def test_odd_inputs_are_said(read: Read, change: Change, warning: str) -> None:
    assert not [text for text in read().warnings if warning in text]
    assert [text for text in read(change).warnings if text.startswith(warning) or warning in text]


def test_a_split_by_artist_without_cold_tracks_names_the_option(read: Read) -> None:
    change = rewrite("tracks.csv", lambda table: table.with_columns(artist=pl.lit("a")))
    with pytest.raises(DataError, match=r"No `test_at` works with `by_artist`; without it, `test_at: 20..-..-..` does"):
        read(change, split={"test_at": "2019-02-01", "by_artist": True}, cold_candidates="tested",
             mixed_candidates="tested")  # fmt: skip


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (".", "`output` is .*, which contains the config"),
        ("..", "`output` is .*, which contains the config"),
        ("plays.csv", "plays.csv is a file, and `output` takes a folder of its own"),
        ("notes", r"notes holds other files, and `output` takes a folder of its own \(1 in all, e\.g\. 'a\.txt'\)"),
    ],
)
def test_a_run_is_not_written_among_other_files(read: Read, tmp_path: Path, output: str, problem: str) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    with pytest.raises(TimbrecError, match=f"{problem}. Name a folder for this run alone"):
        read(output=output)


def test_artists_that_are_all_unknown_are_not_called_other_ids() -> None:
    """Equal ids were said to differ by blanks at the ends."""
    items = pl.DataFrame({"item": ["a", "b"], "artist": [None, None]}, schema_overrides={"artist": pl.String})
    with pytest.raises(DataError, match=r"names the artist of no track that has vectors \(2 in all, e\.g\. 'a'\)"):
        artists_of(items, Vocabulary(pl.Series(["a", "b", "c"])))
