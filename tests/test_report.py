"""The report page: what it says, that nothing in it can break out, and that it loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timbrec import catalog
from timbrec.audit import Finding
from timbrec.report import ReportData, write_report
from timbrec.report.page import render
from timbrec.report.shared import numbers
from timbrec.report.shared.drawing import draw
from timbrec.report.shared.labels import Box, place
from timbrec.results.summary import SUMMARY as SCHEMA
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


def check(name, figure, expected, detail, defects, passed=True):
    return Finding(passed=passed, figure=figure, expected=expected, detail=detail, name=name, defects=defects)


CHECKS = [
    check("random sits at chance, cold", "0.3098", "0.3096 ± 0.0043", "HitRate@50 of 50 seeded orders.", "2"),
    check("shuffled KNN sits at chance, cold", "0.0304", "[0.0241, 0.0362]", "1,000 relabellings.", "1, 2, 7"),
    check("shuffled KNN sits at chance, hot", "0.00043", "[0.00036, 0.00049]", "50 refits.", "1"),
    check("planted encoders come out in order", "5 of 5", "5 of 5", "Neighbours 5 standard errors apart.", "3, 7"),
    check("no test row moves a fitted parameter", "0 changed", "0 changed", "", "9"),
]


def sample(encoders=tuple(ENCODERS), recommenders=tuple(RECOMMENDERS), scenarios=SCENARIOS, metrics=METRICS, **changes):
    """A run of realistic figures; `scenarios` not named are empty."""
    rng = np.random.default_rng(3)
    skills = list(ENCODERS.values())
    lines = [(name, label) for name in encoders for label in recommenders]
    rows = []
    for scenario in SCENARIOS:
        cold_only = ["cold-share@50", "cold-recall@50"] if scenario == "mixed" else []
        for number, (encoder, label) in enumerate([*lines, (None, "random"), (None, "popularity")]):
            skill = skills[number // len(recommenders) % len(skills)]
            chance = CHANCE[scenario]
            if encoder is None:
                value = {
                    "random": chance * rng.normal(1, 0.02),
                    "popularity": {"hot": 0.0182, "mixed": 0.0176}.get(scenario),
                }
                value, width = value[label], 0.03 * chance + 0.0003
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
                row = {"value": value * factor, "low": (value - width) * factor, "high": (value + width) * factor}
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
    return replace(data, **({"verdicts": leads(data)} | changes))


def leads(data):
    found = []
    for scenario, lead in (("hot", (-0.0004, 0.0013)), ("cold", (0.0021, 0.0311)), ("mixed", (-0.0006, 0.0014))):
        rows = [row for row in data.ranked(scenario) if row["encoder"] and row["value"] is not None]
        if rows:
            first, second = (f"{row['encoder']} / {row['recommender']}" for row in (rows * 2)[:2])
            alone = len(rows) == 1
            interval = Interval(sum(lead) / 2, *lead)
            wins = alone or lead[0] > 0
            found.append(
                Verdict(
                    scenario, leader=first, winners=(first,) if wins else (first, second), best=first if wins else None,
                    second=None if alone else second, lead=None if alone else interval, unbeaten=(), times_chance=2.0,
                    above_chance=True, detectable=0.01, flattery=0.001, reason=None, lines=len(rows),
                )
            )  # fmt: skip
    return found


VOID = {"meta", "br", "img", "link", "input", "hr", "base", "source"}


@dataclass
class Node:
    tag: str
    attrs: dict = field(default_factory=dict)
    children: list = field(default_factory=list)

    @property
    def text(self):
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, tag="", **attrs):
        """Every element below with this tag and these attributes, in order; `class_` asks for one class."""
        found = []
        for child in self.children:
            if isinstance(child, Node):
                wanted = {name.rstrip("_"): value for name, value in attrs.items()}
                has = all(value in (child.attrs.get(name) or "").split() for name, value in wanted.items())
                found += ([child] if tag in ("", child.tag) and has else []) + child.all(tag, **attrs)
        return found

    def one(self, tag="", **attrs):
        (found,) = self.all(tag, **attrs)
        return found


class Tree(HTMLParser):
    """A parser that accepts only what is well formed: every element closed, in order, attributes once."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open = [Node("")]

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {attrs}"
        node = Node(tag, dict(attrs))
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag, attrs):
        self.open[-1].children.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag

    def handle_data(self, data):
        self.open[-1].children.append(data)


