"""Readers of vectors the user already has: every kind of file, and one clear message for every bad one."""

from __future__ import annotations

import os
import pickle
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from timbrec.errors import ConfigError, DataError, StoreError
from timbrec.store import StoreInfo, VectorSource, VectorStore
from timbrec.store.health import examine
from timbrec.store.vectors import Vectors, read_vectors

ARRAY = np.array([[0, 1], [2, 3], [0, 0]], np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "vectors.npy", ARRAY)
    (tmp_path / "ids.txt").write_text("a\nb\nc\n")
    return tmp_path


def assert_is(source: VectorSource, ids: list[str], array: np.ndarray) -> None:
    assert source.ids.to_list() == ids
    assert (len(source), source.dim) == array.shape
    assert source.aligned(ids[::-1]).tolist() == array[::-1].tolist()
    assert source.has([*ids, "nobody"]).tolist() == [True] * len(ids) + [False]


def test_of_arrays() -> None:
    vectors = Vectors(np.array([10, 2, 30]), ARRAY.astype(np.float64))
    assert_is(vectors, ["10", "2", "30"], ARRAY)
    assert vectors.zeros == 1
    assert vectors.aligned(["2"]).dtype == np.float32
    with pytest.raises(StoreError, match=r"vectors: some ids have no vector \(1 in all, e\.g\. 'x'\)"):
        vectors.aligned(["x"])


@pytest.mark.parametrize(
    ("name", "content", "ids"),
    [
        ("ids.txt", b"a\nb\nc", ["a", "b", "c"]),
        ("crlf.txt", "\ufeffä \r\nb\u2028b\r\nc\r\n".encode(), ["ä ", "b\u2028b", "c"]),
        ("ids.csv", b"plays,id\n1,007\n2,08\n3,9.0\n", ["007", "08", "9.0"]),
        ("ids.tsv", b"track_id\tx\n007\t\nb\t2\nc\t3\n", ["007", "b", "c"]),
        ("one.csv", b"mbid\na\nb\nc\n", ["a", "b", "c"]),
    ],
)
def test_npy_with_a_written_id_list(folder: Path, name: str, content: bytes, ids: list[str]) -> None:
    (folder / name).write_bytes(content)
    assert_is(read_vectors(str(folder / "vectors.npy"), str(folder / name)), ids, ARRAY)


@pytest.mark.parametrize("ids", [np.array([3, 1, 2], np.uint32), np.array([-3, 10**18, 2]), np.array(["ä", "b", "c"])])
def test_npy_with_an_id_array_or_parquet(folder: Path, ids: np.ndarray) -> None:
    np.save(folder / "ids.npy", ids)
    pl.DataFrame({"name": ids, "other": [1.0, 2.0, 3.0]}).write_parquet(folder / "ids.parquet")
    expected = [str(i) for i in ids.tolist()]
    assert_is(read_vectors(folder / "vectors.npy", folder / "ids.npy"), expected, ARRAY)
    assert_is(read_vectors(folder / "vectors.npy", folder / "ids.parquet", {"id": "name"}), expected, ARRAY)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4", "<i8", "|u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_any_real_dtype_is_mapped(folder: Path, dtype: str, order: str) -> None:
    np.save(folder / "v.npy", np.asarray(ARRAY, dtype, order=order))  # type: ignore[call-overload]
    vectors = read_vectors(folder / "v.npy", folder / "ids.txt")
    assert_is(vectors, ["a", "b", "c"], ARRAY)
    assert isinstance(vectors, Vectors)
    assert isinstance(vectors._array, np.memmap)


