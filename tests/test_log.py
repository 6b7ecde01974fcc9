from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timbrec.data.events import Events, make_events
from timbrec.data.ids import likeness, near_duplicates, rounded
from timbrec.data.log import LogConfig
from timbrec.data.log import read_log as read_config
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError

NOON = datetime(2019, 2, 1, 12)
HEADER = "user_id,track_id,timestamp\n"
Write = Callable[..., Path]
OURS = {"user": "who", "item": "what", "time": "when", "plays": "often"}


def read_log(path: Path, columns: dict[str, Any] | None = None, **settings: Any) -> Events:
    """The log of a file, with settings as in a config."""
    return read_config(LogConfig.model_validate({"path": path, "columns": columns or {}} | settings))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write text, bytes or columns to a file by name; returns its path."""

    def written(content: Any, name: str = "log.csv") -> Path:
        path = tmp_path / name
        if isinstance(content, dict):
            content = pl.DataFrame(content)
        if isinstance(content, pl.DataFrame):
            content.write_parquet(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def rows(events: Events) -> list[tuple[Any, ...]]:
    """(user, item, time or None, plays) of every row, with ids."""
    table = events.table
    times = table["time"].to_list() if events.timed else [None] * len(table)
    ids = (events.users.take(table["user"].to_numpy().astype("int64")).to_list(),
           events.items.take(table["item"].to_numpy().astype("int64")).to_list())  # fmt: skip
    return list(zip(*ids, times, table["plays"], strict=True))


def read_time(write: Write, text: str | int, **settings: Any) -> Any:
    """The time of a log's only row."""
    return rows(read_log(write(f'{HEADER}u,t,"{text}"\n'), **settings))[0][2]


# Kinds of files


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".txt", ".dat", ".csv.gz", ".CSV"])
def test_text_kinds(write: Write, kind: str) -> None:
    table = pl.DataFrame({"user_id": ["b", "a"], "track_id": [10, 9], "timestamp": [NOON, NOON + timedelta(hours=1)]})
    text = table.write_csv(separator="," if ".csv" in kind.lower() else "\t").encode()
    events = read_log(write(gzip.compress(text) if kind.endswith("gz") else text, f"log{kind}"))
    assert rows(events) == [("b", "10", NOON, 1), ("a", "9", NOON + timedelta(hours=1), 1)]


@pytest.mark.parametrize("name", ["log.parquet", "log.pqt"])
def test_parquet_with_columns_of_other_names_and_plays(write: Write, name: str) -> None:
    path = write({"who": [7, 7], "what": ["x", "y"], "when": [NOON, NOON], "often": [2, 3], "mood": ["a", "b"]}, name)
    assert rows(read_log(path, OURS)) == [("7", "x", NOON, 2), ("7", "y", NOON, 3)]


def test_columns_of_numbers_may_have_numbers_as_names(write: Write) -> None:
    path = write("0,1,2\nu,t,1549022400\n")
    assert rows(read_log(path, {"user": "0", "item": "1", "time": "2"})) == [("u", "t", NOON, 1)]


def test_time_and_plays_may_be_missing(write: Write) -> None:
    events = read_log(write("user_id,track_id\nu,t\nu,t\n"))
    assert not events.timed
    assert rows(events) == [("u", "t", None, 1)] * 2  # equal rows are separate plays


def test_events_have_the_documented_types(write: Write) -> None:
    schema = read_log(write(HEADER + "u,t,2019-02-01T12:00:00\n")).table.schema
    assert schema == {"user": pl.UInt32, "item": pl.UInt32, "plays": pl.Int64, "time": pl.Datetime("us")}


def test_a_byte_order_mark_does_not_belong_to_a_name(write: Write) -> None:
    assert rows(read_log(write("\ufeff" + HEADER + "u,t,2019-02-01 12:00:00\n"))) == [("u", "t", NOON, 1)]


# Ids


def test_ids_with_leading_zeros_stay_as_they_are(write: Write) -> None:
    events = read_log(write("user_id,track_id\n007,1e5\n08,1.0\n007,true\n"))
    assert events.users.ids.to_list() == ["007", "08"]
    assert events.items.ids.to_list() == ["1.0", "1e5", "true"]


def test_ids_that_are_numbers_first_and_text_after_many_rows(write: Write) -> None:
    events = read_log(write("user_id,track_id\n" + "1,2\n" * 10_001 + "one,two\n"))
    assert events.users.ids.to_list() == ["1", "one"]


