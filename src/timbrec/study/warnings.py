"""Warnings about inputs that can be used, but may make figures misleading."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, time
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from timbrec import catalog
from timbrec.data.events import Events
from timbrec.data.ids import examples, likeness, near_duplicates, placeholders, rounded
from timbrec.data.roles import candidates, quoted
from timbrec.data.split import SCENARIOS, Split, Task
from timbrec.data.vocabulary import Vocabulary
from timbrec.metrics import metric_of
from timbrec.metrics.shared.base import mean
from timbrec.ranking.outcomes import outcome
from timbrec.recommenders import recommender
from timbrec.store.health import examine
from timbrec.study.config import Config
from timbrec.study.entries import RecommenderConfig

if TYPE_CHECKING:
    from timbrec.store import VectorSource

FEW_USERS = 30  # Student's t has settled; below, intervals say little
HIGH_CHANCE = 0.5  # of the primary metric
ENOUGH_ROWS = 0.9  # of the log
NOBODY = r"(?i)\W*((no|unknown|various|divers) artists?|unknown|various|varios artistas|v\.?a\.?)\W*"  # no artist
REPEATED = 0.1  # of the log: above, files may overlap


def log_warnings(log: Events, catalogue: Vocabulary) -> Iterator[str]:
    """Warn about ids that differ only in spelling, rows without vectors, and implausible dates."""
    for what, vocabulary in (("users", log.users), ("tracks", log.items)):
        if twins := near_duplicates(vocabulary.ids):
            yield f"{what} of the log differ from others only by {twins}"
        if len(large := rounded(vocabulary.ids)):
            yield f"{len(large):,} {what} of the log have ids that lost digits when written, e.g. {large[0]!r}"
        if len(unknown := placeholders(vocabulary.ids)):
            yield f"{what} {examples(unknown)} may stand for unknown ones; if so, drop their rows"
    yield from _dominant_user(log)
    known = catalogue.rows(log.items.ids) >= 0
    share = float(known[log.table["item"].to_numpy()].mean())
    if share < ENOUGH_ROWS:
        lacking = log.items.ids.filter(~known)
        unplayed = catalogue.ids.filter(log.items.rows(catalogue.ids) < 0)
        others = f"; with vectors but no play: {examples(unplayed)}" if len(unplayed) else ""
        yield f"{1 - share:.1%} of the log's rows are of tracks without vectors, e.g. {examples(lacking)}{others}"
    if log.timed:
        yield from _odd_times(log.table["time"])
        yield from _repeated(log)
    else:
        yield from _unread(log)


def _unread(log: Events) -> Iterator[str]:
    """Columns of a log without times whose names are usual for times or counts of plays."""
    if times := candidates("time", log.unread):
        yield f"the log was read without times, and column {times[0]!r} may hold them: {_as_role('time', times[0])}"
    elif (counts := candidates("plays", log.unread)) and (log.table["plays"] == 1).all():
        yield f"each row counts as one play, and column {counts[0]!r} may count them: {_as_role('plays', counts[0])}"


def _as_role(role: str, name: str) -> str:
    return f"`columns: {{{role}: {quoted(name)}}}`"


def _dominant_user(log: Events) -> Iterator[str]:
    """A user with a twentieth of all rows and ten times the average: often a placeholder for unknown users."""
    counts = np.bincount(log.table["user"].to_numpy(), minlength=len(log.users))
    user, share = int(counts.argmax()), float(counts.max() / len(log))
    if share >= max(0.05, 10 / len(log.users)):
        name = examples(log.users.take(np.array([user])))
        yield f"user {name} has {share:.1%} of the log's rows; drop them if the id stands for unknown users"


def _repeated(log: Events) -> Iterator[str]:
    """Rows that occur twice to the second; dates without a time of day repeat naturally."""
    if log.repeated >= REPEATED * len(log) and (log.table["time"].dt.time() != time()).any():
        yield f"{log.repeated:,} rows equal another one in every column; drop them if a file was read twice"


def _odd_times(times: pl.Series) -> Iterator[str]:
    latest = times.max()
    if isinstance(latest, datetime) and latest.year < 1980:
        yield f"every play is before 1980 (the last on {latest:%Y-%m-%d}); check `time_unit` and `time_format`"
    elif len(early := times.filter(times < datetime(1990, 1, 1))):
        day = early.dt.to_string("%Y-%m-%d").mode().sort()[0]
        yield f"{len(early):,} plays are dated before 1990, e.g. {day}, as by a clock that was not set"


def artist_warnings(artists: pl.Series) -> Iterator[str]:
    """Warn about artists that differ only in spelling, stand for unknown ones, or say nothing about tracks."""
    names = artists.drop_nulls()
    if twins := near_duplicates(names.unique(maintain_order=True)):
        yield f"artists differ from others only by {twins}"
    counts = names.value_counts(sort=True, name="tracks")
    name, tracks = counts.row(0)
    if len(counts) == 1:
        yield f"all tracks are by one artist, {name!r}"
    elif tracks == 1 and len(names) > 1:
        yield "every track has an artist of its own: nothing can be said of artists"
    elif re.fullmatch(NOBODY, name) or tracks >= max(0.2 * len(names), 10 * float(np.median(counts["tracks"]))):
        yield (
            f"artist {name!r} has {tracks / len(artists):.1%} of the tracks; leave the cells empty if the name stands "
            "for unknown or various artists"
        )


def source_warnings(sources: Mapping[str, VectorSource], log: Events, opened: Collection[str]) -> Iterator[str]:
    """Warn about ids that match the log only in part, odd vectors, and encoders with the same vectors.

    Vectors are read for the names in `opened` only.
    """
    contents: dict[int, str] = {}
    for name, source in sources.items():
        lacking = log.items.ids.filter(~source.has(log.items.ids))
        unplayed = source.ids.filter(log.items.rows(source.ids) < 0)
        if near := likeness(lacking, unplayed) or likeness(lacking, source.ids):
            yield f"{name}: tracks of the log and vectors differ only by {near}; make them alike"
        if name in opened:
            health = examine(source)
            yield from (f"{name}: {remark}" for remark in health.remarks(source.dimensions))
            if (twin := contents.setdefault(health.content, name)) != name:
                yield f"{name} and {twin} have the same vectors{_elsewhere(source, sources[twin])}"


def _elsewhere(source: VectorSource, twin: VectorSource) -> str:
    """A phrase for two sources with the same vectors on other tracks; empty if the tracks are the same, too."""
    ids = source.ids.head(1000)
    alike = twin.has(ids).all() and np.array_equal(source.aligned(ids), twin.aligned(ids))
    return "" if alike else ", but on other tracks: check the ids"


def file_warnings(files: pl.DataFrame) -> Iterator[str]:
    """Warn about files that are not audio, by encoder."""
    for (name,), rows in files.filter(outcome="failed").group_by("encoder", maintain_order=True):
        path, reason = rows.row(0)[2], rows.row(0)[4]
        yield f"{name}: {len(rows):,} of the audio files cannot be encoded, e.g. {path}: {reason}"


def split_warnings(split: Split, config: Config) -> Iterator[str]:
    """Warn about tests that cannot tell recommenders apart: few users, empty scenarios, a high chance level."""
    users = len(np.union1d(split.test.hot.users, split.test.cold.users))
    if users < FEW_USERS:
        if users == 1:
            yield "one user is tested: no difference between recommenders can be proved"
        else:
            yield f"only {users} users are tested: intervals will be wide"
    for scenario in SCENARIOS:
        task = split.test.task(scenario)
        if not len(task.relevant):
            yield f"the {scenario} test is empty"
        else:
            yield from _task_warnings(split, task, config)
    trained = ", ".join(entry.label or entry.use for entry in config.recommenders if _is_trained(entry, config))
    if trained and not len(split.validation.hot) and not len(split.validation.cold):
        yield f"the validation fold is empty, so that {trained} cannot be trained"
    if trained and config.budget == "quick":
        yield (
            f"quick budget: {trained} are trained briefly, with one seed and the shuffled control only; "
            "their spread over seeds is not estimated"
        )
    elif trained and len(config.seeds) == 1:
        yield f"one seed: the spread of {trained} over seeds is not estimated, and no interval includes it"


def _task_warnings(split: Split, task: Task, config: Config) -> Iterator[str]:
    metric = metric_of(config.primary)
    users = task.users
    result = outcome(np.full((len(users), metric.k), -1), task, split.test.train)
    chance = metric.chance(result)
    advice = (
        "; set `cold_candidates: catalogue`" if task.scenario == "cold" and config.cold_candidates == "tested" else ""
    )
    few = f"{task.scenario}: a median of {int(np.median(result.candidates)):,} candidates per user"
    if chance is not None and (expected := mean(chance)) >= HIGH_CHANCE:
        yield f"{few}, so that {metric.label} is {expected:.2f} by chance{advice}"
    elif np.median(result.candidates) <= 2 * metric.k:
        yield f"{few}, hardly more than the k of {metric.label}{advice}"


def _is_trained(entry: RecommenderConfig, config: Config) -> bool:
    known = catalog.CATALOG["recommenders"].get(entry.use)
    return recommender(entry.use, entry.settings, config.budget).validates if known is None else known.trained