def parse(html):
    tree = Tree()
    tree.feed(html)
    tree.close()
    assert len(tree.open) == 1, f"never closed: {[node.tag for node in tree.open]}"
    return tree.open[0]


def squeezed(text):
    return " ".join(text.split())


def best(data, scenario):
    rows = data.summary.filter(
        pl.col("encoder").is_not_null(), pl.col("scenario") == scenario, pl.col("metric") == data.primary
    )
    return rows.sort("value", descending=True).row(0, named=True)


def test_the_page_is_well_formed_and_its_ids_are_unique():
    page = parse(render(sample()))
    ids = [node.attrs["id"] for node in page.all() if "id" in node.attrs]
    assert len(ids) == len(set(ids))
    links = [node.attrs["href"] for node in page.all("a")]
    assert links
    assert all(link[1:] in ids for link in links)
    for node in page.all():
        assert set((node.attrs.get("aria-labelledby") or "").split()) <= set(ids)


def test_nothing_is_loaded_and_only_the_pages_own_script_may_run():
    html = render(sample(encoders=("https://example.org/model", *NASTY)))
    page = parse(html)
    allowed = {"xmlns"}
    for node in page.all():
        assert node.tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "image", "use"}
        for name, value in node.attrs.items():
            assert name not in {"src", "srcset", "xlink:href", "action", "style"} | allowed
            assert not name.startswith("on"), "an event handler"
            assert name != "href" or value.startswith("#")
    style = page.one("style").text
    assert not re.search(r"url\(|@import|@font-face|image-set|//", style)
    policy = next(node.attrs["content"] for node in page.all("meta") if node.attrs.get("http-equiv"))
    data, code = page.all("script")
    assert data.attrs["type"] == "application/json"
    digest = base64.b64encode(hashlib.sha256(code.text.encode()).digest()).decode()
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}';" in policy


@pytest.mark.parametrize("nasty", [*NASTY, "{{ 7 * 7 }}{% raw %}", "--><!-- \u2028 \x00", "</style></title></svg>"])
def test_names_of_the_user_stay_text_wherever_they_stand(nasty):
    plain = sample(encoders=("some", "other"), recommenders=("knn",))
    facts = {"name": nasty, "nasty": nasty, nasty: 1}
    named = {"name": nasty, "synthetic": nasty, "data_card": [(nasty, nasty)], "commands": [nasty]}
    data = sample(encoders=(nasty, "other"), recommenders=(f"{nasty} knn",), **named, findings=[check(*[nasty] * 5)])
    html = render(replace(data, encoders=[facts]))
    page = parse(html)
    expected = {node.tag for node in parse(render(plain)).all()}
    assert {node.tag for node in page.all()} <= expected
    assert len(page.all("script")) == 2
    shown = nasty.replace("\x00", "\ufffd")
    visible = page.one("body").text.replace("\x00", "\ufffd")
    assert visible.count(shown) >= 12
    assert shown in page.one("h1").attrs["title"].replace("\x00", "\ufffd")
    json.loads(page.all("script")[0].text)


def test_the_verdict_names_the_best_of_each_half_with_its_figures():
    data = sample()
    cards = parse(render(data)).all("article")
    assert [squeezed(card.one("h3").text).split()[0] for card in cards] == ["hotknown", "coldnew", "mixedknown"]
    for card, scenario in zip(cards, ("hot", "cold", "mixed"), strict=True):
        row, text = best(data, scenario), squeezed(card.text)
        digits = 3 if scenario == "cold" else 4
        large = card.one("p", class_="best").all("bdi")[0].text
        assert large == (row["encoder"] if scenario == "cold" else "2 tied")  # a name in large type is a winner
        assert f"{row['encoder']} with {row['recommender']}" in text.replace(
            row["encoder"] + "with", row["encoder"] + " with"
        )
        assert f"{row['value']:.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]" in text
        assert f"+{row['difference']:.{digits}f} [+{row['difference_low']:.{digits}f}, " in text
        rows = {squeezed(line.one("dt").text): squeezed(line.one("dd").text) for line in card.one("dl").all("div")}
        assert float(rows["over shuffled"].split()[0][1:]) == pytest.approx(row["value"] / row["shuffled"], rel=0.005)
        assert float(rows["over chance"][1:]) == pytest.approx(row["value"] / row["chance"], rel=0.005)
        lead = {verdict.scenario: verdict for verdict in data.verdicts}[scenario]
        assert f"Next: {lead.second}" in text
        assert ("excludes 0" in text) == (scenario == "cold")
        assert ("does not separate the two" in text) == (scenario != "cold")
        controls = {squeezed(bar.one("th").text): bar.all("td")[-1].text for bar in card.one("table").all("tr")}
        assert set(controls) == {row["encoder"], "random", "popularity", "shuffled", "Gaussian", "chance"}
        assert controls["shuffled"] == f"{row['shuffled']:.{digits}f}"
    assert controls["popularity"] != "–"
    assert {bar.one("th").text: bar.all("td")[-1].attrs.get("title") for bar in cards[1].one("table").all("tr")}[
        "popularity"
    ].startswith("cannot rank")


