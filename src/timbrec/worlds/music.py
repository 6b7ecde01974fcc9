"""A made-up music world whose every cause is known: tracks one can hear, listeners, plays and labels.

Nothing in it is real data, and what it writes says so.
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
from timbrec.worlds.shared.listening import Shelf, listen

FACTORS: dict[str, float] = {  # how much taste cares; the heard ones first, in the order of synth.HEARD
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
    "scene": 0.7,  # cannot be heard: what listeners share that audio does not carry
}
GENRES: dict[str, dict[str, float]] = {  # where each lies; taste ignores half of these factors
    "ambient": {"percussion": -1.0, "tempo": -0.8, "space": 1.2, "attack": -1.0},
    "ballad": {"tempo": -1.2, "register": 0.6, "roughness": -0.8},
    "dub": {"register": -1.2, "space": 1.0, "brightness": -0.8},
    "jazz": {"harmony": 1.3, "swing": 1.0, "noise": 0.6},
    "metal": {"roughness": 1.3, "tempo": 0.8, "register": -0.6},
    "pop": {"harmony": -0.5, "space": -0.5, "swing": -0.6, "brightness": 0.8},
    "punk": {"harmony": -1.2, "roughness": 0.8, "tempo": 0.8, "attack": 0.6},
    "techno": {"percussion": 1.2, "tempo": 0.7, "swing": -1.0, "noise": -0.5},
}
TAGS: dict[str, dict[str, float]] = {  # given where the factor is strong that way, by hearsay
    "fast": {"tempo": 1.0},
    "slow": {"tempo": -1.0},
    "bright": {"brightness": 1.0},
    "distorted": {"roughness": 1.0},
    "plucked": {"attack": 1.0},
    "spacious": {"space": 1.0},
    "deep": {"register": -1.0},
    "dark mood": {"mode": -1.0},
    "loud": {"loudness": 1.0},
}
STATEMENT = (
    "This is a synthetic data set made by timbrec. Its listeners, plays, artists, labels and audio are not real."
)
VERSION = 1  # raised when the same settings give another world

_ARTIST_SHARE = 0.5  # of a factor's variance that an artist's tracks have in common
_PICKINESS = 1.25  # how fast interest falls with distance in taste
_HEARSAY = 0.7  # standard deviation of the error in labels, where a factor's is 1
_TRACKS_PER_ARTIST, _TRACKS_PER_ALBUM = 8, 4
_FIRST = ("Amber", "Copper", "Distant", "Electric", "Glass", "Hollow", "Little", "Neon", "Paper", "Silver", "Wild")
_SECOND = ("Avenue", "Bridges", "Canyon", "Comet", "Engine", "Garden", "Harbour", "Mirrors", "Rivers", "Static")
_ALPHABET = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8)


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
    """The settings of a world; all else follows from them and the seed, the same to the byte on one machine.

    `tracks_per_user` distinct tracks and `plays_per_pair` plays on average, both with long tails; a user plays at most
    half of all tracks. `months` from `start`, the first of a month. A share `fresh` of the albums comes out in each of
    the last two months, most others before the log begins. The study's scale, best without audio, is
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
        """How many artists there are: one for every eight tracks."""
        return max(1, self.tracks // _TRACKS_PER_ARTIST)

    def month(self, number: int) -> date:
        """The first day of a month of the log; 0 is `start`, `months` the day after the last."""
        months = self.start.year * 12 + self.start.month - 1 + number
        return date(months // 12, months % 12 + 1, 1)

    @cached_property
    def latents(self) -> Float32[Array, "tracks factors"]:
        """What each track is, in the order of FACTORS and of the items table; every factor is standard normal.

        A track scatters around its artist's centre.
        """
        centres = self._rng("artists").standard_normal((self.artists, len(FACTORS)))
        scatter = self._rng("tracks").standard_normal((self.tracks, len(FACTORS)))
        mixed = np.sqrt(_ARTIST_SHARE) * centres[self._artist] + np.sqrt(1 - _ARTIST_SHARE) * scatter
        return mixed.astype(np.float32)

    @property
    def taste(self) -> Float32[Array, "tracks factors"]:
        """`latents` weighed as listeners do: what an ideal encoder would know of the tracks."""
        return self.latents * np.array(list(FACTORS.values()), np.float32)

    def vectors(self, quality: int | float, dim: int, seed: int) -> Float32[Array, "tracks dim"]:
        """Made-up encoder vectors: a random linear mix of taste and as much nuisance, around a common mean.

        `quality` is taste's share of the variance, 0 (none of it) to 1 (nothing else). Raises ConfigError outside.
        """
        if not 0 <= quality <= 1:
            raise ConfigError("quality is a share", example=quality, fix="Choose one from 0 to 1.")
        rng, taste = self._rng(f"vectors {seed}"), self.taste
        nuisance = rng.standard_normal(taste.shape, np.float32) * taste.std(axis=0)
        parts = np.hstack([np.sqrt(quality) * taste, np.sqrt(1 - quality) * nuisance]).astype(np.float32)
        mix = rng.standard_normal((parts.shape[1], dim), np.float32)
        return parts @ mix + rng.standard_normal(dim, np.float32)

    def tables(self) -> WorldTables:
        """Every play and every track, drawn anew at each call."""
        return WorldTables(self._events(), self._items())

    def write(self, folder: Path, audio: bool = True, progress: Progress | None = None) -> None:
        """Write world.json, items.parquet, events.parquet and audio/<track_id>.flac (22,050 Hz, mono, 16 bit).

        world.json holds the settings and says that the data are synthetic; it comes first, so that nothing lies here
        without it. Files appear whole, under their names or not at all, and those already here are kept: calling again
        after an interruption finishes the work. `progress` counts files. Raises ConfigError when
        the folder holds another world.
        """
        self._claim(folder)
        tables = {"items.parquet": self._items, "events.parquet": self._events}
        clips = self._missing_clips(folder / "audio") if audio else []
        total = len(tables) + (self.tracks if audio else 0)
        with closing(self._write_clips(folder / "audio", clips)) as written:  # no clip is begun after an interrupt
            files = chain(_write_tables(folder, tables), written)
            for done, _ in enumerate(files, total - len(tables) - len(clips) + 1):
                if progress:
                    progress("synthesising", done, total)

    def _claim(self, folder: Path) -> None:
        """Put the settings into the folder, or see that they are the ones in it."""
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
        here = {file.name for file in folder.iterdir()}
        return [row for row, name in enumerate(self._track_id) if f"{name}.flac" not in here]

    def _write_clips(self, folder: Path, rows: list[int]) -> Generator[None, None, None]:
        """Write the clips of these tracks; yields after each. Threads do, as nearly all is spent outside the GIL."""
        from timbrec.worlds.shared.synth import HEARD, write_clip

        def write(row: int) -> None:
            path = folder / f"{self._track_id[row]}.flac"
            write_clip(path, self.latents[row, : len(HEARD)], self.clip_seconds, (self.seed, row))

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
                "user_id": _ids(self.users, self._rng("user ids")).gather(plays.user),
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
                "artist_id": _ids(self.artists, rng).gather(self._artist),
                "album_id": _ids(albums, rng).gather(self._album),
                "artist": _names("The {} {}", self.artists, rng).gather(self._artist),
                "album": _names("{} {}", albums, rng).gather(self._album),
                "title": _names("{} {}", self.tracks, rng),
                "genre": _genres(self.latents, rng),
                "tags": _tags(self.latents, rng),
                "released": np.datetime64(self.start, "D") + self._released,
            }
        )

    def _rng(self, purpose: str) -> np.random.Generator:
        """A stream of its own for each purpose, so that none depends on how much another draws."""
        return np.random.default_rng((self.seed, *purpose.encode()))

    @cached_property
    def _track_id(self) -> pl.Series:
        return _ids(self.tracks, self._rng("track ids"))

    @cached_property
    def _artist(self) -> Int[Array, "tracks"]:
        """Each track's artist: one track each, the others by a long tail; in random order."""
        rng = self._rng("discographies")
        share = rng.dirichlet(rng.lognormal(0, 1, self.artists))
        more = rng.choice(self.artists, self.tracks - self.artists, p=share)
        return rng.permutation(np.concatenate([np.arange(self.artists), more]))

    @cached_property
    def _album(self) -> Int[Array, "tracks"]:
        """Each track's album: an artist's tracks by fours."""
        order = np.argsort(self._artist, kind="stable")
        sizes = np.bincount(self._artist)
        place = np.empty(self.tracks, np.int64)
        place[order] = np.arange(self.tracks) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return np.unique(self._artist * self.tracks + place // _TRACKS_PER_ALBUM, return_inverse=True)[1]

    @cached_property
    def _released(self) -> Int[Array, "tracks"]:
        """The day of each track's release, 0 for `start`, that of its album: a share `fresh` of the albums in each of
        the last two months, the others over the years before those."""
        rng = self._rng("releases")
        albums = int(self._album.max()) + 1
        eve, last, end = ((self.month(self.months - back) - self.start).days for back in (2, 1, 0))
        place, fresh = rng.permutation(albums), round(self.fresh * albums)
        older = eve - 1 - rng.exponential(4 * 365, albums).astype(np.int64)
        day = np.where(place < 2 * fresh, rng.integers(eve, last, albums), older)
        return np.where(place < fresh, rng.integers(last, end, albums), day)[self._album]

    @cached_property
    def _popularity(self) -> Float[Array, "tracks"]:
        """Each track's fame, in part its artist's; a long tail."""
        rng = self._rng("popularity")
        return rng.lognormal(0, 1, self.artists)[self._artist] * rng.lognormal(0, 1.2, self.tracks)


def _json(text: str) -> object:
    """What the text says; None where it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _write_tables(folder: Path, tables: dict[str, Callable[[], pl.DataFrame]]) -> Iterator[None]:
    """Write the tables that are not here yet; yields after each."""
    for name, table in tables.items():
        if not (folder / name).exists():
            with replacing(folder / name) as partial:
                table().write_parquet(partial)
        yield


def _ids(n: int, rng: np.random.Generator) -> pl.Series:
    """n ids of 16 letters and digits, ascending by code point."""
    letters = _ALPHABET[rng.integers(len(_ALPHABET), size=(n, 16))]
    return pl.Series(letters.view("S16")[:, 0].astype("U16")).sort()


def _names(pattern: str, n: int, rng: np.random.Generator) -> pl.Series:
    first, second = (pl.Series(words).gather(rng.integers(len(words), size=n)) for words in (_FIRST, _SECOND))
    return pl.select(pl.format(pattern, first, second)).to_series()


def _hearsay(
    latents: Float32[Array, "tracks factors"], labels: dict[str, dict[str, float]], rng: np.random.Generator
) -> tuple[Float[Array, "tracks labels"], Float[Array, "labels"]]:
    """How far each track seems to lie the way of each label, and each label's own squared length."""
    names = list(FACTORS)
    ways = np.zeros((len(labels), len(names)))
    for way, place in zip(ways, labels.values(), strict=True):
        way[[names.index(factor) for factor in place]] = list(place.values())
    seeming = latents @ ways.T
    return seeming + rng.normal(0, _HEARSAY, seeming.shape), np.sum(ways**2, axis=1)


def _genres(latents: Float32[Array, "tracks factors"], rng: np.random.Generator) -> pl.Series:
    """The genre each track seems nearest to."""
    seeming, square = _hearsay(latents, GENRES, rng)
    return pl.Series(list(GENRES)).gather((seeming - square / 2).argmax(axis=1))


def _tags(latents: Float32[Array, "tracks factors"], rng: np.random.Generator) -> pl.Series:
    """The tags of each track, a list, possibly empty."""
    given = _hearsay(latents, TAGS, rng)[0] > 1.3
    chosen = [pl.when(pl.Series(given[:, number])).then(pl.lit(tag)) for number, tag in enumerate(TAGS)]
    return pl.select(pl.concat_list(chosen).list.drop_nulls()).to_series()
