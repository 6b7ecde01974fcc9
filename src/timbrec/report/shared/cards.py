"""The verdict: which line is best on each scenario, against its controls, and how far ahead of the next."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from timbrec.report.data import ReportData, Row
from timbrec.report.shared import numbers
from timbrec.results.verdict import Verdict
from timbrec.study.controls import CONTROLS

SCENARIOS = {
    "hot": "known tracks: played in train",
    "cold": "new tracks: nobody played them in train",
    "mixed": "known and new tracks in one list",
}


@dataclass(frozen=True)
class Bar:
    """A figure of the card, as text and as a share of the card's scale; `missing` says why there is none."""

    label: str
    text: str
    percent: float | None
    limits: tuple[float, float] | None = None
    best: bool = False
    missing: str = ""


@dataclass(frozen=True)
class Lead:
    """How far the best line is ahead of the second; `clear` when the interval lies above 0, None without one."""

    second: str
    difference: str
    interval: str
    clear: bool | None


@dataclass(frozen=True)
class Card:
    """One scenario's verdict as the page shows it; `missing` says why there is none.

    `encoder` and `recommender` have the highest figure. `heading` stands in their place, in large type, where no line
    is shown to be better than all others.
    """

    scenario: str
    about: str
    missing: str = ""
    heading: str = ""
    sentence: str = ""
    encoder: str = ""
    recommender: str = ""
    value: str = ""
    interval: str = ""
    lift: str = ""
    gain: str = ""
    over_chance: str = ""
    lead: Lead | None = None
    bars: tuple[Bar, ...] = ()
    cautions: tuple[str, ...] = ()


def cards(data: ReportData) -> list[Card]:
    """A card for hot, cold and mixed, in this order."""
    return [_card(data, scenario, about) for scenario, about in SCENARIOS.items()]


def why_empty(rows: list[Row]) -> str:
    """Why a scenario has no figures: what its rows say, each reason once."""
    reasons = dict.fromkeys(row["status"] for row in rows if row["status"])
    return "; ".join(reasons) or "nothing was ranked in this scenario"


def _card(data: ReportData, scenario: str, about: str) -> Card:
    rows = data.ranked(scenario)
    competing = [row for row in rows if row["encoder"] is not None and row["recommender"] not in data.baselines]
    contents = [row for row in competing if row["value"] is not None]
    if not contents:
        return Card(scenario, about, missing=why_empty(competing or rows))
    best = contents[0]
    others = [row for row in rows if row not in competing and row["encoder"] in (None, best["encoder"])]
    digits = numbers.decimals(row["value"] for row in contents)
    chance = best["chance"]
    verdict = next((verdict for verdict in data.verdicts if verdict.scenario == scenario), None)
    return Card(
        scenario,
        about,
        heading="No verdict" if verdict is None else _heading(verdict),
        sentence="" if verdict is None else verdict.sentence,
        encoder=best["encoder"],
        recommender=best["recommender"],
        value=numbers.fixed(best["value"], digits),
        interval=numbers.interval(best["low"], best["high"], digits),
        lift=numbers.ratio(best["lift"]),
        gain=_gain(best, digits),
        over_chance=numbers.ratio(best["value"] / chance if chance else None),
        lead=_lead(data, scenario, digits),
        bars=tuple(_bars(best, others, digits)),
        cautions=tuple(_cautions(best, others)),
    )


def _heading(verdict: Verdict) -> str:
    """What stands in large type where no line wins; empty where one does."""
    if verdict.reason is not None:
        return "Too few to tell"
    if not verdict.above_chance:
        return "Not above chance"
    if verdict.unbeaten:
        return f"Not above {verdict.unbeaten[0]}"
    return f"{len(verdict.winners)} tied" if verdict.best is None and verdict.lines > 1 else ""


def _gain(best: Row, digits: int) -> str:
    """The difference to shuffled with its interval where there is one."""
    limits = numbers.interval(best["difference_low"], best["difference_high"], digits, sign=True)
    difference = numbers.signed(best["difference"], digits)
    return difference if limits == numbers.NONE else f"{difference} {limits}"


def _lead(data: ReportData, scenario: str, digits: int) -> Lead | None:
    for verdict in data.verdicts:
        if verdict.scenario == scenario and verdict.second is not None and verdict.lead is not None:
            lead = verdict.lead
            clear = lead.low > 0 if isfinite(lead.low) else None
            limits = numbers.interval(lead.low, lead.high, digits, sign=True)
            return Lead(verdict.second, numbers.signed(lead.value, digits), limits, clear)
    return None


def _bars(best: Row, others: list[Row], digits: int) -> list[Bar]:
    """The best line, every line without content, and the best line's controls, on one scale from 0."""
    figures = [(row["recommender"], row["value"], row["status"]) for row in others]
    labels = [*(name.replace("gaussian", "Gaussian") for name in CONTROLS), "chance"]
    figures += [(name, best[name.lower()], "not defined here") for name in labels]
    figures.sort(key=lambda figure: -1.0 if figure[1] is None else figure[1], reverse=True)
    scale = max(best["high"] or 0, *(value or 0 for _, value, _ in figures), best["value"]) or 1.0

    def percent(value: float) -> float:
        return round(100 * min(max(value / scale, 0.0), 1.0), 1)

    has_limits = best["low"] is not None and best["high"] is not None
    limits = (percent(best["low"]), percent(best["high"])) if has_limits else None
    first = Bar(best["encoder"], numbers.fixed(best["value"], digits), percent(best["value"]), limits, best=True)
    return [first] + [
        Bar(label, numbers.fixed(value, digits), percent(value))
        if value is not None
        else Bar(label, numbers.NONE, None, missing=why or "no value")
        for label, value, why in figures
    ]


def _cautions(best: Row, others: list[Row]) -> list[str]:
    """What keeps a reader from taking the best line for a good one."""
    higher = [row["recommender"] for row in others if (row["value"] or 0) >= best["value"]]
    cautions = [f"{name}, a baseline, reaches as much or more here." for name in higher]
    if best["difference_low"] is not None and best["difference_low"] <= 0:
        cautions.append("The interval of its gain over shuffled vectors includes 0.")
    if best["chance"] is not None and best["low"] is not None and best["low"] <= best["chance"]:
        cautions.append("Its interval reaches down to chance.")
    return cautions