def test_whole_numbers_sort_by_value_in_every_kind_of_file(write: Write) -> None:
    numbers = [10, 9, 100]
    tables = [
        write("user_id,track_id\n" + "".join(f"{number},a\n" for number in numbers)),
        write({"user_id": numbers, "track_id": ["a"] * 3}, "numbers.parquet"),
        write({"user_id": [str(number) for number in numbers], "track_id": ["a"] * 3}, "text.parquet"),
    ]
    assert [read_log(path).users.ids.to_list() for path in tables] == [["9", "10", "100"]] * 3


def test_enormous_ids_are_read_and_abbreviated_in_messages(write: Write) -> None:
    huge = "x" * 1_000_000
    assert rows(read_log(write(f"user_id,track_id\n{huge},t\n")))[0][0] == huge
    with pytest.raises(DataError) as caught:
        read_log(write(f"user_id,track_id,timestamp\nu,t,{huge}\n"))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        ([1.0, 2.0], "Float64"),
        ([True, False], "Boolean"),
        ([[1], [2]], r"List\(Int64\)"),
        ([b"\xff", b"\xfe"], "Binary"),
        ([date(2019, 1, 1)] * 2, "Date"),
    ],
)
def test_values_that_are_no_ids_are_refused(write: Write, ids: Any, kind: str) -> None:
    path = write({"user_id": ["u", "u"], "track_id": ids}, "log.parquet")
    with pytest.raises(DataError, match=rf"log\.parquet: column 'track_id' holds {kind}, not ids\. Store ids as text"):
        read_log(path)


# Times


@pytest.mark.parametrize(
    "text",
    [
        "2019-02-01 12:00:00",
        "2019-02-01T12:00:00",
        "2019-02-01 12:00",
        "2019-02-01T12:00:00.000",
        "2019-02-01 12:00:00,000",
        "20190201T120000Z",
        "2019-02-01T12:00:00Z",
        "2019-02-01T13:00:00+01:00",
        "2019-02-01 07:00:00-0500",
        "2019-02-01 14:00:00+02",
        "1549022400",
        "1549022400.0",
    ],
)
def test_ways_to_write_noon(write: Write, text: str) -> None:
    assert read_time(write, text) == NOON


def test_dates_alone_are_midnight_in_the_time_zone(write: Write) -> None:
    assert read_time(write, "2019-02-01") == datetime(2019, 2, 1)
    assert read_time(write, "2019-02-01", time_zone="Europe/Vienna") == datetime(2019, 1, 31, 23)
    path = write({"user_id": ["u"], "track_id": ["t"], "timestamp": [date(2019, 2, 1)]}, "log.parquet")
    assert rows(read_log(path, time_zone="America/New_York"))[0][2] == datetime(2019, 2, 1, 5)


@pytest.mark.parametrize("dtype", [pl.Int32, pl.UInt32, pl.Int64, pl.UInt64, pl.Float64, pl.Decimal(20, 2)], ids=str)
def test_numbers_of_every_type_are_seconds_since_1970(write: Write, dtype: Any) -> None:
    times = pl.Series([1549022400, 1548979200]).cast(dtype)
    path = write({"user_id": ["u", "u"], "track_id": ["t", "t"], "timestamp": times}, "log.parquet")
    assert [row[2] for row in rows(read_log(path))] == [NOON, datetime(2019, 2, 1)]


@pytest.mark.parametrize(("unit", "number"), [("s", 1549022400), ("ms", 1549022400_000), ("us", 1549022400_000_000)])
def test_units_of_numbers(write: Write, unit: str, number: int) -> None:
    assert read_time(write, number, time_unit=unit) == NOON


def test_fractions_of_a_second_are_kept_to_the_microsecond(write: Write) -> None:
    assert read_time(write, "1549022400.25") == NOON.replace(microsecond=250_000)
    assert read_time(write, 1549022400_000_001, time_unit="us") == NOON.replace(microsecond=1)


@pytest.mark.parametrize("unit", ["ns", "ms", "us"])
def test_datetimes_of_every_unit(write: Write, unit: Any) -> None:
    times = pl.Series([NOON]).cast(pl.Datetime(unit))
    path = write({"user_id": ["u"], "track_id": ["t"], "timestamp": times}, "log.parquet")
    assert rows(read_log(path))[0][2] == NOON


def test_the_zone_of_a_column_overrides_the_config(write: Write) -> None:
    times = pl.Series([NOON]).dt.replace_time_zone("America/New_York")
    path = write({"user_id": ["u"], "track_id": ["t"], "timestamp": times}, "log.parquet")
    assert rows(read_log(path, time_zone="Asia/Tokyo"))[0][2] == datetime(2019, 2, 1, 17)


