"""The reader of tables: every kind and compression, with every line accounted for."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbrec.data import text as text_tables
from timbrec.data.tables import Source, open_table
from timbrec.data.text import TextForm
from timbrec.errors import DataError, TimbrecError

ROWS = [("u1", "007", "1549022400"), ("u2", "a,b", "1549022401"), ("u1", 'the "x"', "1549022402")]
NAMES = ["user", "track", "time"]
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\x1f\x00", exclude_categories=["Cs"]), max_size=6)


def zstandard(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


def zipped(content: bytes, *names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names or ("plays.csv", "__MACOSX/._plays.csv"):
            archive.writestr(name, content)
    return buffer.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard, ".zip": zipped,
}  # fmt: skip


def written(
    rows: Sequence[tuple[str, ...]], separator: str = ",", quoting: Any = csv.QUOTE_MINIMAL, end: str = "\n"
) -> str:
    """The rows as Python's csv module writes them, below a header."""
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator, quoting=quoting, lineterminator=end).writerows(
        [NAMES[: len(rows[0])], *rows]
    )
    return buffer.getvalue()


def read(path: Path, form: TextForm | None = None) -> list[tuple[object, ...]]:
    table = open_table(path, form)
    return pl.concat(list(table.blocks(table.names))).rows()


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("kind", [".csv", ".parquet", ".jsonl", ".json", ".arrow"])
def test_every_kind_with_every_compression(tmp_path: Path, kind: str, suffix: str) -> None:
    frame, buffer = pl.DataFrame(ROWS, schema=NAMES, orient="row"), io.BytesIO()
    writers: dict[str, Callable[[], object]] = {
        ".csv": lambda: frame.write_csv(buffer), ".parquet": lambda: frame.write_parquet(buffer),
        ".jsonl": lambda: frame.write_ndjson(buffer), ".json": lambda: frame.write_json(buffer),
        ".arrow": lambda: frame.write_ipc(buffer),
    }  # fmt: skip
    writers[kind]()
    packed = zipped(buffer.getvalue(), f"plays{kind}") if suffix == ".zip" else PACKERS[suffix](buffer.getvalue())
    (tmp_path / f"plays{kind}{suffix}").write_bytes(packed)
    assert read(tmp_path / f"plays{kind}{suffix}") == ROWS


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_a_compressed_file_that_is_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"plays.csv{suffix}"
    path.write_bytes(PACKERS[suffix](written(ROWS * 1000).encode())[:-9])
    with pytest.raises(DataError, match=r"plays\.csv\.\w+ is cut short or damaged"):
        read(path)


def test_an_archive_must_hold_one_table(tmp_path: Path) -> None:
    (tmp_path / "both.zip").write_bytes(zipped(b"a,b\n1,2\n", "one.csv", "two.csv"))
    with pytest.raises(DataError, match=r"both.zip holds 2 files, not one\. .*one.csv, two.csv"):
        open_table(tmp_path / "both.zip")


@given(
    st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=8),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([",", ";", "|"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([5, 64, 1 << 20]),
)
def test_python_csv_reads_the_same_values_or_the_file_is_refused(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, ...]], quoting: int, separator: str, end: str, size: int,
) -> None:  # fmt: skip
    """Values of several lines may look like swallowed rows: these may be refused, never misread."""
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    content = written(rows, separator, quoting, end)
    path.write_bytes(content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_tables, "_BLOCK", size)
        try:
            values = read(path, TextForm(separator, quotes=True))
        except DataError as error:
            assert "\n" in "".join(value for row in rows for value in row), error  # noqa: PT017
            return
    expected = [tuple(value.replace("\r\n", "\n") or None for value in row) for row in rows]
    assert values == [row for row in expected if any(row) or quoting == csv.QUOTE_ALL or separator]