PARQUETS = {
    "lists": (pl.DataFrame({"id": ["a", "b", "c"], "v": ARRAY.tolist()}), {}),
    "arrays": (pl.DataFrame({"track_id": ["a", "b", "c"], "v": ARRAY}), {}),
    "whole numbers": (pl.DataFrame({"id": ["a", "b", "c"], "v": ARRAY.astype(int).tolist()}), {}),
    "columns": (pl.DataFrame({"x": ARRAY[:, 0], "id": ["a", "b", "c"], "y": ARRAY[:, 1]}), {}),
    "named lists": (
        pl.DataFrame({"id": [9, 9, 9], "key": ["a", "b", "c"], "v": ARRAY.tolist(), "w": ["", "", ""]}),
        {"id": "key", "vector": "v"},
    ),
    "named columns": (
        pl.DataFrame({"y": ARRAY[:, 1], "key": ["a", "b", "c"], "x": ARRAY[:, 0], "z": ["", "", ""]}),
        {"id": "key", "vector": ["x", "y"]},
    ),
    "categories": (pl.DataFrame({"id": pl.Series(["a", "b", "c"], dtype=pl.Categorical), "v": ARRAY}), {}),
}


@pytest.mark.parametrize("kind", PARQUETS)
def test_parquet(tmp_path: Path, kind: str) -> None:
    table, columns = PARQUETS[kind]
    path = tmp_path / "[1]*.parquet"  # a name is never a pattern
    table.write_parquet(path)
    assert_is(read_vectors(path, columns=columns), ["a", "b", "c"], ARRAY)  # type: ignore[arg-type]


def test_a_store_is_read_by_its_folder(tmp_path: Path) -> None:
    store = VectorStore.create(tmp_path, StoreInfo("e", "r", None, "mean", "time", "all", dim=2))
    store.append(["a", "b", "c"], ARRAY)
    assert_is(read_vectors(tmp_path), ["a", "b", "c"], ARRAY)


@settings(max_examples=20, deadline=None)
@given(
    vectors=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 5)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    seed=st.integers(0, 99),
)
def test_every_kind_of_file_gives_the_same_vectors(vectors: np.ndarray, seed: int) -> None:
    ids = [f"t{i}" for i in np.random.default_rng(seed).permutation(len(vectors))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "v.npy", vectors)
        np.save(folder / "v64.npy", vectors.astype(np.float64))
        (folder / "ids.txt").write_text("\n".join(ids))
        pl.DataFrame({"id": ids, "v": vectors}).write_parquet(folder / "v.parquet")
        noted = [
            Vectors(ids, vectors),
            read_vectors(folder / "v.npy", folder / "ids.txt"),
            read_vectors(folder / "v64.npy", folder / "ids.txt"),
            read_vectors(folder / "v.parquet"),
        ]
        for source in noted:
            np.testing.assert_array_equal(source.aligned(sorted(ids)), vectors[np.argsort(ids)])
            assert source.zeros == (~vectors.any(axis=1)).sum()
        assert len({source.digest for source in noted}) == 1


def test_digest_knows_ids_values_and_shape() -> None:
    partial = [
        Vectors(["a", "b"], ARRAY[:2]),
        Vectors(["b", "a"], ARRAY[:2]),
        Vectors(["a", "b"], ARRAY[[1, 0]]),
        Vectors(["a", "c"], ARRAY[:2]),
        Vectors(["a"], ARRAY[:2].reshape(1, 4)),
        Vectors(["a", "b"], np.nextafter(ARRAY[:2], np.float32(9))),
    ]
    assert len({vectors.digest for vectors in partial}) == len(partial)
    assert partial[0].digest == Vectors(["a", "b"], ARRAY[:2].copy()).digest


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(3), r"float64 with shape \(3,\) is no array of numbers"),
        (np.ones((3, 2, 2)), r"shape \(3, 2, 2\) is no array of numbers"),
        (np.empty((0, 2)), r"shape \(0, 2\) is no array of numbers"),
        (np.empty((3, 0)), r"shape \(3, 0\) is no array of numbers"),
        (np.ones((3, 2)) * 1j, "complex128 with shape"),
        (np.array([["a"], ["b"], ["c"]]), "is no array of numbers"),
        (np.ones((4, 2)), r"v\.npy: 4 vectors but 3 ids"),
        (np.array([[0, 0], [0, np.nan], [np.inf, 0]]), r"NaN or infinite values \(2 in all, e\.g\. 'b'\)"),
        (np.array([[0, 0], [0, 0], [1e39, 0]]), r"too large for float32 .*\(1 in all, e\.g\. 'c'\)"),
    ],
)
def test_bad_arrays(folder: Path, array: np.ndarray, message: str) -> None:
    np.save(folder / "v.npy", array)
    with pytest.raises(DataError, match=message):
        read_vectors(folder / "v.npy", folder / "ids.txt")


