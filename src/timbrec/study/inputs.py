"""From a config to what a run works on: the log, the catalogue, the split and the sources of vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from timbrec import catalog
from timbrec.data.events import Events
from timbrec.data.items import read_items
from timbrec.data.log import read_log
from timbrec.data.split import Split, by_items, by_time, tamm2026
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import ConfigError, DataError, SeveralErrors, TimbrecError
from timbrec.study.config import Config, EncoderConfig, SplitConfig
from timbrec.study.representation import Representation, Source, representations_of
from timbrec.types import Array, Float32, Int, Progress

if TYPE_CHECKING:
    from timbrec.embed import EmbedReport
    from timbrec.store import VectorSource

FILES = dict.fromkeys(("encoder", "id", "path", "outcome", "reason", "fix"), pl.String)


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a run works on. `catalogue` is the tracks every encoder has a vector for; `events` holds those alone.

    `sources` gives vectors by encoder name, `artists` the artist of each catalogue track where an items table says.
    `log` is the log as read, before it was cut down to the catalogue; `files` lists audio files (encoder, id, path,
    outcome, reason, fix) that have no vector (outcome "failed") or a remark ("remark").
    """

    log: Events
    events: Events
    split: Split
    sources: dict[str, VectorSource]
    artists: pl.Series | None = None
    files: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FILES))
    representations: tuple[Representation, ...] = ()  # by default every source as it is

    def __post_init__(self) -> None:
        if not self.representations:
            plain = (Representation(name, (Source(store.digest, name),)) for name, store in self.sources.items())
            object.__setattr__(self, "representations", tuple(plain))

    @property
    def catalogue(self) -> Vocabulary:
        """The run's tracks, in row order."""
        return self.split.items

    @cached_property
    def artist_rows(self) -> Int[Array, "items"] | None:
        """A row per artist for each catalogue track, -1 where unknown; None without artists."""
        return None if self.artists is None else Vocabulary.of(self.artists).rows(self.artists)

    @cached_property
    def artists_digest(self) -> str | None:
        """A hash of which tracks share an artist; None without artists."""
        rows = self.artist_rows
        return None if rows is None else hashlib.sha256(rows.tobytes()).hexdigest()[:16]

    def representation(self, name: str) -> Representation:
        """The representation of this name."""
        return next(entry for entry in self.representations if entry.name == name)

    def vectors(self, representation: Representation) -> Float32[Array, "items dim"]:
        """(items, dim) vectors of the catalogue's tracks, in row order."""
        return representation.vectors(self.sources, self.catalogue, self.split.test.train.items)


def load_inputs(config: Config, progress: Progress | None = None, *, encode: bool = True) -> Inputs:
    """Read everything the config names, and encode the audio that has no vectors yet.

    Without `encode`, tracks with audio count as having vectors, but these are not to be had: for a look at the data.
    Raises the one error found, or SeveralErrors with all of them.
    """
    errors: list[TimbrecError] = []
    log: Events | None = None
    items: pl.DataFrame | None = None
    sources: dict[str, VectorSource] = {}
    files = [pl.DataFrame(schema=FILES)]
    with _collecting(errors):
        log = read_log(config.interactions.at(config.base))
    if config.items is not None:
        with _collecting(errors):
            items = read_items(config.items.at(config.base))
    for name, encoder in config.encoders.items():
        with _collecting(errors):
            if encoder.vectors is not None:
                sources[name] = _given(encoder, config)
            elif not encode:
                sources[name] = _announced(name, encoder, config)
    if encode:
        for names in _by_audio(config):
            with _collecting(errors):
                made, listed = _encoded(names, config, progress)
                sources |= made
                files.append(listed)
    if errors or log is None:
        raise errors[0] if len(errors) == 1 else SeveralErrors(errors)
    sources = {name: sources[name] for name in config.encoders}
    catalogue = shared_catalogue(log, sources)
    events = log.restricted_to(catalogue)
    artists = None if items is None else _artists(items, catalogue)
    split = make_split(events, config.split)
    return Inputs(log, events, split, sources, artists, pl.concat(files), representations_of(config, sources))


