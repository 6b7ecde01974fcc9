"""Samples of reports with realistic figures, and a strict parser of pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import combinations
from typing import Any, cast

import numpy as np
import polars as pl

from timbrec.audit import Finding
from timbrec.data.split import Scenario
from timbrec.report import ReportData
from timbrec.results.cost import COST
from timbrec.results.figures import DIFFERENCES
from timbrec.results.summary import SUMMARY as SCHEMA
from timbrec.results.thinning import COLUMNS as THINNING
from timbrec.results.thinning import crossing
from timbrec.results.verdict import Verdict
from timbrec.statistics.intervals import Interval

ENCODERS = {  # how well each does hot and cold, as a share of the best; sizes and licences of the study's encoders
    "muq-mulan": (0.97, 0.92, 512, "CC BY-NC 4.0"),
    "muq-msd": (1.00, 0.90, 1024, "CC BY-NC 4.0"),
    "mule": (0.91, 0.84, 1728, "GPL-3.0"),
    "musicnn": (0.85, 0.72, 753, "ISC"),
    "mert": (0.66, 1.00, 768, "CC BY-NC 4.0"),
    "jukemir": (0.62, 0.88, 4800, "research only"),
    "encodecmae": (0.68, 0.80, 768, "MIT"),
    "music2vec": (0.60, 0.58, 768, "CC BY-NC 4.0"),
    "mfcc": (0.38, 0.55, 104, None),
}
RECOMMENDERS = {  # the best NDCG@50 of each, hot and cold
    "knn": (0.0121, 0.098),
    "shallow": (0.0306, 0.112),
    "hybrid": (0.0388, 0.183),
}
CHANCE = {"hot": 0.00042, "cold": 0.0301, "mixed": 0.00041}
SCENARIOS = ("hot", "cold", "mixed")
METRICS = ["recall@20", "ndcg@50", "coverage@10"]
NAMES = ["hitrate", "recall", "precision", "ndcg", "mrr", "map", "coverage", "popularity"]
ALL_METRICS = [f"{name}@{k}" for name in NAMES for k in (10, 20, 50)]
NASTY = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "\"quoted\" 'and' & ampersand",
    "🎵 emoji 音楽 encoder",
    "مشفر الصوت",
    "a very long name " * 18,
]


def check(name: str, figure: str, expected: str, detail: str, defects: str, passed: bool = True) -> Finding:
    return Finding(passed=passed, figure=figure, expected=expected, detail=detail, name=name, defects=defects)


CHECKS = [
    check("random sits at chance, cold", "0.3098", "0.3096 ± 0.0043", "HitRate@50 of 50 seeded orders.", "2"),
    check("shuffled KNN sits at chance, cold", "0.0304", "[0.0241, 0.0362]", "1,000 relabellings.", "1, 2, 7"),
    check("shuffled KNN sits at chance, hot", "0.00043", "[0.00036, 0.00049]", "50 refits.", "1"),
    check("planted encoders come out in order", "5 of 5", "5 of 5", "Neighbours 5 standard errors apart.", "3, 7"),
    check("no test row moves a fitted parameter", "0 changed", "0 changed", "", "9"),
]


def sample(
    encoders: Sequence[str] = tuple(ENCODERS),
    recommenders: Sequence[str] = tuple(RECOMMENDERS),
    scenarios: Sequence[str] = SCENARIOS,
    metrics: Sequence[str] = METRICS,
    **changes: Any,
) -> ReportData:
    """A run of realistic figures; scenarios that are not named are empty."""
    rng = np.random.default_rng(3)
    skills: list[Any] = list(ENCODERS.values())
    lines = [(name, label) for name in encoders for label in recommenders]
    rows: list[dict[str, Any]] = []
    for scenario in SCENARIOS:
        cold_only = ["cold-share@50", "cold-recall@50"] if scenario == "mixed" else []
        for number, (encoder, label) in enumerate([*lines, (None, "random"), (None, "popularity")]):
            skill = skills[number // len(recommenders) % len(skills)]
            chance = CHANCE[scenario]
            if encoder is None:
                value: Any = {
                    "random": chance * rng.normal(1, 0.02),
                    "popularity": {"hot": 0.0182, "mixed": 0.0176}.get(scenario),
                }[label]
                width = 0.03 * chance + 0.0003
            else:
                best = RECOMMENDERS.get(label, (0.03, 0.15))[scenario == "cold"]
                value = chance + (best - chance) * skill[scenario == "cold"] * rng.normal(1, 0.04)
                value, width = (
                    value * (0.93 if scenario == "mixed" else 1),
                    0.02 * value + (0.012 if scenario == "cold" else 0),
                )
            shuffled = None if encoder is None else chance * rng.normal(1, 0.05) * (1 if label == "knn" else 3)
            for metric in [*metrics, *cold_only]:
                key = {"encoder": encoder, "recommender": label, "scenario": scenario, "metric": metric}
                if scenario not in scenarios or value is None:
                    empty = f"the {scenario} scenario is empty: no user has a relevant item"
                    rows.append(
                        key | {"status": f"cannot rank: {label} knows no new track" if scenario in scenarios else empty}
                    )
                    continue
                factor = 1 if metric == "ndcg@50" else rng.uniform(0.3, 4)
                plain = metric.startswith(("coverage", "popularity", "cold-share"))
                row: dict[str, Any] = {
                    "value": value * factor,
                    "low": (value - width) * factor,
                    "high": (value + width) * factor,
                }
                if shuffled is not None:
                    row |= {"shuffled": shuffled * factor, "gaussian": shuffled * factor * rng.normal(1, 0.04)}
                    row |= {"lift": value / shuffled}
                if shuffled is not None and not plain:
                    gain = value - shuffled
                    row |= {"difference": gain * factor, "difference_low": (gain - width) * factor}
                    row |= {"difference_high": (gain + width) * factor}
                counts = {
                    "users": 4553 if scenario == "cold" else 10238,
                    "pairs": 23269 if scenario == "cold" else 280745,
                }
                rows.append(key | row | counts | {"chance": None if plain else chance * factor, "seeds": 3})
    summary = pl.DataFrame(rows, schema=SCHEMA)
    split = pl.DataFrame(
        {
            "part": ["fit", "validation_hot", "validation_cold", "train", "test_hot", "test_cold"],
            "rows": [4871002, 240111, 20903, 5371381, 280745, 23269],
            "users": [20441, 9871, 4210, 21018, 10238, 4553],
            "items": [54002, 43817, 601, 55262, 45002, 589],
            "tracks_median": [148.0, 11.0, 2.0, 155.0, 12.0, 2.0],
            "tracks_min": [1.0] * 6,
            "tracks_max": [4120.0, 803.0, 61.0, 4391.0, 871.0, 66.0],
            "plays_median": [402.0, 21.0, 5.0, 431.5, 22.0, 5.0],
            "plays_min": [1.0] * 6,
            "plays_max": [91023.0, 5410.0, 902.0, 98112.0, 5822.0, 911.0],
        }
    )
    data = ReportData(
        name="Nine encoders on a made-up year of listening",
        created="2026-05-02T09:41:07+00:00",
        version="0.1.0",
        protocol="corrected",
        primary="ndcg@50",
        summary=summary,
        split=split,
        verdicts=[],
        findings=CHECKS,
        data_card=[
            ("rows in the log", "50,016,042"),
            ("time span (UTC)", "2018-02-01 00:00:04 to 2019-02-28 23:59:51"),
            ("users", "119,140"),
            ("tracks in the log", "56,512"),
            ("catalogue: tracks with vectors from every encoder", "55,851"),
            *((f"{name}: vectors", f"56,102 x {ENCODERS.get(name, (0, 0, 64))[2]}") for name in encoders),
        ],
        encoders=[
            {"name": name, "dim": ENCODERS[name][2], "failures": 0, "licence_weights": ENCODERS[name][3]}
            for name in encoders
            if name in ENCODERS
        ],
        commands=["timbrec bench study.yaml", "timbrec audit runs/study"],
        synthetic="figures drawn at random to show the page; no listener and no track is real",
    )
    verdicts = leads(data)
    winners = {(verdict.scenario, name) for verdict in verdicts for name in verdict.winners}
    tied = [
        None if encoder is None else (scenario, f"{encoder} / {label}") in winners
        for encoder, label, scenario in summary.select("encoder", "recommender", "scenario").rows()
    ]
    data = replace(data, summary=summary.with_columns(pl.Series("tied", tied, dtype=pl.Boolean)))
    fields: dict[str, Any] = {"verdicts": verdicts, "differences": differences(data)} | changes
    return replace(data, **fields)


def costs(data: ReportData) -> pl.DataFrame:
    """A table of costs: the first encoder without computation, the others ten times apart over three decades."""
    names = data.summary["encoder"].drop_nulls().unique(maintain_order=True)
    rows = [
        {
            "encoder": name,
            "dim": 64 * (place + 1),
            "bytes_per_track": 256 * (place + 1),
            "gflop_per_second": 0.0 if place == 0 else round(0.3 * 1000 ** (place / len(names)), 3),
            "seconds_per_track": 0.02 * (place + 1),
            "parameters": 10_000_000 * place,
            "fit_seconds": 1.5,
            "licence_code": "MIT",
            "licence_weights": "CC BY-NC 4.0",
            "commercial": place % 2 == 0,
        }
        for place, name in enumerate(names)
    ]
    return pl.DataFrame(rows, schema=COST)


def thinned(data: ReportData, levels: Sequence[int] = (0, 1, 2, 5, 10, 20, 50)) -> pl.DataFrame:
    """A table of thinning against ELSA: the first line is overtaken at 2 plays, the next ones later, the last never."""
    lines = data.summary.drop_nulls("encoder").select("encoder", "recommender").unique(maintain_order=True).rows()
    rows: list[dict[str, Any]] = []
    for number, (encoder, label) in enumerate(lines):
        at = 2.0 * 1.6**number if number < len(lines) - 1 else 1e6
        differences = {level: float(0.05 * (np.log1p(level) - np.log1p(at))) for level in levels if level}
        gains = [Interval(value, value - 0.02, value + 0.02) for value in differences.values()]
        point, low, high = crossing(list(differences), gains)
        where = {"crossing": point, "crossing_low": low, "crossing_high": high, "value": 0.2, "against": "elsa"}
        for level in levels:
            row: dict[str, Any] = {"encoder": encoder, "recommender": label, "plays": level} | where
            if level:
                value = differences[level]
                row |= {"difference": value, "low": value - 0.02, "high": value + 0.02}
            rows.append(row)
    return pl.DataFrame(rows, schema=THINNING)


def leads(data: ReportData) -> list[Verdict]:
    """Verdicts on the sample: cold has a best model, hot and mixed have two tied ones."""
    verdicts = []
    for scenario, lead in (("hot", (-0.0004, 0.0013)), ("cold", (0.0021, 0.0311)), ("mixed", (-0.0006, 0.0014))):
        rows = [row for row in data.ranked(scenario) if row["encoder"] and row["value"] is not None]
        if rows:
            first, second = (f"{row['encoder']} / {row['recommender']}" for row in (rows * 2)[:2])
            alone = len(rows) == 1
            wins = alone or lead[0] > 0
            chance = rows[0]["chance"]
            verdicts.append(
                Verdict(
                    cast("Scenario", scenario), leader=first, winners=(first,) if wins else (first, second),
                    best=first if wins else None, second=None if alone else second,
                    lead=None if alone else Interval(sum(lead) / 2, *lead), unbeaten=(),
                    times_chance=rows[0]["value"] / chance if chance else None,
                    above_chance=True, detectable=0.01, flattery=0.001, reason=None, lines=len(rows),
                )
            )  # fmt: skip
    return verdicts


def differences(data: ReportData) -> pl.DataFrame:
    """All pairs of lines with a value, each with an interval of the same width."""
    rows = []
    for scenario in SCENARIOS:
        lines = [row for row in data.ranked(scenario) if row["value"] is not None and row["recommender"] != "random"]
        for first, second in combinations(lines, 2):
            names = {
                key: f"{row['encoder']} / {row['recommender']}" if row["encoder"] else row["recommender"]
                for key, row in (("first", first), ("second", second))
            }
            gap, half = first["value"] - second["value"], 0.002 if scenario == "hot" else 0.015
            rows.append(
                {"scenario": scenario, "metric": data.primary, "difference": gap, "low": gap - half, "high": gap + half}
                | names
            )
    return pl.DataFrame(rows, schema=DIFFERENCES)


VOID = {"meta", "br", "img", "link", "input", "hr", "base", "source"}


@dataclass
class Node:
    """An element with its attributes and children."""

    tag: str
    attrs: dict[str, Any] = field(default_factory=dict)
    children: list[Any] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text below the element."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, tag: str = "", **attrs: str) -> list[Node]:
        """Every element below with this tag and these attributes, in order; `class_` names one class."""
        nodes: list[Node] = []
        for child in self.children:
            if isinstance(child, Node):
                values = {name.rstrip("_").replace("_", "-"): value for name, value in attrs.items()}
                has = all(value in (child.attrs.get(name) or "").split() for name, value in values.items())
                nodes += ([child] if tag in ("", child.tag) and has else []) + child.all(tag, **attrs)
        return nodes

    def one(self, tag: str = "", **attrs: str) -> Node:
        """The only element of this kind."""
        (node,) = self.all(tag, **attrs)
        return node


class Tree(HTMLParser):
    """A strict parser: every element is closed, in order, and has each attribute once."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Node("")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {attrs}"
        node = Node(tag, dict(attrs))
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(html: str) -> Node:
    """The tree of a well-formed page."""
    tree = Tree()
    tree.feed(html)
    tree.close()
    assert len(tree.open) == 1, f"never closed: {[node.tag for node in tree.open]}"
    return tree.open[0]


def squeezed(text: str) -> str:
    """The text with single spaces."""
    return " ".join(text.split())
