"""Warnings about inputs that can be used, but may make figures misleading."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from timbrec.data.events import Events
from timbrec.data.ids import examples, likeness, near_duplicates, rounded
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


def log_warnings(log: Events, catalogue: Vocabulary) -> Iterator[str]:
    """Warn about ids that differ only in spelling, rows without vectors, and implausible dates."""
    for what, vocabulary in (("users", log.users), ("tracks", log.items)):
        if twins := near_duplicates(vocabulary.ids):
            yield f"{what} of the log differ from others only by {twins}"
        if len(large := rounded(vocabulary.ids)):
            yield f"{len(large):,} {what} of the log have ids that lost digits when written, e.g. {large[0]!r}"
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


def _dominant_user(log: Events) -> Iterator[str]:
    """A user with a twentieth of all rows and ten times the average: often a word for users who are unknown."""
    counts = np.bincount(log.table["user"].to_numpy(), minlength=len(log.users))
    user, share = int(counts.argmax()), float(counts.max() / len(log))
    if share >= max(0.05, 10 / len(log.users)):
        name = examples(log.users.take(np.array([user])))
        yield f"user {name} has {share:.1%} of the log's rows; drop them if the id stands for unknown users"


def _odd_times(times: pl.Series) -> Iterator[str]:
    latest = times.max()
    if isinstance(latest, datetime) and latest.year < 1980:
        yield f"every play is before 1980 (the last on {latest:%Y-%m-%d}); check `time_unit` and `time_format`"
    elif unset := int(times.is_between(datetime(1970, 1, 1), datetime(1970, 1, 2), "left").sum()):
        yield f"{unset:,} plays are dated 1970-01-01, as by a clock that was not set"


def source_warnings(name: str, source: VectorSource, log: Events, encoded: bool) -> Iterator[str]:
    """Warn about ids that match the log only in part, and about odd vectors."""
    lacking = log.items.ids.filter(~source.has(log.items.ids))
    unplayed = source.ids.filter(log.items.rows(source.ids) < 0)
    if near := likeness(lacking, unplayed) or likeness(lacking, source.ids):
        yield f"{name}: tracks of the log and vectors differ only by {near}; make them alike"
    if encoded:
        yield from (f"{name}: {remark}" for remark in examine(source).remarks(source.dimensions))


def file_warnings(files: pl.DataFrame) -> Iterator[str]:
    """Warn about files that are no audio, by encoder."""
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
    return bool(recommender(entry.use, entry.settings, config.budget).validates)