def test_rows_may_have_different_offsets(write: Write) -> None:
    text = "u,t,2019-02-01T12:00:00Z\nu,t,2019-02-01T21:00:00+09:00\nu,t,2019-02-01T07:00:00-05:00\n"
    assert [row[2] for row in rows(read_log(write(HEADER + text)))] == [NOON] * 3


def test_clock_times_in_a_zone_with_summer_time(write: Write) -> None:
    vienna = {"time_zone": "Europe/Vienna"}
    assert read_time(write, "2019-03-31 01:59:59", **vienna) == datetime(2019, 3, 31, 0, 59, 59)
    assert read_time(write, "2019-03-31 03:00:00", **vienna) == datetime(2019, 3, 31, 1)
    assert read_time(write, "2019-10-27 02:30:00", **vienna) == datetime(2019, 10, 27, 0, 30)  # shown twice: the first
    assert read_time(write, "2019-10-27 03:00:00", **vienna) == datetime(2019, 10, 27, 2)


def test_a_year_at_the_end_is_not_taken_for_an_offset(write: Write) -> None:
    assert read_time(write, "12:00 01-02-2019", time_format="%H:%M %d-%m-%Y") == NOON
    shown = {"time_format": "%H:%M %d-%m-%Y", "time_zone": "Europe/Vienna"}
    assert read_time(write, "13:00 01-02-2019", **shown) == NOON


def test_time_format_with_an_offset_overrides_the_zone(write: Write) -> None:
    shown = {"time_format": "%d/%m/%Y %H:%M %z", "time_zone": "Asia/Tokyo"}
    assert read_time(write, "01/02/2019 13:00 +0100", **shown) == NOON


# Errors: one message each, with the file and a remedy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "log.csv is empty. Write it again"),
        (HEADER, "log.csv: the log has no rows. Give at least one play"),
        ("usr,trk\nu,t\n", r"has no column 'user_id' \(2 in all\). .*It has: usr, trk. .* If the log is one"),
        (HEADER + "u,t,someday\n", r"log.csv: times cannot be read \(1 in all, e.g. 'someday'\). .* row 1. Set"),
        (HEADER + "u,t,2019-02-01 12:00\nu,t,noon\n", r"times cannot be read \(1 in all, e.g. 'noon'\)"),
        (HEADER + "u,t,2019-02-01T12:00:00Z\nu,t,2019-02-01T12:00:00\n",
         r"some times have a time zone and some have none \(1 in all, e.g. '2019-02-01T12:00:00'\). Write all"),
        (HEADER + "u,,1549022400\n", r"column 'track_id' of the log has empty values \(1 in all, e.g. 'row 1'\). Fill"),
        (HEADER + 'u,t,1549022400\n"",t,1549022400\n', r"column 'user_id' .* \(1 in all, e.g. 'row 2'\)"),
        (HEADER + "u,t,1549022400\nu,t,\n", r"column 'timestamp' .* \(1 in all, e.g. 'row 2'\)"),
        (HEADER + "u,t,1549022400000000000\n", r"times are no dates \(1 in all, e.g. 15.*set `time_unit`"),
        (HEADER + "u,t,1549022400000\n", r"times are no dates \(1 in all, e.g. 1549022400000\)"),
        (HEADER + "u,t,-3000000000\n", "plays lie before 1900"),
        (HEADER + "u,t,2990-01-01 00:00:00\n", r"plays lie in the future \(1 in all, e.g. '2990-01-01 00:00:00'\)"),
        (HEADER + "u,t,1549022400,5\n", r"line 2 has 4 values, the header has 3 \(e.g. 'u,t,1549022400,5'\)"),
        (HEADER.encode() + b"u,\xe4,1549022400\n", "line 2 is not UTF-8. Save the file as UTF-8"),
        ("user_id,track_id,plays\nu,t,0\nu,t,-3\n", r"whole numbers of at least 1 \(2 in all, e.g. 0\).* row 1"),
        ("user_id,track_id,plays\nu,t,1.5\n", r"plays must be whole numbers .*e.g. '1.5'\)"),
        ("user_id,track_id,plays\nu,t,often\n", r"plays must be whole numbers .*e.g. 'often'\)"),
    ],
)  # fmt: skip
def test_invalid_csv_files_are_refused_with_a_remedy(write: Write, text: str, message: str) -> None:
    path = write(text)
    with pytest.raises(DataError, match=message) as caught:
        read_log(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("timestamp", [None], r"column 'timestamp' .* empty values \(1 in all, e.g. 'row 1'\)"),
        ("timestamp", [float("nan")], "times are no dates"),
        ("timestamp", [float("inf")], "times are no dates"),
        ("timestamp", [time(12)], "column 'time' holds Time, which is no time .* Store dates with a time"),
        ("timestamp", [True], "column 'time' holds Boolean"),
        ("timestamp", [datetime(1, 1, 1)], "plays lie before 1900"),
        ("timestamp", pl.Series([2**62]).cast(pl.Datetime("us")), "plays lie in the future"),
        ("timestamp", pl.Series([-(2**62)]).cast(pl.Datetime("us")), "plays lie before 1900"),
        ("user_id", [None], r"column 'user_id' .* empty values"),
        ("plays", pl.Series([2**63], dtype=pl.UInt64), "plays must be whole numbers of at least 1"),
        ("plays", pl.Series([None], dtype=pl.Int64), r"column 'plays' .* empty values"),
    ],
)
def test_invalid_parquet_files_are_refused(write: Write, column: str, values: Any, message: str) -> None:
    path = write({"user_id": ["u"], "track_id": ["t"], "timestamp": [NOON]} | {column: values}, "log.parquet")
    with pytest.raises(DataError, match=message) as caught:
        read_log(path)
    assert str(path) in str(caught.value)


