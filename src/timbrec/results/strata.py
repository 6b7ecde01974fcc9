"""Strata: the figures of every line on parts of each test, such as tracks by artists who are not in train."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from timbrec.data.split import SCENARIOS, Task
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import ConfigError, did_you_mean, listing
from timbrec.files import write_atomically
from timbrec.metrics import metric_of
from timbrec.metrics.shared.base import GainMetric, mean
from timbrec.ranking.outcomes import outcome
from timbrec.results.figures import Figures
from timbrec.results.lines import Line, lines
from timbrec.results.table import defined, limits_of
from timbrec.statistics.comparison import Comparison, compare
from timbrec.statistics.influence import influence
from timbrec.study.runs import Run
from timbrec.types import Array, Bool, Int, Progress

STRATA = {
    "scenario": pl.String, "metric": pl.String, "by": pl.String, "stratum": pl.String, "encoder": pl.String,
    "recommender": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "chance": pl.Float64,
    "reference": pl.String, "difference": pl.Float64, "difference_low": pl.Float64, "difference_high": pl.Float64,
    "users": pl.Int64, "pairs": pl.Int64, "items": pl.Int64, "reason": pl.String,
}  # fmt: skip
DAY = 86_400_000_000  # microseconds
Strata = Iterator[tuple[str, Bool[Array, "pairs"]]]  # name, and a mask of the task's relevant pairs


def strata_table(run: Run, figures: Figures, progress: Progress | None = None) -> pl.DataFrame | None:
    """The strata that the config names, on the primary metric, also as strata.csv; None if it names none.

    Lines are compared with the config's `reference`, or with artist-mean where it ran and there is none.
    """
    config = run.facts.get("config", {})
    if not config.get("strata"):
        return None
    known = {item.recommender: item.label for item in run.experiments}
    reference = config.get("reference") or known.get("artist-mean")
    table = compute_strata(run, config["strata"], config["primary"], reference, progress)
    write_atomically(run.folder / "strata.csv", table.write_csv())
    return table


def compute_strata(
    run: Run, names: Sequence[str], metric: str, reference: str | None = None, progress: Progress | None = None
) -> pl.DataFrame:
    """Every line on real vectors by stratum, with the columns of STRATA.

    A stratum of pairs restricts the relevant pairs of a user and leaves the lists unchanged, so other relevant tracks
    in a list are misses; `users`, `pairs` and `items` count those with a relevant pair in the stratum. `low` and `high`
    are the 95 % interval of a value by itself. `difference` is the line less the line of `reference`, paired by user:
    an encoder under the same recommender, or a recommender on the same encoder (or without one); its intervals hold for
    all lines of a stratum at once. With a `reason`, the stratum cannot tell lines apart, and intervals of differences
    are null. Raises ConfigError for unknown strata and references, and for strata that the run lacks the data for.
    """
    check_strata(run, names)
    _check_reference(run, reference)
    chosen = metric_of(metric)
    if not isinstance(chosen, GainMetric):
        raise ConfigError(f"strata need a metric to which hits add up, not {metric!r}", fix="Choose one such as ndcg.")
    rows: list[dict[str, Any]] = []
    for done, scenario in enumerate(SCENARIOS):
        if progress:
            progress(f"strata: {scenario}", done, len(SCENARIOS))
        chosen_lines = [line for line in lines(run, scenario) if line.of()]
        if not chosen_lines:
            continue
        for name in names:
            for stratum, keep in _BY[name](run, chosen_lines[0].task):
                key = {"scenario": scenario, "metric": metric, "by": name, "stratum": stratum}
                rows += [key | row for row in _rows(run, chosen_lines, keep, chosen, reference)] if keep.any() else []
    if progress:
        progress("strata", len(SCENARIOS), len(SCENARIOS))
    return pl.DataFrame(rows, schema=STRATA)


def check_strata(run: Run, names: Sequence[str]) -> None:
    """Raise ConfigError for unknown strata, and for strata that need data the run's log or items table lacks."""
    for name in names:
        if name not in _BY:
            raise ConfigError(
                f"there is no stratum {name!r}", fix=f"{did_you_mean(name, _BY)}Known: {listing(list(_BY))}."
            )
    column = {"artist": "artist", "discovery": "artist", "genre": "genre"}
    for name in names:
        if name in column and column[name] not in run.tracks.columns:
            raise ConfigError(
                f"strata by {name} need the {column[name]} of each track",
                fix=f"Name an items table with such a column under `items`, or leave {name!r} out of `strata`.",
            )
    if "age" in names and run.split.test.train.first is None:
        raise ConfigError("strata by age need the time of each play", fix="Leave 'age' out of `strata`.")


@dataclass(frozen=True, eq=False)
class _Stratum:
    """The lines of a scenario on a part of its relevant pairs."""

    lines: list[Line]
    task: Task
    comparison: Comparison

    def rows(self, chances: Sequence[float | None], references: Sequence[int | None]) -> Iterator[dict[str, Any]]:
        pairs = [(place, other) for place, other in enumerate(references) if other is not None and other != place]
        differences = (
            dict(zip([place for place, _ in pairs], self.comparison.gains(pairs), strict=True)) if pairs else {}
        )
        facts = {
            "users": len(self.task.users), "pairs": len(self.task.relevant), "items": len(self.task.relevant.items),
            "reason": self.comparison.reason,
        }  # fmt: skip
        for place, line in enumerate(self.lines):
            row: dict[str, Any] = {"encoder": line.encoder, "recommender": line.label, "chance": chances[place]} | facts
            row |= {"value": float(self.comparison.values[place]), **limits_of(self.comparison.intervals[place])}
            if (other := references[place]) is not None:
                row["reference"] = self.lines[other].name
            if place in differences:
                interval = differences[place]
                row |= {"difference": interval.value, "difference_low": defined(interval.low),
                        "difference_high": defined(interval.high)}  # fmt: skip
            yield row


