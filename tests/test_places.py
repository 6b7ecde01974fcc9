"""Vector stores in a bucket of a real S3-compatible server: commits, races, faults, ranges and the local cache."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bucket_server import LaggingListing, LostReply
from timbrec.errors import ConfigError, PlaceError, StoreError
from timbrec.places import local, location, place_of
from timbrec.places.bucket import Bucket
from timbrec.places.cache import Cache, cache_limit
from timbrec.places.locations import Remote
from timbrec.places.place import Added
from timbrec.store import Entry, StoreInfo, TrackStore, VectorStore
from timbrec.store.notes import Note, Notes, Record
from timbrec.store.speed import Speed, add_time, speed_of

INFO = StoreInfo("mine", "1", None, "mean", "time", "whole", 3)


def rows(count: int, start: int = 0) -> np.ndarray[Any, Any]:
    return np.arange(start, start + 3 * count, dtype=np.float32).reshape(count, 3)


def wrapped(monkeypatch: pytest.MonkeyPatch, wrap: Callable[[Any], Any]) -> None:
    """Give every bucket that is opened from now on a wrapped file system."""
    plain = Bucket.__init__

    def opened(self: Bucket, path: Remote) -> None:
        plain(self, path)
        self._fs = wrap(self._fs)

    monkeypatch.setattr(Bucket, "__init__", opened)


@pytest.mark.parametrize("kind", ["s3", "memory"])
def test_a_store_in_a_bucket_is_that_of_a_folder(kind: str, bucket: Remote, tmp_path: Path) -> None:
    remote = bucket / "store" if kind == "s3" else location(f"memory://{bucket.name}-{tmp_path.name}/store")
    for path in (remote, tmp_path / "store"):
        store = VectorStore.create(path, INFO)
        store.append(["a", "b"], rows(2))
        store.append(["c"], rows(1, 6))
    there, here = VectorStore.open(str(remote)), VectorStore.open(tmp_path / "store")
    assert there.digest == here.digest
    assert there.ids.to_list() == ["a", "b", "c"]
    np.testing.assert_array_equal(there.aligned(["c", "a", "c"]), [[6, 7, 8], [0, 1, 2], [6, 7, 8]])
    there.verify()
    shards = {path.name for path in (tmp_path / "store").iterdir() if path.suffix in (".npy", ".parquet")}
    assert shards <= set(place_of(remote).names(""))  # the very files of a local store


def test_of_two_writers_at_once_both_commit(bucket: Remote) -> None:
    VectorStore.create(bucket / "store", INFO)

    def append(number: int) -> None:
        VectorStore.open(bucket / "store").append([f"t{number}"], rows(1, number))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(append, range(4)))
    store = VectorStore.open(bucket / "store")
    assert sorted(store.ids) == [f"t{number}" for number in range(4)]
    np.testing.assert_array_equal(store.aligned(["t3"])[0], [3, 4, 5])


def test_one_of_two_creates_the_store(bucket: Remote) -> None:
    VectorStore.create(bucket / "store", INFO)
    with pytest.raises(StoreError, match="already"):
        VectorStore.create(bucket / "store", INFO)


def test_a_put_whose_reply_is_lost_commits_once(bucket: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    VectorStore.create(bucket / "store", INFO)
    wrapped(monkeypatch, LostReply)
    store = VectorStore.open(bucket / "store")
    store.append(["a"], rows(1))
    assert store.ids.to_list() == ["a"]
    assert sorted(place_of(bucket / "store").names("manifest-")) == ["manifest-000000.json", "manifest-000001.json"]


def test_a_lost_reply_about_a_name_that_another_writer_took_goes_on_from_there(
    bucket: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    VectorStore.create(bucket / "store", INFO)
    first = VectorStore.open(bucket / "store")

    class TakenFirst(LostReply):
        def pipe_file(self, path: str, value: bytes, **options: Any) -> Any:
            if self.times and options.get("mode") == "create":
                self.times = 0
                VectorStore.open(bucket / "store").append(["b"], rows(1, 3))
                raise OSError("Connection reset by peer")
            return self._fs.pipe_file(path, value, **options)

    place: Any = Bucket(bucket / "store")
    place._fs = TakenFirst(place._fs)
    with monkeypatch.context() as patch:
        patch.setattr("timbrec.store.manifest.place_of", lambda path: place)
        first.append(["a"], rows(1))
    assert VectorStore.open(bucket / "store").ids.to_list() == ["b", "a"]


def test_a_listing_that_lags_hides_no_commit(bucket: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    store = VectorStore.create(bucket / "store", INFO)
    for number, name in enumerate("abc"):
        store.append([name], rows(1, number))
    for hidden in ("manifest-000003", "manifest-", ""):
        with monkeypatch.context() as patch:
            wrapped(patch, partial(LaggingListing, hidden=hidden))
            assert VectorStore.open(bucket / "store").ids.to_list() == ["a", "b", "c"]


def test_a_shard_that_was_changed_or_lost_is_found(bucket: Remote) -> None:
    store = VectorStore.create(bucket / "store", INFO)
    store.append(["a", "b"], rows(2))
    shard = store._manifest.shards[0].vectors
    place = Bucket(bucket / "store")
    place.put(shard.name, place.read(shard.name)[:-1] + b"x")
    with pytest.raises(StoreError, match=r"not as they were written"):
        VectorStore.open(bucket / "store").verify()
    with pytest.raises(StoreError, match=r"not as it was written"):
        VectorStore.open(bucket / "store").aligned(["a"])
    place.delete([shard.name])
    with pytest.raises(StoreError, match=r"missing"):
        VectorStore.open(bucket / "store")


def test_rows_come_in_ranges_where_the_cache_is_too_small(bucket: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(2000, 300)).astype(np.float32)
    store = VectorStore.create(bucket / "store", StoreInfo("m", "1", None, "mean", "time", "whole", 300))
    store.append([f"t{row}" for row in range(2000)], vectors)
    monkeypatch.setenv("TIMBREC_CACHE_LIMIT", "1 MB")
    chosen = np.random.default_rng(1).integers(0, 2000, 500)
    read = VectorStore.open(bucket / "store").aligned([f"t{row}" for row in chosen])
    np.testing.assert_array_equal(read, vectors[chosen])
    np.testing.assert_array_equal(VectorStore.open(bucket / "store").aligned(["t1999", "t0"]), vectors[[1999, 0]])
    assert not list(Cache().folder.glob("*"))


def test_tracks_come_from_two_machines(bucket: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def store() -> TrackStore:
        return TrackStore(bucket / "store", INFO, "stem")

    first = store()
    monkeypatch.setenv("TIMBREC_CACHE", str(tmp_path / "elsewhere"))
    second = store()
    for writer, number in ((first, 0), (second, 1)):
        writer.add(Entry("shared", "audio", 1, 1, "f", "p", rows(1)[0]))
        writer.add(Entry(f"own{number}", f"audio{number}", 1, 1, "f", "p", rows(1, number)[0]))
    first.close()
    second.close()
    stored = VectorStore.open(bucket / "store")
    assert sorted(stored.ids) == ["own0", "own1", "shared"]
    assert sorted(stored.audio) == ["audio", "audio0", "audio1"]


def test_a_killed_writer_resumes_its_journal(bucket: Remote) -> None:
    store = TrackStore(bucket / "store", INFO)
    store.add(Entry("a", "audio", 1, 1, "f", "p", rows(1)[0]))
    store.flush()
    store._journal._lock.release()  # as the end of the process does
    assert len(VectorStore.open(bucket / "store")) == 0
    TrackStore(bucket / "store", INFO).close()
    assert VectorStore.open(bucket / "store").ids.to_list() == ["a"]


def test_notes_and_speed_are_kept_beside_the_vectors(
    bucket: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(track: str) -> Record:
        return Record(track, 1, 1, "f", "r", (Note(True, False, "broken", "fix"),))

    first = Notes(bucket / "store")
    monkeypatch.setenv("TIMBREC_CACHE", str(tmp_path / "elsewhere"))
    second = Notes(bucket / "store")
    for notes, track in ((first, "a"), (second, "b")):
        notes.set(note(track))
        notes.close()
    assert set(Notes(bucket / "store").records) == {"a", "b"}
    assert speed_of(bucket / "store") is None
    add_time(bucket / "store", "cpu", 2, 3.0)
    assert speed_of(bucket / "store") == Speed(1.5, "cpu", 2)


def test_a_copy_follows_the_version_of_the_file(bucket: Remote) -> None:
    place = Bucket(bucket)
    place.put("log.csv", b"one")
    copy = local(bucket / "log.csv")
    assert (str(copy), copy.name, copy.read_bytes()) == (f"{bucket}/log.csv", "log.csv", b"one")
    place.put("log.csv", b"other")
    assert local(bucket / "log.csv").read_bytes() == b"other"
    assert copy.read_bytes() == b"one"  # what is being read stays as it was


def test_a_file_that_changes_while_it_is_copied_is_refused(bucket: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Bucket(bucket)
    place.put("log.csv", b"x" * 100)
    path = bucket / "log.csv"
    opened = type(path.fs).open

    def changing(fs: Any, name: str, *arguments: Any, **options: Any) -> Any:
        file = opened(fs, name, *arguments, **options)
        place.put("log.csv", b"y" * 100)
        return file

    monkeypatch.setattr(type(path.fs), "open", changing)
    with pytest.raises(PlaceError, match=r"log.csv changed while it was read"):
        local(path)
    assert not [file for file in Cache().folder.rglob("*") if file.is_file() and file.name != ".lock"]


def test_a_bucket_that_is_not_there_gives_one_line(bucket: Remote) -> None:
    nowhere = location("s3://no-such-bucket-of-mine/store")
    with pytest.raises(PlaceError, match=r"there is no bucket s3://no-such-bucket-of-mine"):
        VectorStore.create(nowhere, INFO)
    with pytest.raises(StoreError, match="there is no"):
        VectorStore.open(nowhere)


def test_missing_rights_and_credentials_give_one_line(bucket: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import NoCredentialsError

    path = bucket

    def raising(error: Exception) -> Callable[..., Any]:
        def call(*_: Any, **__: Any) -> Any:
            raise error

        return call

    for error, text in ((PermissionError("Access Denied"), "may not be written with these credentials"),
                        (NoCredentialsError(), "there are no credentials for s3://music-")):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(path.fs, "pipe_file", raising(error))
            with pytest.raises(PlaceError, match=text):
                VectorStore.create(bucket / "store", INFO)


def test_an_endpoint_that_nobody_answers_at_gives_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from timbrec.places.faults import reaching

    class EndpointConnectionError(Exception):
        pass

    with pytest.raises(PlaceError, match=r"nobody answers for s3://music"), reaching("s3://music/log.csv"):
        raise EndpointConnectionError("Could not connect to http://127.0.0.1:9")


@pytest.mark.parametrize(("place", "advice"), [("gs", "GOOGLE_APPLICATION_CREDENTIALS"), ("s3", "AWS_ACCESS_KEY_ID")])
def test_missing_credentials_lead_to_those_of_the_place(place: str, advice: str) -> None:
    from timbrec.places.faults import reaching

    class DefaultCredentialsError(Exception):  # of google.auth
        pass

    message = rf"no credentials for {place}://music\. Set {advice}"
    with pytest.raises(PlaceError, match=message), reaching(f"{place}://music/log.csv"):
        raise DefaultCredentialsError


def test_a_library_that_is_not_installed_is_named() -> None:
    code = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from timbrec.places import location, place_of\n"
        "from timbrec.errors import PlaceError\n"
        "try:\n    place_of(location('s3://music/log.csv'))\n"
        "except PlaceError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert "pip install 'timbrec[s3]'" in done.stdout


def test_paths_and_urls() -> None:
    assert location("data/log.csv") == Path("data/log.csv")
    assert location("file:///data/log.csv") == Path("/data/log.csv")
    assert location("odd:/name.csv") == Path("odd:/name.csv")
    for text in ("memory://a/log.csv", Path("memory://a/log.csv")):
        assert str(location(text)) == "memory://a/log.csv"
    with pytest.raises(PlaceError, match="no known kind of place"):
        place_of(location("nowhere://a/b"))


def test_the_least_recently_used_copies_leave_first(bucket: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Bucket(bucket)
    for name in "abcd":
        place.put(name, name.encode() * 400)
    monkeypatch.setenv("TIMBREC_CACHE_LIMIT", "1.2 kB")

    def cached() -> set[str]:
        return {path.name for path in Cache().folder.glob("[!.]*/*")}

    for name in "abc":
        local(bucket / name)
    assert cached() == {"a", "b", "c"}
    used = local(bucket / "a")
    local(bucket / "d")
    assert cached() == {"a", "c", "d"}
    others = [local(bucket / name) for name in "bc"]
    assert cached() == {"a", "b", "c"}
    with pytest.raises(PlaceError, match=r"the cache has no room for d: .*Raise TIMBREC_CACHE_LIMIT"):
        local(bucket / "d")  # all that is there is in use
    assert [path.read_bytes()[:1] for path in (used, *others)] == [b"a", b"b", b"c"]


def test_a_copy_in_use_stays_for_other_processes_too(bucket: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    Bucket(bucket).put("a", b"a" * 400)
    monkeypatch.setenv("TIMBREC_CACHE_LIMIT", "500 B")
    copy = local(bucket / "a")
    code = (
        "from timbrec.places.cache import Cache\n"
        "from timbrec.errors import PlaceError\n"
        "try:\n    Cache().get('k', 'b', 400, lambda path: path.write_bytes(b'b' * 400))\n"
        "except PlaceError:\n    print('full')\n"
    )

    def other() -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    assert other() == "full"
    assert copy.read_bytes() == b"a" * 400
    del copy
    assert other() == ""
    assert [path.name for path in Cache().folder.glob("[!.]*/*")] == ["b"]


def test_equal_files_of_two_names_are_copied_once_each(bucket: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two recommenders may rank alike: their tables then are equal, and the cells' names are not."""
    place, download = Bucket(bucket), Bucket.download
    downloads: list[str] = []

    def counted(self: Bucket, name: str, path: Path) -> None:
        downloads.append(name)
        assert len(downloads) < 5
        download(self, name, path)

    monkeypatch.setattr(Bucket, "download", counted)
    added = Added("", 400, hashlib.sha256(b"a" * 400).hexdigest())
    for name in ("b.parquet", "c.parquet"):
        place.put(name, b"a" * 400)
    copies = [place.copy(added, name) for name in ("b.parquet", "c.parquet", "b.parquet")]
    assert [(copy.name, copy.read_bytes()) for copy in copies] == [
        (name, b"a" * 400) for name in ("b.parquet", "c.parquet", "b.parquet")
    ]
    assert downloads == ["b.parquet", "c.parquet"]


def test_a_cache_in_which_nothing_stays_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBREC_CACHE", str(tmp_path))
    monkeypatch.setattr(Cache, "find", lambda self, key, name: None)
    with pytest.raises(PlaceError, match="the copy of a does not stay in the cache"):
        Cache().get("k", "a", 1, Path.touch)


@pytest.mark.parametrize(("text", "size"), [("20 GB", 20e9), ("500MB", 5e8), ("1.5 k", 1500), ("7", 7)])
def test_the_limit_of_the_cache_is_a_size(text: str, size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBREC_CACHE_LIMIT", text)
    assert cache_limit() == size


def test_a_limit_that_is_no_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBREC_CACHE_LIMIT", "plenty")
    with pytest.raises(ConfigError, match="TIMBREC_CACHE_LIMIT is no size"):
        cache_limit()


def test_manifests_of_a_bucket_name_their_writer_and_local_ones_do_not(bucket: Remote, tmp_path: Path) -> None:
    VectorStore.create(bucket / "store", INFO)
    VectorStore.create(tmp_path / "store", INFO)
    assert json.loads(Bucket(bucket / "store").read("manifest-000000.json"))["writer"]
    assert "writer" not in json.loads((tmp_path / "store" / "manifest-000000.json").read_bytes())
