"""Feature files of Music4All-Onion, and every other text table of vectors."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from timbrec.data import text as text_tables
from timbrec.encoders import load
from timbrec.encoders.onion import MFCCOnion
from timbrec.errors import ConfigError, DataError
from timbrec.store.vectors import read_vectors

IDS = ["0010xmHR6UICBOYT", "0010XMHR6UICBOYT", "000000000000001e", "1234567890123456"]
VALUES = np.random.default_rng(0).normal(0, 50, (4, 104)).astype(np.float32)
NAMES = [f"MFCC{k}" for k in range(13)] + [f"cov_{k}" for k in range(91)]


def text(ids: list[str] = IDS, values: np.ndarray = VALUES, first: str = "id") -> str:
    header = "\t".join([first, *NAMES[: values.shape[1]]])
    rows = ["\t".join([track, *(repr(float(value)) for value in row)]) for track, row in zip(ids, values, strict=True)]
    return "\n".join([header, *rows]) + "\n"


def write(path: Path, content: str) -> Path:
    pack: dict[str, Callable[[bytes], bytes]] = {".bz2": bz2.compress, ".gz": gzip.compress}
    path.write_bytes(pack.get(path.suffix, bytes)(content.encode()))
    return path


@pytest.mark.parametrize("name", ["id_mfcc_stats.tsv", "id_mfcc_stats.tsv.bz2", "id_mfcc_stats.tsv.gz"])
@pytest.mark.parametrize("first", ["id", "ID"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_value_and_id_is_that_of_the_file(tmp_path: Path, name: str, first: str, end: str) -> None:
    source = read_vectors(write(tmp_path / name, text(first=first).replace("\n", end)))
    assert source.ids.to_list() == IDS
    np.testing.assert_array_equal(source.aligned(IDS[::-1]), VALUES[::-1])


def test_a_comma_separated_table_and_some_of_its_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", '"id",a,b,note\n"x, y",1,2,3\nz,4,5.5,6\n')
    source = read_vectors(path, columns={"vector": ["b", "a"]})
    assert source.aligned(["x, y", "z"]).tolist() == [[2, 1], [5.5, 4]]


def test_blocks_of_a_long_file_come_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    values, ids = rng.normal(size=(500, 5)).astype(np.float32), [f"{number:016d}" for number in range(500)]
    path = write(tmp_path / "id_x.tsv.bz2", text(ids, values))
    whole = read_vectors(path)
    for size in (1, 77, 5000):
        monkeypatch.setattr(text_tables, "_BLOCK", size)
        again = read_vectors(path)
        assert again.digest == whole.digest
        np.testing.assert_array_equal(again.aligned(ids), values)


def test_mfcc_onion_by_name_has_a_card_and_vectors_and_refuses_audio(tmp_path: Path) -> None:
    path = write(tmp_path / "id_mfcc_stats.tsv.bz2", text())
    for weights in (path, str(path), tmp_path):
        encoder = load("mfcc-onion", weights=weights)
        assert isinstance(encoder, MFCCOnion)
        assert (encoder.card.name, encoder.card.dim, encoder.card.rate) == ("mfcc-onion", 104, 0)
        assert encoder.card.precomputed
        np.testing.assert_array_equal(encoder.vectors.aligned(IDS[:1]), VALUES[:1])
    with pytest.raises(ConfigError, match=r"holds vectors of tracks, not a model that encodes audio.*vectors: "):
        encoder.encode(np.zeros((1, 100), np.float32))
    with pytest.raises(ConfigError, match="not a model"):
        encoder.frames(np.zeros((1, 100), np.float32))  # type: ignore[attr-defined]


def test_other_features_have_their_own_names_and_revisions(tmp_path: Path) -> None:
    card = load("mfcc-onion", weights=write(tmp_path / "id_ivec256.tsv.bz2", text(values=VALUES[:, :3]))).card
    two = load("mfcc-onion", weights=write(tmp_path / "id_ivec512.tsv", text(values=VALUES[:, 1:4]))).card
    assert (card.name, card.dim, two.name) == ("onion-ivec256", 3, "onion-ivec512")
    assert card.revision != two.revision


def damaged(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (text([IDS[0], *IDS[:3]]), "some ids come more than once.*0010xmHR6UICBOYT"),
        (text() + "1234567890123457\t1\n", "line 6 has 2 values, the header has 105.*1234567890123457"),
        (text(values=VALUES[:, :2]) + "1234567890123457\t1\t2\t3\n", "line 6 has 4 values, the header has 3"),
        (
            text() + "1234567890123457" + "\tx" * 104 + "\n",
            "column 'MFCC0' holds values that are no numbers.*'x'.* row 5",
        ),
        (text() + "1234567890123457" + "\tnan" * 104 + "\n", "not finite|NaN"),
        (text([f"song {n}" for n in range(4)]), r"some ids are not Music4All's.*4 in all, e\.g\. 'song 0'"),
        (text(first="song"), "has no column 'id'"),
        ("id\ta\tb\n", "no rows below the header"),
        ("", "is empty|has no rows"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "no columns of numbers"),
    ],
)
@pytest.mark.parametrize("name", ["id_mfcc_stats.tsv", "id_mfcc_stats.tsv.bz2"])
def test_every_fault_of_a_file_has_one_message(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match=message) as error:
        load("mfcc-onion", weights=path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("size", [3, 100, -1])
def test_a_packed_file_that_is_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "id_mfcc_stats.tsv.bz2", text())
    damaged(path, size)
    with pytest.raises(DataError, match="is cut short or damaged"):
        read_vectors(path)
    path.write_bytes(b"no archive at all\n")
    with pytest.raises(DataError, match="is not compressed, unlike its name"):
        read_vectors(path)


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs a file of vectors.*id_mfcc_stats.tsv.bz2.*zenodo"):
        load("mfcc-onion")
    with pytest.raises(ConfigError, match=r"no vectors of mfcc-onion in .*Looked for id_mfcc_stats.tsv"):
        load("mfcc-onion", weights=tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        load("mfcc-onion", weights=tmp_path / "id_mfcc_stats.tsv")


def test_a_file_of_vectors_stands_where_an_encoder_does(tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", VALUES)
    (tmp_path / "ids.txt").write_text("\n".join(IDS))
    encoder = load(str(tmp_path / "mine.npy"), ids=tmp_path / "ids.txt")
    assert (encoder.card.name, encoder.card.dim, encoder.card.precomputed) == ("mine", 104, True)
    assert encoder.card.revision == load(str(tmp_path / "mine.npy"), ids=tmp_path / "ids.txt").card.revision
    with pytest.raises(ConfigError, match="not a model that encodes audio"):
        encoder.encode(np.zeros((1, 100), np.float32))
    with pytest.raises(DataError, match=r"a .npy has no ids in it"):
        load(str(tmp_path / "mine.npy"))
