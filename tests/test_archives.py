"""Vectors in archives of arrays: `.npz` and `.safetensors`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from timbrec.errors import ConfigError, DataError, TimbrecError
from timbrec.store.vectors import read_vectors

ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4) + 1
IDS = np.array(["b", "a", "\u97f3"])
BY_ID = dict(zip(IDS.tolist(), ARRAY, strict=True))


def numpy(path: Path, **arrays: Any) -> Path:
    with path.with_suffix(".npz").open("wb") as file:
        np.savez(file, **arrays)
    return path.with_suffix(".npz")


def compressed(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path.with_suffix(".npz"), **arrays)
    return path.with_suffix(".npz")


def tensors(path: Path, **arrays: Any) -> Path:
    save_file(arrays, path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


Save = Callable[..., Path]


@pytest.mark.parametrize("save", [numpy, compressed])
@pytest.mark.parametrize("ids", [IDS, np.char.encode(IDS, "utf-8")], ids=["text", "bytes"])
def test_an_array_of_vectors_and_one_of_ids(save: Save, ids: np.ndarray, tmp_path: Path) -> None:
    read = read_vectors(save(tmp_path / "mine", embeddings=ARRAY, names=ids, rate=np.array(16_000)))
    assert list(read.ids) == IDS.tolist()
    np.testing.assert_array_equal(read.aligned(IDS.tolist()), ARRAY)


@pytest.mark.parametrize("save", [numpy, tensors])
def test_whole_numbers_are_ids(save: Save, tmp_path: Path) -> None:
    """Also beside another array of whole numbers, once their name is given."""
    numbers = np.array([30, 7, 12])
    read = read_vectors(save(tmp_path / "mine", v=ARRAY.astype(np.float16), ids=numbers))
    np.testing.assert_array_equal(read.aligned(["7", "12", "30"]), ARRAY[[1, 2, 0]])
    path = save(tmp_path / "two", v=ARRAY, w=2 * ARRAY, ids=numbers, years=numbers + 1)
    with pytest.raises(DataError, match=r"2 arrays may be the vectors.*e\.g\. 'v, w'.*`columns: \{vector: v\}`"):
        read_vectors(path)
    with pytest.raises(DataError, match=r"2 arrays may be the ids.*'ids, years'.*`columns: \{id: ids\}`"):
        read_vectors(path, columns={"vector": "w"})
    read = read_vectors(path, columns={"vector": "w", "id": "years"})
    np.testing.assert_array_equal(read.aligned(["8", "13", "31"]), 2 * ARRAY[[1, 2, 0]])
    with pytest.raises(ConfigError, match=r"has no array 'x'. Known: .*years"):
        read_vectors(path, columns={"vector": "x"})


@pytest.mark.parametrize("save", [numpy, tensors])
def test_every_array_is_a_vector_by_its_id(save: Save, tmp_path: Path) -> None:
    read = read_vectors(save(tmp_path / "mine", **BY_ID))
    assert set(read.ids) == set(BY_ID)
    np.testing.assert_array_equal(read.aligned(IDS.tolist()), ARRAY)


@pytest.mark.parametrize("save", [numpy, tensors])
def test_ids_may_be_in_a_file_of_their_own(save: Save, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("\n".join(IDS))
    read = read_vectors(save(tmp_path / "mine", v=ARRAY), tmp_path / "ids.txt")
    np.testing.assert_array_equal(read.aligned(IDS.tolist()), ARRAY)
    read = read_vectors(save(tmp_path / "two", v=ARRAY, w=2 * ARRAY), tmp_path / "ids.txt", {"vector": "w"})
    np.testing.assert_array_equal(read.aligned(IDS.tolist()), 2 * ARRAY)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"v": ARRAY}, r"no array holds ids, one per vector \(1 in all, e\.g\. 'v \(3, 4\)'\)\. Give `ids`"),
        ({"v": ARRAY, "ids": IDS[:2]}, "no array holds ids, one per vector"),
        ({"v": ARRAY, "ids": np.array(IDS, object)}, r"'ids' holds objects of Python.*Save ids as text"),
        ({"a": ARRAY[0], "b": ARRAY[0, :2]}, "no array holds vectors, a row per track"),
        ({"v": ARRAY[None], "ids": IDS}, "no array holds vectors, a row per track"),
        ({}, "no array holds vectors"),
        ({"v": np.full((3, 4), np.nan), "ids": IDS}, "NaN or infinite"),
    ],
)
def test_other_archives_are_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_vectors(numpy(tmp_path / "mine", **arrays))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"PK\3\4 no archive", b"\xff" * 100])
def test_damaged_archives_are_refused(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}"
    path.write_bytes(content)
    with pytest.raises(TimbrecError, match=r"mine") as refused:
        read_vectors(path)
    assert "\n" not in str(refused.value)


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    for path in (numpy(tmp_path / "mine", v=ARRAY, ids=IDS), tensors(tmp_path / "mine", v=ARRAY, ids=np.arange(3))):
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(DataError, match="mine"):
            read_vectors(path)


def test_a_type_that_numpy_lacks_is_named(tmp_path: Path) -> None:
    save_tensors({"v": torch.ones(3, 4, dtype=torch.bfloat16), "ids": torch.arange(3)}, tmp_path / "v.safetensors")
    with pytest.raises(DataError, match=r"lacks the type of the tensor 'v'\. Save it as float32"):
        read_vectors(tmp_path / "v.safetensors")