def shared_catalogue(log: Events, sources: dict[str, VectorSource]) -> Vocabulary:
    """The tracks every source has a vector for, in ascending order of id.

    It does not depend on the log, so that nothing played after T can move a row. Raises DataError when the sources
    share no track, or the log none with them.
    """
    shared = set.intersection(*(set(source.ids) for source in sources.values()))
    catalogue = Vocabulary(sorted(shared))
    if not len(catalogue):
        raise DataError("no track has a vector from every encoder", fix="Check that the ids are of one kind.")
    if not (catalogue.rows(log.items.ids) >= 0).any():
        raise DataError(
            "no track of the log has vectors",
            example=(log.items.ids[0], catalogue.ids[0]),
            fix="The example shows an id of the log and one of the vectors: make them the same kind.",
        )
    return catalogue


def make_split(events: Events, config: SplitConfig) -> Split:
    """The split the config asks for, with the times it leaves out: a year before T, a month on both sides of it.

    Raises DataError when neither test scenario has a pair.
    """
    if config.protocol == "item-holdout":
        split = by_items(events, config.seed, config.cold, config.hot, config.validation)
    else:
        test_at = _utc(config.test_at)
        start = _utc(config.start or _moved(test_at, "-1y"))
        end = _utc(config.end or _moved(test_at, "1mo"))
        if config.protocol == "tamm2026":
            split = tamm2026(events, start, test_at, end)
        else:
            split = by_time(events, start, _utc(config.validate_at or _moved(test_at, "-1mo")), test_at, end)
    if not len(split.test.hot) and not len(split.test.cold):
        raise DataError("both test scenarios are empty: nobody in train played anything new", fix="Check the split.")
    return split


def data_card(inputs: Inputs) -> list[tuple[str, str]]:
    """What is in the data, as (what, how much) rows for a reader."""
    log, events = inputs.log, inputs.events
    repeated = len(log) - log.table.n_unique()
    rows = [
        ("rows in the log", f"{len(log):,}"),
        ("rows that equal another row (counted as plays)", f"{repeated:,}"),
        ("users", f"{len(log.users):,}"),
        ("tracks in the log", f"{len(log.items):,}"),
        ("catalogue: tracks with vectors from every encoder", f"{len(inputs.catalogue):,}"),
        ("rows of the log about these tracks", f"{len(events):,} ({len(events) / len(log):.1%})"),
    ]
    if log.timed:
        first, last = (str(moment)[:16] for moment in (log.table["time"].min(), log.table["time"].max()))
        rows.insert(2, ("time span (UTC)", f"{first} to {last}"))
    for name, source in inputs.sources.items():
        share = source.has(log.items.ids).mean()
        lost = sum(not known for known in inputs.catalogue.rows(source.ids) >= 0)
        rows.append((f"{name}: vectors", f"{len(source.ids):,} x {source.dim}; {share:.1%} of the log's tracks"))
        rows.append((f"{name}: tracks another encoder lacks, left out", f"{lost:,}"))
    return rows


@contextmanager
def _collecting(errors: list[TimbrecError]) -> Iterator[None]:
    try:
        yield
    except SeveralErrors as several:
        errors.extend(several.errors)
    except TimbrecError as error:
        errors.append(error)


def _artists(items: pl.DataFrame, catalogue: Vocabulary) -> pl.Series:
    joined = catalogue.ids.to_frame("item").join(items, on="item", how="left", maintain_order="left")
    if joined["artist"].is_null().all():
        raise DataError(
            "the items table knows the artist of no track that has vectors",
            example=(items["item"].first(), catalogue.ids[0]),
            fix="The example shows an id of the table and one of the vectors: make them the same kind.",
        )
    return joined["artist"]


def _given(encoder: EncoderConfig, config: Config) -> VectorSource:
    """Vectors that are there already."""
    from timbrec.store.vectors import read_vectors

    if encoder.vectors is None:
        raise ConfigError("there are neither vectors nor audio")
    ids = None if encoder.ids is None else config.at(encoder.ids)
    columns = {str(ours): theirs for ours, theirs in encoder.columns.items()}
    return read_vectors(config.at(encoder.vectors), ids, columns, encoder.form)


