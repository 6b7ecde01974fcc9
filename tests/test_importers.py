from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timbrec import catalog
from timbrec.errors import ConfigError, DataError
from timbrec.histories import History, load_history, read_history
from timbrec.importers.shared.base import COLUMNS

IMPORTERS = catalog.names("importers")
MBID, MAPPED = "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae", "11111111-2222-3333-4444-555555555555"


def lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def zipped(path: Path, **files: str | bytes) -> Path:
    """A zip archive; `listens_2023_1__jsonl` is listens/2023/1.jsonl."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", ".").replace("_", "/"), content)
    return path


def rows(history: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return history.select(columns or [name for name in COLUMNS if name != "plays"]).rows()


def listen(at: int | None, artist: str, title: Any, **more: Any) -> dict[str, Any]:
    info = {
        name: more.pop(name) for name in list(more) if name in ("isrc", "duration_ms", "duration", "recording_mbid")
    }
    metadata = {"artist_name": artist, "track_name": title, "additional_info": info} | more
    return {"listened_at": at, "recording_msid": "msid", "track_metadata": metadata}


LISTENS = [
    listen(1_700_000_000, "A", "One", release_name="Album", isrc="gb-aye0601498", duration_ms=61_000),
    listen(1_700_000_100, "A", "Two", recording_mbid=MBID.upper(), mbid_mapping={"recording_mbid": MAPPED}),
    listen(1_700_000_200, "B", "Three", mbid_mapping={"recording_mbid": MAPPED}, duration="75"),
]


class TestListenBrainz:
    def test_an_export_is_read_from_its_zip(self, tmp_path: Path) -> None:
        path = zipped(
            tmp_path / "export.zip", user__json='{"username": "x"}', feedback__jsonl=lines({"score": 1}),
            listens_2023_11__jsonl=lines(*LISTENS[1:]), listens_2023_10__jsonl=lines(LISTENS[0]),
        )  # fmt: skip
        history = load_history(path)
        assert history.importers == ("listenbrainz",)
        first, second, third = (datetime(2023, 11, 14, 22, *late) for late in ((13, 20), (15,), (16, 40)))
        assert rows(history.plays) == [
            ("me", first, "A", "One", "Album", None, "GBAYE0601498", None, 61.0, None, None, "msid"),
            ("me", second, "A", "Two", None, MBID, None, None, None, None, None, "msid"),
            ("me", third, "B", "Three", None, MAPPED, None, None, 75.0, None, None, "msid"),
        ]  # fmt: skip

    @pytest.mark.parametrize("layout", ["lines", "list", "answer", "gz", "tar", "dump"])
    def test_other_layouts_give_the_same_plays(self, tmp_path: Path, layout: str) -> None:
        path, content = tmp_path / f"listens.{layout}", lines(*LISTENS).encode()
        if layout == "list":
            content = json.dumps(LISTENS, indent=1).encode()
        elif layout == "answer":
            content = json.dumps({"payload": {"count": 3, "listens": LISTENS}}).encode()
        elif layout == "gz":
            content = gzip.compress(content)
        elif layout == "tar":
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w") as archive:
                member = tarfile.TarInfo("dump/listens/2023/11.listens")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            content = buffer.getvalue()
        elif layout == "dump":
            content = content.replace(b'"listened_at"', b'"timestamp"')
        path.write_bytes(content)
        expected = tmp_path / "plain.jsonl"
        expected.write_text(lines(*LISTENS))
        assert read_history(path).equals(read_history(expected))

    def test_values_of_another_type_do_no_harm(self, tmp_path: Path) -> None:
        path = tmp_path / "listens.jsonl"
        odd = [
            listen(1_700_000_000, "A", "One", isrc=["x"], duration_ms=""),
            listen(1_700_000_009, "B", 7, duration=None),
        ]
        path.write_text(lines(*odd))
        assert rows(read_history(path), "artist", "title", "duration_s") == [("A", "One", None), ("B", "7", None)]

    def test_a_listen_without_a_time_is_dropped_and_counted(self, tmp_path: Path) -> None:
        path = tmp_path / "listens.jsonl"
        path.write_text(lines(LISTENS[0], listen(None, "A", "Playing now")))
        assert dict(load_history(path).facts)["plays dropped: listens without a time"] == "1"


class TestAnyHistory:
    def written(self, folder: Path, *listens: dict[str, Any]) -> Path:
        path = folder / "listens.jsonl"
        path.write_text(lines(*listens))
        return path

    def test_the_importer_can_be_named(self, tmp_path: Path) -> None:
        path = self.written(tmp_path, *LISTENS)
        assert read_history([path], "listenbrainz").equals(read_history(str(path)))
        with pytest.raises(ConfigError, match="Did you mean 'listenbrainz'"):
            read_history(path, "listenbrain")

    def test_users_can_be_named(self, tmp_path: Path) -> None:
        assert set(load_history(self.written(tmp_path, *LISTENS), user="ann").plays["user"]) == {"ann"}

    def test_plays_that_are_no_plays_are_dropped_and_counted(self, tmp_path: Path) -> None:
        path = self.written(
            tmp_path, LISTENS[0], LISTENS[0], listen(0, "A", "Reset clock"), listen(4_000_000_000, "A", "Future"),
            listen(1_700_000_000, "A", " "),
        )  # fmt: skip
        history = load_history(path)
        assert history.total == 1
        assert {reason: count for reason, count in history.dropped.items() if count} == {
            "without a title or an id": 1, "before 1990 or in the future": 2, "equal to another row": 1,
        }  # fmt: skip

    def test_several_exports_are_one_history(self, tmp_path: Path) -> None:
        (tmp_path / "x").mkdir()
        paths = [self.written(tmp_path, LISTENS[2], LISTENS[1]), self.written(tmp_path / "x", LISTENS[0], LISTENS[1])]
        assert read_history(paths)["title"].to_list() == ["One", "Two", "Three"]
        assert read_history(tmp_path)["title"].to_list() == ["One", "Two", "Three"]

    def test_a_time_zone_is_refused_for_times_in_utc(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="in UTC already"):
            load_history(self.written(tmp_path, *LISTENS), time_zone="Europe/Vienna")

    def test_a_damaged_zip_is_named(self, tmp_path: Path) -> None:
        path = zipped(tmp_path / "export.zip", listens_1__jsonl=lines(*LISTENS * 50))
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=r"export\.zip is cut short or damaged.*Download the export again"):
            read_history(path)
        path.write_bytes(whole[:200] + b"\xff" * 100 + whole[300:])
        with pytest.raises(DataError, match=r"export\.zip/listens/1\.jsonl is cut short or damaged"):
            read_history(path)

    def test_another_kind_of_file_is_named_by_what_it_looks_like(self, tmp_path: Path) -> None:
        for name, content, looks in [
            ("a.pdf", b"%PDF-1.7", "a PDF file"),
            ("a.json", b'[{"name": 1, "email": 2}]', "JSON with the keys email, name"),
            ("a.html", b"<!DOCTYPE html><html>", "an HTML page"),
            ("a.txt", b"Hello", "text that starts with 'Hello'"),
        ]:
            (tmp_path / name).write_bytes(content)
            with pytest.raises(DataError, match="is no listening history") as caught:
                read_history(tmp_path / name)
            assert looks in str(caught.value)
            assert "listenbrainz" in str(caught.value)

    def test_missing_empty_and_useless_files_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="does not exist"):
            read_history(tmp_path / "export.zip")
        with pytest.raises(DataError, match="folder without files"):
            read_history(tmp_path)
        (tmp_path / "empty.zip").touch()
        with pytest.raises(DataError, match="is empty"):
            read_history(tmp_path / "empty.zip")
        with pytest.raises(DataError, match="no play that can be used"):
            read_history(self.written(tmp_path, listen(0, "A", "B")))
        with pytest.raises(ConfigError, match="no history was named"):
            read_history([])

    def test_facts_name_importer_and_plays(self, tmp_path: Path) -> None:
        history = load_history(self.written(tmp_path, *LISTENS))
        assert isinstance(history, History)
        assert history.facts[:2] == [("importer", "listenbrainz"), ("plays", "3")]


@pytest.mark.parametrize("name", IMPORTERS)
def test_every_importer_says_how_to_get_the_export(name: str) -> None:
    kind = catalog.load("importers", name)
    assert kind.name.strip()
    assert kind.export.strip()
    assert not kind.export.endswith(".")
