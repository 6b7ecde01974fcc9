"""A synthetic music world: audio, listeners, plays and labels drawn from known factors.

None of its data is real, and the files it writes say so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from timbrec.errors import ConfigError
from timbrec.files import replacing, write_atomically
from timbrec.types import Array, Float, Float32, Int, Progress
from timbrec.worlds.shared import labels
from timbrec.worlds.shared.listening import Shelf, listen

FACTORS: dict[str, float] = {  # weight in taste; the audible factors first, in the order of synth.AUDIBLE
    "brightness": 1.1,
    "roughness": 1.0,
    "attack": 1.0,
    "noise": 1.1,
    "percussion": 0.7,
    "tempo": 0.5,
    "mode": 0.4,
    "harmony": 0.0,
    "register": 0.0,
    "swing": 0.0,
    "space": 0.0,
    "loudness": 0.0,
    "scene": 0.7,  # not audible: shared by listeners, absent from audio
}
STATEMENT = (
    "This is a synthetic data set made by timbrec. Its listeners, plays, artists, labels and audio are not real."
)
VERSION = 1  # raise it when the same settings give another world

_ARTIST_SHARE = 0.5  # share of a factor's variance that is the artist's
_PICKINESS = 1.25  # rate at which interest falls with distance in taste
_TRACKS_PER_ARTIST, _TRACKS_PER_ALBUM = 8, 4


@dataclass(frozen=True)
class WorldTables:
    """`events`: user_id, track_id, timestamp (UTC, without a zone), in order of time; one row per play.

    `items`: track_id, artist_id, album_id, artist, album, title, genre, tags (a list), released (a date); in order of
    track_id, which is random.
    """

    events: pl.DataFrame
    items: pl.DataFrame


@dataclass(frozen=True)
class MusicWorld:
    """Settings of a world, from which its tables and audio follow: identical to the byte on one machine.

    `tracks_per_user` is the mean number of distinct tracks of a user and `plays_per_pair` the mean number of plays of a
    pair, both with long tails; a user plays at most half of all tracks. The log covers `months` months from `start`,
    the first day of a month. A share `fresh` of the albums is released in each of the last two months, most others
    before the log begins. The scale of tamm2026, best without audio, is
    `MusicWorld(users=21_000, tracks=56_000, tracks_per_user=257, fresh=0.01)`.

    Raises ConfigError for settings out of range.
    """

    users: int = 400
    tracks: int = 800
    tracks_per_user: int | float = 80
    plays_per_pair: int | float = 2.5
    fresh: int | float = 0.15
    start: date = date(2018, 2, 1)
    months: int = 14
    clip_seconds: int | float = 6.0
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = {
            "users": (1, 10_000_000),
            "tracks": (2, 10_000_000),
            "tracks_per_user": (1, 10_000_000),
            "plays_per_pair": (1, 1000),
            "fresh": (0, 0.4),
            "months": (3, 600),
            "clip_seconds": (1, 600),
            "seed": (0, 2**63),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                fix = f"Choose one from {low:,} to {high:,}."
                raise ConfigError(f"a music world cannot have this {name}", example=getattr(self, name), fix=fix)
        if self.start.day != 1:
            raise ConfigError("a music world starts on the first of a month", example=str(self.start))

    @property
    def artists(self) -> int:
        """The number of artists: one for every eight tracks."""
        return max(1, self.tracks // _TRACKS_PER_ARTIST)

    def month(self, number: int) -> date:
        """The first day of the month `number` of the log; 0 gives `start`, `months` the day after the log ends."""
        months = self.start.year * 12 + self.start.month - 1 + number
        return date(months // 12, months % 12 + 1, 1)

    @cached_property
    def latents(self) -> Float32[Array, "tracks factors"]:
        """Factors of each track, standard normal; rows as in the items table, columns as in FACTORS.

        Tracks scatter around the centre of their artist.
        """
        centres = self._rng("artists").standard_normal((self.artists, len(FACTORS)))
        scatter = self._rng("tracks").standard_normal((self.tracks, len(FACTORS)))
        mixed = np.sqrt(_ARTIST_SHARE) * centres[self._artist] + np.sqrt(1 - _ARTIST_SHARE) * scatter
        return mixed.astype(np.float32)

    @property
    def taste(self) -> Float32[Array, "tracks factors"]:
        """`latents` times the weights of FACTORS: the vectors of an ideal encoder."""
        return self.latents * np.array(list(FACTORS.values()), np.float32)

    def vectors(self, quality: int | float, dim: int, seed: int) -> Float32[Array, "tracks dim"]:
        """Vectors of a synthetic encoder: a random linear mix of taste and nuisance around a common mean.

        `quality` is the share of taste in the variance, from 0 (nuisance alone) to 1 (taste alone). Raises ConfigError
        outside that range.
        """
        if not 0 <= quality <= 1:
            raise ConfigError("quality is a share", example=quality, fix="Choose one from 0 to 1.")
        rng, taste = self._rng(f"vectors {seed}"), self.taste
        nuisance = rng.standard_normal(taste.shape, np.float32) * taste.std(axis=0)
        parts = np.hstack([np.sqrt(quality) * taste, np.sqrt(1 - quality) * nuisance]).astype(np.float32)
        mix = rng.standard_normal((parts.shape[1], dim), np.float32)
        return parts @ mix + rng.standard_normal(dim, np.float32)

    def tables(self) -> WorldTables:
        """The log and the items table; drawn again, with the same result, at every call."""
        return WorldTables(self._events(), self._items())

    def write(self, folder: Path, audio: bool = True, progress: Progress | None = None) -> None:
        """Write world.json, items.parquet, events.parquet and audio/<track_id>.flac (22,050 Hz, mono, 16 bit).

        world.json holds the settings and says that the data are synthetic; it is written first, so that no data lie
        in the folder without it. Every file appears whole or not at all, and existing files are kept: a call after an
        interruption finishes the work. `progress` counts files. Raises ConfigError when the folder holds
        another world.
        """
        self._claim(folder)
        tables = {"items.parquet": self._items, "events.parquet": self._events}
        clips = self._missing_clips(folder / "audio") if audio else []
        total = len(tables) + (self.tracks if audio else 0)
        with closing(self._write_clips(folder / "audio", clips)) as written:  # starts no clip after an interrupt
            files = chain(_write_tables(folder, tables), written)
            for done, _ in enumerate(files, total - len(tables) - len(clips) + 1):
                if progress:
                    progress("synthesising", done, total)

    def _claim(self, folder: Path) -> None:
        """Write the settings to the folder. Raises ConfigError when the folder holds other settings."""
        folder.mkdir(parents=True, exist_ok=True)
        about = {"synthetic": True, "statement": STATEMENT, "version": VERSION, "settings": asdict(self)}
        text = json.dumps(about, indent=2, default=str)
        file = folder / "world.json"
        if not file.exists():
            write_atomically(file, text)
        elif _json(file.read_text()) != _json(text):
            raise ConfigError("the folder holds another world", example=str(folder), fix="Choose an empty folder.")

    def _missing_clips(self, folder: Path) -> list[int]:
        folder.mkdir(exist_ok=True)
        existing = {file.name for file in folder.iterdir()}
        return [row for row, name in enumerate(self._track_id) if f"{name}.flac" not in existing]

    def _write_clips(self, folder: Path, rows: list[int]) -> Generator[None, None, None]:
        """Write the clips of these tracks and yield after each. Threads suffice: the work releases the GIL."""
        from timbrec.worlds.shared.synth import AUDIBLE, write_clip

        def write(row: int) -> None:
            path = folder / f"{self._track_id[row]}.flac"
            write_clip(path, self.latents[row, : len(AUDIBLE)], self.clip_seconds, (self.seed, row))

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from pool.map(write, rows)

    def _events(self) -> pl.DataFrame:
        taste = self.taste[:, np.array(list(FACTORS.values())) > 0]
        shelf = Shelf(_PICKINESS * taste, self._popularity, self._released)
        days = (self.month(self.months) - self.start).days
        rng = self._rng("listening")
        plays = listen(shelf, self.users, days, self.tracks_per_user, self.plays_per_pair, rng)
        first = np.datetime64(self.start, "us")
        return pl.DataFrame(
            {
                "user_id": labels.ids(self.users, self._rng("user ids")).gather(plays.user),
                "track_id": self._track_id.gather(plays.track),
                "timestamp": first + plays.second.astype("timedelta64[s]"),
            }
        )

    def _items(self) -> pl.DataFrame:
        rng = self._rng("names")
        albums = int(self._album.max()) + 1
        return pl.DataFrame(
            {
                "track_id": self._track_id,
                "artist_id": labels.ids(self.artists, rng).gather(self._artist),
                "album_id": labels.ids(albums, rng).gather(self._album),
                "artist": labels.names("The {} {}", self.artists, rng).gather(self._artist),
                "album": labels.names("{} {}", albums, rng).gather(self._album),
                "title": labels.names("{} {}", self.tracks, rng),
                "genre": labels.genres(self.latents, list(FACTORS), rng),
                "tags": labels.tags(self.latents, list(FACTORS), rng),
                "released": np.datetime64(self.start, "D") + self._released,
            }
        )

    def _rng(self, purpose: str) -> np.random.Generator:
        """A random stream for each purpose: no stream depends on the number of draws of another."""
        return np.random.default_rng((self.seed, *purpose.encode()))

    @cached_property
    def _track_id(self) -> pl.Series:
        return labels.ids(self.tracks, self._rng("track ids"))

    @cached_property
    def _artist(self) -> Int[Array, "tracks"]:
        """The artist of each track, in random order: one track for every artist, the rest by a long tail."""
        rng = self._rng("discographies")
        share = rng.dirichlet(rng.lognormal(0, 1, self.artists))
        more = rng.choice(self.artists, self.tracks - self.artists, p=share)
        return rng.permutation(np.concatenate([np.arange(self.artists), more]))

    @cached_property
    def _album(self) -> Int[Array, "tracks"]:
        """The album of each track: four tracks of an artist."""
        order = np.argsort(self._artist, kind="stable")
        sizes = np.bincount(self._artist)
        place = np.empty(self.tracks, np.int64)
        place[order] = np.arange(self.tracks) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return np.unique(self._artist * self.tracks + place // _TRACKS_PER_ALBUM, return_inverse=True)[1]

    @cached_property
    def _released(self) -> Int[Array, "tracks"]:
        """The day on which each track's album is released; day 0 is `start`.

        A share `fresh` of the albums falls into each of the last two months, the others into the years before.
        """
        rng = self._rng("releases")
        albums = int(self._album.max()) + 1
        eve, last, end = ((self.month(self.months - back) - self.start).days for back in (2, 1, 0))
        place, fresh = rng.permutation(albums), round(self.fresh * albums)
        older = eve - 1 - rng.exponential(4 * 365, albums).astype(np.int64)
        day = np.where(place < 2 * fresh, rng.integers(eve, last, albums), older)
        return np.where(place < fresh, rng.integers(last, end, albums), day)[self._album]

    @cached_property
    def _popularity(self) -> Float[Array, "tracks"]:
        """Popularity of each track: a long tail, in part shared by the tracks of an artist."""
        rng = self._rng("popularity")
        return rng.lognormal(0, 1, self.artists)[self._artist] * rng.lognormal(0, 1.2, self.tracks)


def _json(text: str) -> object:
    """The parsed text, or None where it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _write_tables(folder: Path, tables: dict[str, Callable[[], pl.DataFrame]]) -> Iterator[None]:
    """Write the tables that do not exist yet; yield after each."""
    for name, table in tables.items():
        if not (folder / name).exists():
            with replacing(folder / name) as partial:
                table().write_parquet(partial)
        yield
