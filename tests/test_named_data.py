"""Configs with an imported history, or a published data set by name, as the log."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import polars as pl
import pytest
import yaml

from timbrec.api import bench
from timbrec.cli.app import run
from timbrec.data.log import LogConfig
from timbrec.errors import ConfigError, DataError, SeveralErrors, StoreError
from timbrec.histories.importing import ImportConfig
from timbrec.models.from_run import run_catalogue
from timbrec.study.config import make_config, read_config
from timbrec.study.inputs import load_inputs

CONFIG: dict[str, Any] = {
    "name": "mine",
    "output": "run",
    "interactions": {"import": "listenbrainz", "path": "listens.jsonl", "catalogue": "tracks.csv"},
    "encoders": {"random": {"vectors": "vectors.npy", "ids": "ids.txt"}},
    "split": {"test_at": "2023-12-01"},
    "recommenders": ["knn"],
    "k": [5],
    "primary": "ndcg@5",
    "metrics": ["ndcg"],
    "seeds": [0],
}
TRACKS = [f"track {number:02}" for number in range(60)]


def one_person(folder: Path, **changes: Any) -> Path:
    """A person's 400 plays of 60 tracks in the half year before 2024, of which the last 15 appear in December."""
    rng = np.random.default_rng(3)
    listens, day = [], datetime(2023, 7, 1, tzinfo=UTC)
    for _ in range(400):
        day += timedelta(hours=float(rng.uniform(5, 17)))
        known = 45 if day < datetime(2023, 12, 1, tzinfo=UTC) else 60
        track = TRACKS[int(rng.integers(known))]
        metadata = {"artist_name": "The Artists", "track_name": f"{track} (feat. Someone)"}
        listens.append({"listened_at": int(day.timestamp()), "track_metadata": metadata})
    listens.append({"listened_at": 1_690_000_000, "track_metadata": {"artist_name": "Unknown", "track_name": "Song"}})
    (folder / "listens.jsonl").write_text("".join(json.dumps(listen) + "\n" for listen in listens))
    lines = [f"{track},Artists,{track.title()}" for track in TRACKS]
    (folder / "tracks.csv").write_text("track,artist,title\n" + "\n".join(lines) + "\n")
    np.save(folder / "vectors.npy", rng.normal(size=(60, 8)).astype(np.float32))
    (folder / "ids.txt").write_text("\n".join(TRACKS) + "\n")
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(CONFIG | changes))
    return path


class TestImport:
    def test_a_history_is_the_log_of_a_run(self, tmp_path: Path) -> None:
        inputs = load_inputs(read_config(one_person(tmp_path)))
        assert len(inputs.log) == 400
        assert list(inputs.log.users.ids) == ["me"]
        assert set(inputs.log.items.ids) <= set(TRACKS)
        facts = dict(inputs.log.facts)
        assert facts["history: importer"] == "listenbrainz"
        assert facts["plays matched by names"].startswith("400 (99.8%); ")
        assert facts["plays without a track"] == "1 (0.2%); recordings: 1"

    def test_one_person_can_be_benchmarked_and_the_run_says_how_little_it_shows(self, tmp_path: Path) -> None:
        result = bench(read_config(one_person(tmp_path)))
        assert not result.run.missing
        card = [value for label, value in result.run.facts["data_card"] if label == "warning"]
        assert "one user is tested: no difference between recommenders can be proved" in card
        assert {verdict.scenario for verdict in result.verdict} == {"cold", "mixed"}
        assert all("1 user cannot tell lines apart" in verdict.sentence for verdict in result.verdict)

    def test_the_stored_config_can_be_read_again(self, tmp_path: Path) -> None:
        config = read_config(one_person(tmp_path))
        again = make_config(config.model_dump(mode="json", exclude_none=True))
        assert again.interactions == config.interactions
        assert isinstance(again.interactions, ImportConfig)

    def test_settings_reach_the_reader(self, tmp_path: Path) -> None:
        changes = CONFIG["interactions"] | {"import": "detect", "user": "ann", "threshold": 100}
        inputs = load_inputs(read_config(one_person(tmp_path, interactions=changes)))
        assert list(inputs.log.users.ids) == ["ann"]

    def test_tracks_to_match_with_must_be_named(self, tmp_path: Path) -> None:
        entry = {"import": "listenbrainz", "path": "listens.jsonl"}
        with pytest.raises(ConfigError, match="no tracks are named to match them with"):
            load_inputs(read_config(one_person(tmp_path, interactions=entry)))
        with pytest.raises(ConfigError, match="both `music` and `catalogue`"):
            load_inputs(read_config(one_person(tmp_path, interactions=CONFIG["interactions"] | {"music": "m"})))

    @pytest.mark.parametrize(
        ("entry", "message"),
        [
            ({"import": "listenbrain"}, "there is no importer called 'listenbrain'. Did you mean 'listenbrainz'"),
            ({"impart": "listenbrainz"}, "no key 'interactions.impart'. Did you mean 'import'"),
            ({"import": "listenbrainz", "pth": 1}, "no key 'interactions.pth'. Did you mean 'path'.*Known: import"),
            ({"import": "listenbrainz", "threshold": 200}, "interactions.threshold must be less than or equal to 100"),
        ],
    )
    def test_a_wrong_entry_is_named(self, tmp_path: Path, entry: dict[str, Any], message: str) -> None:
        whole = {"path": "listens.jsonl", "catalogue": "tracks.csv"} if "import" in entry else {"path": "x.csv"}
        with pytest.raises((ConfigError, DataError, SeveralErrors), match=message):
            load_inputs(read_config(one_person(tmp_path, interactions=whole | entry)))


