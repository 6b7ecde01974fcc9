from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl
import pytest

from timbrec.data.names import artist_key, lead_artist, title_key, without_accents
from timbrec.errors import ConfigError, DataError
from timbrec.histories import match
from timbrec.importers.shared.base import plays_table


def history(*recordings: dict[str, Any]) -> pl.DataFrame:
    """A play of each recording, an hour apart, by the user "me"."""
    rows = [{"user": "me", "time": datetime(2024, 1, 1, hour)} | row for hour, row in enumerate(recordings)]
    return plays_table(pl.DataFrame(rows, infer_schema_length=None))


def song(artist: str | None = None, title: str | None = None, **more: Any) -> dict[str, Any]:
    return {"artist": artist, "title": title} | more


def tracks(*rows: dict[str, Any]) -> pl.DataFrame:
    """A catalogue with the ids t0, t1, ..."""
    return pl.DataFrame([{"track": f"t{place}"} | row for place, row in enumerate(rows)], infer_schema_length=None)


def outcome(plays: pl.DataFrame, catalogue: pl.DataFrame, **options: Any) -> list[tuple[str, str | None]]:
    """Method and track of each recording, in the order of the history."""
    # a second track and play that match keep the rest from being refused as a whole
    sure = song("Sure Artist", "Sure Title")
    catalogue = pl.concat([catalogue, tracks(sure).with_columns(track=pl.lit("sure"))], how="diagonal_relaxed")
    how = match(pl.concat([plays, history(sure)]), catalogue, **options).how
    return list(
        how.filter(pl.col("artist").is_null() | (pl.col("artist") != "Sure Artist")).select("method", "track").rows()
    )


def key(make: Any, name: str) -> str:
    return str(pl.DataFrame({"name": [name]}).select(make(pl.col("name"))).item())


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Don't Stop", "Don’t stop"),
        ("Song - 2011 Remaster", "Song (Remastered 2011)"),
        ("Song - Remastered", "Song [Remaster]"),
        ("Song - Live at Wembley", "Song (Live at Wembley)"),
        ("Song (feat. Someone)", "Song"),
        ("Song [ft. Someone Else]", "Song"),
        ("Song feat. Jay-Z - Live", "Song (Live)"),
        ("Me & You", "Me and You"),
        ("ＦＵＬＬ　ＷＩＤＴＨ", "full width"),
        ("STRASSE", "strasse"),
        ("e\u0301te\u0301", "été"),
    ],
)
def test_titles_that_are_spelled_differently_are_equal(left: str, right: str) -> None:
    assert key(title_key, left) == key(title_key, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Song", "Song (Live)"),
        ("Song", "Song - Remastered"),
        ("Song (Live at Wembley)", "Song (Live in Paris)"),
        ("Song - 2009 Remaster", "Song - 2015 Remaster"),
        ("Part 1", "Part 2"),
        ("A Feat of Strength", "A"),
        ("Dancing (With Myself)", "Dancing"),
        ("???", "!!!"),
        ("カ", "ガ"),
    ],
)
def test_titles_of_different_recordings_differ(left: str, right: str) -> None:
    assert key(title_key, left) != key(title_key, right)
    assert key(without_accents, key(title_key, left)) != key(without_accents, key(title_key, right))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("The Beatles", "Beatles, The"),
        ("The Beatles", "beatles"),
        ("AC/DC", "AC DC"),
        ("A feat. B", "A"),
        ("A (ft. B & C)", "A"),
        ("Simon & Garfunkel", "Simon and Garfunkel"),
    ],
)
def test_artists_that_are_spelled_differently_are_equal(left: str, right: str) -> None:
    assert key(artist_key, left) == key(artist_key, right)


def test_names_of_punctuation_are_kept() -> None:
    assert key(artist_key, "!!!") == "!!!"
    assert key(artist_key, "The The") == "the"
    assert key(artist_key, "The") == "the"
    assert key(title_key, "(feat. Somebody)") != ""


def test_accents_of_latin_letters_alone_are_removed() -> None:
    assert [key(without_accents, name) for name in ("beyoncé", "sigur rós", "mø", "ガ")] == [
        "beyonce", "sigur ros", "mo", "ガ",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["Queen & Bowie", "Queen, Bowie", "Queen; Bowie", "Queen x Bowie"])