def test_npy_is_never_unpickled(folder: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(folder / "sprung"),)

    np.save(folder / "v.npy", np.array([[Trap()]], object), allow_pickle=True)
    (folder / "raw.npy").write_bytes(pickle.dumps(Trap()))
    for name in ("v.npy", "raw.npy"):
        with pytest.raises(DataError, match=rf"{name} cannot be read"):
            read_vectors(folder / name, folder / "ids.txt")
        with pytest.raises(DataError, match=rf"{name} cannot be read"):
            read_vectors(folder / "vectors.npy", folder / name)
    assert not (folder / "sprung").exists()


def test_truncated_files(folder: Path) -> None:
    pl.DataFrame({"id": ["a", "b", "c"], "v": ARRAY}).write_parquet(folder / "vectors.parquet")
    for name in ("vectors.npy", "vectors.parquet"):
        whole = (folder / name).read_bytes()
        for length in range(0, len(whole), 7):
            (folder / name).write_bytes(whole[:length])
            with pytest.raises(DataError, match=rf"{name} (cannot be read|is empty)"):
                read_vectors(folder / name, folder / "ids.txt" if name.endswith("npy") else None)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_npy_gives_an_error_or_vectors_but_no_crash(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        path, ids = Path(name, "v.npy"), Path(name, "ids.txt")
        np.save(path, ARRAY)
        ids.write_text("a\nb\nc")
        whole = bytearray(path.read_bytes())
        for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=3)):
            whole[place] = data.draw(st.integers(0, 255))
        path.write_bytes(whole)
        try:
            assert read_vectors(path, ids).aligned(["a"]).shape[0] == 1
        except DataError as error:
            assert "v.npy" in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ids.txt", b"a\nb\n", r"vectors\.npy: 3 vectors but 2 ids"),
        ("ids.txt", b"a\nb\na\n", r"ids\.txt: some ids come more than once \(1 in all, e\.g\. 'a'\)"),
        ("ids.txt", b"a\n\nb\n", r"ids\.txt: some ids are empty \(1 in all\)"),
        ("ids.txt", b"a\nb\n\xff\n", r"ids\.txt: line 3 is not UTF-8"),
        ("ids.txt", b"", r"ids\.txt is empty"),
        ("ids.csv", b"id\na\n\xff\nc\n", r"ids\.csv: line 3 is not UTF-8"),
        ("ids.csv", b"", r"ids\.csv is empty"),
        ("ids.csv", b"id,x\na,1\n,2\nc,3\n", r"ids\.csv: some ids are empty \(1 in all\)"),
        ("ids.csv", b"name,x\na,1\n", r"ids\.csv has no column 'id'\. It has: name, x\."),
        ("ids.parquet", b"PAR1", r"ids\.parquet cannot be read"),
        ("ids.json", b"[]", r"ids\.json has no column 'id'"),
        ("ids.txt", b"x" * 100_000 + b"\n" + b"x" * 100_000, r"e\.g\. 'xxx.{,100}\(100,002 characters\)"),
    ],
)
def test_bad_id_lists(folder: Path, name: str, content: bytes, message: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_vectors(folder / "vectors.npy", folder / name)


@pytest.mark.parametrize("ids", [np.ones(3), np.ones((3, 1), int), np.array([b"a", b"b", b"c"]), np.array([True] * 3)])
def test_id_arrays_of_other_types(folder: Path, ids: np.ndarray) -> None:
    np.save(folder / "ids.npy", ids)
    with pytest.raises(DataError, match=r"ids\.npy: .* is no list of ids"):
        read_vectors(folder / "vectors.npy", folder / "ids.npy")


BAD_PARQUETS = {
    "no id": ({"i": ["a"], "v": [[1.0]]}, {}, r"no column 'id'\. .*It has: i, v\."),
    "no such id": ({"id": ["a"], "v": [[1.0]]}, {"id": "isrc"}, r"no column 'isrc'\. It has: id, v\."),
    "no such vector": ({"id": ["a"], "v": [[1.0]]}, {"vector": "mert"}, r"no column 'mert'\. It has: id, v\."),
    "float ids": ({"id": [1.5], "v": [[1.0]]}, {}, r"the ids are Float64 \(e\.g\. 1\.5\)"),
    "null ids": ({"id": ["a", None], "v": [[1.0], [2.0]]}, {}, r"some ids are empty \(1 in all\)"),
    "twice": ({"id": ["a", "a", "b"], "v": [[1.0]] * 3}, {}, r"more than once \(1 in all, e\.g\. 'a'\)"),
    "ragged": ({"id": ["a", "b", "c"], "v": [[1.0], [1.0], []]}, {}, r"other lengths than 1.*\(1 in all, e\.g\. 'c'\)"),
    "null vector": ({"id": ["a", "b", "c"], "v": [[1.0], None, [1.0]]}, {}, r"other lengths.*e\.g\. 'b'"),
    "null value": ({"id": ["a", "b"], "v": [[1.0, 2.0], [1.0, None]]}, {}, r"lack a value in the vector.*e\.g\. 'b'"),
    "null in columns": ({"id": ["a", "b"], "x": [1, None], "y": [1, 2]}, {}, r"lack a value in column 'x'.*e\.g\. 'b'"),
    "empty lists": ({"id": ["a"], "v": pl.Series([[]], dtype=pl.List(pl.Float32))}, {}, r"shape \(1, 0\) is no array"),
    "no rows": ({"id": pl.Series([], dtype=pl.String), "x": pl.Series([], dtype=pl.Float32)}, {}, "there are no rows"),
    "ids alone": ({"id": ["a"]}, {}, "no columns of numbers beside 'id'"),
    "text": ({"id": ["a"], "x": [1.0], "w": ["b"]}, {}, r"columns are no numbers \(1 in all, e\.g\. 'w'\)"),
    "lists of text": ({"id": ["a"], "v": [["b"]]}, {}, "columns are no numbers"),
    "two lists": ({"id": ["a"], "v": [[1.0]], "w": [[1.0]]}, {}, r"columns are no numbers \(2 in all, e\.g\. 'v'\)"),
    "many columns": ({f"c{i}": [1] for i in range(3000)}, {}, r"It has: c0, .*c19 and 2,980 more\."),
}


@pytest.mark.parametrize("kind", BAD_PARQUETS)
def test_bad_parquets(tmp_path: Path, kind: str) -> None:
    table, columns, message = BAD_PARQUETS[kind]
    pl.DataFrame(table).write_parquet(tmp_path / "v.parquet")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"v\.parquet.*" + message):
        read_vectors(tmp_path / "v.parquet", columns=columns)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"vectors": "v"}, r"no key 'vectors'\. Its keys are id and vector"),
        ({"id": ["id", "v"]}, "names several ids"),
        ({"vector": ["v", "v"]}, "names a column twice"),
        ({"vector": ["id", "v"]}, "names a column twice"),
        ({"vector": []}, "names no column"),
    ],
)
def test_columns_that_make_no_sense(tmp_path: Path, columns: dict[str, str | list[str]], message: str) -> None:
    pl.DataFrame({"id": [1], "v": [1.0]}).write_parquet(tmp_path / "v.parquet")
    with pytest.raises(ConfigError, match=message):
        read_vectors(tmp_path / "v.parquet", columns=columns)


