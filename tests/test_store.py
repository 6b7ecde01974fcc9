"""The vector store: round trips, refusals, damage, killed writers and writers side by side."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from timbrec.errors import DataError, StoreError
from timbrec.store import Entry, StoreInfo, TrackStore, VectorStore, source
from timbrec.store.manifest import Manifest, Shard, publish

INFO = StoreInfo("mert", "r1", layer=7, pool="mean", over="time", windows="30 s from the middle", dim=3)


@pytest.fixture
def store(tmp_path: Path) -> VectorStore:
    created = VectorStore.create(tmp_path / "store", INFO)
    created.append(["a", "b", "c"], np.arange(9.0).reshape(3, 3))
    created.append(["d", "e"], np.array([[0, 0, 0], [1, 2, 3]]))
    return created


def shard_files(store: VectorStore) -> list[Path]:
    return sorted([*store.path.glob("*.npy"), *store.path.glob("*.parquet")])


def content(store: VectorStore) -> dict[str, list[float]]:
    return dict(zip(store.ids, store.aligned(store.ids).tolist(), strict=True))


def test_reads_back_in_any_order(store: VectorStore) -> None:
    again = VectorStore.open(str(store.path), expect=INFO)
    assert again.ids.to_list() == ["a", "b", "c", "d", "e"]
    assert (len(again), again.dim, again.zeros, again.info.encoder) == (5, 3, 1, "mert")
    opened = again.aligned(["e", "a", "a", "d"])
    assert opened.dtype == np.float32
    assert opened.tolist() == [[1, 2, 3], [0, 1, 2], [0, 1, 2], [0, 0, 0]]
    assert again.has(["e", "x", "a", None]).tolist() == [True, False, True, False]
    assert again.aligned([]).shape == (0, 3)


def test_shards_are_plain_files_any_tool_reads(store: VectorStore) -> None:
    import pyarrow.parquet as pq

    shard = store._manifest.shards[0]
    assert (
        np.load(store.path / shard.vectors.name, allow_pickle=False).tolist() == np.arange(9.0).reshape(3, 3).tolist()
    )
    assert pq.read_table(store.path / shard.ids.name)["id"].to_pylist() == ["a", "b", "c"]


def test_whole_number_ids_are_their_digits(tmp_path: Path) -> None:
    store = VectorStore.create(tmp_path / "store", INFO)
    store.append(np.array([7, 30]), np.eye(2, 3))
    assert store.aligned([30]).tolist() == store.aligned(["30"]).tolist() == [[0, 1, 0]]


@settings(max_examples=30, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(["float16", "float32"]))
def test_round_trip_of_any_commits_in_any_order(data: st.DataObject, dtype: str) -> None:
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
    ids = data.draw(st.lists(text, min_size=1, max_size=12, unique=True))
    values = st.floats(-60000, 60000, width=32)
    vectors = data.draw(hnp.arrays(np.float32, (len(ids), data.draw(st.integers(1, 4))), elements=values))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(ids)), max_size=3)))
    asked = data.draw(st.lists(st.sampled_from(ids), max_size=20))
    info = replace(INFO, dim=vectors.shape[1], dtype=dtype)
    with tempfile.TemporaryDirectory() as folder:
        store = VectorStore.create(folder, info)
        for low, high in zip([0, *cuts], [*cuts, len(ids)], strict=True):
            store.append(ids[low:high], vectors[low:high])
        expected = dict(zip(ids, vectors.astype(dtype).astype(np.float32), strict=True))
        for opened in (store, VectorStore.open(folder, info)):
            assert opened.aligned(asked).tolist() == [expected[i].tolist() for i in asked]
            assert opened.ids.to_list() == ids
            assert opened.zeros == sum(not vector.any() for vector in expected.values())
        store.verify()


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(st.sampled_from([np.float32, np.float64]), (3, 4), elements=st.floats(-65519, 65519, width=32)))
def test_float16_rounds_as_numpy_does(vectors: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = VectorStore.create(folder, replace(INFO, dim=4, dtype="float16"))
        store.append(["a", "b", "c"], vectors)
        np.testing.assert_array_equal(store.aligned(["a", "b", "c"]), np.float16(vectors).astype(np.float32))


def test_block_size_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    vectors, ids = rng.standard_normal((50, 3)), [f"t{i}" for i in range(50)]
    digests, orders = set(), rng.permutation(50)
    for block in (1, 100, 1 << 20):
        monkeypatch.setattr(source, "_BLOCK_BYTES", block)
        store = VectorStore.create(tmp_path / str(block), INFO)
        store.append(ids, vectors)
        np.testing.assert_array_equal(store.aligned([ids[i] for i in orders]), np.float32(vectors)[orders])  # type: ignore[index]
        digests.add(store.digest)
    assert len(digests) == 1


def test_missing_ids_are_counted_and_named(store: VectorStore) -> None:
    with pytest.raises(StoreError, match=r"some ids have no vector \(2 in all, e\.g\. 'x'\)"):
        store.aligned(["a", "x", "y"])


@pytest.mark.parametrize(
    ("ids", "vectors", "error", "message"),
    [
        (["f", "f"], np.ones((2, 3)), DataError, r"come more than once \(1 in all, e\.g\. 'f'\)"),
        (["f", None], np.ones((2, 3)), DataError, r"some ids are empty \(1 in all\)"),
        (["f", ""], np.ones((2, 3)), DataError, r"some ids are empty \(1 in all\)"),
        ([1.5, 2.5], np.ones((2, 3)), DataError, r"the ids are Float64 \(e\.g\. 1\.5\)"),
        (["f", 1], np.ones((2, 3)), DataError, "of mixed types"),
        (["f", "b"], np.ones((2, 3)), StoreError, r"in the store already \(1 in all, e\.g\. 'b'\)"),
        (["a"], np.array([[0, 1, 2]]), StoreError, "in the store already"),
        (
            ["f", "g"],
            np.array([[1, 2, 3], [np.nan, 0, 0]]),
            DataError,
            r"NaN or infinite values \(1 in all, e\.g\. 'g'\)",
        ),
        (["f", "g"], np.full((2, 3), -np.inf), DataError, r"NaN or infinite values \(2 in all, e\.g\. 'f'\)"),
        (["f"], np.full((1, 3), 1e39), DataError, r"too large for float32"),
        (["f"], np.ones((1, 4)), DataError, "have 3 dimensions, these 4"),
        (["f", "g"], np.ones((1, 3)), DataError, "1 vectors but 2 ids"),
        ([], np.ones((1, 3)), DataError, "1 vectors but 0 ids"),
        (["f"], np.ones(3), DataError, r"float64 with shape \(3,\) is no array of numbers"),
        (["f"], np.array([["x", "y", "z"]]), DataError, "is no array of numbers"),
        (["f"], np.array([[None, {}, 1]]), DataError, "object with shape"),
    ],
)
def test_refuses_and_commits_nothing(
    store: VectorStore,
    ids: list[Any],
    vectors: np.ndarray,
    error: type,
    message: str,
) -> None:
    before = sorted(path.name for path in store.path.iterdir())
    with pytest.raises(error, match=message):
        store.append(ids, vectors)
    assert sorted(path.name for path in store.path.iterdir()) == before
    assert len(store) == 5


def test_float16_overflow_is_refused(tmp_path: Path) -> None:
    store = VectorStore.create(tmp_path / "store", replace(INFO, dtype="float16"))
    with pytest.raises(DataError, match=r"too large for float16 \(65,504\) \(1 in all, e\.g\. 'b'\)"):
        store.append(["a", "b"], np.array([[65504, 0, 0], [0, 65520, 0]]))


def test_append_of_nothing_commits_nothing(store: VectorStore) -> None:
    store.append([], np.empty((0, 3)))
    assert len(list(store.path.glob("manifest-*"))) == 3


def test_a_store_of_another_kind_is_refused_naming_both(store: VectorStore) -> None:
    asked = replace(INFO, revision="r2", layer=None, created="2001-01-01")
    with pytest.raises(StoreError, match=r"its revision is 'r1', expected 'r2'; its layer is 7, expected no value\."):
        VectorStore.open(store.path, expect=asked)


def test_info_must_be_possible() -> None:
    with pytest.raises(StoreError, match="cannot hold 'float64'"):
        replace(INFO, dtype="float64")
    with pytest.raises(StoreError, match="at least one dimension"):
        replace(INFO, dim=0)


def test_no_store_and_two_stores(store: VectorStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no vector store at"):
        VectorStore.open(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"there is a vector store at .* already"):
        VectorStore.create(store.path, INFO)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot create"):
        VectorStore.create(tmp_path / "file" / "store", INFO)


def test_a_newer_format_is_refused(store: VectorStore) -> None:
    manifest = max(store.path.glob("manifest-*"))
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 4'))
    with pytest.raises(StoreError, match=r"is of format 4, not 3 or older\. Update timbrec"):
        VectorStore.open(store.path)


def test_a_store_without_paths_of_files_opens_and_grows(tmp_path: Path) -> None:
    """Format 2 had no column for the path in its tables of tracks."""
    store = VectorStore.create(tmp_path / "store", INFO)
    facts = {"id": ["a", "b"], "audio": ["x", "y"], "size": [1, 2], "mtime": [3, 4], "file": ["f", "g"]}
    shard = Shard(2, 0, store._write_vectors(np.ones((2, 3))), store._write_table(pl.DataFrame({"id": ["x", "y"]})))
    table = store._write_table(pl.DataFrame(facts))
    assert publish(store.path, replace(store._manifest.plus(shard, tracks=(table,)), table_format=2))
    assert json.loads(max(store.path.glob("manifest-*")).read_bytes())["format"] == 2
    opened = VectorStore.open(store.path)
    assert opened.tracks["path"].to_list() == [None, None]
    assert opened.aligned(["b"]).tolist() == [[1, 1, 1]]
    grown = TrackStore(store.path, INFO)
    grown.add(Entry("c", "z", 5, 6, "h", "/music/c.wav", np.full(3, 2, np.float32)))
    grown.close()
    assert json.loads(max(store.path.glob("manifest-*")).read_bytes())["format"] == 3  # older versions refuse it
    tracks = VectorStore.open(store.path).tracks
    assert dict(tracks.select("id", "path").iter_rows()) == {"a": None, "b": None, "c": "/music/c.wav"}


def test_an_open_store_stays_at_its_state(store: VectorStore) -> None:
    reader = VectorStore.open(store.path)
    store.append(["f"], np.ones((1, 3)))
    assert (len(reader), len(store), len(VectorStore.open(store.path))) == (5, 6, 6)
    assert store.has(["f"]).all()
    reader.append(["g"], np.ones((1, 3)))
    assert reader.ids.to_list() == ["a", "b", "c", "d", "e", "f", "g"]


def test_digest_knows_the_content_and_not_when_it_came(tmp_path: Path) -> None:
    def digest(name: str, commits: list[tuple[str, float]], info: StoreInfo = INFO) -> str:
        store = VectorStore.create(tmp_path / name, info)
        for track, value in commits:
            store.append([track], np.full((1, 3), value))
        assert VectorStore.open(store.path).digest == store.digest
        return store.digest

    base = digest("one", [("a", 1), ("b", 2)])
    assert base == digest("later", [("b", 2), ("a", 1)], replace(INFO, created="2001-01-01"))
    others = [
        digest("value", [("a", 1), ("b", 3)]),
        digest("swapped", [("a", 2), ("b", 1)]),
        digest("id", [("a", 1), ("c", 2)]),
        digest("fewer", [("a", 1)]),
        digest("layer", [("a", 1), ("b", 2)], replace(INFO, layer=8)),
    ]
    assert len({base, *others}) == 6


def test_opening_reads_no_vector_and_keeps_no_file_open(store: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    real = np.memmap
    monkeypatch.setattr(np, "memmap", lambda *a, **k: opened.append(a) or real(*a, **k))  # type: ignore[func-returns-value]
    again = VectorStore.open(store.path)
    assert (len(again), again.dim, len(again.ids), again.has(["a"]).all()) == (5, 3, 5, True)  # type: ignore[comparison-overlap]
    assert not opened
    handles = len(os.listdir("/dev/fd"))  # noqa: PTH208 - a listing, not paths
    again.aligned(["d"])
    assert len(opened) == 1  # only the shard that holds it
    assert len(os.listdir("/dev/fd")) == handles  # noqa: PTH208


@pytest.mark.parametrize("number", range(4))
def test_truncated_and_missing_files_are_not_opened(store: VectorStore, number: int) -> None:
    path = shard_files(store)[number]
    whole = path.read_bytes()
    for length in {0, 1, len(whole) // 2, len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(
            StoreError, match=rf"missing or not as they were written \(1 in all, e\.g\. '{path.name}'\)"
        ):
            VectorStore.open(store.path)
    path.unlink()
    with pytest.raises(StoreError, match=path.name):
        VectorStore.open(store.path)
    path.write_bytes(whole)
    assert len(VectorStore.open(store.path)) == 5


def test_files_truncated_under_an_open_store_raise(store: VectorStore) -> None:
    fresh, used = VectorStore.open(store.path), VectorStore.open(store.path)
    assert used.has(["a"]).all()
    for path in shard_files(store):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"not as they were written.*parquet"):
        fresh.aligned(["a"])
    with pytest.raises(StoreError, match=r"not as they were written.*npy"):
        used.aligned(["a"])


@pytest.mark.parametrize("number", range(4))
def test_every_flipped_bit_is_found(store: VectorStore, number: int) -> None:
    path = shard_files(store)[number]
    whole = bytearray(path.read_bytes())
    for place in np.linspace(0, len(whole) - 1, 40).astype(int):
        flipped = whole.copy()
        flipped[place] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        again = VectorStore.open(store.path)
        with pytest.raises(StoreError, match=path.name):
            again.verify()
        if path.suffix == ".parquet":
            with pytest.raises(StoreError, match=path.name):
                _ = again.ids


def test_a_damaged_manifest_is_never_read(store: VectorStore) -> None:
    path = max(store.path.glob("manifest-*"))
    whole = path.read_bytes()
    when = range(whole.index(store.info.created.encode()), whole.index(store.info.created.encode()) + 25)
    for place in set(range(0, len(whole), 2)) - set(when):  # the creation time is for readers alone
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert VectorStore.open(store.path)._manifest == store._manifest
        except StoreError as error:
            assert "damaged" in str(error) or "of format" in str(error)  # noqa: PT017 - either outcome is right
    for length in range(0, len(whole), 20):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match="is damaged"):
            VectorStore.open(store.path)
    path.unlink()
    assert VectorStore.open(store.path).ids.to_list() == ["a", "b", "c"]  # as the message advises


def test_leftovers_are_ignored(store: VectorStore) -> None:
    for name in (".tmp-1234", "0123456789abcdef.npy", "0123456789abcdef.parquet", "manifest-000009.json.tmp"):
        (store.path / name).write_bytes(b"half a fi")
    assert content(VectorStore.open(store.path)) == content(store)


def test_a_full_disk_is_said_and_leaves_the_state_before(store: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(path.name for path in store.path.iterdir())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"cannot write into .*: No space left on device"):
        store.append(["f"], np.ones((1, 3)))
    assert sorted(path.name for path in store.path.iterdir()) == before


# Writers in processes of their own. A vector is made from its id, so that every reader knows what it must be.

WRITER = """
import os, pathlib, signal, sys
import numpy as np
from timbrec.store import VectorStore

