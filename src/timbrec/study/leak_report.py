"""The leaks of a run: cold tracks that train contains, popularity in vectors, and encoders trained on the run's
data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from timbrec.data.split import Fold
from timbrec.data.vocabulary import Vocabulary
from timbrec.study.inputs import Inputs
from timbrec.study.leaks import albums_of, known_in_train, with_near_copies, with_same_audio
from timbrec.study.predictability import predictability
from timbrec.types import Array, Bool, Progress

if TYPE_CHECKING:
    from timbrec.protocols import EncoderCard
    from timbrec.store import VectorSource

LEAKS = {
    "check": pl.String, "encoder": pl.String, "tracks": pl.Int64, "of": pl.Int64, "pairs": pl.Int64,
    "value": pl.Float64, "level": pl.Float64, "found": pl.Boolean, "removed": pl.Boolean, "detail": pl.String,
}  # fmt: skip
_PROBED, _LEAST = 1_000, 100  # train tracks that predict popularity
_SEED = 0x1EAC
_ALIASES = {  # words that name a public data set in the name of a run
    "million song dataset": ("msd", "million song", "taste profile", "echo nest"),
    "magnatagatune": ("magnatagatune", "mtat", "mtt"),
    "free music archive": ("fma", "free music archive"),
    "mtg-jamendo": ("jamendo",),
    "music4all": ("music4all", "m4a", "onion"),
    "audioset": ("audioset",),
    "gtzan": ("gtzan",),
}


def find_leaks(
    inputs: Inputs,
    cards: Mapping[str, EncoderCard | None],
    dataset: str,
    by_artist: bool,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """A row per check and encoder, with the columns of LEAKS, on the cold test before any pair was removed.

    - `check`: "artist", "album", "copy", "audio", "training" or "popularity".
    - `tracks`, `of`, `pairs`: so many of the cold test tracks are affected, in so many test pairs.
    - `value`, `level`: the correlation of popularity with its prediction, and the correlation that chance exceeds for
      some encoder in 5 % of runs.
    - `found`: null if a check is not possible; `detail` gives the reason, or an example.

    `dataset` names the run's data; `cards` are the cards of the encoders.
    """
    whole = inputs.whole or inputs.split
    fold, removed = whole.test, inputs.whole is not None
    steps = [
        _shared(fold, inputs.artists, "artist", by_artist),
        _shared(fold, albums_of(inputs.artists, inputs.albums), "album", removed),
    ]
    names = [name for name in inputs.sources if name not in inputs.metadata]
    for done, name in enumerate(names):
        if progress:
            progress(f"leaks: {name}", done, len(names))
        steps += [row | {"removed": removed} for row in _copies(fold, inputs.sources[name], whole.items, name)]
    steps += [_trained_on(name, cards.get(name), dataset) for name in names]
    steps += _popularity(inputs, names)
    return pl.DataFrame([{"removed": False} | step for step in steps], schema=LEAKS)


def _shared(fold: Fold, values: pl.Series | None, what: str, removed: bool) -> dict[str, Any]:
    """The cold tracks by an artist, or from an album, with tracks in train."""
    if values is None or values.is_null().all():
        return {"check": what, "found": None, "detail": f"the items table names no {what}s"}
    return {"check": what, "removed": removed} | _counts(fold, known_in_train(values, fold))


def _counts(fold: Fold, concerned: Bool[Array, "c"]) -> dict[str, Any]:
    tracks = fold.cold.items[concerned]
    return {
        "tracks": len(tracks), "of": len(concerned), "pairs": int(np.isin(fold.cold.item, tracks).sum()),
        "found": bool(len(tracks)),
    }  # fmt: skip


def _copies(fold: Fold, source: VectorSource, items: Vocabulary, name: str) -> Iterator[dict[str, Any]]:
    """The cold tracks with the vector, and with the decoded audio, of a train track."""
    checks = {"copy": with_near_copies(fold, source, items), "audio": with_same_audio(fold, source, items)}
    for check, copies in checks.items():
        row: dict[str, Any] = {"check": check, "encoder": name}
        if copies is not None:
            example = next(iter(np.flatnonzero(copies >= 0)), None)
            pair = [] if example is None else items.ids.gather([fold.cold.items[example], copies[example]]).to_list()
            yield row | _counts(fold, copies >= 0) | {"detail": " is ".join(map(repr, pair))}
        elif check == "copy":
            yield row | {"found": None, "detail": "its vectors do not tell tracks apart well enough"}


def _trained_on(name: str, card: EncoderCard | None, dataset: str) -> dict[str, Any]:
    """Whether an encoder was trained on the run's data, according to its card."""
    row: dict[str, Any] = {"check": "training", "encoder": name}
    if card is None:
        return row | {"found": None, "detail": "vectors from elsewhere have no card"}
    used = [training for training in card.datasets if _names(dataset, training)]
    return row | {"found": bool(used), "detail": ", ".join(used) or f"trained on: {card.trained_on}"}


def _names(text: str, dataset: str) -> bool:
    """Whether a text names a data set, by its name or a usual short form."""
    words = f" {' '.join(re.findall('[a-z0-9]+', text.lower()))} "
    names = (dataset.lower(), *_ALIASES.get(dataset.lower(), ()))
    return any(f" {' '.join(re.findall('[a-z0-9]+', name))} " in words for name in names)


def _popularity(inputs: Inputs, names: list[str]) -> Iterator[dict[str, Any]]:
    """How well the number of train users of a track is predicted from its vectors.

    One track per artist, where artists are known, so that tracks of an artist do not predict each other.
    """
    train = inputs.split.test.train
    rows = np.random.default_rng(_SEED).permutation(train.items)
    if inputs.artist_rows is not None:
        artist = inputs.artist_rows[rows]
        groups = np.where(artist < 0, -1 - np.arange(len(rows)), artist)
        rows = rows[np.sort(np.unique(groups, return_index=True)[1])]
    rows = rows[:_PROBED]
    counts = pl.Series(train.item_users[rows])
    if len(rows) < _LEAST or counts.n_unique() < 2:
        reason = f"it takes {_LEAST} train tracks by different artists, with different numbers of users"
        yield from ({"check": "popularity", "encoder": name, "found": None, "detail": reason} for name in names)
        return
    ids = inputs.catalogue.take(rows)
    vectors = {name: inputs.sources[name].aligned(ids) for name in names}
    values, level = predictability(vectors, counts.rank().to_numpy()) if vectors else ({}, 0.0)
    for name, value in values.items():
        found = {"value": value, "level": level, "found": value > level}
        yield {"check": "popularity", "encoder": name, "of": len(rows)} | found