def _by_audio(config: Config) -> list[list[str]]:
    """The encoders that hear the same audio, together: it is decoded once for all of them."""
    together: dict[Path, list[str]] = {}
    for name, one in config.encoders.items():
        if one.audio is not None:
            together.setdefault(config.at(one.audio), []).append(name)
    return list(together.values())


def _encoded(
    names: list[str], config: Config, progress: Progress | None
) -> tuple[dict[str, VectorSource], pl.DataFrame]:
    """The stores of some encoders of the same audio, after encoding what they lack; files that failed or are odd."""
    from timbrec.audio import Windows
    from timbrec.embed import Output, embed_all
    from timbrec.encoders import load
    from timbrec.store import Subset, VectorStore

    outputs = {}
    for name in names:
        one = config.encoders[name]
        audio, store = _audio(name, one, config)
        weights = None if one.weights is None else config.at(one.weights)
        encoder = load(one.encoder or name, weights, **one.options)
        outputs[name] = Output(encoder, store, Windows(one.windows, one.count), one.layer, one.pool)
    report = embed_all(audio, list(outputs.values()), ids=_ids(names, config), progress=progress)
    sources: dict[str, VectorSource] = {  # a store may hold tracks of other folders
        name: Subset(VectorStore.open(output.store), report.tracks) for name, output in outputs.items()
    }
    return sources, pl.concat([_listed(name, outputs[name].card.name, report) for name in names])


def _listed(name: str, encoder: str, report: EmbedReport) -> pl.DataFrame:
    """The audio files without a vector of an encoder, and those with a remark."""
    failed = report.failures.filter(pl.col("encoder").is_null() | (pl.col("encoder") == encoder)).drop("encoder")
    tables = (failed.with_columns(outcome=pl.lit("failed")), report.remarks.with_columns(outcome=pl.lit("remark")))
    return pl.concat(tables).select(pl.lit(name).alias("encoder"), *list(FILES)[1:])


def _ids(names: list[str], config: Config) -> str | None:
    """How encoders of the same audio name its tracks. Raises ConfigError where they differ."""
    ids = {str(config.encoders[name].ids) for name in names if config.encoders[name].ids is not None}
    if len(ids) > 1:
        raise ConfigError(f"{', '.join(names)} name the same tracks in different ways", example=sorted(ids),
                          fix="Give them the same `ids`.")  # fmt: skip
    return next(iter(ids), None)


def _announced(name: str, one: EncoderConfig, config: Config) -> VectorSource:
    """The ids that encoding would give vectors to, for a look at the data without hours of encoding."""
    from timbrec.embed import tracks_for
    from timbrec.store.vectors import Vectors

    audio, store = _audio(name, one, config)
    tracks = tracks_for(audio, [store], _ids([name], config)).tracks
    dim = 1 if ":" in (one.encoder or name) else catalog.load("encoders", one.encoder or name).card.dim
    return Vectors([track.id for track in tracks], np.broadcast_to(np.float32(1), (len(tracks), dim)), str(audio))


def _audio(name: str, one: EncoderConfig, config: Config) -> tuple[Path, Path]:
    """The audio and the store of its vectors, by default `vectors/NAME` beside the config.

    Raises ConfigError where only the former default, beside the audio, holds a store.
    """
    if one.audio is None:
        raise ConfigError(f"{name} names neither vectors nor audio")
    audio = config.at(one.audio)
    store, former = config.at(one.store or Path("vectors", name)), audio.parent / "vectors" / name
    if one.store is None and any(former.glob("manifest-*.json")) and not any(store.glob("manifest-*.json")):
        raise ConfigError(f"{name}: there is a store at {former}, and none at {store}",
                          fix=f"Use it by `store: {former}`, or move it there.")  # fmt: skip
    return audio, store


def _utc(moment: datetime | None) -> datetime:
    """Naive moments of a config are UTC, as the log's are inside."""
    if moment is None:
        raise ConfigError("`test_at` is needed for a split in time")
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _moved(moment: datetime, by: str) -> datetime:
    """A moment some calendar months or years away, e.g. "-1mo"."""
    moved: datetime = pl.select(pl.lit(moment).dt.offset_by(by)).item()
    return moved