def test_a_best_that_popularity_or_its_own_shuffled_vectors_reach_is_cautioned():
    cards = parse(render(sample(encoders=("mfcc",), recommenders=("knn",)))).all("article")
    assert "popularity, a baseline, reaches as much or more here." in squeezed(cards[0].text)
    assert "There is no other combination to compare with." in squeezed(cards[0].text)
    assert not cards[1].all("p", class_="caution")
    data = sample(encoders=("mfcc",))
    low = data.summary.with_columns(difference_low=-pl.col("value"), low=pl.col("chance") / 2)
    text = squeezed(parse(render(replace(data, summary=low))).all("article")[1].text)
    assert "The interval of its gain over shuffled vectors includes 0." in text
    assert "Its interval reaches down to chance." in text


def test_a_baseline_is_never_called_the_best_and_is_shown_beside_it():
    data = sample(encoders=("mfcc",))
    winner = data.ranked("cold")[0]["recommender"]
    card = parse(render(replace(data, baselines={winner}))).all("article")[1]
    bars = [squeezed(bar.one("th").text) for bar in card.one("table").all("tr")]
    assert f"with {winner}" not in squeezed(card.text)
    assert winner in bars
    assert f"{winner}, a baseline, reaches as much or more here." in squeezed(card.text)


def test_a_failed_audit_withholds_the_verdict():
    refused = [replace(CHECKS[0], passed=False, figure="0.27"), replace(CHECKS[3], passed=False), *CHECKS[1:3]]
    data = sample(findings=refused)
    html = render(data)
    page = parse(html)
    banner = page.one("div", class_="state")
    assert banner.attrs["class"].split() == ["state", "refused"]
    assert html.index('class="state refused"') < html.index("<h1")
    assert squeezed(banner.text).startswith(
        "Audit: REFUSED 2 of 4 checks failed: random sits at chance, cold; planted encoders come out in order."
    )
    assert not page.all("article"), "no card may crown anything"
    withheld = page.one("div", class_="withheld")
    assert "Withheld" in withheld.text
    assert "found 0.27, expected 0.3096 ± 0.0043" in squeezed(withheld.text)
    assert page.one("s").text
    assert page.one("head").one("title").text.startswith("REFUSED")
    assert len(page.all("p", class_="struck")) == 2, "the plot and the tables say so too"
    rows = page.one("table", class_="findings").one("tbody").all("tr")
    assert [row.attrs["class"] for row in rows] == ["refused", "refused", "passed", "passed"]


def test_the_audit_comes_first_and_is_shown_in_full():
    page = parse(render(sample()))
    first = next(node for node in page.one("body").children if isinstance(node, Node))
    assert squeezed(first.text).startswith("Audit: passed 5 of 5 checks")
    table = page.one("table", class_="findings").text
    for one in CHECKS:
        assert all(part in table for part in (one.name, one.figure, one.expected, one.detail, one.defects))
    banner = parse(render(sample(findings=[]))).one("div", class_="state")
    assert banner.attrs["class"].split() == ["state", "unaudited"]
    assert "was not audited" in banner.text


def test_a_sentence_for_each_scenario_stands_first():
    data = sample()
    sentences = [squeezed(item.text) for item in parse(render(data)).one("ul", class_="sentences").all("li")]
    assert sentences == [verdict.sentence for verdict in data.verdicts]
    assert re.search(r"^Hot: .+ are tied, 2\.0 times chance\.$", sentences[0])
    assert re.search(r"^Cold: .+ is best, 2\.0 times chance\.$", sentences[1])