PLAYS = "userID\tartistID\tweight\n" + "".join(
    f"{user}\t{artist}\t{1 + (user * artist) % 7}\n" for user in range(1, 41) for artist in range(user % 5, 30, 3)
)
TAGS = "userID\tartistID\ttagID\tday\tmonth\tyear\n" + "".join(
    f"{user}\t{artist}\t{(artist * user) % 12}\t1\t1\t2010\n" for user in range(1, 41) for artist in range(30)
)
HETREC: dict[str, Any] = {
    "name": "hetrec",
    "output": "run",
    "dataset": {"use": "hetrec", "path": "data", "dims": [4, 8]},
    "encoders": {"tags": {"dataset": "tags-4"}},
    "split": {"protocol": "item-holdout"},
}


def hetrec(folder: Path, **changes: Any) -> dict[str, Any]:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "user_artists.dat").write_text(PLAYS)
    (folder / "data" / "user_taggedartists.dat").write_text(TAGS)
    (folder / "data" / "artists.dat").write_text("id\tname\turl\tpictureURL\n7\tSeven\thttp://x\thttp://y\n")
    return HETREC | {"base": folder} | changes


class TestDataset:
    def test_a_data_set_by_name_gives_log_and_vectors(self, tmp_path: Path) -> None:
        config = make_config(hetrec(tmp_path))
        inputs = load_inputs(config)
        assert len(inputs.log.users) == 20
        assert inputs.sources["tags"].dim == 4
        assert inputs.artists is None
        assert config.log_name == "HetRec 2011 Last.fm-2K"
        assert make_config(config.model_dump(mode="json", exclude_none=True)).dataset == config.dataset

    def test_its_items_give_the_artists(self, tmp_path: Path) -> None:
        lines = [
            f"user_{n % 7}\t2009-01-{1 + n % 28:02}T10:00:00Z\t\tartist {n % 5}\t\tsong {n % 50}" for n in range(280)
        ]
        (tmp_path / "userid-timestamp-artid-artname-traid-traname.tsv").write_text("\n".join(lines) + "\n")
        ids = sorted({f"artist {n % 5} :: song {n % 50}" for n in range(280)})
        pl.DataFrame({"id": ids, "0": range(50), "1": range(50)}).cast(
            {"0": pl.Float32, "1": pl.Float32}
        ).write_parquet(tmp_path / "v.parquet")
        split = {"start": "2009-01-01", "validate_at": "2009-01-15", "test_at": "2009-01-20"}
        config = make_config(
            {"name": "x", "output": "run", "split": split,
             "dataset": {"use": "lastfm-1k", "path": "."}, "base": tmp_path,
             "encoders": {"v": {"vectors": "v.parquet"}}, "recommenders": ["artist-mean"]}
        )  # fmt: skip
        inputs = load_inputs(config)
        assert inputs.artists is not None
        assert set(inputs.artists) == {f"artist {n}" for n in range(5)}
        named = run_catalogue(inputs, config, None).filter(track="artist 2 :: song 7")
        assert named.select("artist", "title").row(0) == ("artist 2", "song 7")

    def test_a_name_for_the_training_data_is_still_a_name(self, tmp_path: Path) -> None:
        config = make_config(CONFIG | {"interactions": {"path": "x.csv"}, "dataset": "Million Song Dataset"})
        assert isinstance(config.interactions, LogConfig)
        assert config.log_name == "Million Song Dataset"
        assert config.data is None

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"dataset": {"use": "hetrek", "path": "data"}}, "no dataset called 'hetrek'. Did you mean 'hetrec'"),
            ({"dataset": {"use": "hetrec"}}, "key 'dataset.path' is missing"),
            ({"dataset": {"use": "hetrec", "path": "data", "dim": 1}}, "no setting 'dim'. Did you mean 'dims'"),
            ({"dataset": {"use": "hetrec", "path": "nowhere"}}, "nowhere has no file user_artists.dat. Get HetRec"),
            ({"interactions": {"path": "x.csv"}}, "either `interactions`, or `dataset`"),
            ({"dataset": None}, "either `interactions`, or `dataset`"),
            ({"dataset": "hetrec"}, "either `interactions`, or `dataset`"),
            ({"encoders": {"tags": {"dataset": "tags-5"}}}, "gives no vectors 'tags-5'. Did you mean 'tags-"),
            ({"encoders": {"tags": {"dataset": "tags-4", "vectors": "x"}}}, "give either `vectors`"),
            ({"recommenders": ["artist-mean"]}, "needs the artist of each track"),
        ],
    )
    def test_a_wrong_entry_is_named(self, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
        with pytest.raises((ConfigError, DataError, SeveralErrors), match=message):
            load_inputs(make_config(hetrec(tmp_path, **changes)))


def test_a_model_names_items_that_have_no_artists(tmp_path: Path) -> None:
    config = make_config(hetrec(tmp_path))
    inputs = load_inputs(config)
    titles = dict(run_catalogue(inputs, config, None).select("track", "title").iter_rows())
    assert titles.pop("7") == "Seven"
    assert set(titles.values()) == {None}
    (tmp_path / "data" / "artists.dat").unlink()
    assert run_catalogue(inputs, config, None)["title"].is_null().all()


@pytest.mark.parametrize(
    ("columns", "changes", "message"),
    [
        ({"artist": None}, {"recommenders": ["artist-mean"]}, "'artist-mean' needs the artist of each track"),
        ({"artist": None}, {"strata": ["artist"]}, "`strata` by artist need"),
        ({"artist": None}, {"split": {"protocol": "item-holdout", "by_artist": True}}, "needs the artist of each"),
        ({"genre": None}, {}, "name a column for genre; only `artist` may be null"),
    ],
)
def test_a_table_without_artists_gives_no_artists(
    tmp_path: Path, columns: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    (tmp_path / "names.csv").write_text("track_id,name\n7,Seven\n")
    items = {"path": "names.csv", "columns": columns}
    with pytest.raises((ConfigError, SeveralErrors), match=message):
        make_config(hetrec(tmp_path, items=items, **changes))


class TestWriting:
    def test_tables_and_config_give_what_the_data_set_gives(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        named = load_inputs(make_config(hetrec(tmp_path)))
        run(["data", "hetrec", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--set", "dims=[4, 8]"])
        assert {path.name for path in (tmp_path / "out").rglob("*.*")} == {
            "interactions.parquet", "items.parquet", "tags-4.parquet", "tags-8.parquet", "config.yaml", "SOURCE.txt",
        }  # fmt: skip
        config = read_config(tmp_path / "out" / "config.yaml")
        written = load_inputs(config)
        assert written.artists is None
        assert run_catalogue(written, config, None).filter(track="7")["title"].to_list() == ["Seven"]
        assert written.log.digest == named.log.digest
        ids = list(named.catalogue.ids)
        np.testing.assert_array_equal(written.sources["tags-4"].aligned(ids), named.sources["tags"].aligned(ids))
        shown = capsys.readouterr().out
        assert f"interactions.parquet: {len(named.log)} rows" in shown
        assert "licence: non-commercial" in shown
        with pytest.raises(ConfigError, match="out exists already"):
            run(["data", "hetrec", str(tmp_path / "data"), "--out", str(tmp_path / "out")])

    def test_nothing_is_left_of_a_failure(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"has no file user_artists\.dat"):
            run(["data", "hetrec", str(tmp_path), "--out", str(tmp_path / "out")])
        with pytest.raises(ConfigError, match="no setting 'dim'"):
            run(["data", "hetrec", str(tmp_path), "--out", str(tmp_path / "out"), "--set", "dim=4"])
        with pytest.raises(ConfigError, match="Did you mean 'yambda'"):
            run(["data", "yamba", str(tmp_path), "--out", str(tmp_path / "out")])
        assert list(tmp_path.iterdir()) == []

    def test_nothing_is_left_on_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        hetrec(tmp_path)
        full = pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)")
        monkeypatch.setattr(pl.DataFrame, "write_parquet", Mock(side_effect=full))
        with pytest.raises(StoreError, match=r"cannot write .*out: No space left on device\."):
            run(["data", "hetrec", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--set", "dims=[4]"])
        assert [path.name for path in tmp_path.iterdir()] == ["data"]

    @pytest.mark.parametrize(
        ("name", "folder", "option", "rows"),
        [
            ("hetrec", "hetrec_lastfm", "dims=[2]", 46_355),
            ("lastfm-1k", "lastfm1k_head5000", "", 5_000),
            ("taste-profile", "taste_profile_100users", "triplets=train_triplets_7digital_100users_50songs.txt", 9_553),
            ("m4a-onion", "m4a_onion", "part=val", 48_787),
        ],
    )
    def test_real_files(self, test_data: Path, tmp_path: Path, name: str, folder: str, option: str, rows: int) -> None:
        options = ["--set", option] if option else []
        run(["data", name, str(test_data / "data" / folder), "--out", str(tmp_path / "out"), *options])
        assert len(pl.read_parquet(tmp_path / "out" / "interactions.parquet")) == rows
