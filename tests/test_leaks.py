"""Leaks: each is found where it was planted and not elsewhere, and removed where the config says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import small_world
from timbrec.audit.audited import Audited
from timbrec.audit.splits import split_clean
from timbrec.encoders.mfcc import MFCC
from timbrec.encoders.musicnn import MusiCNNMSD
from timbrec.errors import ConfigError, DataError
from timbrec.results.leaks import sentence, sentences, worst
from timbrec.store import Subset, VectorStore
from timbrec.store.manifest import StoreInfo
from timbrec.store.vector_store import TRACKS
from timbrec.study.config import read_config
from timbrec.study.description import describe_run
from timbrec.study.inputs import Inputs, load_inputs
from timbrec.study.leak_report import find_leaks
from timbrec.study.near_copies import near_copies
from timbrec.study.predictability import predictability
from timbrec.study.runs import Run

SPLIT = small_world.WORLD.split
TRAIN, COLD = SPLIT.test.train.items, SPLIT.test.cold.items
IDS = SPLIT.items.ids
TESTED: dict[str, Any] = {"cold_candidates": "tested", "mixed_candidates": "tested"}


def normal(seed: int, n: int, dim: int) -> Any:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


@pytest.mark.parametrize("dim", [8, 64])
def test_near_copies_are_found_and_unrelated_tracks_are_none(dim: int) -> None:
    wrong = 0
    for seed in range(10):
        train, others = normal(seed, 1_000, dim), normal(seed + 100, 300, dim)
        others[:20] = train[:20]
        others[20:40] = train[20:40] + 0.02 * normal(seed + 200, 20, dim)
        others[40] = 0
        scales = np.exp(normal(seed + 300, 1, dim)) * 10  # a dimension's unit must not matter
        copies = near_copies(train * scales, others * scales)
        assert copies is not None
        assert copies[0][:40].tolist() == list(range(40))
        wrong += int((copies[0][40:] >= 0).sum())
    assert wrong == 0  # of 2,600 unrelated tracks; 0.7 x 0.2^8 x 2,600 = 0.005 are expected


def test_vectors_that_cannot_tell_tracks_apart_give_no_copies() -> None:
    assert near_copies(normal(0, 500, 4), normal(1, 50, 4)) is None
    constant = np.hstack([normal(0, 500, 4), np.ones((500, 20), np.float32)])
    assert near_copies(constant, constant[:50]) is None
    doubled = np.repeat(normal(0, 250, 32), 2, axis=0)
    assert near_copies(doubled, normal(1, 50, 32)) is None


def test_popularity_in_vectors_is_found_and_chance_exceeds_the_level_in_about_5_of_100_runs() -> None:
    alarms = 0
    for seed in range(40):
        target = np.random.default_rng(seed).standard_normal(150)
        values, level = predictability({"a": normal(seed + 100, 150, 12), "b": normal(seed + 200, 150, 40)}, target)
        alarms += max(values.values()) > level
    assert alarms <= 6  # P(more than 6 of 40 at 5 %) is below 1 %
    leaking = normal(7, 150, 40)
    target = leaking[:, 0] + 0.5 * normal(8, 150, 1)[:, 0]
    values, level = predictability({"clean": normal(9, 150, 40), "leaking": leaking}, target)
    assert values["leaking"] > 2 * level > 0
    assert values["clean"] <= level


def test_a_constant_target_is_predicted_by_nothing() -> None:
    assert predictability({"a": normal(0, 100, 5)}, np.ones(100)) == ({"a": 0.0}, 0.0)


def write(folder: Path, copies: int = 0, albums: int = 0, **changes: Any) -> Path:
    """The small world with so many cold tracks that have the vector, or the album, of a train track."""
    path = small_world.write(folder, recommenders=["knn"], **changes)
    vectors = np.load(folder / "good.npy")
    vectors[COLD[:copies]] = vectors[TRAIN[:copies]] * 1.0005
    np.save(folder / "good.npy", vectors)
    rows = np.arange(len(vectors))
    album = np.array([f"album {row}" for row in rows], object)
    album[COLD[-albums or len(album) :]] = album[TRAIN[:albums]]
    artist = np.array([f"artist {row}" for row in rows], object)
    artist[COLD[-albums or len(artist) :]] = artist[TRAIN[:albums]]
    columns = {"artist": pl.Series(artist.tolist()), "album": pl.Series(album.tolist())}
    pl.read_csv(folder / "tracks.csv").with_columns(**columns).write_csv(folder / "tracks.csv")
    return path


def table_of(inputs: Inputs, cards: Any = None, dataset: str = "") -> dict[tuple[str, str | None], dict[str, Any]]:
    table = find_leaks(inputs, cards or {}, dataset, by_artist=False)
    return {(row["check"], row["encoder"]): row for row in table.to_dicts()}


def test_planted_copies_albums_and_artists_are_counted(tmp_path: Path) -> None:
    inputs = load_inputs(read_config(write(tmp_path, copies=3, albums=5)))
    table = table_of(inputs)
    cold = SPLIT.test.cold
    pairs = int(np.isin(cold.item, COLD[:3]).sum())
    copied = table["copy", "good"]
    assert (copied["tracks"], copied["of"], copied["pairs"], copied["found"]) == (3, len(COLD), pairs, True)
    known = [f"{IDS[int(COLD[row])]!r} is {IDS[int(TRAIN[row])]!r}" for row in range(3)]
    assert copied["detail"] in known
    assert not table["copy", "poor"]["found"]
    for check in ("album", "artist"):
        assert table[check, None]["tracks"] == 5
        assert table[check, None]["pairs"] == int(np.isin(cold.item, COLD[-5:]).sum())
    assert not any(row["removed"] for row in table.values())


def test_a_world_without_leaks_has_none(tmp_path: Path) -> None:
    table = table_of(load_inputs(read_config(write(tmp_path))))
    assert not any(row["found"] for key, row in table.items() if key[0] != "popularity")


def test_equal_titles_by_different_artists_are_different_albums(tmp_path: Path) -> None:
    path = write(tmp_path)
    tracks = pl.read_csv(tmp_path / "tracks.csv").with_columns(album=pl.lit("greatest hits"))
    tracks.write_csv(tmp_path / "tracks.csv")
    assert table_of(load_inputs(read_config(path)))["album", None]["tracks"] == 0


def test_removed_leaks_leave_both_folds_and_the_audit_agrees(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, copies=3, albums=5, leaks="remove", **TESTED))
    inputs = load_inputs(config)
    gone = set(IDS.gather(np.concatenate([COLD[:3], COLD[-5:]])))
    left = set(inputs.catalogue.take(inputs.split.test.cold.items))
    assert set(IDS.gather(COLD)) - left == gone
    assert not set(inputs.catalogue.take(inputs.split.test.task("mixed").candidates)) & gone
    removed = len(SPLIT.test.cold) - len(inputs.split.test.cold)
    assert ("cold test pairs left out, of tracks with an album or a near copy in train", str(removed)) in inputs.notes
    table = table_of(inputs)
    assert table["copy", "good"]["tracks"] == 3
    assert table["album", None]["removed"]
    run = Run.create(config.at(config.output), describe_run(config, inputs), inputs.split)
    assert split_clean(Audited(run, inputs)).passed
    assert not split_clean(Audited(run, replace(inputs, whole=None))).passed


def test_leaks_can_be_removed_from_tested_candidates_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`leaks: remove` leaves out new tracks that train knows"):
        read_config(write(tmp_path, leaks="remove"))


def test_a_test_of_leaks_alone_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, albums=len(COLD), leaks="remove", **TESTED)
    with pytest.raises(DataError, match="no cold track is left: all have an album or near copies in train"):
        load_inputs(read_config(path))


def test_equal_audio_is_known_from_the_store(tmp_path: Path) -> None:
    config = read_config(write(tmp_path))
    inputs = load_inputs(config)
    ids, fold = inputs.catalogue.ids, inputs.split.test
    cold, known = int(fold.cold.items[0]), int(fold.train.items[7])
    audio = np.array([f"{row:064x}" for row in range(len(ids))], object)
    audio[cold] = audio[known]
    distinct = sorted(set(audio))
    columns = {"id": ids, "audio": audio.tolist(), "size": 1, "mtime": 1, "file": "file", "path": ""}
    table = pl.DataFrame(columns, schema=TRACKS)
    store = VectorStore.create(tmp_path / "store", StoreInfo("made", "1", None, "mean", "time", "all", 4))
    store.commit(table, distinct, normal(3, len(distinct), 4))
    rows = table_of(replace(inputs, sources={"made": Subset(VectorStore.open(tmp_path / "store"), ids)}))
    assert rows["copy", "made"]["found"] is None  # four dimensions do not tell tracks apart
    assert rows["audio", "made"]["tracks"] == 1
    assert rows["audio", "made"]["detail"] == f"{ids[cold]!r} is {ids[known]!r}"


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("Million Song Dataset", True),
        ("my run on MSD", True),
        ("taste profile, 2012", True),
        ("msdos", False),
        ("", False),
    ],
)
def test_training_on_the_data_of_the_run_is_found_from_the_card(tmp_path: Path, dataset: str, expected: bool) -> None:
    inputs = load_inputs(read_config(write(tmp_path)))
    table = table_of(inputs, {"good": MusiCNNMSD.card, "poor": MFCC.card}, dataset)
    assert table["training", "good"]["found"] is expected
    assert table["training", "poor"]["found"] is False
    assert table_of(inputs)["training", "good"]["found"] is None


def test_sentences_name_counts_and_reasons() -> None:
    row = {"check": "copy", "encoder": "mert", "tracks": 3, "of": 589, "pairs": 12, "found": True, "removed": True,
           "detail": "'a' is 'b'", "value": None, "level": None}  # fmt: skip
    text = "Cold tracks with nearly the vector of a train track, by mert: "
    assert sentence(row) == f"{text}3 of 589 (12 pairs), e.g. 'a' is 'b'; removed."
    assert sentence(row | {"found": False, "tracks": 0}) == f"{text}none of 589."
    popular = row | {"check": "popularity", "value": 0.31, "level": 0.07}
    assert sentence(popular).startswith("Vectors of mert contain popularity (correlation 0.31; 0.07 is exceeded")
    assert sentence(row | {"check": "album", "found": None, "detail": "why"}).endswith("from albums in train (why).")


def test_encoders_with_the_same_finding_share_a_sentence() -> None:
    row = {"check": "copy", "tracks": 3, "of": 589, "pairs": 12, "found": True, "removed": False,
           "detail": "'a' is 'b'", "value": None, "level": None}  # fmt: skip
    rows = [row | {"encoder": name} for name in ("mert", "muq", "mule", "vgg-msd", "jukebox-5b")]
    rows.append(row | {"encoder": "mfcc", "tracks": 1, "pairs": 2})
    start = "Cold tracks with nearly the vector of a train track, by "
    assert sentences(rows) == [
        f"{start}mert, muq, mule and 2 more: 3 of 589 (12 pairs), e.g. 'a' is 'b'; kept.",
        f"{start}mfcc: 1 of 589 (2 pairs), e.g. 'a' is 'b'; kept.",
    ]
    assert sentences(worst(rows)) == sentences(rows)[:1]
    assert sentences([]) == []
