"""`timbrec init`: a config drafted from files runs unchanged, and the role of each file is reported."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile  # type: ignore[import-untyped]
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from timbrec.api import bench
from timbrec.cli.app import app
from timbrec.data.roles import candidates
from timbrec.errors import ConfigError, DataError
from timbrec.store.vectors import read_vectors
from timbrec.study.config import read_config
from timbrec.study.inputs import load_inputs
from timbrec.study.schema import config_schema

PLAYS = pl.DataFrame(
    {
        "user": [f"u{user}" for user in range(12) for _ in range(20)],
        "track": [f"t{(user * 7 + play * 3) % 30:02}" for user in range(12) for play in range(20)],
        "played_at": [
            datetime(2019, 1, 1) + timedelta(days=play * 17 + user) for user in range(12) for play in range(20)
        ],
    }
)
NEW = pl.col("track").is_in(["t05", "t15", "t25"])  # played in the last month alone
LATE = pl.lit(datetime(2019, 11, 28)) + pl.duration(days=pl.int_range(pl.len()) % 12)
LOG = PLAYS.with_columns(played_at=pl.when(NEW).then(LATE).otherwise("played_at"))
SCHEMA = Draft202012Validator(config_schema())
TRACKS = sorted(set(PLAYS["track"]))
VECTORS = np.random.default_rng(0).normal(size=(len(TRACKS), 6)).astype(np.float32)


def init(folder: Path, *paths: str, out: str = "config.yaml", code: int = 0) -> str:
    answer = CliRunner().invoke(app, ["init", *paths, "--out", str(folder / out)], catch_exceptions=False)
    assert answer.exit_code == code, answer.stdout
    assert not list(SCHEMA.iter_errors(yaml.safe_load((folder / out).read_text()))), "an editor marks mistakes"
    return answer.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_vectors(path: Path, ids: list[str] = TRACKS, name: str = "id") -> None:
    pl.DataFrame({name: ids, "vector": VECTORS.tolist()}).write_parquet(path)


def write_arrays(folder: Path) -> None:
    LOG.write_csv("plays.csv")
    artists = [f"artist {number % 7}" for number in range(len(TRACKS))]
    pl.DataFrame({"track": TRACKS, "artist": artists}).write_csv("tracks.csv")
    (folder / "ids.txt").write_text("\n".join(TRACKS) + "\n")
    for name in ("good", "poor"):
        np.save(folder / f"{name}.npy", VECTORS)


def test_a_folder_with_a_log_tracks_and_arrays_is_drafted(folder: Path) -> None:
    write_arrays(folder)
    answer = init(folder)
    assert "plays.csv: the log of plays (user: user, item: track, time: played_at)" in answer
    assert "tracks.csv: the tracks (item: track, artist: artist)" in answer
    assert "good.npy: vectors; ids.txt has their ids (100% of the log's tracks)" in answer
    config = read_config(folder / "config.yaml")
    assert set(config.encoders) == {"good", "poor"}
    assert [entry.use for entry in config.recommenders] == ["knn", "artist-mean"]
    split = load_inputs(config).split
    assert len(split.test.hot)
    cold = split.items.ids.gather(split.test.cold.item)
    assert {"t05", "t15"} <= set(cold) <= {"t05", "t15", "t25"}, "new tracks appear in the days before and after T"


@pytest.mark.slow
def test_a_drafted_config_runs(folder: Path) -> None:
    write_arrays(folder)
    init(folder)
    result = bench(folder / "config.yaml", only=["knn", "good"])
    assert {"hot", "cold"} <= set(result.summary.filter(encoder="good", recommender="knn")["scenario"])


def test_a_config_is_never_overwritten(folder: Path) -> None:
    (folder / "config.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"exists already.*--out"):
        init(folder)
    assert (folder / "config.yaml").read_text() == "mine"


def test_the_ids_of_vectors_decide_between_columns_of_tracks(folder: Path) -> None:
    log = LOG.rename({"track": "song_id", "user": "listener", "played_at": "ts"})
    log.with_columns(track_id=pl.int_range(pl.len()) % 9).write_parquet("plays.parquet")
    write_vectors(folder / "mine.parquet", name="song_id")
    answer = init(folder, "plays.parquet", "mine.parquet")
    assert "please check: plays.parquet: the column of the item is 'song_id'; it could be track_id" in answer
    text = (folder / "config.yaml").read_text()
    assert "item: song_id  # or: track_id" in text
    config = yaml.safe_load(text)
    assert config["interactions"]["columns"] == {"user": "listener", "item": "song_id", "time": "ts"}
    assert config["encoders"]["mine"] == {"vectors": "mine.parquet", "columns": {"id": "song_id"}}


Change = Callable[[pl.DataFrame], pl.DataFrame]
FORMS: dict[str, tuple[Change, dict[str, object]]] = {
    "milliseconds": (lambda log: log.with_columns(pl.col("played_at").dt.epoch("ms")), {"time_unit": "ms"}),
    "seconds": (lambda log: log.with_columns(pl.col("played_at").dt.epoch("s")), {}),
    "days that may be months": (
        lambda log: log.filter(pl.col("played_at").dt.day() < 13).with_columns(
            pl.col("played_at").dt.strftime("%d/%m/%Y %H:%M")
        ),
        {"time_format": "%d/%m/%Y %H:%M"},
    ),
    "one person": (lambda log: log.drop("user"), {"user": "me"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_times_and_users_are_recognised(folder: Path, form: str) -> None:
    change, settings = FORMS[form]
    change(LOG).write_csv("plays.csv")
    write_vectors(folder / "mine.parquet")
    answer = init(folder)
    interactions = yaml.safe_load((folder / "config.yaml").read_text())["interactions"]
    assert settings.items() <= interactions.items()
    assert ("please check" in answer) == bool(settings.keys() & {"time_format", "user"})
    assert ("warning: one user is tested" in answer) == ("user" in settings)


def test_a_log_without_a_header_is_read_by_position(folder: Path) -> None:
    numbers = LOG.with_columns(
        pl.col("user").str.slice(1).cast(int), pl.col("track").str.slice(1).cast(int), pl.col("played_at").dt.epoch("s")
    )
    numbers.write_csv("plays.tsv", include_header=False, separator="\t")
    write_vectors(folder / "mine.parquet", [str(int(track[1:])) for track in TRACKS])
    answer = init(folder)
    assert "has no header; its columns were taken in this order: user: 0, item: 1, time: 2" in answer
    assert load_inputs(read_config(folder / "config.yaml")).log.timed


def test_a_log_without_times_holds_tracks_out(folder: Path) -> None:
    LOG.select("user", "track").with_columns(plays=pl.lit(2)).write_csv("counts.csv")
    write_vectors(folder / "mine.parquet")
    init(folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["split"] == {"protocol": "item-holdout"}
    assert config["interactions"]["columns"]["item"] == "track"


def test_a_folder_of_audio_is_encoded_and_a_table_of_features_is_taken(folder: Path) -> None:
    LOG.write_csv("plays.csv")
    (folder / "clips").mkdir()
    for number, track in enumerate(TRACKS):
        tone = np.sin(np.arange(8000) * (0.05 + 0.02 * number)).astype(np.float32)
        soundfile.write(folder / "clips" / f"{track}.wav", tone, 8000)
    pl.DataFrame({"track": TRACKS} | {f"word{n}" * (n + 1): VECTORS[:, n] for n in range(6)}).write_csv("features.csv")
    (folder / "notes.txt").write_text("to do, soon\n")
    (folder / "other.npy").write_bytes(b"no array")
    answer = init(folder, code=0)
    assert "clips: audio to encode, by mfcc" in answer
    assert "features.csv: vectors (100% of the log's tracks)" in answer
    assert "notes.txt: left out" in answer
    assert "other.npy: left out" in answer
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["encoders"]["mfcc"] == {"audio": "clips"}
    assert read_vectors("features.csv", columns=config["encoders"]["features"]["columns"]).dim == 6


def write_parts(names: list[str], log: pl.DataFrame = LOG) -> None:
    """The log in several files, every n-th row in the n-th one."""
    for number, name in enumerate(names):
        part = log.filter(pl.int_range(pl.len()) % len(names) == number)
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        part.write_parquet(name) if name.endswith(".parquet") else part.write_csv(name)


@pytest.mark.parametrize(
    ("names", "path", "question"),
    [
        (["log/month=1/part-0.parquet", "log/month=2/part-0.parquet", "log/_SUCCESS"], "log", False),
        (["log/year=1/month=2/a.csv", "log/year=2/month=1/b.csv"], "log", False),
        (["log/part-00000-0123456789abcdef0123456789abcdef.parquet", f"log/part-00001-{7:032x}.parquet"],
         "log", False),
        (["log/plays-2022.csv", "log/plays-2023.csv"], "log", False),
        (["plays-2022.csv", "plays-2023.csv", "plays-2024.csv"], ["plays-2022.csv", "plays-2023.csv", "plays-2024.csv"],
         True),
        (["test.csv", "train.csv"], ["test.csv", "train.csv"], True),
    ],
)  # fmt: skip
def test_a_log_in_parts_is_read_whole(folder: Path, names: list[str], path: str | list[str], question: bool) -> None:
    """One part alone was taken, and the others were left out as other logs."""
    write_parts([name for name in names if not name.endswith("_SUCCESS")])
    for name in names:
        Path(name).touch()
    write_vectors(folder / "mine.parquet")
    answer = init(folder)
    config = read_config(folder / "config.yaml")
    assert yaml.safe_load((folder / "config.yaml").read_text())["interactions"]["path"] == path
    assert len(load_inputs(config).log) == len(LOG)
    assert ("files with the same columns are read as one log" in answer) == question


def test_a_log_whose_days_are_names_of_folders_has_times(folder: Path) -> None:
    days = LOG.with_columns(day=pl.col("played_at").dt.strftime("%Y-%m-%d")).drop("played_at")
    for (day,), part in days.group_by("day"):
        Path(f"log/day={day}").mkdir(parents=True)
        part.drop("day").write_parquet(f"log/day={day}/0.parquet")
    write_vectors(folder / "mine.parquet")
    assert "the log of plays (user: user, item: track, time: day)" in init(folder)
    assert len(load_inputs(read_config(folder / "config.yaml")).log) == len(LOG)


def test_days_of_a_month_are_no_times(folder: Path) -> None:
    """Folders year=2019/month=01/day=05 give three columns of text, none of them a time."""
    days = LOG.with_columns(
        pl.col("played_at").dt.strftime(form).alias(key)
        for key, form in (("year", "%Y"), ("month", "%m"), ("day", "%d"))
    )
    for (year, month, day), part in days.group_by("year", "month", "day"):
        path = Path(f"log/year={year}/month={month}/day={day}")
        path.mkdir(parents=True)
        part.select("user", "track").write_parquet(path / "0.parquet")
    write_vectors(folder / "mine.parquet")
    assert "the log of plays (user: user, item: track)\n" in init(folder)


def test_vectors_in_parts_are_one_encoder(folder: Path) -> None:
    LOG.write_csv("plays.csv")
    table = pl.DataFrame({"id": TRACKS, "vector": VECTORS.tolist()})
    (folder / "mine").mkdir()
    table.head(11).write_parquet("mine/part-0.parquet")
    table.tail(-11).write_parquet("mine/part-1.parquet")
    (folder / "others").mkdir()
    for name in ("mert", "muq"):
        table.write_parquet(f"others/{name}.parquet")
    init(folder)
    encoders = yaml.safe_load((folder / "config.yaml").read_text())["encoders"]
    assert encoders == {
        "mine": {"vectors": "mine"},
        "mert": {"vectors": "others/mert.parquet"},
        "muq": {"vectors": "others/muq.parquet"},
    }


def test_numbered_files_with_vectors_of_the_same_tracks_are_encoders(folder: Path) -> None:
    LOG.write_csv("plays.csv")
    (folder / "layers").mkdir()
    for number in (1, 2):
        write_vectors(folder / "layers" / f"layer-{number}.parquet")
    init(folder)
    assert set(yaml.safe_load((folder / "config.yaml").read_text())["encoders"]) == {"layer-1", "layer-2"}


@pytest.mark.parametrize("place", ["", "export/"])
def test_several_files_of_an_export_are_one_history(folder: Path, place: str) -> None:
    (folder / place).mkdir(exist_ok=True)
    entry = {"ms_played": 200_000, "master_metadata_album_artist_name": "a", "master_metadata_album_album_name": "b"}
    for year in (2018, 2019):
        plays = [
            entry | {"ts": f"{year}-0{month}-01T10:00:00Z", "master_metadata_track_name": track,
                     "spotify_track_uri": f"spotify:track:{track}"}
            for month in range(1, 10) for track in TRACKS
        ]  # fmt: skip
        (folder / f"{place}Streaming_History_Audio_{year}.json").write_text(json.dumps(plays))
    pl.DataFrame({"track": TRACKS, "artist": "a", "title": TRACKS}).write_csv("tracks.csv")
    write_vectors(folder / "mine.parquet")
    answer = init(folder, code=1)
    interactions = yaml.safe_load((folder / "config.yaml").read_text())["interactions"]
    assert interactions == {
        "import": "spotify",
        "path": [f"{place}Streaming_History_Audio_2018.json", f"{place}Streaming_History_Audio_2019.json"],
    }
    assert "2 exports for spotify are read as one log" in answer
    assert "mine.parquet: vectors\n" in answer, "the share of tracks is not known before the match"


def test_a_named_file_that_cannot_be_read_is_listed_with_advice(folder: Path) -> None:
    LOG.write_csv("plays.csv")
    (folder / "mine.pt").write_bytes(b"PK")
    (folder / "words.txt").write_text("3 2\na 1 2\nb 3 4\nc 5 6\n")
    with pytest.raises(ConfigError, match=r"(?s)mine\.pt: left out.*Save vectors as \.npy.*words\.txt: left out"):
        init(folder, "plays.csv", "mine.pt", "words.txt")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"mine.parquet": "vectors"}, "no log of plays"),
        ({"plays.csv": "log"}, "no vectors and no audio"),
        ({"plays.csv": "log", "mine.parquet": "others"}, "left out: the log has none of its tracks"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_written(folder: Path, files: dict[str, str], message: str) -> None:
    for name, kind in files.items():
        if kind == "log":
            LOG.write_csv(name)
        else:
            write_vectors(folder / name, TRACKS if kind == "vectors" else [f"other {track}" for track in TRACKS])
    with pytest.raises((DataError, ConfigError), match=message):
        init(folder)
    assert not (folder / "config.yaml").exists()


def test_vectors_of_other_ids_are_left_out_with_the_difference(folder: Path) -> None:
    LOG.write_csv("plays.csv")
    write_vectors(folder / "mine.parquet")
    write_vectors(folder / "others.parquet", [f"{number}-b" for number in range(len(TRACKS))])
    write_vectors(folder / "files.parquet", [f"audio/{track}.mp3" for track in TRACKS])
    answer = init(folder)
    assert "files.parquet: left out: the log has none of its tracks: ids differ by the folder or suffix" in answer
    assert "(30 in all, e.g. 't00' and 'audio/t00.mp3')" in answer
    assert "please check: files.parquet is left out" in answer
    assert "others.parquet: left out: the log has none of its tracks (e.g. '0-b'; the log has 't00')" in answer


def test_an_index_is_no_dimension(folder: Path) -> None:
    """`vector` listed the index that pandas wrote, and the check warned of it."""
    LOG.write_csv("plays.csv")
    numbers = {f"mfcc_{number}": VECTORS[:, number] for number in range(6)}
    pl.DataFrame({"": range(len(TRACKS)), "track": TRACKS, "line": range(1, 31)} | numbers).write_csv("mine.csv")
    answer = init(folder)
    assert "counts the rows" not in answer
    config = read_config(folder / "config.yaml")
    assert yaml.safe_load((folder / "config.yaml").read_text())["encoders"]["mine"] == {
        "vectors": "mine.csv", "columns": {"id": "track", "vector": "mfcc_*"},
    }  # fmt: skip
    assert load_inputs(config).sources["mine"].dim == 6


@pytest.mark.parametrize("change", [pl.col("played_at").dt.epoch("ms"), pl.col("played_at").dt.strftime("%F %T")])
def test_times_under_an_unusual_name_are_found_by_their_values(folder: Path, change: pl.Expr) -> None:
    """Without them tracks were held out at random."""
    LOG.select("user", "track", pl.lit(210_000).alias("ms"), change.alias("epoch")).write_parquet("plays.parquet")
    write_vectors(folder / "mine.parquet")
    answer = init(folder)
    assert "please check: plays.parquet: the times are taken from 'epoch', by its values" in answer
    assert len(load_inputs(read_config(folder / "config.yaml")).log) == len(LOG)
    assert "test_at" in yaml.safe_load((folder / "config.yaml").read_text())["split"]


def test_arrays_of_one_name_are_called_by_their_folders(folder: Path) -> None:
    LOG.write_csv("plays.csv")
    for name in ("mert", "muq"):
        (folder / name).mkdir()
        np.save(folder / name / "vectors.npy", VECTORS)
        (folder / name / "ids.txt").write_text("\n".join(TRACKS) + "\n")
    init(folder)
    encoders = yaml.safe_load((folder / "config.yaml").read_text())["encoders"]
    assert encoders == {
        name: {"vectors": f"{name}/vectors.npy", "ids": f"{name}/ids.txt"} for name in ("mert", "muq")
    }  # fmt: skip


def test_a_file_per_track_is_one_line_with_advice(folder: Path) -> None:
    """Each was a sentence of its own, and told of ids."""
    LOG.write_csv("plays.csv")
    (folder / "mine").mkdir()
    for track, vector in zip(TRACKS, VECTORS, strict=True):
        np.save(folder / "mine" / f"{track}.npy", vector)
    with pytest.raises(ConfigError) as raised:
        init(folder)
    assert str(raised.value).count("mine") == 2
    assert "mine: 30 files such as mine/t00.npy: left out: a single vector" in str(raised.value)


def test_an_export_of_several_files_in_an_archive_is_a_history(folder: Path) -> None:
    """It was refused as a table."""
    plays = [{"listened_at": 1_550_000_000 + 90_000 * number, "user_name": "me",
              "track_metadata": {"artist_name": "a", "track_name": TRACKS[number % 30]}}
             for number in range(300)]  # fmt: skip
    with zipfile.ZipFile("export.zip", "w") as archive:
        archive.writestr("listens/2019/1.jsonl", "\n".join(map(json.dumps, plays[:150])))
        archive.writestr("listens/2019/2.jsonl", "\n".join(map(json.dumps, plays[150:])))
    pl.DataFrame({"track": TRACKS, "artist": "a", "title": TRACKS}).write_csv("tracks.csv")
    write_vectors(folder / "mine.parquet")
    assert "export.zip: the log of plays, an export that the importer listenbrainz reads" in init(folder, code=1)


def test_an_export_with_ids_of_tracks_is_a_history(folder: Path) -> None:
    """It was taken for a table of tracks, since it has no user, and was not even named."""
    rows = ["uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid"]
    rows += [f'{1_550_000_000 + 90_000 * n},"12 Feb 2019, 19:33",a,,x,,{TRACKS[n % 30]},' for n in range(300)]
    (folder / "lastfm.csv").write_text("\n".join(rows) + "\n")
    write_vectors(folder / "mine.parquet")
    assert "lastfm.csv: the log of plays, an export that the importer lastfm reads" in init(folder, code=1)


def test_files_that_cannot_be_read_do_not_stop_a_draft(folder: Path) -> None:
    LOG.write_csv("plays.csv")
    write_vectors(folder / "mine.parquet")
    (folder / "empty.txt").touch()
    (folder / "torn.zip").write_bytes(b"PK\x03\x04 torn")
    (folder / "ids.json").write_text('["a", "b"]')
    answer = init(folder)
    assert "empty.txt: left out: is empty" in answer
    assert "torn.zip: left out: is cut short or damaged" in answer
    assert "ids.json: left out: cannot be read" in answer


def test_runs_and_models_are_no_sources(folder: Path) -> None:
    """A table of a model, with lists of nothing, ended in a traceback."""
    LOG.write_csv("plays.csv")
    write_vectors(folder / "mine.parquet")
    for name in ("run/run.json", "model/model.json"):
        Path(name).parent.mkdir()
        Path(name).write_text("{}")
        LOG.write_csv(Path(name).parent / "log.csv")
    (folder / "odd").mkdir()
    odd = {"track": TRACKS, "names": [[]] * 30, "raw": [b"x"] * 30, "both": [{"a": 1}] * 30, "n": 1, "m": 2}
    pl.DataFrame(odd).write_parquet("odd/odd.parquet")
    answer = init(folder)
    assert "run/" not in answer
    assert "model/" not in answer
    assert "odd/odd.parquet: left out: no columns of a log, of tracks or of vectors" in answer


def test_a_table_without_any_artist_is_no_table_of_tracks(folder: Path) -> None:
    """A list that `timbrec recommend` wrote has the columns, and nothing in them."""
    LOG.write_csv("plays.csv")
    write_vectors(folder / "mine.parquet")
    pl.DataFrame({"rank": [1, 2], "item": TRACKS[:2], "artist": [None, None]}).write_csv("list.csv")
    assert "list.csv: left out: no columns of a log, of tracks or of vectors" in init(folder)


def test_what_was_seen_instead_of_a_log_is_said(folder: Path) -> None:
    pl.DataFrame({"track": TRACKS, "artist": "a"}).write_csv("tracks.csv")
    write_vectors(folder / "mine.parquet")
    with pytest.raises(DataError) as raised:
        init(folder)
    assert "\n  mine.parquet: vectors" in str(raised.value)
    assert "\n  tracks.csv: a table of tracks" in str(raised.value)


def test_a_log_that_must_be_mended_keeps_the_choice_of_a_day(folder: Path) -> None:
    LOG.with_columns(played_at=pl.when(pl.int_range(pl.len()) > 5).then("played_at")).write_parquet("plays.parquet")
    write_vectors(folder / "mine.parquet")
    answer = init(folder, code=1)
    assert "before it can run: " in answer
    assert "'played_at'" in answer
    assert "# test_at: 2019-03-01" in (folder / "config.yaml").read_text()
    assert "config.yaml and run `timbrec init` again, or choose a day under `split`" in answer


def test_a_single_listener_is_told_of_playlists(folder: Path) -> None:
    LOG.drop("user").write_csv("plays.csv")
    write_vectors(folder / "mine.parquet")
    assert "for one listener, `timbrec fit --music" in init(folder)


def test_a_config_in_a_new_folder_finds_its_files(folder: Path) -> None:
    """Paths that go up from a folder that does not exist yet lead nowhere."""
    LOG.write_csv("plays.csv")
    write_vectors(folder / "mine.parquet")
    assert "checked: 30 tracks" in init(folder, "plays.csv", "mine.parquet", out="new/folder/config.yaml")


def test_a_file_that_is_named_twice_is_read_once(folder: Path) -> None:
    write_parts(["log/plays-1.csv", "log/plays-2.csv"])
    write_vectors(folder / "mine.parquet")
    answer = init(folder, "log", "./log", "log/plays-1.csv", "mine.parquet", str(folder / "mine.parquet"))
    assert len(load_inputs(read_config(folder / "config.yaml")).log) == len(LOG)
    assert "mine-2" not in (folder / "config.yaml").read_text()
    assert answer.count("the log of plays") == 1


def test_a_path_that_does_not_exist_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv does not exist"):
        init(folder, "nowhere.csv")


@pytest.mark.parametrize(
    ("role", "names", "expected"),
    [
        ("item", ["user_id:token", "item_id:token", "timestamp:float"], ["item_id:token"]),
        ("item", ["TrackID", "track_name", "artist_id"], ["TrackID"]),
        ("user", ["userid", "User Name", "track"], ["userid", "User Name"]),
        ("time", ["listened_at", "playtime_total", "release_date"], ["listened_at", "playtime_total", "release_date"]),
        ("plays", ["track_count", "play_count"], ["play_count"]),
        ("artist", ["artist_name", "artist_id"], ["artist_id", "artist_name"]),
    ],
)
def test_roles_are_found_by_usual_names(role: str, names: list[str], expected: list[str]) -> None:
    assert candidates(role, names) == expected
