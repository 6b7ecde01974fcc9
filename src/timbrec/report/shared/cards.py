"""The verdict cards: the winner of each scenario, advice, and the figures beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

import polars as pl

from timbrec.report.data import ReportData, Row
from timbrec.report.shared import numbers
from timbrec.results.cost import cheapest
from timbrec.results.leaks import sentences, worst
from timbrec.results.verdict import Verdict
from timbrec.study.controls import CONTROLS
from timbrec.study.naming import line_name

SCENARIOS = {
    "hot": "known tracks: played in train",
    "cold": "new tracks: nobody played them in train",
    "mixed": "known and new tracks in one list",
}


@dataclass(frozen=True)
class Bar:
    """A figure of the card, as text and as a share of the card's scale; `missing` is the reason for no figure."""

    label: str
    text: str
    percent: float | None
    limits: tuple[float, float] | None = None
    best: bool = False
    missing: str = ""


@dataclass(frozen=True)
class Card:
    """The verdict on one scenario.

    `missing` is the reason for no verdict. `heading` stands in large type: the winner, the winning baseline, or that
    nothing wins; `subheading` explains it. `audio` is True where the heading names an audio model. `advice` says what
    to use. `encoder` and `recommender` belong to the leading audio model.
    """

    scenario: str
    about: str
    missing: str = ""
    heading: str = ""
    subheading: str = ""
    audio: bool = False
    sentence: str = ""
    advice: str = ""
    encoder: str = ""
    recommender: str = ""
    value: str = ""
    interval: str = ""
    facts: tuple[tuple[str, str, str], ...] = ()
    bars: tuple[Bar, ...] = ()
    cautions: tuple[str, ...] = ()


def cards(data: ReportData) -> list[Card]:
    """A card each for hot, cold and mixed."""
    return [_card(data, scenario, about) for scenario, about in SCENARIOS.items()]


def why_empty(rows: list[Row]) -> str:
    """The reasons why a scenario has no figures, each once."""
    reasons = dict.fromkeys(row["status"] for row in rows if row["status"])
    return "; ".join(reasons) or "nothing was ranked in this scenario"


def _card(data: ReportData, scenario: str, about: str) -> Card:
    rows = data.ranked(scenario)
    competing = [row for row in rows if data.competes(row)]
    contents = [row for row in competing if row["value"] is not None]
    if not contents:
        return Card(scenario, about, missing=why_empty(competing or rows))
    verdict = next((verdict for verdict in data.verdicts if verdict.scenario == scenario), None)
    best = next((row for row in contents if verdict and name_of(row) == verdict.leader), contents[0])
    others = [
        row
        for row in rows
        if row not in competing
        and row["encoder"] in (None, best["encoder"])
        and (scenario == "mixed" or row["recommender"] != "new-first")  # elsewhere, it is Random
    ]
    digits = numbers.decimals(row["value"] for row in contents)
    heading, subheading, audio = _heading(data, verdict, best)
    return Card(
        scenario,
        about,
        heading=heading,
        subheading=subheading,
        audio=audio,
        sentence="" if verdict is None else verdict.sentence,
        advice="" if verdict is None else _advice(data, verdict, digits),
        encoder=best["encoder"],
        recommender=best["recommender"],
        value=numbers.fixed(best["value"], digits),
        interval=numbers.interval(best["low"], best["high"], digits),
        facts=tuple(_facts(best, verdict, digits)),
        bars=tuple(_bars(best, others, digits)),
        cautions=(*_cautions(best, others), *_carried(verdict), *(_leaks(data) if scenario == "cold" else ())),
    )


def _heading(data: ReportData, verdict: Verdict | None, best: Row) -> tuple[str, str, bool]:
    """The large text of a card, the line below it, and whether the text names an audio model."""
    if verdict is None:
        return "No verdict", "", False
    if verdict.state == "too small":
        return "Too few to tell", verdict.reason or "", False
    if verdict.state == "baseline":
        name = strongest(data, verdict)
        if beaten_by(data, verdict, name):
            return name, "wins: a baseline, better than the best audio model", False
        return name, "a baseline that no audio model is shown to beat", False
    if verdict.state == "chance":
        return "Not above chance", "no audio model is shown to beat a random order", False
    if verdict.state == "tied":
        return f"{len(verdict.winners)} tied", f"of {verdict.lines} audio models; none is shown to be best", False
    return best["encoder"], f"with {best['recommender']}", True


def strongest(data: ReportData, verdict: Verdict) -> str:
    """The baseline with the highest figure of the verdict's `unbeaten`."""
    values = {name_of(row): row["value"] or 0.0 for row in data.ranked(verdict.scenario)}
    return max(verdict.unbeaten, key=lambda name: values.get(name, 0.0))


def beaten_by(data: ReportData, verdict: Verdict, baseline: str) -> bool:
    """Whether a baseline is shown to exceed the audio model with the highest figure."""
    pair, scenario = {verdict.leader, baseline}, verdict.scenario
    for row in data.differences.filter(pl.col("scenario") == scenario).iter_rows(named=True):
        if {row["first"], row["second"]} == pair and row["low"] is not None:
            return bool(row["high"] < 0 if row["first"] == verdict.leader else row["low"] > 0)
    return False


