"""Probes against recommendation: does the encoder that is best at labels recommend best?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import polars as pl

from timbrec.data.split import SCENARIOS
from timbrec.report.data import ReportData
from timbrec.report.shared import numbers
from timbrec.report.shared.drawing import colours
from timbrec.report.shared.scatter import Point, scatter
from timbrec.results.disparity import ENCODERS, LEVEL, sentences

MOST = 9  # scatter plots; further ones are in the table


class Disparity:
    """Probes against recommendation."""

    title: ClassVar[str] = "Labels against taste"
    link: ClassVar[str] = "Probes"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template; None for a run without probes."""
        if (probes := data.table("probes")) is None:
            return None
        primary = probes.filter(primary=True).fill_nan(None)
        table = data.table("disparity")
        return {
            "sentences": [] if table is None else list(sentences(table, data.primary)),
            "first": 0 if table is None else table["probe"].n_unique(),
            "charts": [] if table is None else list(_charts(data, primary, table))[:MOST],
            "columns": ["probe", "recommender", "encoders", *SCENARIOS, "needed"],
            "groups": [_group(rows) for rows in _parts(table)],
            "scores": _scores(primary),
            "remarks": _remarks(primary),
            "frame": probes,
            "table": table,
        }  # fmt: skip


def _charts(data: ReportData, primary: pl.DataFrame, table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """A scatter plot per scenario and probe, of the recommender that the scenario's best figure belongs to."""
    hues = colours(data)
    for scenario in SCENARIOS:
        best = next((row for row in data.ranked(scenario) if data.competes(row) and row["value"] is not None), None)
        if best is None:
            continue
        label = best["recommender"]
        figures = {row["encoder"]: row for row in data.ranked(scenario) if row["recommender"] == label}
        for row in table.filter(among=ENCODERS, scenario=scenario, recommender=label).iter_rows(named=True):
            points = [
                Point(score["encoder"], (score["value"], score["low"], score["high"]),
                      (figure["value"], figure["low"], figure["high"]), hues.get(score["encoder"]))
                for score in primary.filter(probe=row["probe"]).iter_rows(named=True)
                if (figure := figures.get(score["encoder"])) is not None and figure["value"] is not None
            ]  # fmt: skip
            if points:
                yield row | {"plot": scatter(points, label), "tau_text": _tau(row)}


def _parts(table: pl.DataFrame | None) -> list[pl.DataFrame]:
    return [] if table is None else table.partition_by("among", maintain_order=True)


def _group(rows: pl.DataFrame) -> dict[str, Any]:
    """A table of one group of encoders: a row per probe and recommender, a column per scenario."""
    lines = []
    for (probe, recommender), part in rows.group_by("probe", "recommender", maintain_order=True):
        cells = {row["scenario"]: row for row in part.iter_rows(named=True)}
        needed = [row["detectable_adjusted"] for row in cells.values() if row["detectable_adjusted"] is not None]
        texts = [_tau(cells[name]) if name in cells else numbers.NONE for name in SCENARIOS]
        lines.append(
            [probe, recommender, str(part["encoders"].max()), *texts, f"{max(needed):.2f}" if needed else "none"]
        )
    first = rows.row(0, named=True)
    n = int(rows["encoders"].max() or 0)  # type: ignore[arg-type]  # a count
    return {"among": first["among"], "lines": lines, "tests": first["tests"], "encoders": n,
            "single": rows["detectable"].max()}  # fmt: skip


def _tau(row: dict[str, Any]) -> str:
    """The tau of a row with its interval for these encoders; a star if it is significant after correction."""
    if row["tau"] is None:
        return numbers.NONE
    star = "*" if row["p_adjusted"] is not None and row["p_adjusted"] <= LEVEL else ""
    return f"{numbers.signed(row['tau'], 2)}{star} {numbers.interval(row['low'], row['high'], 2, sign=True)}"


def _scores(primary: pl.DataFrame) -> dict[str, Any]:
    """A row per probe and encoder, best first."""
    rows = primary.sort("value", descending=True).with_columns(place=pl.col("probe").rank("dense"))
    lines = [
        [row["probe"], row["encoder"], row["metric"], numbers.fixed(row["value"], 3),
         numbers.interval(row["low"], row["high"], 3), numbers.fixed(row["shuffled"], 3),
         numbers.fixed(row["majority"], 3)]
        for row in rows.sort("place", maintain_order=True).iter_rows(named=True)
    ]  # fmt: skip
    return {"columns": ["probe", "encoder", "metric", "score", "95 % interval", "shuffled", "majority"], "lines": lines}


def _remarks(primary: pl.DataFrame) -> list[str]:
    """The distinct remarks of all probes, with the probe's name."""
    texts = [
        f"{row['probe']}: {remark}"
        for row in primary.iter_rows(named=True)
        for remark in (row["remarks"] or "").split("; ")
        if remark
    ]
    return list(dict.fromkeys(texts))
