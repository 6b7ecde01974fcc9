"""The inputs of a run, read from a config: the log, the catalogue, the split and the sources of vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from timbrec.data.events import Events
from timbrec.data.split import Split
from timbrec.data.splitting import Window, make_split, window_of
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError, SeveralErrors, TimbrecError
from timbrec.store.vectors import read_vectors
from timbrec.study.catalogue import artists_of, column_of, shared_catalogue, shared_ids
from timbrec.study.config import Config
from timbrec.study.leaks import albums_of, without_leaks
from timbrec.study.left_out import left_out
from timbrec.study.logs import read_interactions, read_tracks, tracks_table
from timbrec.study.metadata import metadata_vectors
from timbrec.study.output import check_output
from timbrec.study.representation import Representation, Source, representations_of
from timbrec.study.sources import (
    FILES,
    announced_vectors,
    dataset_vectors,
    encoded_vectors,
    given_vectors,
    grouped_by_audio,
)
from timbrec.study.warnings import artist_warnings, file_warnings, log_warnings, source_warnings, split_warnings
from timbrec.types import Array, Float32, Int, Progress

if TYPE_CHECKING:
    from timbrec.store import VectorSource


@dataclass(frozen=True, eq=False, repr=False)
class Inputs:
    """The inputs of a run.

    - `log`: the whole log; `events`: its plays of the catalogue, the tracks for which every encoder has a vector.
    - `split`: the split of the events; `whole`: the split before leaked cold pairs were removed, None if none were.
    - `sources`: the vectors by encoder name; `metadata`: the names of the sources made from the items table.
    - `artists`, `genres`, `albums`: a value per catalogue track, None without an items table or such a column.
    - `files`: audio files (encoder, id, path, outcome, reason, fix) without a vector (outcome "failed") or with a
      remark (outcome "remark"); `unopened`: the number of audio files of each encoder that were not opened.
    - `window`: the times of the split, None for a split that is not in time.
    - `warnings`: sentences about odd inputs; `notes`: further rows of the data card.
    - `truth`: the taste of synthetic listeners as vectors of the tracks, None for real listeners.
    """

    log: Events
    events: Events
    split: Split
    sources: dict[str, VectorSource]
    artists: pl.Series | None = None
    genres: pl.Series | None = None
    albums: pl.Series | None = None
    whole: Split | None = None
    files: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FILES))
    representations: tuple[Representation, ...] = ()  # by default every source as it is
    window: Window | None = None
    warnings: tuple[str, ...] = ()
    unopened: dict[str, int] = field(default_factory=dict)
    metadata: frozenset[str] = frozenset()
    notes: tuple[tuple[str, str], ...] = ()
    truth: VectorSource | None = None

    def __post_init__(self) -> None:
        if not self.representations:
            plain = (Representation(name, (Source(store.digest, name),)) for name, store in self.sources.items())
            object.__setattr__(self, "representations", tuple(plain))

    def __repr__(self) -> str:
        return f"<timbrec.Inputs {len(self.log):,} plays, {len(self.catalogue):,} tracks, {', '.join(self.sources)}>"

    @property
    def catalogue(self) -> Vocabulary:
        """The run's tracks, in row order."""
        return self.split.items

    @cached_property
    def artist_rows(self) -> Int[Array, "items"] | None:
        """(items,) the row of each track's artist, -1 where unknown; None without an items table."""
        return None if self.artists is None else Vocabulary.numbers(self.artists)

    @property
    def tracks(self) -> pl.DataFrame:
        """The catalogue's ids and, if known, the columns `artist` and `genre`, in row order."""
        known = {"artist": self.artists, "genre": self.genres}
        columns = [values.alias(name) for name, values in known.items() if values is not None]
        return self.catalogue.ids.to_frame().with_columns(columns)

    @cached_property
    def artists_digest(self) -> str | None:
        """A hash of `artist_rows`; None without an items table."""
        rows = self.artist_rows
        return None if rows is None else hashlib.sha256(rows.tobytes()).hexdigest()[:16]

    @cached_property
    def digests(self) -> dict[str, str]:
        """A description and a hash of each input by name, which later reveal changed inputs."""
        digests = {"interactions": f"{len(self.log):,} rows, {len(self.log.users):,} users, {self.log.digest}"}
        if self.artists_digest is not None:
            digests["items"] = self.artists_digest
        return digests | {name: f"{len(source):,} vectors, {source.digest}" for name, source in self.sources.items()}

    def representation(self, name: str) -> Representation:
        """The representation of this name."""
        return next(entry for entry in self.representations if entry.name == name)

    def vectors(self, representation: Representation) -> Float32[Array, "items dim"]:
        """(items, dim) vectors of the catalogue's tracks, in row order."""
        return representation.vectors(self.sources, self.catalogue, self.split.test.train.items)


