"""From a config to what a run works on, with everything that can be wrong about it."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest

import small_world
from made import log
from timbrec.data.cuts import by_items, by_time, tamm2026
from timbrec.errors import DataError, SeveralErrors, TimbrecError
from timbrec.study.config import SplitConfig, read_config
from timbrec.study.inputs import data_card, load_inputs, make_split


@pytest.fixture
def read(tmp_path):
    """Read the inputs of the small world, after `change` was done to its folder."""

    def reading(change=lambda folder: None, **changes):
        path = small_world.write(tmp_path, **changes)
        change(tmp_path)
        return load_inputs(read_config(path))

    return reading


def rewrite(name, change):
    """Do something to a table of the folder."""

    def doing(folder):
        change(pl.read_csv(folder / name, infer_schema=False)).write_csv(folder / name)

    return doing


def with_fewer_vectors(folder):
    """The good encoder lacks five tracks, and knows one that the log and the poor one do not."""
    ids = (folder / "ids.txt").read_text().split()
    np.save(folder / "good.npy", np.load(folder / "good.npy")[5:])
    (folder / "good.txt").write_text("\n".join([*ids[6:], "unheard of"]))


FEWER = {
    "encoders": {"good": {"vectors": "good.npy", "ids": "good.txt"}, "poor": small_world.CONFIG["encoders"]["poor"]}
}


def test_the_catalogue_is_what_every_encoder_has(read):
    inputs = read(with_fewer_vectors, **FEWER)
    ids = small_world.WORLD.events.items.ids
    assert inputs.catalogue.ids.to_list() == sorted(ids[6:])
    assert set(inputs.events.items.ids.gather(inputs.events.table["item"].unique())) <= set(ids[6:])
    assert len(inputs.log.items) > len(inputs.catalogue)
    places = ids.to_list()
    wanted = small_world.WORLD.vectors(0.2)[[places.index(one) for one in inputs.catalogue.ids]]
    assert np.array_equal(inputs.vectors(inputs.representation("poor")), wanted)
    assert inputs.artist_rows.shape == (194,)


def test_the_data_card_says_what_each_encoder_costs(read):
    card = dict(data_card(read(with_fewer_vectors, **FEWER)))
    assert card["users"] == "120"
    assert card["catalogue: tracks with vectors from every encoder"] == "194"
    assert card["good: vectors"].startswith("195 x 16; 97.0% of the log's tracks")
    assert card["good: tracks another encoder lacks, left out"] == "1"
    assert card["poor: tracks another encoder lacks, left out"] == "6"
    assert card["time span (UTC)"].startswith("2018-02-01")
    assert card["rows that equal another row (counted as plays)"] == "0"


def test_artists_are_those_of_the_table(read):
    inputs = read(rewrite("tracks.csv", lambda table: table.slice(3).with_columns(
        artist=pl.when(pl.row_index() == 0).then(pl.lit("")).otherwise("artist"))))  # fmt: skip
    rows = dict(zip(inputs.catalogue.ids, inputs.artist_rows, strict=True))
    ids = small_world.WORLD.events.items.ids
    assert [rows[one] for one in ids[:4]] == [-1] * 4  # not in the table, or without an artist there
    assert rows[ids[4]] == rows[ids[44]] != rows[ids[5]]
    assert read().artists_digest != inputs.artists_digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "ids.txt").write_text("\n".join(f"t{n}" for n in range(200))),
         r"no track of the log has vectors \(e.g. \('.*', 't0'\)\)\. Make the ids"),
        (rewrite("tracks.csv", lambda table: pl.concat([table, table[:3]])),
         r"tracks.csv has tracks twice \(6 in all, e.g. '.*'\). Keep one row per track"),
        (rewrite("tracks.csv", lambda table: table.with_columns(track=pl.lit("t") + pl.col("track"))),
         "the items table knows the artist of no track that has vectors .* make them the same kind"),
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
def test_what_can_be_wrong(read, change, message):
    with pytest.raises(TimbrecError, match=message):
        read(change)


def test_encoders_without_a_common_track(read):
    def change(folder):
        np.save(folder / "good.npy", np.ones((1, 3)))
        (folder / "good.txt").write_text("elsewhere")

    with pytest.raises(DataError, match="no track has a vector from every encoder"):
        read(change, **FEWER)


def test_everything_wrong_is_told_at_once(read):
    def change(folder):
        (folder / "plays.csv").write_text("")
        (folder / "tracks.csv").unlink()
        (folder / "ids.txt").write_text("one\n")

    with pytest.raises(SeveralErrors) as caught:
        read(change)
    said = str(caught.value).split("\n")
    assert len(said) == 4
    for line, name in zip(
        said, ("plays.csv is empty", "tracks.csv does not exist", "good.npy", "poor.npy"), strict=True
    ):
        assert name in line


def test_one_user_and_one_new_track_are_enough(read):
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


def test_times_that_are_left_out_are_a_year_and_a_month_around_t():
    asked = make_split(EVENTS, SplitConfig(test_at="2019-02-01"))
    assert asked.digest == by_time(EVENTS, START, VALIDATE, T, END).digest
    asked = make_split(EVENTS, SplitConfig(protocol="tamm2026", test_at="2019-02-01"))
    assert asked.digest == tamm2026(EVENTS, START, T, END).digest
    all_named = SplitConfig(test_at=T, start="2018-08-08", validate_at="2018-12-31", end="2019-02-28")
    named = by_time(EVENTS, datetime(2018, 8, 8), datetime(2018, 12, 31), T, datetime(2019, 2, 28))
    assert make_split(EVENTS, all_named).digest == named.digest


def test_times_with_a_zone_are_moments():
    asked = make_split(
        EVENTS, SplitConfig(test_at="2019-02-01T01:00:00+01:00", start=START, validate_at=VALIDATE, end=END)
    )
    assert asked.digest == by_time(EVENTS, START, VALIDATE, T, END).digest


def test_shares_of_the_item_holdout():
    asked = SplitConfig(protocol="item-holdout", seed=4, cold=0.2, hot=0.3, validation=0.2)
    assert make_split(EVENTS, asked).digest == by_items(EVENTS, 4, 0.2, 0.3, 0.2).digest