@given(st.lists(st.tuples(st.integers(0, 99), st.text('"ab, \t', max_size=4)), min_size=2, max_size=12), st.booleans())
def test_quotes_in_an_unused_column_neither_drop_nor_add_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str]], tabs: bool
) -> None:
    """One row per line with its own user, or an error."""
    path = tmp_path_factory.mktemp("quotes") / ("a.tsv" if tabs else "a.csv")
    separator = "\t" if tabs else ","
    lines = [("user", "title"), *((f"u{user}", title) for user, title in rows)]
    path.write_text("".join(f"{user}{separator}{title}\n" for user, title in lines))
    try:
        users = open_table(path).read(["user"])["user"].to_list()
    except TimbrecError:
        assert any('"' in title or separator in title for _, title in rows)
        return
    assert users == [f"u{user}" for user, _ in rows]


STRAY = {
    "both begin": ('u1,"Heroes\nu2,ok\nu3,"Angie\n', [("u1", '"Heroes'), ("u2", "ok"), ("u3", '"Angie')]),
    "one in the middle": ('u1,12" mix\nu2,"a"\n', [("u1", '12" mix'), ("u2", "a")]),
    "begin and end": ('u1,"Heroes\nu2,ok\nu3,mix"\n', [("u1", '"Heroes'), ("u2", "ok"), ("u3", 'mix"')]),
    "at the end": ('u1,"a; b"\nu2,"z\n', [("u1", "a; b"), ("u2", '"z')]),
    "blank lines": ('u1,"Heroes\n\nu2,ok\n\n\n', [("u1", '"Heroes'), ("u2", "ok")]),
}  # fmt: skip