def _rows(
    run: Run, chosen: list[Line], keep: Bool[Array, "pairs"], metric: GainMetric, reference: str | None
) -> Iterator[dict[str, Any]]:
    task = replace(chosen[0].task, relevant=chosen[0].task.relevant.where(keep))
    places = np.searchsorted(chosen[0].task.users, task.users)
    influences, chances = [], []
    for line in chosen:
        judged = [outcome(full.items[places], task, run.split.test.train) for full in line.of()]
        influences.append(influence(judged, task, metric, run.artists))
        chance = metric.chance(judged[0])
        chances.append(None if chance is None else defined(mean(chance)))
    stratum = _Stratum(chosen, task, compare(influences, [line.label for line in chosen]))
    yield from stratum.rows(chances, [_reference_of(line, chosen, reference) for line in chosen])


def _reference_of(line: Line, chosen: list[Line], reference: str | None) -> int | None:
    """The place of the line that a line is compared with; None if there is none."""
    keys = {other.key: place for place, other in enumerate(chosen)}
    for key in ((reference, line.label), (line.encoder, reference), (None, reference)):
        if reference is not None and key in keys:
            return keys[key]
    return None


def _check_reference(run: Run, reference: str | None) -> None:
    known = {name for item in run.experiments for name in (item.encoder, item.label) if name}
    if reference is not None and reference not in known:
        hint = did_you_mean(reference, known)
        raise ConfigError(
            f"the run has no {reference!r} to compare with", fix=f"{hint}It has: {listing(sorted(known))}."
        )


# Strata by name: each splits the relevant pairs of a task


def _artist(run: Run, task: Task) -> Strata:
    artists = _artists(run)
    artist = artists[task.relevant.item]
    known = np.isin(artist, artists[run.split.test.train.items])
    yield "artist in train", (artist >= 0) & known
    yield "artist not in train", (artist >= 0) & ~known
    yield "artist unknown", artist < 0


def _discovery(run: Run, task: Task) -> Strata:
    artists, train = _artists(run), run.split.test.train
    width = int(artists.max(initial=0)) + 2
    artist = artists[task.relevant.item]
    played = np.isin(task.relevant.user * width + artist, train.user * width + artists[train.item])
    yield "artist played by the user", (artist >= 0) & played
    yield "artist new to the user", (artist >= 0) & ~played
    yield "artist unknown", artist < 0


def _age(run: Run, task: Task) -> Strata:
    """Classes by the days from a track's first play in train to the last play of train."""
    train = run.split.test.train
    assert train.first is not None  # checked
    first = np.full(train.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first, train.item, train.first)
    days = (train.first.max() - first[task.relevant.item].astype(float)) / DAY
    yield "not in train", days < 0
    edges = (0.0, 30.0, 90.0, 180.0, np.inf)
    names = ("up to 30 days", "30 to 90 days", "90 to 180 days", "over 180 days")
    for name, low, high in zip(names, edges, edges[1:], strict=False):
        yield name, (days >= low) & (days < high)


def _popularity(run: Run, task: Task) -> Strata:
    counts = run.split.test.train.item_users[task.relevant.item]
    yield "not in train", counts == 0
    yield from _thirds(counts, counts > 0, "users")


def _activity(run: Run, task: Task) -> Strata:
    counts = run.split.test.train.user_items
    yield from _thirds(counts[task.relevant.user], np.ones(len(task.relevant), bool), "tracks", counts[task.users])


def _genre(run: Run, task: Task) -> Strata:
    genres = run.tracks["genre"].gather(task.relevant.item)
    for name in genres.drop_nulls().unique().sort():
        yield str(name), (genres == name).fill_null(False).to_numpy()
    yield "genre unknown", genres.is_null().to_numpy()


def _thirds(
    counts: Int[Array, "pairs"], counted: Bool[Array, "pairs"], unit: str, sample: Int[Array, "n"] | None = None
) -> Strata:
    """Three classes of about equal size, by quantiles of the `sample` (by default the counted pairs)."""
    values = counts[counted] if sample is None else sample
    if not len(values):
        return
    edges = np.unique(np.quantile(values, [1 / 3, 2 / 3], method="lower"))
    place = np.searchsorted(edges, counts, side="left")  # a count equal to an edge belongs below it
    for number in range(len(edges) + 1):
        mask = counted & (place == number)
        if mask.any():
            low, high = counts[mask].min(), counts[mask].max()
            yield (f"{low:,} {unit}" if low == high else f"{low:,} to {high:,} {unit}"), mask


def _artists(run: Run) -> Int[Array, "items"]:
    """A number per artist for each catalogue track, -1 if unknown."""
    return Vocabulary.numbers(run.tracks["artist"])


_BY: dict[str, Callable[[Run, Task], Strata]] = {
    "artist": _artist, "discovery": _discovery, "age": _age, "popularity": _popularity, "activity": _activity,
    "genre": _genre,
}  # fmt: skip
NAMES = tuple(_BY)