def test_a_column_named_by_the_config_must_exist(write: Write) -> None:
    path = write("user_id,track_id,timestamp\nu,t,1549022400\n")
    with pytest.raises(DataError, match=r"no column 'played_at'\. It has: user_id, track_id, timestamp"):
        read_log(path, {"time": "played_at"})


def test_plays_up_to_a_day_in_the_future_are_accepted(write: Write) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    assert read_time(write, f"{now + timedelta(hours=20):%Y-%m-%dT%H:%M:%S}") > now
    with pytest.raises(DataError, match="in the future"):
        read_time(write, f"{now + timedelta(hours=30):%Y-%m-%dT%H:%M:%S}")


def test_clock_times_that_never_occurred_are_refused(write: Write) -> None:
    with pytest.raises(DataError, match=r"clocks in Europe/Vienna never showed .* e.g. '2019-03-31 02:30:00'.*UTC"):
        read_time(write, "2019-03-31 02:30:00", time_zone="Europe/Vienna")


def test_an_unknown_zone_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match=r"'Europe/Wien' is no time zone\. Use a name such as Europe/Vienna"):
        read_time(write, "2019-03-31 12:30:00", time_zone="Europe/Wien")


def test_a_format_that_does_not_match_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match="times cannot be read"):
        read_time(write, "2019-03-31 12:30:00", time_format="%d.%m.%Y")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lgo.csv", "lgo.csv does not exist. Did you mean 'log.csv'"),
        ("nothing.orc", "does not exist. Check the path"),
        ("log.xlsx", "is of no known kind. Known: .parquet, .*Save a spreadsheet as CSV"),
        ("broken.parquet", "broken.parquet cannot be read: .*Check that it is complete"),
        ("folder.csv", "is a folder without files"),
    ],
)
def test_files_that_cannot_be_read(write: Write, name: str, message: str) -> None:
    folder = write("x").parent
    write("x", "log.xlsx")
    write("PAR1 cut off", "broken.parquet")
    (folder / "folder.csv").mkdir()
    with pytest.raises(DataError, match=message):
        read_log(folder / name)


def test_a_cut_off_parquet_is_refused(write: Write) -> None:
    path = write({"user_id": ["u"] * 1000, "track_id": ["t"] * 1000}, "log.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read"):
        read_log(path)


# Events


def test_restricting_to_a_catalogue_drops_other_tracks_and_keeps_users() -> None:
    table = pl.DataFrame({"user": ["a", "b", "c"], "item": ["x", "y", "z"], "time": [NOON] * 3})
    events = make_events(table).restricted_to(Vocabulary(["z", "new", "x"]))
    assert rows(events) == [("a", "x", NOON, 1), ("c", "z", NOON, 1)]
    assert events.users.ids.to_list() == ["a", "b", "c"]
    assert events.items.ids.to_list() == ["z", "new", "x"]


@pytest.mark.parametrize("times", [["2019"], [date(2019, 1, 1)], [5]])
def test_events_take_times_only_as_datetimes(times: Any) -> None:
    with pytest.raises(DataError, match="column 'time' holds"):
        make_events(pl.DataFrame({"user": ["u"], "item": ["t"], "time": times}))


