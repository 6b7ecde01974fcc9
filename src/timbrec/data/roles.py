"""Roles of columns by name: the user, the track, the time of a play, and others."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

# Usual names by role, the most specific first; compared without case and punctuation.
USUAL: Mapping[str, tuple[str, ...]] = {
    "user": (
        "user id", "user", "uid", "listener id", "listener", "account id", "account", "member id", "customer id",
        "profile id", "user name",
    ),
    "item": (
        "track id", "item id", "song id", "recording id", "track", "item", "song", "recording", "track uri", "sid",
        "tid", "recording mbid", "music id", "id",
    ),
    "time": (
        "timestamp", "played at", "listened at", "time", "datetime", "date time", "ts", "date", "event time",
        "created at", "unix time", "listen time", "day", "dt", "ds",
    ),
    "plays": ("plays", "play count", "listen count", "count", "n plays", "num plays"),
    "artist": ("artist id", "artist", "artist name", "artist mbid"),
    "genre": ("genre", "genres", "main genre"),
    "album": ("album id", "album", "album name", "release"),
}  # fmt: skip
# Words within other names that point to a role.
WORDS: Mapping[str, str] = {
    "user": r"user|listener|account|member|customer",
    "item": r"track|item|song|recording",
    "time": r"time|date|played|listened",
    "plays": r"plays|playcount",
    "artist": r"artist",
}


def candidates(role: str, names: Sequence[str]) -> list[str]:
    """The columns that may have this role, likeliest first: usual names, then names that contain a word of it.

    RecBole writes types after a colon, as in `user_id:token`; they are ignored.
    """
    plain = {name: _plain(name) for name in names}
    usual = [_squeezed(known) for known in USUAL[role]]
    exact = sorted((name for name in names if plain[name] in usual), key=lambda name: usual.index(plain[name]))
    word = WORDS.get(role)
    near = [name for name in names if word and name not in exact and re.search(word, plain[name])]
    return exact + [name for name in near if not _is_other(plain[name], role)]


def quoted(name: str) -> str:
    """The name of a column as YAML reads it, in quotes if it needs them."""
    return name if re.fullmatch(r"[^\W\d][\w. -]*", name) else json.dumps(name, ensure_ascii=False)


def _is_other(plain: str, role: str) -> bool:
    """Whether a name is a usual name of another role, or contains the word of a role that it describes."""
    others = {other: names for other, names in USUAL.items() if other != role}
    if any(plain in map(_squeezed, names) for names in others.values()):
        return True
    return bool(re.search(r"name|title|count|number|length|duration|artist|album|genre|year", plain))


def _plain(name: str) -> str:
    return _squeezed(name.partition(":")[0])


def _squeezed(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