@pytest.mark.parametrize(
    ("change", "heading", "sentence"),
    [
        ({"unbeaten": ("popularity",)}, "Not above popularity", "Cold: no audio model is shown to beat popularity."),
        ({"above_chance": False}, "Not above chance", "Cold: no audio model is shown to be better than chance."),
        ({"reason": "3 users"}, "Too few to tell", "Cold: this test cannot tell encoders apart (3 users)."),
    ],
)
def test_where_nothing_wins_no_name_stands_in_large_type(change, heading, sentence):
    data = sample()
    data = replace(data, verdicts=[replace(verdict, **change) for verdict in data.verdicts])
    page = parse(render(data))
    assert page.all("article")[1].one("p", class_="best").all("bdi")[0].text == heading
    assert sentence in page.one("ul", class_="sentences").text


def test_the_page_is_written_whole_and_nothing_else_is_left_behind(tmp_path):
    data = sample(encoders=(*NASTY, "a", "b", "c"), metrics=ALL_METRICS)
    (tmp_path / "report.html").write_text("an older report")
    path = write_report(data, tmp_path / "report.html")
    assert path == tmp_path / "report.html"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.html"]
    assert path.read_text(encoding="utf-8") == render(data)
    assert path.stat().st_size < 600_000


def cells(row):
    return [squeezed(cell.text) for cell in row.children if isinstance(cell, Node)]


def test_the_tables_hold_every_combination_with_its_controls_best_first():
    data = sample()
    tables = parse(render(data)).all("table", class_="standings")
    assert [table.attrs["data-scenario"] for table in tables] == ["hot", "cold", "mixed"]
    for table in tables:
        scenario = table.attrs["data-scenario"]
        heads = [node for node in table.one("thead").one("tr").children if isinstance(node, Node)]
        assert [head.attrs["aria-sort"] for head in heads if "aria-sort" in head.attrs] == ["descending"]
        assert squeezed(heads[2].text) == "ndcg@50"
        expected = data.summary.filter(pl.col("scenario") == scenario, pl.col("metric") == "ndcg@50")
        expected = expected.sort("value", descending=True, nulls_last=True, maintain_order=True)
        rows = table.one("tbody").all("tr")
        assert len(rows) == len(expected) == 29
        for row, want in zip(rows, expected.iter_rows(named=True), strict=True):
            shown = cells(row)
            assert shown[:2] == [want["encoder"] or "–", want["recommender"]]
            if want["value"] is None:
                assert shown[2:] == [want["status"]]
                continue
            digits = 3 if scenario == "cold" else 4
            assert shown[2] == f"{want['value']:.{digits}f}"
            limits = [float(limit.replace("−", "-")) for limit in shown[3].strip("[]").split(", ")]
            assert limits == pytest.approx([want["low"], want["high"]], abs=0.5 * 10**-digits)
            for text, name in zip(shown[5:8], ("shuffled", "gaussian", "chance"), strict=True):
                exact = want[name] is None and text == "–"
                assert exact or float(text) == pytest.approx(want[name], abs=0.5 * 10**-digits)
            if want["encoder"] is None:
                assert shown[5:7] + shown[8:11] == ["–"] * 5
                dashes = [node for node in row.children if isinstance(node, Node) and node.text.strip() == "–"]
                assert all(node.attrs.get("title") or node.all(title="uses") for node in dashes)
            else:
                assert float(shown[8][1:]) == pytest.approx(want["lift"], rel=0.006)
            assert shown[11] == "3"
    assert cells(tables[1].one("tbody").all("tr")[-1])[2] == "cannot rank: popularity knows no new track"


def test_the_metric_selector_has_every_metric_and_agrees_with_the_tables():
    data = sample(encoders=("a", "b"))
    page = parse(render(data))
    figures = json.loads(page.all("script")[0].text)
    assert [option.text for option in page.one("select").all("option")] == list(figures)
    assert next(iter(figures)) == "ndcg@50"
    assert set(figures) == set(data.summary["metric"])
    for table in page.all("table", class_="standings"):
        for row in table.one("tbody").all("tr"):
            stored = figures["ndcg@50"][table.attrs["data-scenario"]][int(row.attrs["data-row"])]
            assert (stored and stored[0]) == ([cell.text for cell in row.all("td", class_="figure")] or None)
    assert "hot" not in figures["cold-share@50"]


def test_an_empty_cold_half_is_said_and_not_plotted():
    page = parse(render(sample(scenarios=("hot",))))
    text = squeezed(page.text)
    assert "No verdict: the cold scenario is empty: no user has a relevant item." in text
    assert "No figures: the cold scenario is empty: no user has a relevant item." in text
    assert "nothing to plot" in text
    assert not page.all("figure")
    assert len(page.all("table", class_="standings")) == 1


