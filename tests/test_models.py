"""Models: asked by ids, extended, saved and loaded, with answers that plain arithmetic gives too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import timbrec
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import CannotRankError, ConfigError, DataError
from timbrec.models.catalogue import catalogue_of, further_recordings, recordings
from timbrec.models.filters import Filters
from timbrec.models.names import Names
from timbrec.worlds.planted import PlantedWorld

WORLD = PlantedWorld(users=60, items=90, dim=8, seed=2)
IDS = WORLD.events.items.ids.to_list()
VECTORS = WORLD.vectors(0.9)
LOG = WORLD.events.table.select(
    user=WORLD.events.users.ids.gather(WORLD.events.table["user"]),
    item=WORLD.events.items.ids.gather(WORLD.events.table["item"]),
    time="time",
)


@pytest.fixture(scope="module")
def model() -> timbrec.Model:
    return timbrec.fit(LOG, (IDS, VECTORS), "knn", scale="none")


def cosine(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def scores_of(history: list[str]) -> dict[str, float]:
    """KNN by its definition: the cosine of each item with the mean of the unit vectors of the history."""
    place = {item: row for row, item in enumerate(IDS)}
    profile = cosine(cosine(VECTORS)[[place[item] for item in history]].mean(0))
    return dict(zip(IDS, cosine(VECTORS) @ profile, strict=True))


def test_frames_may_have_the_names_of_a_config() -> None:
    renamed = LOG.rename({"user": "user_id", "item": "track_id"})
    again = timbrec.fit(renamed, (IDS, VECTORS), "knn", scale="none")
    assert again.users.ids.equals(timbrec.fit(LOG, (IDS, VECTORS), "knn", scale="none").users.ids)


def test_a_frame_is_read_as_a_log_of_a_config_is() -> None:
    text = LOG.with_columns(time=pl.col("time").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f"), plays=pl.lit("1.0"))
    expected = timbrec.fit(LOG, (IDS, VECTORS), "knn", scale="none")
    again = timbrec.fit(text, (IDS, VECTORS), "knn", scale="none")
    assert again.played.digest == expected.played.digest
    with pytest.raises(DataError, match="column 'user' of the log has empty values"):
        timbrec.fit(pl.concat([LOG, LOG.head(1).with_columns(user=None)]), (IDS, VECTORS))
    with pytest.raises(DataError, match="time"):
        timbrec.fit(LOG.with_columns(time=pl.lit("soon")), (IDS, VECTORS))


def test_a_known_user_gets_the_best_unplayed_items(model: timbrec.Model) -> None:
    user = LOG["user"][0]
    history = LOG.filter(user=user)["item"].unique().to_list()
    scores = {item: score for item, score in scores_of(history).items() if item not in history}
    expected = sorted(scores, key=lambda item: -scores[item])[:5]
    top = model.recommend(user, k=5)
    assert top["item"].to_list() == expected
    assert top["rank"].to_list() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(top["score"], [scores[item] for item in expected], atol=1e-5)


def test_a_history_is_folded_in_as_a_known_user_is(model: timbrec.Model) -> None:
    user = LOG["user"][0]
    history = LOG.filter(user=user)["item"].unique().to_list()
    folded = model.recommend(history=[*history, "never heard of"], k=7)
    assert folded["item"].to_list() == model.recommend(user, k=7)["item"].to_list()


def test_added_items_are_ranked_at_once(model: timbrec.Model) -> None:
    user = LOG["user"][0]
    twin = VECTORS[IDS.index(model.recommend(user, k=1)["item"][0])]
    grown = model.add_items(["new"], twin[None])
    assert "new" in grown.recommend(user, k=2)["item"].to_list()
    assert "new" not in model.recommend(user, k=90)["item"].to_list()
    assert grown.recommend(user, candidates=["new"])["item"].to_list() == ["new"]
    with pytest.raises(DataError, match="the model has these items"):
        grown.add_items(["new"], twin[None])
    with pytest.raises(DataError, match="2 vectors but 1 ids"):
        model.add_items(["new"], np.stack([twin, twin]))


def test_a_loaded_model_answers_as_the_saved_one(model: timbrec.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    again = timbrec.Model.load(tmp_path / "model")
    for user in LOG["user"].unique()[:5]:
        assert again.recommend(user).equals(model.recommend(user))
    assert again.card == json.loads(json.dumps(model.card))
    assert again.representation == model.representation
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_no_array_of_a_model_is_written_twice(model: timbrec.Model, tmp_path: Path) -> None:
    raw = timbrec.fit(LOG, (IDS, VECTORS), "knn", scale="none", profile="raw", similarity="dot")
    for number, saved in enumerate((model, raw)):
        folder = saved.save(tmp_path / str(number))
        assert (folder / "scorer.safetensors").stat().st_size < VECTORS.nbytes, "the index holds the vectors"
        loaded = timbrec.Model.load(folder)
        assert loaded.recommend(history=IDS[:5]).equals(saved.recommend(history=IDS[:5]))
        assert loaded.recommend(LOG["user"][0]).equals(saved.recommend(LOG["user"][0]))


def test_a_damaged_model_is_refused(model: timbrec.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    items = tmp_path / "model" / "items.parquet"
    pl.DataFrame({"id": IDS[::-1]}).write_parquet(items)
    with pytest.raises(DataError, match=r"no readable model: items\.parquet was changed after it was written"):
        timbrec.Model.load(tmp_path / "model")
    with pytest.raises(DataError, match="holds no model"):
        timbrec.Model.load(tmp_path)


def test_the_model_is_shown_in_a_line(model: timbrec.Model) -> None:
    assert repr(model) == f"<timbrec.Model knn: {len(model.users)} users, 90 tracks>"


def test_unknown_ids_are_named_with_the_nearest(model: timbrec.Model) -> None:
    user = LOG["user"][0]
    with pytest.raises(DataError, match=rf"does not know user '{user}x'.*{user[:2]}"):
        model.recommend(f"{user}x")
    with pytest.raises(DataError, match="knows no item of the history"):
        model.recommend(history=["nothing"])
    with pytest.raises(DataError, match="either a user or a history"):
        model.recommend()
    with pytest.raises(ConfigError, match="has no setting 'scael'"):
        timbrec.fit(LOG, (IDS, VECTORS), scael="none")
    with pytest.raises(DataError, match="no item of the interactions has a vector"):
        timbrec.fit(LOG.with_columns(item=pl.lit("other")), (IDS, VECTORS))


def test_popularity_cannot_fold_in(model: timbrec.Model) -> None:
    popular = timbrec.fit(LOG, (IDS, VECTORS), "popularity")
    assert popular.representation is None
    with pytest.raises(CannotRankError, match="cannot fold in users"):
        popular.recommend(history=IDS[:3])


def test_tracks_are_named_as_people_write_them() -> None:
    ids = pl.Series(["a", "b", "c", "d"])
    table = pl.DataFrame(
        {
            "track": ids,
            "artist": ["Die Straße", "Duo - Live", "Duo", None],
            "title": ["GROSSE STRAẞE", "Song", "Live - Song 2", "Song"],
        }
    )
    catalogue = catalogue_of(ids, table)
    names = Names(Vocabulary(ids), catalogue)
    rows = names.rows(["grosse straße", "duo - live - song", "Song - Duo - Live", "DUO - live - Song 2", "d"])
    assert rows.tolist() == [0, 1, 1, 2, 3]
    with pytest.raises(DataError, match=r"2 tracks are called 'song': Song - Duo - Live \(b\); Song \(d\)"):
        names.rows(["song"])
    assert Filters(deny=["die STRAßE"]).allowed(catalogue, np.zeros(4, bool)).tolist() == [False, True, True, True]


def test_texts_with_equal_hashes_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timbrec.models.names._hashes", lambda texts: np.zeros(len(texts), np.uint32))
    ids = pl.Series(["a", "b", "c"])
    names = Names(Vocabulary(ids), catalogue_of(ids, pl.DataFrame({"track": ids, "title": ["One", None, "Two"]})))
    assert names.rows(["two", "One", "b"]).tolist() == [2, 0, 1]
    with pytest.raises(DataError, match="no track ' '"):
        names.rows([" "])


def test_added_tracks_join_the_recordings_that_a_new_catalogue_has() -> None:
    rng = np.random.default_rng(3)
    n = 400
    table = pl.DataFrame(
        {
            "track": [f"t{row}" for row in range(n)],
            "artist": [f"Band {number}" for number in rng.integers(0, 5, n)],
            "title": [f"Söng {number}" for number in rng.integers(0, 9, n)],
            "duration_s": pl.Series(np.where(rng.random(n) < 0.1, np.nan, rng.integers(100, 160, n))).fill_nan(None),
        }
    )
    catalogue = catalogue_of(table["track"], table)
    for last in range(n - 20, n):
        order = [row for row in range(n) if row != last] + [last]
        moved = catalogue[order]
        known, whole = recordings(moved[:-1]), recordings(moved)
        grown = further_recordings(moved[:-1], known, moved[-1:])
        old = np.flatnonzero(whole[:-1] == whole[-1])
        assert set(known[old]) == ({grown[-1]} if len(set(known[old])) == 1 else set(known[old]))
        assert grown[-1] in (known[old] if len(old) else [known.max() + 1])
