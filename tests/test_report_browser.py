"""The report in a browser: its script runs under its own policy, sorts, filters, links and downloads."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

from report_samples import NASTY, check, costs, sample, thinned
from timbrec.report import write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = Path(os.environ.get("TIMBREC_AXE", ""))
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on the path")
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
]  # fmt: skip


def browse(page: Path, tmp_path: Path, *options: str, address: str = "") -> tuple[str, list[str]]:
    """Open a page in a fresh profile; returns the output of the browser and the lines of the console."""
    command = [str(BROWSER), *QUIET, f"--user-data-dir={tmp_path / 'profile'}", *options, page.as_uri() + address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def probe(page: Path, tmp_path: Path, script: str, *options: str, address: str = "") -> Any:
    """The answer of a script at the end of a copy of the page without its policy, which would refuse it."""
    text = re.sub(r"<meta http-equiv=.*?>", "", page.read_text(encoding="utf-8"))
    ask = f"<script>const answer = (() => {{{script}}})();"
    ask += 'const pre = document.createElement("pre"); pre.id = "answer"; pre.textContent = JSON.stringify(answer);'
    copy = tmp_path / "probed.html"
    copy.write_text(text.replace("</body>", f"{ask} document.body.append(pre);</script></body>"), encoding="utf-8")
    out, console = browse(copy, tmp_path, "--dump-dom", *options, address=address)
    assert not console
    answer = re.search(r'<pre id="answer">(.*?)</pre>', out, re.DOTALL)
    assert answer is not None
    return json.loads(html.unescape(answer[1]))


def lines_of(png: Path) -> set[bytes]:
    """The distinct filtered scanlines of a PNG; a blank picture has one or two."""
    data, at, packed = png.read_bytes(), 8, b""
    while at < len(data):
        (size,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        if kind == b"IHDR":
            width, height, _, colours = struct.unpack(">IIBB", data[at + 8 : at + 18])
        packed += data[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    raw, length = zlib.decompress(packed), 1 + width * {2: 3, 6: 4}[colours]
    return {raw[row * length : (row + 1) * length] for row in range(height)}


def number(text: str) -> float:
    return float(text.replace("−", "-").lstrip("×+"))


@pytest.mark.parametrize("names", [("muq", "mert", "mfcc"), tuple(NASTY)])
def test_the_page_runs_under_its_own_policy_without_a_word_on_the_console(tmp_path: Path, names: Sequence[str]) -> None:
    page = write_report(sample(encoders=names, name=names[0]), tmp_path / "report.html")
    dom, console = browse(page, tmp_path, "--dump-dom")
    assert not console
    assert dom.count('<button type="button">') == 3 * 11, "the page's script made every heading a button"
    assert "<img" not in dom


def test_the_policy_lets_no_other_script_run(tmp_path: Path) -> None:
    page = write_report(sample(encoders=("a",)), tmp_path / "report.html")
    foreign = "<script>document.title = 'taken over'</script></body>"
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", foreign), encoding="utf-8")
    dom, console = browse(page, tmp_path, "--dump-dom")
    assert "<title>taken over" not in dom
    assert len(console) == 1


def test_sorting_and_the_metric_selector(tmp_path: Path) -> None:
    data = sample()
    page = write_report(data, tmp_path / "report.html")
    answer = probe(
        page,
        tmp_path,
        """
        const table = document.querySelector("table.standings[data-grid=cold]");
        const heads = [...table.tHead.rows[0].cells];
        const text = (row, at) => (row.cells[at] ?? row.cells[2]).textContent.trim();
        const column = (at) => [...table.tBodies[0].rows].map((row) => text(row, at));
        const sorted = () => heads.map((head) => head.getAttribute("aria-sort"));
        const steps = {};
        const step = (name, at) => { steps[name] = [column(at), sorted()]; };
        const press = (at) => heads[at].querySelector("button").click();
        step("first", 2);
        press(2); step("up", 2);
        press(2); step("down", 2);
        press(0); step("names", 0);
        press(0); step("names down", 0);
        press(10); step("limits", 10);
        press(2);
        const select = document.querySelector("select[name=metric]");
        select.value = "recall@20";
        select.dispatchEvent(new Event("change", { bubbles: true }));
        step("recall", 2);
        steps.heading = heads[2].textContent.trim();
        steps.chance = column(7);
        steps.dot = table.querySelector(".dot").getAttribute("cx");
        select.value = "coverage@10";
        select.dispatchEvent(new Event("change", { bubbles: true }));
        const cells = [...table.tBodies[0].rows[0].querySelectorAll(".figure")];
        steps.titles = cells.map((cell) => [cell.textContent, cell.title]);
        steps.hidden = table.querySelector(".tick.chance").hasAttribute("hidden");
        heads[3].querySelector("button").focus();
        steps.focus = document.activeElement.tagName;
        return steps;
        """,
    )
    refused = "cannot rank: popularity knows no new track"
    for name, order in (("first", -1), ("up", 1), ("down", -1)):
        *texts, last = answer[name][0]
        values = [order * number(text) for text in texts]
        assert last == refused, "what has no value is last either way"
        assert len(values) == 28
        assert values == sorted(values)
        assert answer[name][1][2] == ("ascending" if order == 1 else "descending")
        assert sum(mark is not None for mark in answer[name][1]) == 1
    names = [name for name in answer["names"][0] if name != "–"]
    assert names == sorted(names)
    assert answer["names"][0][-2:] == ["–", "–"]
    assert answer["names"][1] == ["ascending"] + [None] * 11
    assert [name for name in answer["names down"][0] if name != "–"] == names[::-1]
    lows = [number(text.strip("[]").split(", ")[0]) for text in answer["limits"][0] if text.startswith("[")]
    assert len(lows) == 27
    assert lows == sorted(lows, reverse=True)

    chosen = pl.col("scenario") == "cold", pl.col("metric") == "recall@20", pl.col("value").is_not_null()
    expected = data.summary.filter(*chosen).sort("value", descending=True)["value"].to_list()
    shown = [number(text) for text in answer["recall"][0][:-1]]
    assert shown == pytest.approx(expected, rel=0.01)
    assert answer["heading"] == "recall@20"
    assert set(answer["chance"][:-1]) != {"–"}
    assert answer["titles"][4] == ["–", "no closed form for this metric"]
    assert answer["titles"][0][1] == ""
    assert answer["hidden"]
    longest = data.summary.filter(*chosen)["high"].max()
    assert float(answer["dot"].rstrip("%")) == pytest.approx(2 + 96 * expected[0] / longest, abs=0.06)
    assert answer["focus"] == "BUTTON"


@pytest.mark.parametrize("width", [500, 1280])
def test_no_name_makes_the_page_wider_than_the_window(tmp_path: Path, width: int) -> None:
    failed = [check(NASTY[5] * 2, "x" * 300, "y" * 300, "z" * 300, "1", passed=False)]
    data = sample(encoders=("w" * 300, *NASTY), name="n" * 300, synthetic="s" * 300, findings=failed)
    page = write_report(data, tmp_path / "report.html")
    sizes = "return [document.documentElement.scrollWidth, window.innerWidth];"
    scrolled, inner = probe(page, tmp_path, sizes, f"--window-size={width},900")
    assert scrolled <= inner == width


@pytest.mark.parametrize("width", [500, 1280])
def test_a_screenshot_shows_something(tmp_path: Path, width: int) -> None:
    page = write_report(sample(), tmp_path / "report.html")
    picture = tmp_path / "shot.png"
    browse(page, tmp_path, f"--screenshot={picture}", f"--window-size={width},900")
    assert len(lines_of(picture)) > 300


STATE = """
    const shown = (selector) => [...document.querySelectorAll(selector)].filter((node) => node.getClientRects().length);
    const state = () => ({
        hash: location.hash,
        cards: shown("article.card").length,
        matrices: shown("table.matrix").map((table) => table.dataset.grid),
        labels: [...new Set(shown("table.standings tbody tr").map((row) => row.dataset.recommender ?? ""))].sort(),
        heads: [...new Set(shown("table.matrix thead th").map((head) => head.textContent))],
        plots: [...new Set(shown("figure.plot").map((figure) => figure.dataset.metric))],
        points: [...new Set(shown("g.point").map((point) => point.dataset.recommender ?? ""))].sort(),
        metric: shown("table.standings .metric")[0]?.textContent,
        cell: shown("table.matrix td")[0]?.firstChild.textContent,
        link: document.querySelector(".permalink").getAttribute("href"),
    });
    const choose = (name, value) => {
        const select = document.querySelector(`select[name=${name}]`);
        select.value = value;
        select.dispatchEvent(new Event("change", { bubbles: true }));
    };
