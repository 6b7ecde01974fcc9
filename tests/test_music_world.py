"""The synthetic music world against closed forms, direct counts, and estimates independent of the synthesiser."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks
from scipy.stats import norm

from timbrec.errors import ConfigError
from timbrec.worlds.music import FACTORS, MusicWorld
from timbrec.worlds.shared.labels import GENRES, TAGS
from timbrec.worlds.shared.synth import AUDIBLE, RATE, render

T = datetime(2019, 3, 1)
SMALL = MusicWorld(users=20, tracks=24, tracks_per_user=8, clip_seconds=1, seed=7)


@pytest.fixture(scope="module")
def world() -> MusicWorld:
    return MusicWorld()


@pytest.fixture(scope="module")
def events(world: MusicWorld) -> pl.DataFrame:
    return world.tables().events


@pytest.fixture(scope="module")
def items(world: MusicWorld) -> pl.DataFrame:
    return world.tables().items


def cold_pairs(events: pl.DataFrame, start: datetime, at: datetime, end: datetime) -> pl.DataFrame:
    """Pairs first played in [at, end), of users with and tracks without a play in [start, at)."""
    first = events.filter(pl.col("timestamp").is_between(start, end, closed="left"))
    first = first.group_by("user_id", "track_id").agg(pl.col("timestamp").min())
    train, later = first.filter(pl.col("timestamp") < at), first.filter(pl.col("timestamp") >= at)
    return later.join(train, on="track_id", how="anti").join(train, on="user_id", how="semi")


def sound(seed: int = 0, seconds: float = 6.0, **factors: float) -> np.ndarray:
    return render(np.array([factors.get(name, 0.0) for name in AUDIBLE]), seconds, np.random.default_rng(seed))


# -- the tables -------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_tables_and_another_seed_others(
    world: MusicWorld, events: pl.DataFrame, items: pl.DataFrame
) -> None:
    again, other = MusicWorld().tables(), MusicWorld(seed=1).tables()
    assert again.events.equals(events)
    assert again.items.equals(items)
    assert not set(other.items["track_id"]) & set(items["track_id"])
    assert abs(np.corrcoef(MusicWorld(seed=1).latents[:, 0], world.latents[:, 0])[0, 1]) < 0.15


def test_the_tables_have_the_requested_sizes(world: MusicWorld, events: pl.DataFrame, items: pl.DataFrame) -> None:
    assert events.columns == ["user_id", "track_id", "timestamp"]
    assert events.schema["timestamp"] == pl.Datetime("us")
    assert ",".join(items.columns) == "track_id,artist_id,album_id,artist,album,title,genre,tags,released"
    assert (len(items), items["track_id"].n_unique(), items["artist_id"].n_unique()) == (800, 800, 100)
    assert events["user_id"].n_unique() == 400
    assert events.null_count().sum_horizontal().item() == items.null_count().sum_horizontal().item() == 0
    pairs = events.select("user_id", "track_id").unique()
    assert len(pairs) / 400 == pytest.approx(80, rel=0.15)
    assert len(events) / len(pairs) == pytest.approx(2.5, rel=0.05)
    assert all(len(name) == 16 and name.isalnum() for name in [*items["track_id"], *events["user_id"].unique()])
    of_album = items.group_by("album_id").agg(pl.col("artist_id", "released").n_unique())
    assert of_album.select("artist_id", "released").max().row(0) == (1, 1)


def test_a_play_lies_in_the_log_and_never_before_its_release(events: pl.DataFrame, items: pl.DataFrame) -> None:
    assert events["timestamp"].is_sorted()
    assert events["timestamp"].to_list()[0] >= datetime(2018, 2, 1)
    assert events["timestamp"].to_list()[-1] < datetime(2019, 4, 1)
    plays = events.join(items, on="track_id")
    assert len(plays) == len(events)
    assert (plays["timestamp"] >= plays["released"].cast(pl.Datetime("us"))).all()


def test_the_share_of_fresh_albums_comes_out_in_each_of_the_last_two_months(items: pl.DataFrame) -> None:
    albums = items.unique("album_id")
    for first, last in ((date(2019, 2, 1), date(2019, 2, 28)), (date(2019, 3, 1), date(2019, 3, 31))):
        fresh = albums.filter(pl.col("released").is_between(first, last))
        assert len(fresh) == round(0.15 * len(albums))
    assert (
        0.05 < float((albums["released"] >= date(2018, 2, 1)).to_numpy().mean()) - 0.3 < 0.4
    )  # some came out during the year


def test_validation_and_test_have_cold_pairs(events: pl.DataFrame) -> None:
    test = cold_pairs(events, datetime(2018, 3, 1), T, datetime(2019, 4, 1))
    validation = cold_pairs(events, datetime(2018, 3, 1), datetime(2019, 2, 1), T)
    for cold in (test, validation):
        assert len(cold) > 500
        assert cold["track_id"].n_unique() > 50
        assert cold["user_id"].n_unique() > 200


def test_the_order_of_rows_carries_no_information(world: MusicWorld, items: pl.DataFrame) -> None:
    assert items["track_id"].is_sorted()
    artist = items["artist_id"].to_numpy()
    size = items.group_by("artist_id").len()["len"].to_numpy()
    by_chance = np.sum(size * (size - 1)) / (800 * 799)
    assert np.mean(artist[1:] == artist[:-1]) < by_chance + 4 * np.sqrt(by_chance / 799)
    row = np.arange(800)
    for values in (items["released"].to_physical().to_numpy(), *world.latents.T):
        assert abs(np.corrcoef(row, values)[0, 1]) < 0.15


@settings(max_examples=25)
@given(
    users=st.integers(1, 40),
    tracks=st.integers(2, 60),
    tracks_per_user=st.floats(1, 60),
    plays_per_pair=st.floats(1, 4),
    fresh=st.floats(0, 0.4),
    months=st.integers(3, 16),
    seed=st.integers(0, 2**63),
)
def test_worlds_of_any_size_are_whole(**chosen: Any) -> None:
    world = MusicWorld(**chosen)
    tables = world.tables()
    assert len(tables.items) == world.tracks == tables.items["track_id"].n_unique()
    assert tables.events["user_id"].n_unique() == world.users
    plays = tables.events.join(tables.items, on="track_id")
    assert len(plays) == len(tables.events)
    assert (plays["timestamp"] >= plays["released"].cast(pl.Datetime("us"))).all()
    per_user = tables.events.group_by("user_id").agg(pl.col("track_id").n_unique())["track_id"].to_numpy()
    assert per_user.max() <= world.tracks // 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"users": 0},
        {"tracks": 1},
        {"tracks_per_user": 0.5},
        {"plays_per_pair": 0},
        {"fresh": 0.5},
        {"months": 2},
        {"clip_seconds": 0.5},
        {"seed": -1},
        {"fresh": float("nan")},
        {"start": date(2018, 2, 2)},
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong)) if "start" not in wrong else "first of a month"):
        MusicWorld(**wrong)


# -- listeners --------------------------------------------------------------------------------------------------------


def played(pairs: pl.DataFrame, events: pl.DataFrame, items: pl.DataFrame) -> np.ndarray:
    """(users, tracks): True where the pair is among `pairs`."""
    row = {name: place for place, name in enumerate(sorted(events["user_id"].unique()))}
    column = {name: place for place, name in enumerate(items["track_id"])}
    out = np.zeros((len(row), len(column)), bool)
    out[[row[name] for name in pairs["user_id"]], [column[name] for name in pairs["track_id"]]] = True
    return out


def ranked_above(events: pl.DataFrame, items: pl.DataFrame, vectors: np.ndarray) -> float:
    """The mean share of cold tracks that rank below a cold test track for its user, by cosine with the mean profile.

    One half is chance. The profile is the mean of the tracks that the user played before T.
    """
    cold = played(cold_pairs(events, datetime(2018, 3, 1), T, datetime(2019, 4, 1)), events, items)
    unit = vectors - vectors.mean(0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    score = played(events.filter(pl.col("timestamp") < T), events, items) @ unit @ unit.T
    candidates = np.flatnonzero(cold.any(axis=0))
    place = score[:, candidates].argsort(axis=1).argsort(axis=1) / (len(candidates) - 1)
    return float(place[cold[:, candidates]].mean())


def test_taste_decides_plays_and_better_vectors_find_more_of_them(
    world: MusicWorld, events: pl.DataFrame, items: pl.DataFrame
) -> None:
    by_quality = [ranked_above(events, items, world.vectors(quality, 64, seed=3)) for quality in (0.0, 0.4, 1.0)]
    oracle = ranked_above(events, items, world.taste)
    assert by_quality[0] == pytest.approx(0.5, abs=0.04)
    assert by_quality[1] > 0.55
    assert by_quality[2] > by_quality[1] + 0.03
    assert oracle > 0.62


def test_labels_and_taste_agree_only_in_part(world: MusicWorld, events: pl.DataFrame, items: pl.DataFrame) -> None:
    ignored = [column for column, weight in enumerate(FACTORS.values()) if weight == 0]
    assert all(any(FACTORS[factor] == 0 for factor in place) for place in GENRES.values())
    assert ranked_above(events, items, world.latents[:, ignored]) == pytest.approx(0.5, abs=0.04)
    genre = np.array(items["genre"])[:, None] == np.array(list(GENRES))
    assert genre.mean(axis=0).min() > 0.05
    by_genre, oracle = ranked_above(events, items, genre.astype(float)), ranked_above(events, items, world.taste)
    assert 0.5 < by_genre < oracle - 0.05


def test_tags_follow_their_factor_with_errors(world: MusicWorld, items: pl.DataFrame) -> None:
    for tag, place in TAGS.items():
        ((factor, sign),) = place.items()
        has = items["tags"].list.contains(tag).to_numpy()
        strength = sign * world.latents[:, list(FACTORS).index(factor)]
        # seeming = strength + N(0, .7) > 1.3, so a share 1 - Phi(1.3 / sqrt(1 + .49)) of the tracks has the tag
        assert has.mean() == pytest.approx(norm.sf(1.3 / np.sqrt(1.49)), abs=0.06)
        assert strength[has].mean() > 0.7
        assert 0 < np.mean(strength[has] < 1.3) < 0.8


def test_popularity_finds_hot_plays_at_twice_the_chance_level(events: pl.DataFrame, items: pl.DataFrame) -> None:
    before = played(events.filter(pl.col("timestamp") < T), events, items)
    after = played(events.filter(pl.col("timestamp") >= T), events, items) & ~before & before.any(axis=0)
    plays = np.where(before | ~before.any(axis=0), -1, before.sum(axis=0))
    hits = np.take_along_axis(after, np.argsort(-plays, axis=1)[:, :20], axis=1).sum()
    by_chance = (20 * after.sum(axis=1) / (plays >= 0).sum(axis=1)).sum()
    assert hits > 2 * by_chance


def test_a_larger_world_without_audio_has_long_tails_and_takes_seconds(tmp_path: Path) -> None:
    world = MusicWorld(users=2_000, tracks=5_000, tracks_per_user=100, fresh=0.02, seed=2)
    start = time.process_time()
    world.write(tmp_path, audio=False)
    assert time.process_time() - start < 30
    assert {file.name for file in tmp_path.iterdir()} == {"world.json", "items.parquet", "events.parquet"}
    pairs = pl.read_parquet(tmp_path / "events.parquet").select("user_id", "track_id").unique()
    by_user = pairs.group_by("user_id").len()["len"].to_numpy()
    by_track = pairs.group_by("track_id").len()["len"].sort(descending=True).to_numpy()
    assert by_user.min() >= 20
    assert by_user.mean() == pytest.approx(100, rel=0.1)
    assert by_user.max() > 8 * np.median(by_user)
    assert by_track[:500].sum() > 0.3 * by_track.sum()  # the top tenth; .13 if plays were uniform
    ranks = np.arange(10, 1000)
    slope = np.polyfit(np.log(ranks), np.log(by_track[ranks]), 1)[0]
    assert -1.2 < slope < -0.3  # near Zipf's law over two decades


def test_vectors_have_the_shape_and_refuse_a_quality_that_is_no_share() -> None:
    assert SMALL.vectors(0.5, 10, seed=0).shape == (24, 10)
    assert np.array_equal(SMALL.vectors(0.5, 10, seed=0), SMALL.vectors(0.5, 10, seed=0))
    assert not np.array_equal(SMALL.vectors(0.5, 10, seed=0), SMALL.vectors(0.5, 10, seed=1))
    with pytest.raises(ConfigError, match="quality"):
        SMALL.vectors(1.5, 10, seed=0)


# -- the sound --------------------------------------------------------------------------------------------------------


def test_every_audible_factor_is_a_factor_of_the_world_in_the_same_order() -> None:
    assert list(FACTORS)[: len(AUDIBLE)] == list(AUDIBLE)


def test_clips_are_finite_below_full_scale_without_dc_and_at_the_requested_level() -> None:
    factors = np.random.default_rng(0).standard_normal((40, len(AUDIBLE)))
    factors[:2] = [[-8] * len(AUDIBLE), [8] * len(AUDIBLE)]  # both ends of every dial at once
    for number, row in enumerate(factors):
        clip = render(row, 2.0, np.random.default_rng(number))
        assert clip.shape == (2 * RATE,)
        assert np.isfinite(clip).all()
        assert np.abs(clip).max() < 1
        assert abs(clip.mean()) < 1e-4
        level = -30 + 18 * norm.cdf(row[AUDIBLE.index("loudness")])
        assert 10 * np.log10(np.mean(clip**2)) == pytest.approx(level, abs=0.1)


@pytest.mark.parametrize("tempo", [-2.0, 0.0, 2.0])
def test_onsets_come_at_the_tempo(tempo: float) -> None:
    # Dense hats play every sixteenth; count the peaks of the spectral flux above 4 kHz, which the hats own.
    clip = sound(seed=1, tempo=tempo, percussion=1.5, space=-8, noise=-8, swing=-8, brightness=-1, roughness=-3)
    frames = np.lib.stride_tricks.sliding_window_view(clip, 512)[::128] * np.hanning(512)
    high = np.log(np.abs(np.fft.rfft(frames))[:, 512 * 4000 // RATE :].sum(axis=1) + 1e-4)
    peaks, _ = find_peaks(np.diff(high), height=0.3, distance=0.045 * RATE / 128)
    sixteenths = (70 + 100 * norm.cdf(tempo)) / 15
    assert len(peaks) / 6 == pytest.approx(sixteenths, rel=0.12)


def centroid(clip: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(clip)) ** 2
    return float(np.sum(power * np.fft.rfftfreq(len(clip), 1 / RATE)) / power.sum())


def flatness(clip: np.ndarray) -> float:
    power = np.abs(np.fft.rfft(clip))[: len(clip) // 200 * 50].reshape(-1, 50).mean(axis=1) ** 2
    return float(np.exp(np.log(power).mean()) / power.mean())


def crest(clip: np.ndarray) -> float:
    loud = np.sqrt(np.mean(clip[: len(clip) // 441 * 441].reshape(-1, 441) ** 2, axis=1))
    return float(np.percentile(loud, 95) / np.median(loud))


@pytest.mark.parametrize(
    ("factor", "measure", "others"),
    [
        ("brightness", centroid, {}),
        ("register", centroid, {"percussion": -8, "noise": -8}),
        ("noise", flatness, {"percussion": -8}),
        ("percussion", crest, {"attack": -2}),
    ],
)
def test_a_factor_changes_the_sound(
    factor: str, measure: Callable[[np.ndarray], float], others: dict[str, float]
) -> None:
    low, middle, high = (
        np.mean([measure(sound(seed, 3.0, **{factor: z}, **others)) for seed in range(4)]) for z in (-2, 0, 2)
    )
    assert low < middle < high


# -- files on disk --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    SMALL.write(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_written_world_is_complete_readable_and_says_that_it_is_synthetic(written: Path) -> None:
    tables = SMALL.tables()
    assert pl.read_parquet(written / "events.parquet").equals(tables.events)
    assert pl.read_parquet(written / "items.parquet").equals(tables.items)
    about = json.loads((written / "world.json").read_text())
    assert about["synthetic"] is True
    assert "synthetic" in about["statement"]
    assert about["settings"]["tracks"] == 24
    assert {file.name for file in (written / "audio").iterdir()} == {
        f"{name}.flac" for name in tables.items["track_id"]
    }
    for name, loudness in zip(tables.items["track_id"], SMALL.latents[:, AUDIBLE.index("loudness")], strict=True):
        clip, rate = soundfile.read(written / "audio" / f"{name}.flac")
        assert (rate, clip.shape) == (22_050, (22_050,))
        assert soundfile.info(written / "audio" / f"{name}.flac").subtype == "PCM_16"
        assert 10 * np.log10(np.mean(clip**2)) == pytest.approx(-30 + 18 * norm.cdf(loudness), abs=0.2)


def test_the_same_seed_writes_the_same_bytes(written: Path, tmp_path: Path) -> None:
    SMALL.write(tmp_path)
    assert contents(tmp_path) == contents(written)


def test_a_second_call_finishes_an_interrupted_write_and_keeps_its_files(written: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def interrupt(what: str, done: int, total: int) -> None:
        seen.append((done, total))
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SMALL.write(tmp_path, progress=interrupt)
    assert seen == [(number, 26) for number in range(1, 7)]
    whole = contents(written)
    half = {name: bytes_ for name, bytes_ in contents(tmp_path).items() if not Path(name).name.startswith(".")}
    assert 6 < len(half) < len(whole)  # world.json is not counted
    assert all(whole[name] == bytes_ for name, bytes_ in half.items())

    (tmp_path / "events.parquet").unlink()
    kept = [name for name in half if name.endswith(".flac")]
    times = {name: (tmp_path / name).stat().st_mtime_ns for name in kept}
    seen.clear()
    SMALL.write(tmp_path, progress=lambda what, done, total: seen.append((done, total)))
    assert contents(tmp_path) == whole
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in kept} == times
    assert seen[-1] == (26, 26)
    assert len(seen) == 26 - len(kept)


def test_a_folder_of_another_world_is_refused(written: Path) -> None:
    before = contents(written)
    with pytest.raises(ConfigError, match="another world"):
        MusicWorld(users=20, tracks=24, tracks_per_user=8, clip_seconds=1, seed=8).write(written)
    assert contents(written) == before


def test_audio_can_be_added_later(written: Path, tmp_path: Path) -> None:
    SMALL.write(tmp_path, audio=False)
    assert not (tmp_path / "audio").exists()
    SMALL.write(tmp_path)
    assert contents(tmp_path) == contents(written)