def test_a_combination_without_a_cold_figure_is_listed_beside_the_plot():
    data = sample(encoders=("a", "b"), recommenders=("knn", "bert4rec"))
    lost = pl.when((pl.col("recommender") == "bert4rec") & (pl.col("scenario") == "cold"))
    summary = data.summary.with_columns(
        lost.then(None).otherwise(pl.col(name)).alias(name) for name in SCHEMA if SCHEMA[name] == pl.Float64
    ).with_columns(status=lost.then(pl.lit("cannot rank: <b>")).otherwise("status"))
    page = parse(render(replace(data, summary=summary)))
    assert "not in the plot: a / bert4rec, b / bert4rec." in squeezed(page.one("section", id="plot").text)
    cold = page.all("table", class_="standings")[1]
    assert [cells(row)[2] for row in cold.one("tbody").all("tr")].count("cannot rank: <b>") == 2


@pytest.mark.parametrize("blank", ["low", "chance", "shuffled", "gaussian"])
def test_missing_figures_are_dashes(blank):
    data = sample(encoders=("a", "b"), recommenders=("knn",))
    for nothing in (None, float("nan")):
        summary = data.summary.with_columns(pl.lit(nothing, pl.Float64).alias(blank))
        page = parse(render(replace(data, summary=summary)))
        column = {"low": 3, "shuffled": 5, "gaussian": 6, "chance": 7}[blank]
        rows = page.all("table", class_="standings")[0].one("tbody").all("tr")
        assert {cells(row)[column] for row in rows} == {"–"}
        assert "nan" not in "".join(part.text for name in ("article", "table", "figure") for part in page.all(name))


def test_figures_that_are_all_zero_and_an_empty_summary_still_make_a_page():
    data = sample(encoders=("a",))
    floats = [name for name, kind in SCHEMA.items() if kind == pl.Float64]
    parse(render(replace(data, summary=data.summary.with_columns(pl.col(floats) * 0.0))))
    parse(render(replace(data, summary=data.summary.clear(), verdicts=[], split=data.split.clear())))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (numbers.fixed(0.03888, 4), "0.0389"),
        (numbers.fixed(-0.0123, 3), "−0.012"),
        (numbers.fixed(0.00001, 4), "<0.0001"),
        (numbers.fixed(-0.00001, 4), "0.0000"),
        (numbers.fixed(0.0, 2), "0.00"),
        (numbers.fixed(None, 2), "–"),
        (numbers.fixed(float("inf"), 2), "–"),
        (numbers.signed(0.0021, 4), "+0.0021"),
        (numbers.signed(-0.0021, 4), "−0.0021"),
        (numbers.signed(-0.00001, 4), "0.0000"),
        (numbers.interval(-0.01, 0.2, 2), "[−0.01, 0.20]"),
        (numbers.interval(-0.01, 0.2, 2, sign=True), "[−0.01, +0.20]"),
        (numbers.interval(None, 0.2, 2), "–"),
        (numbers.interval(float("nan"), 0.2, 2), "–"),
        (numbers.ratio(0.845), "×0.84"),
        (numbers.ratio(4.2123), "×4.21"),
        (numbers.ratio(42.123), "×42.1"),
        (numbers.ratio(4212.3), "×4212"),
        (numbers.count(5371381), "5,371,381"),
        (numbers.count(431.5), "431.5"),
        (numbers.count(True), "yes"),
        (numbers.count(None), "–"),
        (numbers.count("MIT"), "MIT"),
        (numbers.decimals([0.0388, 0.0004, None]), 4),
        (numbers.decimals([0.558]), 3),
        (numbers.decimals([1.0]), 2),
        (numbers.decimals([1e-12]), 6),
        (numbers.decimals([]), 2),
    ],
)
def test_numbers_are_written_as_a_reader_expects(written, expected):
    assert written == expected


