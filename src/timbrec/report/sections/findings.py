"""The findings of the run in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from timbrec.report.data import ReportData, Row
from timbrec.report.shared import numbers
from timbrec.report.shared.cards import SCENARIOS, name_of, strongest
from timbrec.results.verdict import Verdict

MUCH = 0.1  # the part of a figure that one track may bring before the page says so


class Findings:
    """The findings of the run in plain words."""

    title: ClassVar[str] = "Findings in plain words"
    link: ClassVar[str] = "Findings"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template; None without a verdict, and for an unfinished or refused run."""
        if data.missing or any(not finding.passed for finding in data.findings):
            return None
        groups = [
            (scenario, about, list(_findings(data, verdict)))
            for scenario, about in SCENARIOS.items()
            for verdict in data.verdicts
            if verdict.scenario == scenario
        ]
        return {"groups": groups} if groups else None


def _findings(data: ReportData, verdict: Verdict) -> Iterator[str]:
    """Sentences about a scenario: audio against chance, shuffled vectors, baselines and other audio models."""
    rows = [row for row in data.ranked(verdict.scenario) if row["value"] is not None]
    models = [row for row in rows if data.competes(row)]
    if not models:
        return
    best = next((row for row in models if name_of(row) == verdict.leader), models[0])
    digits = numbers.decimals(row["value"] for row in models)
    name = f"{best['encoder']} with {best['recommender']}"
    over = "" if verdict.times_chance is None else f", {verdict.times_chance:.1f} times the figure of a random order"
    standing = f"{verdict.standing[0].upper()}{verdict.standing[1:]}"
    yield f"{standing} of an audio model is {numbers.fixed(best['value'], digits)}, by {name}{over}."
    if verdict.highest:
        yield f"{verdict.highest} is higher, and owes more than a quarter of its figure to one {verdict.unit}."
    if verdict.one_track >= MUCH:
        share = f"{100 * verdict.one_track:.0f} %"
        yield f"One {verdict.unit} brings {share} of this figure: without it, another model may lead."
    yield from _shuffled(best)
    yield from _baselines(data, verdict, rows, best, digits)
    if verdict.reason is not None:
        yield f"The test is too small to tell audio models apart: {verdict.reason}."
    elif verdict.lines > 1:
        yield _ties(verdict, digits)
    recommenders = {row["recommender"] for row in models}
    if len(recommenders) > 1:
        worst = min(models, key=lambda row: row["value"])
        yield (
            f"Across all {len(models)} audio models, figures range from {numbers.fixed(worst['value'], digits)} "
            f"({worst['encoder']} with {worst['recommender']}) to {numbers.fixed(best['value'], digits)}."
        )


def _shuffled(best: Row) -> Iterator[str]:
    if best["difference_low"] is None:
        return
    if best["difference_low"] > 0:
        times = "" if best["lift"] is None else f": {best['lift']:.1f} times as much"
        yield f"It reaches more than the same model with vectors shuffled among the tracks{times}."
    else:
        yield "The same model with shuffled vectors is not shown to be worse: its figure may not come from the audio."


def _baselines(data: ReportData, verdict: Verdict, rows: list[Row], best: Row, digits: int) -> Iterator[str]:
    baselines = [row for row in rows if row["encoder"] is None]
    higher = [row for row in baselines if row["value"] >= best["value"]]
    others = [row for row in baselines if row not in higher]
    if verdict.unbeaten:
        yield f"No audio model is shown to beat {strongest(data, verdict)}, which needs no audio."
        return
    for row in higher:  # orders, which no verdict compares
        figure = numbers.fixed(row["value"], digits)
        yield f"{row['recommender']}, a baseline, reaches {figure}, which is as much or more."
    if not verdict.above_chance:
        yield "No audio model is shown to be better than chance."
    elif others:
        top = max(others, key=lambda row: row["value"])
        figure, which = numbers.fixed(top["value"], digits), "best other" if higher else "best"
        yield f"The {which} recommender without audio is {top['recommender']} with {figure}; audio beats it."
    if verdict.artist:
        label = " and ".join(verdict.artist)
        yield f"No audio model is shown to beat {label}, which knows of a track only the mean vector of its artist."


def _ties(verdict: Verdict, digits: int) -> str:
    detectable = numbers.fixed(verdict.detectable, digits)
    seen = "" if detectable == numbers.NONE else f" A difference of {detectable} would be found in 4 of 5 such tests."
    if verdict.best is not None:
        others = verdict.lines - 1
        rest = "the other audio model" if others == 1 else f"each of the other {others} audio models"
        return f"It is better than {rest}."
    count = f"{len(verdict.winners)} of {verdict.lines}"
    tied = f"{count} audio models are tied with the best: this test does not tell them apart."
    return f"{tied}{seen} {verdict.more_data}".strip()