@pytest.mark.parametrize("case", STRAY)
@pytest.mark.parametrize("kind", [".csv", ".tsv"])
def test_stray_quotes_are_text_and_counted(tmp_path: Path, case: str, kind: str) -> None:
    content, expected = STRAY[case]
    path = tmp_path / f"a{kind}"
    path.write_text(("user,title\n" + content).replace(",", "," if kind == ".csv" else "\t"))
    table = open_table(path)
    rows = table.read(["user", "title"]).rows()
    if kind == ".tsv":
        expected = [(user, f'"{title}"' if f'"{title}"' in content else title) for user, title in expected]
    assert rows == expected
    assert any("quotes that are read as text" in label for label, _ in table.facts)


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "too few": ("a,b\n1,2\n3\n", "line 3 has 1 values, the header has 2"),
    "too many": ("a,b\n1,2,3\n", r"line 2 has 3 values, the header has 2 \(e\.g\. '1,2,3'\)"),
    "after a blank line": ("a,b\n\n1,2\n3\n", "line 4 has 1 values"),
    "trailing separator": ("a,b\n1,2,\n", "line 2 has 3 values"),
    "open quote": ('a,b\n1,"x, y" z\n2,"z\n', "a quote in line 2 opens or closes a value in the middle"),
    "hidden rows": ('a,b,c\n1,"x,5\n2,"o,k",6\n3,12",7\n', "a quote in line"),
    "no header": ("u1,31,2.5\nu2,30,1\n", r"has no column 'user'\. .*If its first line is a row, set `header: false`"),
    "numbers alone": ("0,31,1549022400\n1,30,1549022401\n", "first line of .* looks like a row.*Set `header: false`"),
    "UTF-16": ("\ufeffuser,b\n1,2\n".encode("utf-16"), "is UTF-16 text. Save it as UTF-8"),
    "Latin-1": (b"user,b\n1,2\n3,\xe9\n", "line 3 is not UTF-8"),
    "zero bytes": (b"user,b\n1,2\n3\0\0\0,4\n5,6\n", "line 3 has zero bytes, as a file has that was not written in"),
    "two of a name": ("user,user\n1,2\n", "has 2 columns called 'user'. Rename all but one"),
    "nothing": ("\n\n", "has no rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_tables_are_refused_with_the_line(tmp_path: Path, case: str) -> None:
    content, message = REFUSED[case]
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    columns = ["user"] if "a,b" not in str(content) else ["a"]
    with pytest.raises(DataError, match=message):
        open_table(path).read(columns)


@pytest.mark.parametrize("separator", [",", ";", "|", "\t", "::"])
@pytest.mark.parametrize("kind", [".csv", ".txt", ".dat"])
def test_an_unusual_separator_is_detected_and_reported(tmp_path: Path, separator: str, kind: str) -> None:
    path = tmp_path / f"a{kind}"
    path.write_text("user,score,x\nu1,2.5,a b\nu2,3.5,c d\n".replace(",", separator))
    table = open_table(path)
    assert table.read(["x", "user"]).rows() == [("a b", "u1"), ("c d", "u2")]
    usual = {".csv": ","}.get(kind, "\t")
    assert table.facts == (
        [] if separator == usual else [(f"separator of a{kind}", f"{separator!r}, found in its first lines")]
    )


def test_decimal_commas_do_not_hide_semicolons(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user;x;y\nu1;2,5;1,5\nu2;3,5;2\n")
    assert open_table(tmp_path / "a.csv").read(["user", "y"]).rows() == [("u1", "1,5"), ("u2", "2")]


def test_recbole_files_carry_types_in_their_header(tmp_path: Path) -> None:
    (tmp_path / "a.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n7\t007\t1549022400\n")
    assert open_table(tmp_path / "a.inter").read(["user_id", "item_id"]).rows() == [(7, "007")]


def test_without_header_columns_are_numbers_from_zero(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::31::2.5::1260759144\n2::10::4::1260759179\n")
    table = open_table(tmp_path / "ratings.dat", TextForm(header=False))
    assert table.read(["0", "3"]).rows() == [(1, 1260759144), (2, 1260759179)]


def test_names_are_patterns_only_with_glob(tmp_path: Path) -> None:
    for name, user in (("export1.csv", "other"), ("export[1].csv", "mine"), ("export2.csv", "third")):
        (tmp_path / name).write_text(f"user\n{user}\n")
    assert read(tmp_path / "export[1].csv") == [("mine",)]
    with pytest.raises(DataError, match=r"export\*\.csv does not exist"):
        open_table(tmp_path / "export*.csv")
    matches = open_table(Source((tmp_path / "export?.csv",), glob=True))
    assert matches.read(["user"])["user"].to_list() == ["other", "third"]
    with pytest.raises(DataError, match="no file matches"):
        open_table(Source((tmp_path / "nothing*.csv",), glob=True))


def test_folders_and_lists_of_files_are_read_as_one_table(tmp_path: Path) -> None:
    for month, users in (("2018-03", ["a", "b"]), ("2018-04", ["c"])):
        folder = tmp_path / "log" / f"month={month}"
        folder.mkdir(parents=True)
        pl.DataFrame({"user": users, "plays": [1] * len(users)}).write_parquet(folder / "part-0.parquet")
        (folder / "_SUCCESS").touch()
    table = open_table(tmp_path / "log")
    assert table.read(["user", "month"]).rows() == [("a", "2018-03"), ("b", "2018-03"), ("c", "2018-04")]
    assert table.facts == [("files read", "2")]
    first, second = sorted((tmp_path / "log").rglob("*.parquet"))
    assert open_table(Source((second, first))).read(["user"])["user"].to_list() == ["c", "a", "b"]
    with pytest.raises(DataError, match="is named twice"):
        open_table(Source((first, first)))
    (tmp_path / "log" / "notes.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"several kinds: 2 \.parquet, 1 \.csv"):
        open_table(tmp_path / "log")


def test_files_of_a_folder_must_have_the_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,time\nu,1\n")
    (tmp_path / "b.csv").write_text("user,date\nu,1\n")
    with pytest.raises(DataError, match=r"b\.csv has no column 'time'"):
        open_table(tmp_path).read(["user", "time"])


def test_columns_of_two_types_in_two_files_become_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user\n1\n2\n")
    (tmp_path / "b.csv").write_text("user\nx\n")
    assert open_table(tmp_path).read(["user"])["user"].to_list() == ["1", "2", "x"]


def test_messages_stay_short_with_five_thousand_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        ",".join(f"feature_{n}" for n in range(5000)) + "\n" + ",".join(["1"] * 5000) + "\n"
    )
    with pytest.raises(DataError) as caught:
        open_table(tmp_path / "a.csv").read(["user_id"])
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html>\n<html>\n", "is an HTML page"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "is an Office document.*Save it as CSV"),
        ("user,b\n1,2\n".encode("utf-16-le"), "has zero bytes, as UTF-16 text"),
        (b"PAR1\x15\x00", "is a Parquet file"),
        (
            b"# exported in 2019\nuser,b\n1,2\n3,4\n",
            r"first line of .* is no header.*Remove the lines",
        ),
        (b"sep=;\nuser;b\n1;2\n3;4\n", "Remove the lines above the header"),
    ],
)
def test_files_of_another_kind_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_table(tmp_path / "a.csv").read(["user"])


def test_values_of_hive_folders_are_decoded_and_may_be_missing(tmp_path: Path) -> None:
    for place in ("artist=AC%2FDC", "artist=__HIVE_DEFAULT_PARTITION__", "artist=a=b"):
        (tmp_path / "log" / place).mkdir(parents=True)
        pl.DataFrame({"user": ["u"]}).write_parquet(tmp_path / "log" / place / "0.parquet")
    assert open_table(tmp_path / "log").read(["artist"])["artist"].to_list() == ["AC/DC", None, "a=b"]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_objects_in_json_objects_are_columns(tmp_path: Path, name: str) -> None:
    listens = [{"at": 1, "track": {"name": "x", "by": {"artist": "y"}}}, {"at": 2, "track": {"name": "z", "by": None}}]
    text = json.dumps(listens) if name == "a.json" else "\n".join(map(json.dumps, listens))
    (tmp_path / name).write_text(text)
    rows = open_table(tmp_path / name).read(["track.name", "track.by.artist", "at"]).rows()
    assert rows == [("x", "y", 1), ("z", None, 2)]


def test_values_with_commas_in_every_line_do_not_make_the_header_look_odd(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('user,when\n1,"01 Jan 2018, 10:00"\n2,"02 Jan 2018, 11:00"\n')
    assert open_table(tmp_path / "a.csv").read(["user", "when"]).rows()[1] == (2, "02 Jan 2018, 11:00")


def test_headers_within_a_table_are_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item\nu,x\nuser,item\nuser,item\nv,y\nuser,item\n")
    table = open_table(tmp_path / "a.csv")
    assert table.read(["user", "item"]).rows() == [("u", "x"), ("v", "y")]
    assert table.facts == [("lines of a.csv that repeat its header, left out", "3")]


def test_a_separator_at_the_end_of_the_lines_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item\nu,x,\nv,y,\n")
    with pytest.raises(DataError, match="end with a separator, its header does not"):
        open_table(tmp_path / "a.csv")


def test_a_text_table_named_as_compressed_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_text("user,item\nu,x\n")
    with pytest.raises(DataError, match=r"a\.csv\.gz is not compressed, unlike its name"):
        open_table(tmp_path / "a.csv.gz").read(["user"])


def test_columns_that_only_some_files_have_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,plays\nu,2\n")
    (tmp_path / "b.csv").write_text("user\nv\n")
    table = open_table(tmp_path)
    assert table.facts == [("files read", "2"), ("columns that only some files have, not read", "plays")]
    with pytest.raises(DataError, match=r"b\.csv has no column 'plays'"):
        table.read(["user", "plays"])


@pytest.mark.parametrize(("name", "advice"), [("a.pkl", "Pickles are not read"), ("a.npz", r"as \.npy and their `ids`"),
                                              ("a.db", "Export the table"), ("a.xlsx", "as CSV")])  # fmt: skip
def test_other_kinds_have_their_advice(tmp_path: Path, name: str, advice: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(DataError, match=advice):
        open_table(tmp_path / name)