def test_the_first_artist_is_before_the_separator(name: str) -> None:
    assert key(lead_artist, name) == "Queen"


def test_methods_are_tried_in_order() -> None:
    catalogue = tracks(
        song("A", "One", mbid="m1"),
        song("A", "Two", isrc="GBAYE0601498"),
        song("A", "Three", acoustid="c3"),
        song("The A", "Four!"),
        song("Beyoncé", "Halo"),
        song("A", "Duet", album="Both"),
        song("Some Longer Name", "A Fairly Long Title"),
        song("A", "Six", path="A/Album/06 Six.flac"),
    )
    plays = history(
        song("x", "x", mbid="M1"),
        song("x", "y", isrc="gb-aye-06-01498"),
        song("x", "z", acoustid="c3"),
        song("A", "four"),
        song("Beyonce", "Halo"),
        song("A & B", "Duet", album="Both"),
        song("Some Longr Name", "A Fairly Long Titel"),
        song(path="file:///home/someone/Music/a/album/06 Six.flac"),
        song("A", "Nothing of the kind"),
    )
    assert outcome(plays, catalogue) == [
        ("mbid", "t0"), ("isrc", "t1"), ("acoustid", "t2"), ("names", "t3"), ("names without accents", "t4"),
        ("first artist", "t5"), ("fuzzy", "t6"), ("path", "t7"), ("unmatched", None),
    ]  # fmt: skip


def test_an_id_decides_against_names() -> None:
    catalogue = tracks(song("A", "One", mbid="m1"), song("A", "Two", mbid="m2"))
    assert outcome(history(song("A", "One", mbid="m2")), catalogue) == [("mbid", "t1")]


def test_an_id_that_no_track_has_leaves_the_names() -> None:
    assert outcome(history(song("A", "One", mbid="other")), tracks(song("A", "One", mbid="m1"))) == [("names", "t0")]


def test_the_album_decides_between_two_tracks_of_a_name() -> None:
    catalogue = tracks(song("A", "One", album="First"), song("A", "One", album="Best Of"))
    assert outcome(history(song("A", "One", album="Best of")), catalogue) == [("names", "t1")]


def test_the_length_decides_between_two_tracks_of_a_name() -> None:
    catalogue = tracks(song("A", "One", duration_s=200.0), song("A", "One", duration_s=209.0))
    assert outcome(history(song("A", "One", duration_s=208.0)), catalogue) == [("names", "t1")]


def test_two_tracks_as_good_are_ambiguous_and_named() -> None:
    catalogue = tracks(song("A", "One", album="First"), song("A", "One", album="Best Of"), song("B", "Two"))
    matched = match(history(song("A", "One"), song("B", "Two")), catalogue)
    assert matched.how.filter(method="ambiguous").select("track", "candidates").rows() == [(None, ["t0", "t1"])]
    assert matched.pairs["track"].to_list() == ["t2"]
    first = match(history(song("A", "One"), song("B", "Two")), catalogue, ambiguous="first")
    assert first.pairs["track"].to_list() == ["t0", "t2"]


def test_a_recording_of_another_length_is_another() -> None:
    catalogue = tracks(song("A", "One", duration_s=200.0))
    assert outcome(history(song("A", "One", duration_s=216.0)), catalogue) == [("unmatched", None)]
    assert outcome(history(song("A", "One", duration_s=214.0)), catalogue) == [("names", "t0")]


def test_live_and_remaster_are_other_recordings() -> None:
    catalogue = tracks(song("A", "A Rather Long Title of a Song"))
    plays = history(
        song("A", "A Rather Long Title of a Song (Live)"), song("A", "A Rather Long Title of a Song - Remastered 2011")
    )
    assert outcome(plays, catalogue) == [("unmatched", None), ("unmatched", None)]