@given(st.floats(-1e3, 1e3), st.integers(0, 6))
def test_a_written_number_is_the_number_to_half_a_unit(value, digits):
    text = numbers.fixed(value, digits).replace("−", "-")
    if text.startswith("<"):
        assert 0 < value < float(text[1:])
    else:
        assert abs(float(text) - value) <= 0.5 * 10**-digits * (1 + 1e-9) + 1e-12


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 400), st.floats(0, 300), st.floats(5, 150)), max_size=25))
def test_labels_never_collide(points):
    frame = Box(200.0, 150.0, 200.0, 150.0)
    markers = [Box(x, y, 5.0, 5.0) for x, y, _ in points]
    labels = place([(x, y, w, 14.0) for x, y, w in points], frame, markers, [])

    def edges(box):
        return box.x - box.w, box.y - box.h, box.x + box.w, box.y + box.h

    placed = [edges(label.box) for label in labels if label]
    for left, top, right, bottom in placed:
        assert left >= -1e-9
        assert top >= -1e-9
        assert right <= 400 + 1e-9
        assert bottom <= 300 + 1e-9
    pairs = [*combinations(placed, 2), *((label, edges(marker)) for label in placed for marker in markers)]
    for (l1, t1, r1, b1), (l2, t2, r2, b2) in pairs:
        assert min(r1, r2) - max(l1, l2) <= 1e-9 or min(b1, b2) - max(t1, t2) <= 1e-9
    if len(points) == 1:
        assert placed, "there is room for one label"


def test_points_stand_where_the_axes_say():
    data = sample()
    for figure in parse(render(data)).all("figure"):
        axis = figure.one("g", class_="axis")
        ticks = [node for node in axis.all("text") if "class" not in node.attrs]
        across = [(float(node.text), float(node.attrs["x"])) for node in ticks if node.attrs["text-anchor"] == "middle"]
        upright = [(float(node.text), float(node.attrs["y"])) for node in ticks if node.attrs["text-anchor"] == "end"]
        assert min(len(across), len(upright)) >= 4
        (a, b), (c, d) = (np.polyfit(*zip(*ticks, strict=True), 1) for ticks in (across, upright))
        drawn = {}
        for mark in figure.all("path", class_="mark"):
            x, y = map(float, re.findall(r"[\d.]+", mark.attrs["transform"]))
            drawn[round(x), round(y)] = mark
        wide = data.summary.filter(pl.col("metric") == "ndcg@50", pl.col("scenario") != "mixed").pivot(
            "scenario", index=["encoder", "recommender"], values="value"
        )
        both = wide.drop_nulls(["hot", "cold"])
        assert len(drawn) == len(figure.all("path", class_="mark")) == len(both) == 28
        for row in both.iter_rows(named=True):
            x, y = a * row["hot"] + b, c * row["cold"] + d
            assert min(abs(x - left) + abs(y - top) for left, top in drawn) < 1.5
        assert figure.one("svg").attrs["role"] == "img"
        assert "best hot" in figure.one("desc").text


def test_many_points_are_drawn_without_labels_that_collide():
    data = sample(encoders=tuple(f"encoder number {number}" for number in range(40)))
    plot = draw(data, "wide", (1080, 600), 12)
    boxes = [label.box for label in (*(mark.label for mark in plot.marks), *(g.label for g in plot.guides)) if label]
    assert len(plot.marks) == 121
    assert plot.unlabelled == sum(mark.label is None for mark in plot.marks) > 0
    for one, other in combinations(boxes, 2):
        assert abs(one.x - other.x) >= one.w + other.w - 1e-9 or abs(one.y - other.y) >= one.h + other.h - 1e-9
    assert f"No room to name {plot.unlabelled} of the 121 points" in squeezed(parse(render(data)).text)


def test_a_section_of_the_catalogue_is_on_the_page(tmp_path, monkeypatch):
    """One class and the template beside it; nothing else knows of it."""
    (tmp_path / "colophon.py").write_text(
        "class Colophon:\n"
        '    title, link = "Colophon", "Set in"\n\n'
        "    def content(self, data):\n"
        '        return {"words": "<b>" + data.name} if data.commands else None\n'
    )
    (tmp_path / "colophon.html.j2").write_text("<p>{{ words }}</p>")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(catalog.CATALOG["sections"], "colophon", catalog.Part("colophon:Colophon", "Who set the page"))
    page = parse(render(sample()))
    section = next(node for node in page.all("section") if node.attrs["id"] == "colophon")
    assert squeezed(section.one("p").text) == squeezed("<b>" + sample().name)
    assert [link.text for link in page.one("nav").all("a")][-1] == "Set in"
    without = parse(render(replace(sample(), commands=[])))
    assert "colophon" not in [node.attrs["id"] for node in without.all("section")]