def test_dimensions_that_only_some_files_have_are_refused(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    pl.DataFrame({"id": ["a"], "f0": [1.0], "f1": [2.0]}).write_parquet(tmp_path / "v" / "a.parquet")
    pl.DataFrame({"id": ["b"], "f0": [3.0]}).write_parquet(tmp_path / "v" / "b.parquet")
    with pytest.raises(DataError, match=r"columns that only some of its files have \(1 in all, e\.g\. 'f1'\)"):
        read_vectors(tmp_path / "v")
    assert_is(read_vectors(tmp_path / "v", columns={"vector": "f0"}), ["a", "b"], np.array([[1.0], [3.0]]))


def test_empty_lines_at_the_end_of_ids_are_no_ids(folder: Path) -> None:
    (folder / "ids.txt").write_text("a\nb\nc\n\n\n")
    assert_is(read_vectors(folder / "vectors.npy", folder / "ids.txt"), ["a", "b", "c"], ARRAY)
    np.save(folder / "single.npy", ARRAY[:1])
    (folder / "ids.txt").write_text("a\n\n")
    assert_is(read_vectors(folder / "single.npy", folder / "ids.txt"), ["a"], ARRAY[:1])


def test_kinds_that_are_not_read_are_named_even_with_ids(folder: Path) -> None:
    (folder / "v.pt").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"v\.pt is of no known kind.*Save vectors as \.npy"):
        read_vectors(folder / "v.pt", folder / "ids.txt")