def test_remasters_can_be_the_same_recording() -> None:
    catalogue = tracks(song("A", "Song"), song("A", "Other (2009 Remaster)"), song("A", "Third - Live", album="X"))
    plays = history(
        song("A", "Song - 2011 Remaster"), song("A", "Other - Remastered 2015"), song("A", "Third - Live - Remastered")
    )
    assert outcome(plays, catalogue, remasters="same") == [("remaster", "t0"), ("remaster", "t1"), ("remaster", "t2")]
    how = match(pl.concat([plays, history(song("A", "Song"))]), catalogue).how
    assert how.filter(method="unmatched").select("candidates", "score").rows() == [
        (["t0"], 100.0), (["t1"], 100.0), (["t2"], 100.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ("Prelude and Fugue in C Major", "Prelude and Fugue in D Major"),
        ("Piano Sonata No. 14 in C Sharp", "Piano Sonata No. 15 in C Sharp"),
        ("A Long Enough Title, Part II", "A Long Enough Title, Part III"),
        ("A Long Enough Title Number 10", "A Long Enough Title Number 11"),
        ("Concerto for Two Violins in D Minor", "Concerto for Two Violins in D Major"),
    ],
)
def test_similar_titles_of_other_works_stay_apart(mine: str, theirs: str) -> None:
    assert outcome(history(song("J. S. Bach", mine)), tracks(song("J. S. Bach", theirs))) == [("unmatched", None)]


def test_the_nearest_track_of_an_unmatched_recording_is_named() -> None:
    plays = history(song("Somebody", "Prelude and Fugue in C"), song("B", "Two"))
    how = match(plays, tracks(song("Somebody", "Prelude and Fugue in D"), song("B", "Two"))).how
    row = how.filter(method="unmatched").row(0, named=True)
    assert row["candidates"] == ["t0"]
    assert 75 < row["score"] < 100


def test_the_threshold_bounds_similarity() -> None:
    plays, catalogue = history(song("Somebody", "Misspeled Title")), tracks(song("Somebody", "Misspelled Title"))
    score = 100 * 2 * 15 / 31  # 15 letters of 15 and 16
    assert outcome(plays, catalogue, threshold=score - 0.1) == [("fuzzy", "t0")]
    assert outcome(plays, catalogue, threshold=score + 0.1) == [("unmatched", None)]
    assert outcome(plays, catalogue, threshold=100.0) == [("unmatched", None)]
    with pytest.raises(ConfigError, match="threshold"):
        match(plays, catalogue, threshold=0.0)


def test_every_play_of_a_recording_is_a_pair_and_counts() -> None:
    plays = pl.concat([history(song("A", "One"), song("B", "Two"), song("A", "One"))] * 2)
    matched = match(plays.with_columns(plays=pl.lit(3, pl.Int64)), tracks(song("A", "one")))
    assert matched.pairs.columns == ["user", "track", "time", "plays"]
    assert matched.pairs["time"].to_list() == [datetime(2024, 1, 1, hour) for hour in (0, 2, 0, 2)]
    assert matched.how.select("artist", "plays", "method").rows() == [("A", 12, "names"), ("B", 6, "unmatched")]
    summary = matched.summary
    assert summary.select("method", "recordings", "plays").rows() == [("names", 1, 12), ("unmatched", 1, 6)]
    assert summary["share"].to_list() == pytest.approx([2 / 3, 1 / 3])


def test_a_track_may_have_several_ids() -> None:
    catalogue = tracks(song("A", "One", isrc="AAA000000001; AAA000000002"))
    assert outcome(history(song("x", "y", isrc="AAA000000002")), catalogue) == [("isrc", "t0")]


def test_the_album_artist_counts_as_the_artist() -> None:
    catalogue = tracks(song("A; B", "One", album_artist="A"))
    assert outcome(history(song("A", "One")), catalogue) == [("names", "t0")]


def test_short_paths_match_whole() -> None:
    catalogue = tracks(song(path="Album/01.mp3"), song(path="Other/01.mp3"), song(path="02.mp3"))
    plays = history(song(path="/x/y/Album/01.mp3"), song(path="01.mp3"), song(path=r"C:\Music\Album\02.mp3"))
    assert outcome(plays, catalogue) == [("path", "t0"), ("ambiguous", None), ("path", "t2")]


def test_nothing_matched_is_an_error_with_examples() -> None:
    with pytest.raises(DataError, match=r"'A – One'.*'B – Two'.*same person"):
        match(history(song("A", "One")), tracks(song("B", "Two")))
    with pytest.raises(DataError, match="no artist and no title: tag the files"):
        match(history(song("A", "One")), tracks(song(path="b.mp3")))
    with pytest.raises(DataError, match="no tracks"):
        match(history(song("A", "One")), pl.DataFrame())
