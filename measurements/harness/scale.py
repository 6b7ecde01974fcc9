"""Plays and vectors at the paper's scale, and at parts of it."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np

from timbrec.data.cuts import by_time
from timbrec.data.events import make_events
from timbrec.data.interactions import Interactions
from timbrec.data.split import Split
from timbrec.data.vocabulary import Vocabulary
from timbrec.protocols import Content
from timbrec.worlds.music import MusicWorld

USERS, TRACKS, PAIRS_PER_USER, DIM = 21_000, 56_000, 257, 768
_TENTH = 0.1  # up to here more albums are fresh, so that there are enough cold tracks to ask for


def world(scale: float) -> MusicWorld:
    """The made-up world with this share of the study's users and tracks, and as many tracks per user."""
    fresh = 0.05 if scale <= _TENTH else 0.01
    return MusicWorld(round(USERS * scale), round(TRACKS * scale), tracks_per_user=PAIRS_PER_USER, fresh=fresh)


def split(scale: float) -> Split:
    """Its log, cut by the `corrected` protocol: tested on the last month, validated on the one before."""
    built = world(scale)
    tables = built.tables()
    events = make_events(tables.events.rename({"user_id": "user", "track_id": "item", "timestamp": "time"}))
    months = (datetime(at.year, at.month, 1) for at in map(built.month, (0, 11, 12, 13)))
    return by_time(events.restricted_to(Vocabulary(tables.items["track_id"])), *months)


def train(scale: float) -> Interactions:
    """The train part before the test month. It is kept in the temporary folder: the whole scale takes a minute."""
    path = Path(tempfile.gettempdir()) / f"timbrec-benchmark-{scale:g}.npz"
    if not path.exists():
        built = split(scale).test.train
        part = path.with_suffix(".part.npz")
        np.savez(part, user=built.user, item=built.item, plays=built.plays, first=built.first)
        part.replace(path)
    columns = np.load(path)
    sizes = round(USERS * scale), round(TRACKS * scale)
    return Interactions(columns["user"], columns["item"], columns["plays"], columns["first"], *sizes)


def content(tracks: int) -> Content:
    """Normal vectors: the speed of training does not depend on their content."""
    return Content(np.random.default_rng(0).standard_normal((tracks, DIM), dtype=np.float32))