@pytest.mark.parametrize(
    ("name", "sizes"), [("val.pqt", (48_787, 2_459, 23_625)), ("cold_test.pqt", (23_269, 4_553, 589))]
)
def test_real_plays_of_music4all_onion(test_data: Path, name: str, sizes: tuple[int, int, int]) -> None:
    events = read_log(test_data / "data/m4a_onion" / name, {"plays": "count"})
    assert (len(events), len(events.users), len(events.items)) == sizes  # as its README says
    times = sorted(events.table["time"].to_list())
    assert datetime(2019, 2, 1) <= times[0] <= times[-1] < datetime(2019, 3, 1)


# Odd ids and times


@pytest.mark.parametrize("word", ["-", "--", "?", "NULL", "\\N", " ", "NaN", "<NA>"])
def test_words_for_missing_users_are_refused_or_dropped(write: Write, word: str) -> None:
    path = write(f"user_id,track_id\nu,t\n{word},t\n")
    with pytest.raises(DataError, match="column 'user_id' of the log has"):
        read_log(path)
    events = read_log(path, missing="drop")
    assert rows(events) == [("u", "t", None, 1)]
    assert ("rows left out: no user", "1") in events.facts


def test_a_word_among_numeric_times_is_named_with_its_row(write: Write) -> None:
    path = write(f"{HEADER}u,t,1549022400\nu,t,yesterday\nu,t,1549022400\n")
    with pytest.raises(DataError, match=r"numbers and some are text \(1 in all, e.g. 'yesterday'\).*in row 2"):
        read_log(path)


@pytest.mark.parametrize(
    ("left", "right", "difference"),
    [
        (["a ", "b "], ["a", "b"], "blanks at the ends"),
        (["Beyonce\u0301"], ["Beyonc\xe9"], "Unicode form (NFC and NFD)"),
        (["x\u200b", "\ufeffy"], ["x", "y"], "invisible characters"),
        (["12.0"], ["12"], '".0" at the end'),
        (["b'12'", "b'13'"], ["12", "13"], "quotes around them"),
        (["spotify:track:x1", "spotify:track:y2"], ["X1", "Y2"], "a prefix"),
        (["music/a.mp3"], ["a"], "the folder or suffix of a file's name"),
        (["blues.00000.au", "rock.00001.3gp"], ["blues.00000", "rock.00001"], "the folder or suffix of a file's name"),
    ],
)
def test_the_difference_between_unmatched_ids_is_named(left: list[str], right: list[str], difference: str) -> None:
    match = likeness(pl.Series(left), pl.Series(right))
    assert match is not None
    assert (match.difference, match.count) == (difference, len(left))


def test_ids_that_agree_by_chance_after_a_prefix_are_no_match() -> None:
    left, right = pl.Series(["a-1", *(f"b-{n}" for n in range(100, 120))]), pl.Series([str(n) for n in range(20)])
    assert likeness(left, right) is None


def test_rounded_ids_are_recognised() -> None:
    ids = pl.Series(["1.23E+11", "1.2345678901234567e+17", "2E+10", "1e5", "1.5", "E+1", "12"])
    assert rounded(ids).to_list() == ids.to_list()[:3]


@pytest.mark.parametrize("number", ["1.515e9", "1.51478E+09", "1.51478e+12"])
def test_times_that_a_spreadsheet_shortened_are_refused(write: Write, number: str) -> None:
    with pytest.raises(DataError, match=r"times lost digits when they were written \(1 in all"):
        read_time(write, number, time_unit="ms" if number.endswith("12") else "s")


def test_a_number_in_exponent_notation_with_all_digits_is_a_time(write: Write) -> None:
    assert read_time(write, "1.549022400e9") == NOON


def test_plays_that_only_some_files_count_are_refused(write: Write, tmp_path: Path) -> None:
    write("user_id,track_id,plays\nu,t,3\n", "a.csv")
    write("user_id,track_id\nu,s\n", "b.csv")
    with pytest.raises(DataError, match=r"b\.csv has no column 'plays'"):
        read_log(tmp_path)


def test_ids_in_two_cases_count_as_twins_only_if_many_are() -> None:
    lower, others = [f"ab{n}" for n in range(10)], [str(n) for n in range(200)]
    twins = near_duplicates(pl.Series([*lower, *map(str.upper, lower)]))
    assert twins is not None
    assert (twins.difference, twins.count) == ("upper and lower case", 10)
    assert near_duplicates(pl.Series([*others, "aBc", "abc"])) is None


def test_equal_rows_are_counted(write: Write) -> None:
    assert read_log(write(f"{HEADER}u,t,1549022400\n" * 1 + "u,t,1549022400\nu,t,1549022401\n")).repeated == 1