@pytest.mark.parametrize(("index", "named"), [(np.arange(40), True), (np.arange(1, 41), True), (None, True),
                                              (np.arange(40) % 39, False), (np.arange(40) / 2, False)])  # fmt: skip
def test_an_index_among_the_dimensions_is_named(index: np.ndarray | None, named: bool) -> None:
    """Row numbers and ids that were stored with the vectors, as by pandas' `reset_index().to_numpy()`."""
    rng = np.random.default_rng(0)
    ids = rng.permutation(40) * 7
    vectors = np.column_stack([rng.standard_normal((40, 3)), ids if index is None else index])
    health = examine(Vectors(ids, vectors))
    assert health.numbered == ((3,) if named else ())
    assert any("dimension 3 counts the rows or equals the ids" in text for text in health.remarks()) == named


def test_wrong_paths(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "v.doc").write_text("id,x\na,1\n")
    for path, ids, message in [
        ("vectors.npy", None, r"vectors\.npy: a \.npy has no ids in it"),
        ("vectors.npy", "none.txt", r"none\.txt does not exist"),
        ("vectors.npy", "empty", r"empty is a folder without files"),
        ("none", "ids.txt", r"none does not exist"),
        ("none.parquet", None, r"none\.parquet does not exist"),
        ("v.doc", None, r"v\.doc is of no known kind"),
        ("empty", None, "there is no vector store at"),
    ]:
        with pytest.raises((DataError, StoreError), match=message):
            read_vectors(folder / path, ids and folder / ids)


def test_real_vectors_with_their_ids() -> None:
    data = os.environ.get("TIMBREC_TEST_DATA")
    if not data:
        pytest.skip("TIMBREC_TEST_DATA does not say where the outside data lies")
    folder = Path(data, "data", "musicnn_embeddings_1000")
    vectors = read_vectors(folder / "embeddings.npy", folder / "track_ids.npy")
    ids, array = np.load(folder / "track_ids.npy"), np.load(folder / "embeddings.npy")
    assert (len(vectors), vectors.dim) == (1000, 200)
    order = np.random.default_rng(0).permutation(1000)
    np.testing.assert_array_equal(vectors.aligned(ids[order]), array[order].astype(np.float32))