"""


def test_filters_act_on_everything_and_a_permalink_brings_them_back(tmp_path: Path) -> None:
    data = sample()
    page = write_report(data, tmp_path / "report.html")
    script = (
        STATE
        + """
        const all = state();
        choose("scenario", "cold"); choose("recommender", "shallow"); choose("metric", "recall@20");
        return [all, state()];
    """
    )
    everything, filtered = probe(page, tmp_path, script, "--window-size=1280,900")
    assert everything["matrices"] == ["hot", "cold", "mixed"]
    assert everything["labels"] == ["", "hybrid", "knn", "shallow"]
    assert everything["plots"] == ["ndcg@50"]
    assert filtered["matrices"] == ["cold"]
    assert filtered["cards"] == 1
    assert filtered["labels"] == filtered["points"] == ["", "shallow"]
    assert filtered["heads"] == ["encoder", "shallow"]
    assert filtered["plots"] == ["recall@20"]
    assert filtered["metric"] == "recall@20"
    row = {"encoder": "muq-mulan", "recommender": "shallow", "scenario": "cold", "metric": "recall@20"}
    (value,) = data.summary.filter(**row)["value"]
    assert float(filtered["cell"]) == pytest.approx(value, rel=0.01)
    link = "#metric=recall%4020&scenario=cold&recommender=shallow"
    assert filtered["hash"] == filtered["link"] == link
    assert probe(page, tmp_path, STATE + "return state();", "--window-size=1280,900", address=link) == filtered
    unknown = probe(page, tmp_path, STATE + "return state();", "--window-size=1280,900", address="#metric=x&scenario=y")
    assert unknown == everything | {"hash": "#metric=x&scenario=y"}


def test_links_to_sections_keep_the_filters(tmp_path: Path) -> None:
    page = write_report(sample(), tmp_path / "report.html")
    script = (
        STATE
        + """
        choose("scenario", "hot");
        document.querySelector("nav a[href='#tables']").click();
        return [location.hash, document.querySelector("select[name=scenario]").value];
    """
    )
    assert probe(page, tmp_path, script) == ["#tables&scenario=hot", "hot"]


def test_points_are_read_out_by_keyboard_and_by_pointer(tmp_path: Path) -> None:
    page = write_report(sample(), tmp_path / "report.html")
    script = (
        STATE
        + """
        const points = shown("g.point");
        points[0].focus();
        const read = () => document.querySelector(".readout").textContent;
        const first = read();
        points[1].dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
        return [points.every((point) => point.tabIndex === 0), document.activeElement === points[0], first, read()];
    """
    )
    reachable, focused, first, second = probe(page, tmp_path, script)
    assert reachable
    assert focused
    assert re.fullmatch(r"[\w-]+ / \w+: hot [\d.]+( \[.+\])?, cold [\d.]+( \[.+\])?", first)
    assert first != second


@pytest.mark.parametrize("size", ["1280,900", "500,900"])
def test_no_label_of_the_plot_touches_another_or_a_point(tmp_path: Path, size: str) -> None:
    """Measured in the browser, with the font that it uses."""
    labels = ("knn", "shallow", "hybrid", "bert4rec", "contrastive", "elsa")
    page = write_report(sample(recommenders=labels), tmp_path / "report.html")
    script = (
        STATE
        + """
        const boxes = (selector) => shown(selector).map((node) => [node.textContent, node.getBoundingClientRect()]);
        const touching = [];
        for (const value of ["", ...LABELS]) {
            choose("recommender", value);
            const names = boxes("g.names text"), points = boxes("g.point .mark");
            const slack = 1.5;
            const touch = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > slack
                && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > slack;
            names.forEach(([name, box], at) => {
                for (const [other, second] of names.slice(at + 1)) {
                    if (touch(box, second)) touching.push([value, name, other]);
                }
                for (const [, second] of points) if (touch(box, second)) touching.push([value, name, "a point"]);
            });
            if (names.length < 6) touching.push([value, "few names"]);
        }
        return touching;
    """.replace("LABELS", json.dumps(labels))
    )
    assert probe(page, tmp_path, script, f"--window-size={size}") == []


def test_tables_are_downloaded_as_csv_json_and_latex(tmp_path: Path) -> None:
    data = sample(encoders=("50 % & _more_", "a,b"), recommenders=("knn",))
    page = write_report(data, tmp_path / "report.html")
    script = """
        const files = [];
        save = (name, type, content) => files.push([name, type, content]);
        document.querySelectorAll("[data-name=results] button").forEach((button) => button.click());
        return files;
    """
    page.write_text(
        page.read_text(encoding="utf-8").replace("function save(", "var save = function("), encoding="utf-8"
    )
    files = {name: content for name, _, content in probe(page, tmp_path, script)}
    table = pl.read_csv(files["results.csv"].encode(), schema=data.summary.schema)
    rows = json.loads(files["results.json"])
    assert table.shape == data.summary.shape
    for name in ("encoder", "recommender", "scenario", "metric", "tied"):
        assert table[name].to_list() == data.summary[name].to_list() == [row[name] for row in rows]
    for values in (table["value"], pl.Series([row["value"] for row in rows])):
        assert values.is_null().to_list() == data.summary["value"].is_null().to_list()
        assert values.drop_nulls().to_list() == pytest.approx(data.summary["value"].drop_nulls().to_list(), rel=1e-5)
    assert r"50 \% \& \_more\_ & knn" in files["results.tex"]
    assert files["results.tex"].count(r"\\") == len(data.summary) + 1


def test_drawings_follow_the_filter_tell_their_points_and_are_saved(tmp_path: Path) -> None:
    data = sample(recommenders=("knn", "hybrid"))
    page = write_report(
        replace(data, tables={"cost": costs(data), "thinning": thinned(data)}), tmp_path / "report.html"
    )
    page.write_text(
        page.read_text(encoding="utf-8").replace("function save(", "var save = function("), encoding="utf-8"
    )
    script = """
        const files = [], shown = (list) => [...list].filter((node) => node.getClientRects().length);
        save = (name, type, content) => files.push([name, type, content]);
        const captions = () => shown(document.querySelectorAll("#cost figcaption")).map((node) => node.textContent);
        const curves = () => shown(document.querySelectorAll("#thinning figure")).length;
        const before = [captions(), curves()];
        const select = document.querySelector("select[name=recommender]");
        select.value = "knn";
        select.dispatchEvent(new Event("change", { bubbles: true }));
        const after = [captions(), curves()];
        const figure = shown(document.querySelectorAll("#cost figure"))[0];
        figure.querySelector(".point").dispatchEvent(new Event("focusin", { bubbles: true }));
        figure.querySelector("[data-picture=svg]").click();
        const cell = shown(document.querySelectorAll("#cost tbody td[data-scenario=hot] small"));
        return { before, after, files, said: figure.querySelector(".readout").textContent,
                 used: [...new Set(cell.map((node) => node.textContent))] };
    """
    answer = probe(page, tmp_path, script)
    title = "{} ndcg@50 against GFLOP per second of audio{}."
    assert answer["before"] == [[title.format(name, "") for name in ("Hot", "Cold")], 18]
    assert answer["after"] == [[title.format(name, ", knn") for name in ("Hot", "Cold")], 9]
    assert answer["used"] == ["knn"]
    assert answer["said"].startswith("muq-mulan: ")
    ((name, kind, content),) = answer["files"]
    assert (name, kind) == ("cost-hot-1.svg", "image/svg+xml")
    picture = ElementTree.fromstring(content)
    assert picture.attrib["viewBox"] == "0 0 430 320"
    assert len(picture.findall(".//{*}g[@role='img']")) == 9


@pytest.mark.skipif(not AXE.is_file(), reason="TIMBREC_AXE does not name axe.min.js (`npm pack axe-core`)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(tmp_path: Path, scheme: str) -> None:
    data = sample(encoders=("mule", "mert"), recommenders=("knn", "hybrid"))
    page = write_report(data, tmp_path / "report.html")
    text = re.sub(r"<meta http-equiv=.*?>", "", page.read_text(encoding="utf-8"))
    if scheme == "dark":
        text = text.replace("@media screen and (prefers-color-scheme: dark)", "@media screen")
    script = AXE.read_text(encoding="utf-8")
    ask = """axe.run().then((result) => { document.title = "axe:" + JSON.stringify(
        result.violations.map((one) => [one.id, one.nodes.map((node) => node.html.slice(0, 120)).slice(0, 3)])); });"""
    copy = tmp_path / "axe.html"
    copy.write_text(
        text.replace("</body>", f"<script>{script}</script><script>{ask}</script></body>"), encoding="utf-8"
    )
    out, _ = browse(copy, tmp_path, "--dump-dom", "--virtual-time-budget=20000", "--window-size=1280,900")
    title = re.search(r"<title>axe:(.*?)</title>", out, re.DOTALL)
    assert title is not None
    assert json.loads(html.unescape(title[1])) == []


def test_a_blank_picture_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "blank.html").write_text("<body></body>")
    picture = tmp_path / "shot.png"
    browse(tmp_path / "blank.html", tmp_path, f"--screenshot={picture}", "--window-size=500,400")
    assert len(lines_of(picture)) < 5