def vectors(ids):
    return np.array([[int(i), -int(i), 1] for i in ids], np.float32)

path, first, commits, fatal = sys.argv[1], *map(int, sys.argv[2:5])
steps = 0
def step(real):
    def run(*args, **kwargs):
        global steps
        steps += 1
        if steps == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return run
os.fsync, os.link = step(os.fsync), step(os.link)
pathlib.Path.replace, pathlib.Path.unlink = step(pathlib.Path.replace), step(pathlib.Path.unlink)

store = VectorStore.open(path)
print("ready", flush=True)
sys.stdin.readline()
for commit in range(commits):
    ids = [str(first + commit * 3 + i) for i in range(3)]
    store.append(ids, vectors(ids))
    print("done", flush=True)
"""


def writer(store: VectorStore, first: int, commits: int, fatal: int = 0) -> subprocess.Popen[str]:
    """A process that appends 3 vectors a commit after a signal, and dies before its `fatal`-th step on the disk."""
    command = [sys.executable, "-c", WRITER, str(store.path), str(first), str(commits), str(fatal)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()


def assert_holds(path: Path, numbers: range | list[int]) -> None:
    store = VectorStore.open(path, INFO)
    store.verify()
    assert sorted(map(int, store.ids)) == sorted(numbers)
    expected = np.array([[number, -number, 1] for number in numbers], np.float32).reshape(-1, 3)
    np.testing.assert_array_equal(store.aligned(list(map(str, numbers))), expected)


def test_a_writer_killed_before_any_step_leaves_the_state_before_or_after(tmp_path: Path) -> None:
    steps_of_a_file = ["flush", "name", "flush the name", "tidy"]
    steps = [f"{file}: {step}" for file in ("vectors", "ids", "manifest") for step in steps_of_a_file]
    committed = steps.index("manifest: name") + 1
    stores = [VectorStore.create(tmp_path / str(fatal), INFO) for fatal in range(len(steps) + 1)]
    for store in stores:
        store.append(["0", "1", "2"], np.array([[i, -i, 1] for i in range(3)]))
    processes = [writer(store, first=3, commits=1, fatal=fatal) for fatal, store in enumerate(stores)]
    for fatal, (store, process) in enumerate(zip(stores, processes, strict=True)):
        _, errors = process.communicate("\n", timeout=60)
        assert process.returncode == (-signal.SIGKILL if fatal else 0), errors
        survived = fatal == 0 or fatal > committed
        assert_holds(store.path, range(6 if survived else 3))
        if not survived:
            store.append(["3", "4", "5"], np.array([[i, -i, 1] for i in range(3, 6)]))
            assert_holds(store.path, range(6))


def test_a_writer_killed_at_any_moment_loses_nothing_it_had_committed(tmp_path: Path) -> None:
    store, chance = VectorStore.create(tmp_path / "store", INFO), random.Random(0)
    for round_number in range(6):
        before = len(VectorStore.open(store.path))
        process = writer(store, first=before, commits=10_000)
        go(process)
        assert process.stdout is not None
        first = process.stdout.readline() if round_number % 2 else ""  # a slow machine gets to commit in these rounds
        time.sleep(chance.uniform(0.01, 0.12))
        process.kill()
        output = first + process.communicate(timeout=60)[0]
        after = len(VectorStore.open(store.path))
        assert after - before - 3 * output.count("done") in (0, 3)  # the last commit may lack its message
        assert_holds(store.path, range(after))
    assert len(VectorStore.open(store.path)) > 0


def test_writers_side_by_side_lose_nothing(tmp_path: Path) -> None:
    store = VectorStore.create(tmp_path / "store", INFO)
    processes = [writer(store, first=1000 * number, commits=10) for number in range(4)]
    for process in processes:
        go(process)
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert_holds(store.path, [1000 * number + i for number in range(4) for i in range(30)])
    assert len(list(store.path.glob("manifest-*"))) == 41


def test_of_two_writers_of_the_same_ids_one_wins_and_the_other_is_told(tmp_path: Path) -> None:
    store = VectorStore.create(tmp_path / "store", INFO)
    processes = [writer(store, first=0, commits=1) for _ in range(2)]
    for process in processes:
        go(process)
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 1]
    assert sum("some of these ids are in the store already (3 in all" in error for error in errors) == 1
    assert_holds(store.path, range(3))


def test_a_lost_race_is_tried_again_on_top_of_the_winner(store: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from timbrec.store import vector_store

    real, rival = vector_store.publish, VectorStore.open(store.path)  # type: ignore[attr-defined]

    def raced(folder: Path, manifest: Manifest) -> bool:
        monkeypatch.setattr(vector_store, "publish", real)
        rival.append(["rival"], np.full((1, 3), 9.0))  # takes the version between reading and publishing
        return real(folder, manifest)

    monkeypatch.setattr(vector_store, "publish", raced)
    store.append(["f"], np.ones((1, 3)))
    assert store.ids.to_list() == ["a", "b", "c", "d", "e", "rival", "f"]
    assert content(VectorStore.open(store.path)) == content(store)
    assert isinstance(store.ids, pl.Series)