def _advice(data: ReportData, verdict: Verdict, digits: int) -> str:
    """A sentence on whether to use an audio model, and on the cheapest one."""
    detectable = numbers.fixed(verdict.detectable, digits)
    seen = "" if detectable == numbers.NONE else f" A difference of {detectable} would have been found in 4 of 5 tests."
    if verdict.state == "too small":
        return f"No choice can be made from this data.{seen}"
    if verdict.state == "baseline":
        return f"Use {strongest(data, verdict)} here: audio is not shown to help."
    if verdict.state == "chance":
        return f"Do not use audio here.{seen}"
    if verdict.state in ("best", "only"):
        return f"Use {verdict.leader}."
    low_cost = cheapest_tied(data, verdict)
    return f"Use any of them{f'; the cheapest is {low_cost}' if low_cost else ''}.{seen}"


def cheapest_tied(data: ReportData, verdict: Verdict) -> str | None:
    """The cheapest audio model tied with the best, with its best recommender; None where cost is unknown.

    Lines that one track carries come last.
    """
    rows = [row for row in data.ranked(verdict.scenario) if name_of(row) in verdict.winners]
    rows.sort(key=lambda row: name_of(row) in verdict.carried)  # stable: the best first
    name = cheapest(data.tables.get("cost"), [row["encoder"] for row in rows])
    return next((name_of(row) for row in rows if row["encoder"] == name), None)


def name_of(row: Row) -> str:
    """The name of a row's line, as in verdicts."""
    return line_name(row["encoder"], row["recommender"])


def _facts(best: Row, verdict: Verdict | None, digits: int) -> list[tuple[str, str, str]]:
    """(label, figure, interval) of the highest audio model against chance, shuffled vectors and the next one."""
    chance = best["chance"]
    limits = numbers.interval(best["difference_low"], best["difference_high"], digits, sign=True)
    gain = numbers.signed(best["difference"], digits)
    facts = [
        ("times chance", numbers.ratio(best["value"] / chance if chance else None), ""),
        ("over shuffled", numbers.ratio(best["lift"]), gain if limits == numbers.NONE else f"{gain} {limits}"),
    ]
    if verdict is not None and verdict.second is not None and verdict.lead is not None:
        lead, limits = verdict.lead, numbers.interval(verdict.lead.low, verdict.lead.high, digits, sign=True)
        clear = "" if not isfinite(lead.low) or lead.low > 0 else ": not separated"
        facts.append((f"over the next, {verdict.second}{clear}", numbers.signed(lead.value, digits), limits))
    return facts


def _bars(best: Row, others: list[Row], digits: int) -> list[Bar]:
    """The best audio model, the baselines, and the best model's controls, on one scale from 0."""
    figures = [(name_of(row), row["value"], row["status"]) for row in others]
    labels = [*(name.replace("gaussian", "Gaussian") for name in CONTROLS), "chance"]
    figures += [(name, best[name.lower()], "not defined here") for name in labels]
    figures.append((name_of(best), best["value"], ""))
    figures.sort(key=lambda figure: -1.0 if figure[1] is None else figure[1], reverse=True)
    scale = max(best["high"] or 0, *(value or 0 for _, value, _ in figures)) or 1.0

    def percent(value: float) -> float:
        return round(100 * min(max(value / scale, 0.0), 1.0), 1)

    has_limits = best["low"] is not None and best["high"] is not None
    limits = (percent(best["low"]), percent(best["high"])) if has_limits else None
    return [
        Bar(label, numbers.NONE, None, missing=why or "no value")
        if value is None
        else Bar(
            label, numbers.fixed(value, digits), percent(value), *((limits, True) if label == name_of(best) else ())
        )
        for label, value, why in figures
    ]


def _carried(verdict: Verdict | None) -> Iterator[str]:
    """A sentence on a higher figure that one track carries."""
    if verdict is not None and verdict.highest:
        yield f"{verdict.highest} has a higher figure, and owes it to one {verdict.unit}."


def _leaks(data: ReportData) -> Iterator[str]:
    """Sentences on tracks with an album or copy in train, by the encoder that shows most, and on encoders trained on
    the data."""
    table = data.table("leaks")
    rows = [] if table is None else table.filter(pl.col("found"), ~pl.col("removed")).to_dicts()
    yield from sentences(worst(row for row in rows if row["check"] in ("album", "copy", "audio", "training")))


def _cautions(best: Row, others: list[Row]) -> list[str]:
    """Reasons for a reader to doubt the best audio model."""
    higher = [name_of(row) for row in others if (row["value"] or 0) >= best["value"]]
    cautions = [f"{name}, a baseline, reaches as much or more here." for name in higher]
    if best["difference_low"] is not None and best["difference_low"] <= 0:
        cautions.append("The interval of its gain over shuffled vectors includes 0.")
    if best["chance"] is not None and best["low"] is not None and best["low"] <= best["chance"]:
        cautions.append("Its interval reaches down to chance.")
    return cautions
