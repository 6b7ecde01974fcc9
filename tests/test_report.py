"""The report page: its statements, its safety against names of users, and that it loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report_samples import ALL_METRICS, CHECKS, NASTY, Node, check, parse, sample, squeezed
from timbrec import catalog
from timbrec.report import ReportData, write_report
from timbrec.report.page import render
from timbrec.report.sections.data import bibtex
from timbrec.report.shared import numbers
from timbrec.report.shared.drawing import draw
from timbrec.report.shared.forest import Difference, forest
from timbrec.report.shared.labels import Box, place
from timbrec.results.cost import COST, cheapest
from timbrec.results.summary import SUMMARY as SCHEMA


def best(data: ReportData, scenario: str) -> dict[str, Any]:
    rows = data.summary.filter(
        pl.col("encoder").is_not_null(), pl.col("scenario") == scenario, pl.col("metric") == data.primary
    )
    return rows.sort("value", descending=True).row(0, named=True)


def test_the_page_is_well_formed_and_its_ids_are_unique() -> None:
    page = parse(render(sample()))
    ids = [node.attrs["id"] for node in page.all() if "id" in node.attrs]
    assert len(ids) == len(set(ids))
    links = [node.attrs["href"] for node in page.all("a")]
    assert links
    assert all(link[1:] in ids for link in links)
    for node in page.all():
        assert set((node.attrs.get("aria-labelledby") or "").split()) <= set(ids)


def test_nothing_is_loaded_and_only_the_pages_own_script_may_run() -> None:
    page = parse(render(sample(encoders=("https://example.org/model", *NASTY))))
    for node in page.all():
        assert node.tag not in {"link", "img", "iframe", "object", "embed", "base", "image", "use"}
        for name, value in node.attrs.items():
            assert name not in {"src", "srcset", "xlink:href", "action", "style", "xmlns"}
            assert not name.startswith("on"), "an event handler"
            assert name != "href" or value.startswith("#")
    style = page.one("style").text
    assert not re.search(r"url\(|@import|@font-face|image-set|//", style)
    policy = next(node.attrs["content"] for node in page.all("meta") if node.attrs.get("http-equiv"))
    *tables, code = page.all("script")
    assert {table.attrs["type"] for table in tables} == {"application/json"}
    digest = base64.b64encode(hashlib.sha256(code.text.encode()).digest()).decode()
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}';" in policy


@pytest.mark.parametrize("nasty", [*NASTY, "{{ 7 * 7 }}{% raw %}", "--><!-- \u2028 \x00", "</style></title></svg>"])
def test_names_of_the_user_stay_text_wherever_they_stand(nasty: str) -> None:
    plain = sample(encoders=("mule", "mert"), recommenders=("knn",))
    facts = {"name": nasty, "nasty": nasty, nasty: 1}
    named: dict[str, Any] = {"name": nasty, "synthetic": nasty, "data_card": [(nasty, nasty)], "commands": [nasty]}
    data = sample(
        encoders=(nasty, "other"),
        recommenders=(f"{nasty} knn",),
        **named,
        findings=[check(nasty, nasty, nasty, nasty, nasty)],
    )
    html = render(replace(data, encoders=[facts]))
    page = parse(html)
    expected = {node.tag for node in parse(render(plain)).all()}
    assert {node.tag for node in page.all()} <= expected
    assert len(page.all("script")) == len(parse(render(plain)).all("script"))
    shown = nasty.replace("\x00", "\ufffd")
    visible = page.one("body").text.replace("\x00", "\ufffd")
    assert visible.count(shown) >= 12
    assert shown in page.one("h1").attrs["title"].replace("\x00", "\ufffd")
    for table in page.all("script")[:-1]:
        json.loads(table.text)


def test_the_cards_name_the_best_of_each_scenario_with_its_figures() -> None:
    data = sample()
    cards = parse(render(data)).all("article", class_="card")
    assert [squeezed(card.one("h3").text).split()[0] for card in cards] == ["hotknown", "coldnew", "mixedknown"]
    for card, scenario in zip(cards, ("hot", "cold", "mixed"), strict=True):
        row, text = best(data, scenario), squeezed(card.text)
        digits = 3 if scenario == "cold" else 4
        large = card.one("p", class_="best").all("bdi")[0].text
        assert large == (row["encoder"] if scenario == "cold" else "2 tied"), "a name in large type is a winner"
        assert f"with {row['recommender']}" in text
        assert f"{row['value']:.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]" in text
        assert f"+{row['difference']:.{digits}f} [+{row['difference_low']:.{digits}f}, " in text
        rows = {squeezed(line.one("dt").text): squeezed(line.one("dd").text) for line in card.one("dl").all("div")}
        assert float(rows["over shuffled"].split()[0][1:]) == pytest.approx(row["value"] / row["shuffled"], rel=0.005)
        assert float(rows["times chance"][1:]) == pytest.approx(row["value"] / row["chance"], rel=0.005)
        lead = {verdict.scenario: verdict.second for verdict in data.verdicts}[scenario]  # type: ignore[index]
        assert f"over the next, {lead}" + (": not separated" if scenario != "cold" else "") in rows
        controls = {squeezed(bar.one("th").text): bar.all("td")[-1] for bar in card.one("table").all("tr")}
        own = f"{row['encoder']} / {row['recommender']}"
        assert set(controls) == {own, "random", "popularity", "shuffled", "Gaussian", "chance"}
        assert controls["shuffled"].text == f"{row['shuffled']:.{digits}f}"
        if scenario == "cold":
            assert controls["popularity"].attrs["title"].startswith("cannot rank")


def test_a_best_that_popularity_or_its_own_shuffled_vectors_reach_is_cautioned() -> None:
    cards = parse(render(sample(encoders=("mfcc",), recommenders=("knn",)))).all("article", class_="card")
    assert "popularity, a baseline, reaches as much or more here." in squeezed(cards[0].text)
    assert not cards[1].all("p", class_="caution")
    data = sample(encoders=("mfcc",))
    low = data.summary.with_columns(difference_low=-pl.col("value"), low=pl.col("chance") / 2)
    text = squeezed(parse(render(replace(data, summary=low))).all("article", class_="card")[1].text)
    assert "The interval of its gain over shuffled vectors includes 0." in text
    assert "Its interval reaches down to chance." in text


def test_a_baseline_is_never_called_the_best_audio_model_and_is_shown_beside_it() -> None:
    data = sample(encoders=("mfcc",))
    winner = data.ranked("cold")[0]["recommender"]
    card = parse(render(replace(data, baselines={winner}))).all("article", class_="card")[1]
    bars = [squeezed(bar.one("th").text) for bar in card.one("table").all("tr")]
    assert f"with {winner}" not in squeezed(card.text)
    assert bars[0] == f"mfcc / {winner}"
    assert f"mfcc / {winner}, a baseline, reaches as much or more here." in squeezed(card.text)


def test_a_failed_audit_withholds_the_verdict() -> None:
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
    assert not page.all("article", class_="card"), "no card may crown anything"
    withheld = page.one("div", class_="withheld")
    assert "Withheld" in withheld.text
    assert "found 0.27, expected 0.3096 ± 0.0043" in squeezed(withheld.text)
    assert page.one("s").text
    assert page.one("head").one("title").text.startswith("REFUSED")
    assert len(page.all("p", class_="struck")) == 4, "every section with figures says so too"
    rows = page.one("table", class_="findings").one("tbody").all("tr")
    assert [row.attrs["class"] for row in rows] == ["refused", "refused", "passed", "passed"]


def test_the_audit_comes_first_and_is_shown_in_full() -> None:
    page = parse(render(sample()))
    first = next(node for node in page.one("body").children if isinstance(node, Node))
    assert squeezed(first.text).startswith("Audit: passed 5 of 5 checks")
    table = page.one("table", class_="findings").text
    for finding in CHECKS:
        texts = (finding.name, finding.figure, finding.expected, finding.detail, finding.defects)
        assert all(text in table for text in texts)
    banner = parse(render(sample(findings=[]))).one("div", class_="state")
    assert banner.attrs["class"].split() == ["state", "unaudited"]
    assert "was not audited" in banner.text


def test_a_sentence_for_each_scenario_stands_first() -> None:
    data = sample()
    items = parse(render(data)).one("ul", class_="sentences").all("li")
    sentences = [squeezed(item.all("bdi")[0].text) for item in items]
    assert sentences == [verdict.sentence for verdict in data.verdicts]
    assert re.search(r"^Hot: .+ are tied, 92\.\d times chance\.$", sentences[0])
    assert re.search(r"^Cold: .+ is best, 5\.\d times chance\.$", sentences[1])
    advice = [squeezed(item.one("small").text) for item in items]
    assert advice[0] == "Use any of them. A difference of 0.0100 would have been found in 4 of 5 tests."
    assert advice[1] == f"Use {data.verdicts[1].leader}."


def test_the_cheapest_of_the_tied_is_named() -> None:
    data = sample()
    winners = data.verdicts[0].winners
    encoders = [name.split(" / ")[0] for name in winners]
    costs = [{"encoder": name, "dim": 100 - place} for place, name in enumerate(encoders)]
    page = parse(render(replace(data, tables={"cost": pl.DataFrame(costs, schema=COST)})))
    advice = squeezed(page.one("ul", class_="sentences").all("li")[0].text)
    assert f"the cheapest is {winners[-1]}." in advice
    assert f"Cheapest tied with the best, hot: {winners[-1]}." in squeezed(page.one("section", id="cost").text)


@pytest.mark.parametrize(
    ("speeds", "dims", "name"),
    [
        ((2.0, 1.0), (1, 9), "b"),
        ((None, 1.0), (1, 9), "a"),
        ((1.0, 1.0), (9, 1), "b"),
        ((1.0, 1.0), (9, 9), "a"),
        ((1.0, 1.0), (9, None), None),
    ],
)
def test_cheapest_is_least_computation_then_the_shortest_vector(
    speeds: tuple[float | None, ...], dims: tuple[int | None, ...], name: str | None
) -> None:
    table = pl.DataFrame([{"encoder": "a"}, {"encoder": "b"}], schema=COST)
    table = table.with_columns(gflop_per_second=pl.Series(speeds), dim=pl.Series(dims))
    assert cheapest(table, ["a", "b", "a"]) == name


def test_measured_time_counts_where_computation_is_not_known_of_all() -> None:
    rows = [{"encoder": "a", "seconds_per_track": 2.0, "dim": 1}, {"encoder": "b", "seconds_per_track": 1.0, "dim": 9}]
    table = pl.DataFrame(rows, schema=COST)
    assert cheapest(table, ["a", "b"]) == "b"
    known = table.with_columns(gflop_per_second=pl.Series([1.0, 5.0]))
    assert cheapest(known, ["a", "b"]) == "a"


def test_cheapest_needs_every_encoder_in_the_table() -> None:
    table = pl.DataFrame([{"encoder": "a", "gflop_per_second": 1.0, "dim": 1}], schema=COST)
    assert cheapest(table, ["a", "b"]) is None
    assert cheapest(None, ["a"]) is None
    assert cheapest(table, []) is None


@pytest.mark.parametrize(
    ("change", "heading", "sentence"),
    [
        ({"unbeaten": ("random",)}, "random", "Cold: no audio model is shown to beat random."),
        (
            {"unbeaten": ("popularity", "random")},
            "random",
            "Cold: no audio model is shown to beat popularity and random.",
        ),
        ({"above_chance": False}, "Not above chance", "Cold: no audio model is shown to be better than chance."),
        ({"reason": "3 users"}, "Too few to tell", "Cold: this test cannot tell encoders apart (3 users)."),
        (
            {"unbeaten": ("random",), "above_chance": False, "best": "mert / knn"},
            "random",
            "Cold: no audio model is shown to beat random.",
        ),
        (
            {"unbeaten": ("random",), "above_chance": False, "reason": "3 users"},
            "Too few to tell",
            "Cold: this test cannot tell encoders apart (3 users).",
        ),
    ],
)
def test_where_nothing_wins_no_audio_model_stands_in_large_type(
    change: dict[str, Any], heading: str, sentence: str
) -> None:
    data = sample()
    data = replace(data, verdicts=[replace(verdict, **change) for verdict in data.verdicts])
    page = parse(render(data))
    assert page.all("article", class_="card")[1].one("p", class_="best").all("bdi")[0].text == heading
    assert sentence in page.one("ul", class_="sentences").text


def test_artist_mean_is_no_baseline_without_audio() -> None:
    data = sample(encoders=("mert", "mule"), recommenders=("knn", "artist-mean"), baselines=("artist-mean",))
    verdicts = [replace(verdict, artist=("artist-mean",)) for verdict in data.verdicts]
    words = squeezed(parse(render(replace(data, verdicts=verdicts))).one("section", id="findings").text)
    assert "beat artist-mean, which knows of a track only the mean vector of its artist" in words


def test_audio_that_is_not_above_chance_beats_nothing() -> None:
    """The verdict named chance, and the findings said that audio beats a random order."""
    data = sample()
    data = replace(data, verdicts=[replace(verdict, above_chance=False) for verdict in data.verdicts])
    words = squeezed(parse(render(data)).one("section", id="findings").text)
    assert "audio beats it" not in words
    assert words.count("No audio model is shown to be better than chance.") == 3


def test_audio_beats_no_order_that_reaches_more() -> None:
    """New tracks first, in a random order, may lead in mixed lists; the findings said that audio beats it."""
    data = sample()
    row = data.summary.filter(scenario="mixed", metric="ndcg@50", recommender="random")
    first = row.with_columns(recommender=pl.lit("new-first"), value=pl.lit(0.5))
    data = replace(data, summary=pl.concat([data.summary, first]))
    words = squeezed(parse(render(data)).one("section", id="findings").text)
    assert "new-first, a baseline, reaches 0.5000, which is as much or more." in words
    assert "new-first with 0.5000; audio beats it" not in words
    assert "The best other recommender without audio is popularity with 0.0176; audio beats it." in words


def test_the_only_audio_model_is_called_so() -> None:
    (verdict, *_) = sample(encoders=("mert",), recommenders=("knn",)).verdicts
    assert re.fullmatch(r"Hot: mert / knn, the only audio model, reaches 3\d\.\d times chance\.", verdict.sentence)
    unknown = replace(verdict, times_chance=None)
    assert unknown.sentence == "Hot: mert / knn, the only audio model, is better than chance."


def test_a_baseline_that_wins_is_said_to_win_in_the_type_of_a_winner() -> None:
    data = sample(encoders=("mfcc",), recommenders=("knn",))
    verdicts = [replace(verdict, unbeaten=("popularity",)) for verdict in data.verdicts]
    page = parse(render(replace(data, verdicts=verdicts)))
    hot = page.all("article", class_="card")[0].one("p", class_="best")
    assert [node.text for node in hot.all("bdi")] == [
        "popularity",
        "wins: a baseline, better than the best audio model",
    ]
    assert "Use popularity here: audio is not shown to help." in squeezed(page.one("ul", class_="sentences").text)
    close = data.differences.with_columns(low=pl.col("difference") - 1, high=pl.col("difference") + 1)
    page = parse(render(replace(data, verdicts=verdicts, differences=close)))
    subheading = page.all("article", class_="card")[0].one("p", class_="best").all("bdi")[1].text
    assert subheading == "a baseline that no audio model is shown to beat"


def test_the_page_is_written_whole_and_nothing_else_is_left_behind(tmp_path: Path) -> None:
    data = sample(encoders=(*NASTY, "a", "b", "c"), metrics=ALL_METRICS)
    (tmp_path / "report.html").write_text("an older report")
    path = write_report(data, tmp_path / "report.html")
    assert path == tmp_path / "report.html"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.html"]
    assert path.read_text(encoding="utf-8") == render(data)
    assert path.stat().st_size < 2_000_000


def cells(row: Node) -> list[str]:
    return [squeezed(cell.text) for cell in row.children if isinstance(cell, Node)]


def test_the_tables_hold_every_combination_with_its_controls_best_first() -> None:
    data = sample()
    tables = parse(render(data)).all("table", class_="standings")
    assert [table.attrs["data-grid"] for table in tables] == ["hot", "cold", "mixed"]
    for table in tables:
        scenario = table.attrs["data-grid"]
        heads = [node for node in table.one("thead").one("tr").children if isinstance(node, Node)]
        assert [head.attrs["aria-sort"] for head in heads if "aria-sort" in head.attrs] == ["descending"]
        assert squeezed(heads[2].text) == "ndcg@50"
        expected = data.summary.filter(pl.col("scenario") == scenario, pl.col("metric") == "ndcg@50")
        expected = expected.sort("value", descending=True, nulls_last=True, maintain_order=True)
        rows = table.one("tbody").all("tr")
        assert len(rows) == len(expected) == 29
        for row, values in zip(rows, expected.iter_rows(named=True), strict=True):
            shown = cells(row)
            assert shown[:2] == [values["encoder"] or "–", values["recommender"]]
            if values["value"] is None:
                assert shown[2:] == [values["status"]]
                continue
            digits = 3 if scenario == "cold" else 4
            assert shown[2] == f"{values['value']:.{digits}f}"
            limits = [float(limit.replace("−", "-")) for limit in shown[3].strip("[]").split(", ")]
            assert limits == pytest.approx([values["low"], values["high"]], abs=0.5 * 10**-digits)
            for text, name in zip(shown[5:8], ("shuffled", "gaussian", "chance"), strict=True):
                exact = values[name] is None and text == "–"
                assert exact or float(text) == pytest.approx(values[name], abs=0.5 * 10**-digits)
            if values["encoder"] is None:
                assert shown[5:7] + shown[8:11] == ["–"] * 5
                dashes = [node for node in row.children if isinstance(node, Node) and node.text.strip() == "–"]
                assert all(node.attrs.get("title") or node.all(title="uses") for node in dashes)
            else:
                assert float(shown[8][1:]) == pytest.approx(values["lift"], rel=0.006)
            assert shown[11] == "3"
    assert cells(tables[1].one("tbody").all("tr")[-1])[2] == "cannot rank: popularity knows no new track"


def test_the_metric_selector_has_every_metric_and_agrees_with_the_tables() -> None:
    data = sample(encoders=("a", "b"))
    page = parse(render(data))
    figures = json.loads(page.one("script", id="figures").text)
    assert [option.text for option in page.one("select", name="metric").all("option")] == list(figures)
    assert next(iter(figures)) == "ndcg@50"
    assert set(figures) == set(data.summary["metric"])
    for table in page.all("table", class_="standings"):
        for row in table.one("tbody").all("tr"):
            stored = figures["ndcg@50"][table.attrs["data-grid"]][int(row.attrs["data-row"])]
            assert (stored and stored[0]) == ([cell.text for cell in row.all("td", class_="figure")] or None)
    assert "hot" not in figures["cold-share@50"]


def test_an_empty_cold_half_is_said_and_not_plotted() -> None:
    page = parse(render(sample(scenarios=("hot",))))
    text = squeezed(page.text)
    assert "No verdict: the cold scenario is empty: no user has a relevant item." in text
    assert "No figures: the cold scenario is empty: no user has a relevant item." in text
    assert "nothing to plot" in text
    assert not page.all("figure")
    assert len(page.all("table", class_="standings")) == 1


def test_a_combination_without_a_cold_figure_is_listed_beside_the_plot() -> None:
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
def test_missing_figures_are_dashes(blank: str) -> None:
    data = sample(encoders=("a", "b"), recommenders=("knn",))
    for nothing in (None, float("nan")):
        summary = data.summary.with_columns(pl.lit(nothing, pl.Float64).alias(blank))
        page = parse(render(replace(data, summary=summary)))
        column = {"low": 3, "shuffled": 5, "gaussian": 6, "chance": 7}[blank]
        rows = page.all("table", class_="standings")[0].one("tbody").all("tr")
        assert {cells(row)[column] for row in rows} == {"–"}
        assert "nan" not in "".join(part.text for name in ("article", "table", "figure") for part in page.all(name))


def test_figures_that_are_all_zero_and_an_empty_summary_still_make_a_page() -> None:
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
def test_numbers_are_written_as_a_reader_expects(written: str, expected: str) -> None:
    assert written == expected


@given(st.floats(-1e3, 1e3), st.integers(0, 6))
def test_a_written_number_is_the_number_to_half_a_unit(value: float, digits: int) -> None:
    text = numbers.fixed(value, digits).replace("−", "-")
    if text.startswith("<"):
        assert 0 < value < float(text[1:])
    else:
        assert abs(float(text) - value) <= 0.5 * 10**-digits * (1 + 1e-9) + 1e-12


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 400), st.floats(0, 300), st.floats(5, 150)), max_size=25))
def test_labels_never_collide(points: list[tuple[float, float, float]]) -> None:
    frame = Box(200.0, 150.0, 200.0, 150.0)
    markers = [Box(x, y, 5.0, 5.0) for x, y, _ in points]
    labels = place([(x, y, w, 14.0) for x, y, w in points], frame, markers, [])

    def edges(box: Box) -> tuple[float, float, float, float]:
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


def test_points_stand_where_the_axes_say() -> None:
    data = sample()
    figures = [node for node in parse(render(data)).all("figure") if node.attrs["data-metric"] == "ndcg@50"]
    assert len(figures) == 2
    for figure in figures:
        axis = figure.one("g", class_="axis")
        ticks = [node for node in axis.all("text") if "class" not in node.attrs]
        across = [(float(node.text), float(node.attrs["x"])) for node in ticks if node.attrs["text-anchor"] == "middle"]
        upright = [(float(node.text), float(node.attrs["y"])) for node in ticks if node.attrs["text-anchor"] == "end"]
        assert min(len(across), len(upright)) >= 4
        (a, b), (c, d) = (
            np.polyfit([at for at, _ in ticks], [to for _, to in ticks], 1) for ticks in (across, upright)
        )
        drawn = {}
        for mark in figure.all("path", class_="mark"):
            x, y = map(float, re.findall(r"[\d.]+", mark.attrs["transform"]))
            drawn[round(x), round(y)] = mark
        wide = data.summary.filter(pl.col("metric") == "ndcg@50", pl.col("scenario") != "mixed").pivot(
            "scenario", index=["encoder", "recommender"], values="value"
        )
        pairs = wide.drop_nulls(["hot", "cold"])
        assert len(drawn) == len(figure.all("path", class_="mark")) == len(pairs) == 28
        for row in pairs.iter_rows(named=True):
            x, y = a * row["hot"] + b, c * row["cold"] + d
            assert min(abs(x - left) + abs(y - top) for left, top in drawn) < 1.5
        assert "best hot" in figure.one("title").text
        assert [node.attrs["aria-label"].split(":")[0] for node in figure.all("g", class_="point")]


@pytest.mark.parametrize("size", [(1080, 600), (350, 430)])
def test_nine_encoders_and_six_recommenders_are_drawn_without_labels_that_collide(size: tuple[int, int]) -> None:
    data = sample(recommenders=("knn", "shallow", "hybrid", "bert4rec", "contrastive", "elsa"))
    plot = draw(data, "ndcg@50", "wide", size, 12)
    assert plot is not None
    assert len(plot.marks) == 55
    assert set(plot.names) == {None, "knn", "shallow", "hybrid", "bert4rec", "contrastive", "elsa"}
    for names in plot.names.values():
        boxes = [name.label.box for name in names]
        assert len([name for name in names if name.colour is not None]) >= (9 if size[0] > 1000 else 6)
        for first, second in combinations(boxes, 2):
            apart = abs(first.x - second.x) - first.w - second.w, abs(first.y - second.y) - first.h - second.h
            assert max(apart) >= -1e-9
        for mark in plot.marks:
            for box in boxes:
                assert max(abs(mark.x - box.x) - 5 - box.w, abs(mark.y - box.y) - 5 - box.h) >= -1e-9


def test_the_matrix_has_every_combination_and_frames_the_tied() -> None:
    data = sample()
    for table in parse(render(data)).all("table", class_="matrix"):
        scenario = table.attrs["data-grid"]
        expected = {(row["encoder"], row["recommender"]): row for row in data.ranked(scenario) if row["encoder"]}
        labels = [head.text for head in table.one("thead").all("th")][1:]
        digits = 3 if scenario == "cold" else 4
        framed, shades = set(), {}
        for line in table.one("tbody").all("tr"):
            encoder = squeezed(line.one("th").text)
            for label, cell in zip(labels, line.all("td"), strict=True):
                assert cell.children[0] == f"{expected[encoder, label]['value']:.{digits}f}"
                shades[expected[encoder, label]["value"]] = int(cell.attrs["class"].split()[0][1:])
                framed |= {f"{encoder} / {label}"} if "tied" in cell.attrs["class"].split() else set()
        assert framed == {name for verdict in data.verdicts if verdict.scenario == scenario for name in verdict.winners}
        ordered = [shades[value] for value in sorted(shades)]
        assert ordered == sorted(ordered)
        assert (ordered[0], ordered[-1]) == (0, 7)


def test_differences_to_the_best_have_the_right_sign_and_place() -> None:
    data = sample()
    section = parse(render(data)).one("section", id="differences")
    for table, verdict in zip(section.all("table", class_="differences"), data.verdicts, strict=True):
        values = {
            f"{row['encoder']} / {row['recommender']}" if row["encoder"] else row["recommender"]: row["value"]
            for row in data.ranked(verdict.scenario)
            if row["value"] is not None and row["recommender"] != "random"
        }
        rows = table.one("tbody").all("tr")
        assert len(rows) == len(values) - 1
        for row in rows:
            gap = values[squeezed(row.one("th").text)] - values[verdict.leader]
            assert float(row.all("td")[1].text.replace("−", "-")) == pytest.approx(gap, abs=6e-4)
            zero, dot = row.one("line", class_="zero").attrs["x1"], row.one("circle").attrs["cx"]
            assert float(dot[:-1]) < float(zero[:-1]) + 0.11, "worse lies left of 0"


def test_a_forest_says_on_which_side_of_0_an_interval_lies() -> None:
    plot = forest(
        [Difference("a", 2.0, 1.0, 3.0), Difference("b", 0.0, -1.0, 1.0), Difference("c", -1.0, -1.5, -0.5),
         Difference("d", 1.0)]
    )  # fmt: skip
    assert [row.side for row in plot.rows] == ["above", "open", "below", "open"]
    assert [row.limits is None for row in plot.rows] == [False, False, False, True]
    assert plot.rows[0].limits == pytest.approx((2 + 96 * 2.5 / 4.5, 98), abs=0.06)
    assert plot.zero == pytest.approx(2 + 96 * 1.5 / 4.5, abs=0.06)
    assert forest([Difference("a", 0.0)]).rows[0].place == forest([]).zero == 50


def test_a_citation_becomes_bibtex() -> None:
    entry = bibtex({"name": "mert 95m", "citation": "Li & others, MERT: 100 % music, ICLR 2024"})
    assert entry == "@misc{mert-95m,\n  note = {Li \\& others, MERT: 100 \\% music, ICLR 2024},\n  year = {2024}\n}"
    assert bibtex({"name": "mert", "citation": "Li", "bibtex": "@inproceedings{li,\n}\n"}) == "@inproceedings{li,\n}"
    assert bibtex({"name": "own", "citation": "none"}) == bibtex({"name": "own"}) == ""


def test_a_section_of_the_catalogue_is_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