def load_inputs(
    config: Config, progress: Progress | None = None, *, encode: bool = True, engine: str = "local"
) -> Inputs:
    """Read everything the config names, and encode the audio that has no vectors yet.

    Without `encode`, audio is neither opened nor encoded; its tracks count as if they had vectors, which is enough to
    check a config. `engine` encodes (see `timbrec.embed.embed_all`). All errors are raised at once, several as
    SeveralErrors.
    """
    errors: list[TimbrecError] = []
    log: Events | None = None
    items: pl.DataFrame | None = None
    with _collecting(errors):
        check_output(config)
    with _collecting(errors):
        log = read_interactions(config, progress)
    with _collecting(errors):
        items = read_tracks(config)
    truth: VectorSource | None = None
    with _collecting(errors):
        truth = None if config.truth is None else read_vectors(config.at(config.truth), columns={"vector": "*"})
    sources, files = _read_sources(config, progress, encode, errors, engine)
    if errors or log is None:
        raise errors[0] if len(errors) == 1 else SeveralErrors(errors)
    catalogue = shared_catalogue(log, sources)
    events = log.restricted_to(catalogue)
    artists = None if items is None or "artist" not in items.columns else artists_of(items, catalogue)
    split = _split_of(config, log, events, artists)
    metadata = frozenset(name for name, entry in config.encoders.items() if entry.metadata is not None)
    unopened = {name: len(sources[name]) for name, entry in config.encoders.items() if entry.audio and not encode}
    genres, albums = (column_of(items, catalogue, name) for name in ("genre", "album"))
    whole = None
    if config.leaks == "remove":
        opened = {name: source for name, source in sources.items() if name not in unopened.keys() | metadata}
        whole, split = split, without_leaks(split, opened, albums_of(artists, albums))
    warnings = list(log_warnings(log, catalogue))
    warnings += [] if artists is None else artist_warnings(artists)
    warnings += source_warnings(sources, log, sources.keys() - unopened.keys() - metadata)
    warnings += [*split_warnings(split, config), *([] if encode else file_warnings(files))]
    _check_strata(config, log, items)
    return Inputs(
        log, events, split, sources, artists, genres, albums, whole, files,
        representations=representations_of(config, sources), window=window_of(config.split),
        warnings=tuple(warnings), unopened=unopened, metadata=metadata,
        notes=tuple(left_out(events, split, whole, config, artists)), truth=truth,
    )  # fmt: skip


def _read_sources(
    config: Config, progress: Progress | None, encode: bool, errors: list[TimbrecError], engine: str
) -> tuple[dict[str, VectorSource], pl.DataFrame]:
    """The vectors by encoder, in the config's order, and the table of odd audio files; adds errors to `errors`."""
    sources: dict[str, VectorSource] = {}
    files = [pl.DataFrame(schema=FILES)]
    for name, entry in config.encoders.items():
        with _collecting(errors):
            if entry.dataset is not None:
                sources[name] = dataset_vectors(name, entry.dataset, config.data)
            elif entry.vectors is not None:
                sources[name] = given_vectors(entry, config.base)
            elif entry.audio is not None and not encode:
                sources[name], listed = announced_vectors(name, entry, config.base, config.device)
                files.append(listed)
    for entries in grouped_by_audio(config.encoders, config.base) if encode else ():
        with _collecting(errors):
            stores, listed = encoded_vectors(entries, config.base, config.device, progress, engine)
            sources |= stores
            files.append(listed)
    shared = shared_ids(sources) if sources else None
    for name, entry in config.encoders.items():
        if entry.metadata is not None:
            with _collecting(errors):
                sources[name] = metadata_vectors(entry.metadata, tracks_table(config), shared)
    return {name: sources[name] for name in config.encoders if name in sources}, pl.concat(files)


def _split_of(config: Config, log: Events, events: Events, artists: pl.Series | None) -> Split:
    """The split of a run with the candidates of its lists; an error says how the log was read."""
    rows = None if artists is None else Vocabulary.numbers(artists)
    try:
        split = make_split(events, config.split, rows)
        return split.with_candidates(config.cold_candidates, config.mixed_candidates)
    except DataError as error:
        raise DataError(f"{error} {_how_read(log)}".strip()) from error


def _check_strata(config: Config, log: Events, items: pl.DataFrame | None) -> None:
    """Raise DataError for strata that need a column or times that the data lack."""
    if "genre" in config.strata and (items is None or "genre" not in items.columns):
        raise DataError("the items table has no column of genres", fix="Name it as `items.columns.genre`.")
    if "age" in config.strata and not log.timed:
        raise DataError("strata by age need the time of each play", fix="Leave `age` out of `strata`.")


def _how_read(log: Events) -> str:
    """A sentence on how the log was read, for errors that a misread log may cause."""
    return f"The log was read with {'; '.join(f'{what}: {how}' for what, how in log.facts)}." if log.facts else ""


@contextmanager
def _collecting(errors: list[TimbrecError]) -> Iterator[None]:
    try:
        yield
    except SeveralErrors as several:
        errors.extend(several.errors)
    except TimbrecError as error:
        errors.append(error)
