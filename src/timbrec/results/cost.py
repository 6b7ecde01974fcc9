"""The cost of each representation of a run: computation, size, licence, and the time of its fits."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

import polars as pl

from timbrec.protocols import EncoderCard
from timbrec.results.figures import Figures
from timbrec.study.description import card_of
from timbrec.study.experiment import Experiment
from timbrec.study.representation import Representation
from timbrec.study.runs import Run
from timbrec.types import Progress

COST = {
    "encoder": pl.String, "dim": pl.Int64, "bytes_per_track": pl.Int64, "gflop_per_second": pl.Float64,
    "seconds_per_track": pl.Float64, "parameters": pl.Int64, "fit_seconds": pl.Float64, "licence_code": pl.String,
    "licence_weights": pl.String, "commercial": pl.Boolean,
}  # fmt: skip


def cost(run: Run, figures: Figures, progress: Progress | None = None) -> pl.DataFrame:
    """Cost and licence of each representation, one row each, in the order of the plan.

    `seconds_per_track` is the measured time in the encoders, without decoding, by all threads together.
    `gflop_per_second` is the computation per second of audio in 10^9 multiplications and additions, 0 without a model.
    `bytes_per_track` is the size of a float32 vector. `fit_seconds` is the median time of a cell on real vectors.
    `commercial` says whether code and weights of all its encoders may be used commercially. Null where unknown, as for
    vectors that were computed elsewhere.
    """
    groups: dict[str, list[Experiment]] = {}
    for experiment in run.finished:
        if experiment.representation is not None and experiment.is_real:
            groups.setdefault(experiment.representation.name, []).append(experiment)
    dims = {facts["name"]: int(facts["dim"]) for facts in run.facts["encoders"]}
    seconds_of = {facts["name"]: facts.get("seconds_per_track") for facts in run.facts["encoders"]}
    entries = {name: run.facts["config"]["encoders"][name] for name in dims}
    cards = {
        name: card_of(name, entry.get("encoder"), entry.get("audio") is not None) for name, entry in entries.items()
    }
    rows = []
    for name, experiments in groups.items():
        seconds = [_seconds(run, experiment) for experiment in experiments]
        representation = experiments[0].representation
        assert representation is not None
        row = _facts(representation, dims, [cards[source.encoder] for source in representation.sources])
        times = [seconds_of[source.encoder] for source in representation.sources]
        row["seconds_per_track"] = None if None in times else sum(times)
        rows.append({"encoder": name, "fit_seconds": median(seconds)} | row)
    return pl.DataFrame(rows, schema=COST)


def measure_of(table: pl.DataFrame) -> str:
    """The column of cost that is known for all rows: computation, else measured time, else the size of a vector."""
    columns = ("gflop_per_second", "seconds_per_track", "dim")
    return next((name for name in columns if not table[name].null_count()), "dim")


def cheapest(table: pl.DataFrame | None, encoders: list[str]) -> str | None:
    """The encoder with the least cost by `measure_of`, then the shortest vector; the first of equals.

    None without a table, or if one of the encoders is missing from it.
    """
    names = list(dict.fromkeys(encoders))
    rows = pl.DataFrame(schema=COST) if table is None else table.filter(pl.col("encoder").is_in(names))
    if not names or len(rows) < len(names) or rows["dim"].null_count():
        return None
    order = pl.col("encoder").replace_strict(names, range(len(names)))
    return str(rows.sort(measure_of(rows), "dim", order)["encoder"][0])


def _facts(representation: Representation, dims: Mapping[str, int], cards: list[EncoderCard | None]) -> dict[str, Any]:
    sizes = [dims[source.encoder] for source in representation.sources]
    dim = None if representation.steps and any(step.use == "pca" for step in representation.steps) else sum(sizes)
    facts: dict[str, Any] = {"dim": dim, "bytes_per_track": None if dim is None else 4 * dim}
    known = [card for card in cards if card is not None]
    if len(known) < len(cards):
        return facts
    speeds = [_gflop_per_second(card) for card in known]
    return facts | {
        "gflop_per_second": None if None in speeds else sum(speed for speed in speeds if speed is not None),
        "parameters": sum(card.parameters for card in known),
        "licence_code": "; ".join(dict.fromkeys(card.licence_code for card in known)),
        "licence_weights": "; ".join(dict.fromkeys(card.licence_weights for card in known)),
        "commercial": all(card.commercial for card in known),
    }


def _gflop_per_second(card: EncoderCard) -> float | None:
    """The computation per second of audio; 0 for an encoder without parameters, None where the card has no figure."""
    if card.precomputed or (card.parameters and not card.gflop):
        return None
    return card.gflop / card.window


def _seconds(run: Run, experiment: Experiment) -> float:
    """The running time of a finished cell, without reading its lists."""
    return float(run.read(experiment, []).seconds)
