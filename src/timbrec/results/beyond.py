"""What audio adds to metadata: fused vectors against metadata alone, and KNN against artist-mean, paired."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from timbrec.data.split import SCENARIOS
from timbrec.metrics import metric_of
from timbrec.results.figures import Figures
from timbrec.results.lines import Key, lines
from timbrec.results.table import defined, limits_of
from timbrec.statistics.comparison import Comparison, compare
from timbrec.statistics.influence import Influence
from timbrec.study.runs import Run
from timbrec.types import Progress

COLUMNS = {
    "scenario": pl.String, "audio": pl.String, "recommender": pl.String, "base": pl.String, "value": pl.Float64,
    "base_value": pl.Float64, "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64,
    "detectable": pl.Float64, "reason": pl.String,
}  # fmt: skip
Pair = tuple[str, Key, Key]  # the name of the audio, its line, and the line without the audio


def beyond(run: Run, figures: Figures, progress: Progress | None = None) -> pl.DataFrame | None:
    """A row per scenario and pair of lines on the primary metric; None for a run without such a pair.

    A pair is a recommender on vectors fused with metadata (`audio` names the other vectors) against the same
    recommender on metadata alone, or KNN against artist-mean on the same vectors (`base` is "metadata" or
    "artist-mean"). The intervals of a scenario hold for all its pairs at once. `detectable` is the smallest difference
    that would be found with a probability of 80 %; `reason` says why a test can tell nothing apart.
    """
    pairs = _pairs(run)
    if not pairs:
        return None
    metric = metric_of(run.facts["config"]["primary"])
    used = {key for _, audio, base in pairs for key in (audio, base)}
    rows: list[dict[str, Any]] = []
    for scenario in SCENARIOS:
        judged: dict[Key, Influence] = {}
        for line in lines(run, scenario):
            if line.key in used and line.of():
                judged[line.key] = line.influence(metric)
        present = [pair for pair in pairs if pair[1] in judged and pair[2] in judged]
        if present:
            keys = list(judged)
            comparison = compare(list(judged.values()), [label for _, label in keys])
            places = [(keys.index(audio), keys.index(base)) for _, audio, base in present]
            for pair, row in zip(present, differences(comparison, places), strict=True):
                base = "metadata" if pair[1][1] == pair[2][1] else "artist-mean"
                rows.append({"scenario": scenario, "audio": pair[0], "recommender": pair[1][1], "base": base} | row)
    return pl.DataFrame(rows, schema=COLUMNS)


def differences(comparison: Comparison, pairs: Sequence[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    """The gain of each pair (line with audio, line without); the pairs are one family."""
    unit = np.eye(len(comparison.values))
    family = comparison.family(np.stack([unit[audio] - unit[base] for audio, base in pairs]))
    for (audio, base), interval, smallest in zip(pairs, family.intervals(), family.detectables.tolist(), strict=True):
        yield {
            "value": float(comparison.values[audio]),
            "base_value": float(comparison.values[base]),
            "difference": interval.value,
            "detectable": defined(smallest),
            "reason": comparison.reason,
        } | limits_of(interval)


def sentence(row: Mapping[str, Any], metric: str) -> str:
    """The finding of a row in one sentence."""
    where, audio = f"{row['scenario'].capitalize()}, {row['recommender']}", row["audio"]
    base = "metadata" if row["base"] == "metadata" else "the artist"
    if row["reason"] is not None or row["low"] is None:
        return f"{where}: this test cannot tell whether {audio} adds to {base} ({row['reason'] or 'no interval'})."
    figures = f"{row['difference']:+.3f} {metric}, 95 % interval {row['low']:+.3f} to {row['high']:+.3f}"
    if row["low"] > 0:
        return f"{where}: {audio} adds to {base} ({figures})."
    loss = f"; {audio} lowers the figure" if row["high"] < 0 else ""
    smallest = f"{row['detectable']:.3f} {metric}"
    nothing = f"no gain of {audio} beyond {base} was found, and a gain of {smallest} would have been"
    return f"{where}: {nothing}{loss} ({figures})."


def _pairs(run: Run) -> list[Pair]:
    """The pairs of the run's plan."""
    encoders = run.facts["config"]["encoders"]
    metadata = {name for name, entry in encoders.items() if entry.get("metadata") is not None}
    ranking = [item for item in run.experiments if item.kind == "ranking" and item.is_real]
    lone = {(tuple(source.encoder for source in item.representation.sources), item.label): item.encoder
            for item in ranking if item.representation and not item.representation.steps}  # fmt: skip
    pairs: dict[tuple[Key, Key], Pair] = {}
    for item in ranking:
        if item.representation is None:
            continue
        names = [source.encoder for source in item.representation.sources]
        without = [name for name in names if name not in metadata]
        base = tuple(name for name in names if name in metadata)
        if item.recommender != "artist-mean" and without and base and (base, item.label) in lone:
            audio, other = (item.encoder, item.label), (lone[base, item.label], item.label)
            pairs[audio, other] = (" + ".join(without), audio, other)
        if item.recommender == "artist-mean" and not base:
            knn = [other.label for other in ranking if other.recommender == "knn" and other.encoder == item.encoder]
            for label in dict.fromkeys(knn):
                audio, other = (item.encoder, label), (item.encoder, item.label)
                pairs[audio, other] = (str(item.encoder), audio, other)
    return list(pairs.values())
