"""Drawings of cost and of thinning, and the section on leaks."""

from __future__ import annotations

import re
from dataclasses import replace
from math import log1p

import polars as pl
import pytest

from report_samples import costs, parse, sample, squeezed, thinned
from timbrec.report.page import render
from timbrec.report.shared.curves import curve
from timbrec.report.shared.frontier import Choice, choices, frontier, unbeaten
from timbrec.results.cost import COST
from timbrec.study.leak_report import LEAKS


def numbers_of(path: str) -> list[tuple[float, float]]:
    """The points of an SVG path of M and L."""
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def test_the_frontier_keeps_what_nothing_as_cheap_reaches() -> None:
    rows = [("a", 1.0, 0.2), ("b", 1.0, 0.1), ("c", 2.0, 0.2), ("d", 3.0, 0.5), ("e", 4.0, 0.4)]
    ordered = [Choice(name, "knn", cost, value, False) for name, cost, value in rows]
    assert [choice.encoder for choice in unbeaten(ordered)] == ["a", "d"]


def test_points_of_the_frontier_stand_at_the_logarithm_of_their_cost() -> None:
    data = sample(recommenders=("knn",))
    table = costs(data)
    panel = frontier(data, table, "hot")
    assert panel is not None
    ordered = choices(data, table, "hot")
    at = {tick: place for place, tick in panel.x_ticks}
    assert panel.marks[0].x == at["0"]  # the encoder without computation stands at the left end
    decade = at["10"] - at["1"]
    for choice, mark in zip(ordered[1:], panel.marks[1:], strict=True):
        expected = at["1"] + decade * float(pl.Series([choice.cost]).log10()[0])
        assert mark.x == pytest.approx(expected, abs=0.3)
    corners = numbers_of(panel.paths[0][1])
    assert corners[0] == (panel.marks[0].x, panel.marks[0].y)
    heights = [y for _, y in corners]
    assert heights == sorted(heights, reverse=True)  # upwards only


def test_the_frontier_of_one_recommender_has_its_figures_alone() -> None:
    data = sample()
    chosen = choices(data, costs(data), "cold", "knn")
    assert {choice.recommender for choice in chosen} == {"knn"}
    best = max(choice.value for choice in choices(data, costs(data), "cold"))
    assert max(choice.value for choice in chosen) < best


def test_without_two_known_costs_there_is_no_frontier() -> None:
    data = sample()
    assert frontier(data, pl.DataFrame(schema=COST), "hot") is None
    assert frontier(sample(encoders=("mert",)), costs(data), "hot") is None


def test_the_page_draws_the_frontier_for_every_choice_of_recommender() -> None:
    data = sample()
    section = parse(render(replace(data, tables={"cost": costs(data)}))).one("section", id="cost")
    figures = section.all("figure")
    assert len(figures) == 2 * 4  # hot and cold, for all recommenders and for each of three
    shown = [node for node in section.all("div") if node.attrs.get("data-only") == ""]
    assert len(shown) == 2
    assert "0.020" in squeezed(section.text)  # seconds per track


def test_the_curve_shows_the_crossing_and_its_interval_on_the_line_at_0() -> None:
    data = sample(recommenders=("knn",))
    rows = thinned(data).filter(encoder="muq-mulan").to_dicts()
    panel = curve(rows, (-0.5, 0.5), "ndcg@50", 50, 0)
    assert panel is not None
    paths = dict(panel.paths)
    at = {int(text): place for place, text in panel.x_ticks}
    assert list(at) == [1, 2, 5, 10, 20, 50]  # nothing can be compared at 0 plays
    assert len(numbers_of(paths["band"])) == 2 * len(at)
    zero = panel.frame.y
    start, stop, middle = _crossing(paths["crossing"])
    slope = (at[50] - at[1]) / (log1p(50) - log1p(1))
    for place, plays in (
        (start, rows[0]["crossing_low"]),
        (middle, rows[0]["crossing"]),
        (stop, rows[0]["crossing_high"]),
    ):
        assert place == pytest.approx(at[1] + slope * (log1p(plays) - log1p(1)), abs=0.3)
    assert f" {zero}H" in paths["crossing"]


def _crossing(path: str) -> tuple[float, float, float]:
    match = re.fullmatch(r"M([\d.]+) [\d.]+H([\d.]+)M([\d.]+) [\d.]+V[\d.]+", path)
    assert match is not None
    return float(match[1]), float(match[2]), float(match[3])


def test_a_line_that_is_never_overtaken_has_a_curve_without_a_crossing() -> None:
    data = sample(recommenders=("knn",))
    rows = thinned(data).filter(encoder="mfcc").to_dicts()
    panel = curve(rows, (-1.0, 1.0), "ndcg@50", 50, 0)
    assert panel is not None
    assert "crossing" not in dict(panel.paths)
    assert panel.title == "elsa does not overtake mfcc / knn within 50 plays."
    assert curve([row | {"low": None} for row in rows], (-1.0, 1.0), "ndcg@50", 50, 0) is None


def test_the_section_on_leaks_groups_what_was_found_and_cautions_on_the_cold_card() -> None:
    counts = {"tracks": 3, "of": 589, "pairs": 12, "found": True, "removed": False, "detail": "'a' is 'b'"}
    rows = [
        {"check": "copy", "encoder": "mert"} | counts,
        {"check": "album", "found": None, "removed": False, "detail": "the items table names no albums"},
        {"check": "artist", "tracks": 0, "of": 589, "pairs": 0, "found": False, "removed": False},
    ]
    page = parse(render(replace(sample(), tables={"leaks": pl.DataFrame(rows, schema=LEAKS)})))
    section = page.one("section", id="leaks")
    assert [node.text for node in section.all("h3")] == ["Found", "Not found", "Not checked"]
    text = "Cold tracks with nearly the vector of a train track, by mert: 3 of 589 (12 pairs), e.g. 'a' is 'b'; kept."
    assert section.all("li")[0].text == text
    hot, cold, _ = page.all("article", class_="card")
    assert text in cold.text
    assert text not in hot.text
