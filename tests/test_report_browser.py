"""The report in a real browser: it renders, its script runs under its own policy, sorts and switches metrics."""

from __future__ import annotations

import html
import json
import re
import shutil
import struct
import subprocess
import zlib

import polars as pl
import pytest

from test_report import NASTY, check, sample
from timbrec.report import write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on the path")
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
]  # fmt: skip


def browse(page, tmp_path, *options):
    """Open a page in a fresh profile; returns what came out and what the page wrote to its console."""
    command = [BROWSER, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def probe(page, tmp_path, script, *options):
    """Run a script at the end of a copy of the page, in which the policy would not let it run, and read its answer."""
    text = re.sub(r"<meta http-equiv=.*?>", "", page.read_text(encoding="utf-8"))
    ask = f"<script>const answer = (() => {{{script}}})();"
    ask += 'const pre = document.createElement("pre"); pre.id = "answer"; pre.textContent = JSON.stringify(answer);'
    copy = tmp_path / "probed.html"
    copy.write_text(text.replace("</body>", f"{ask} document.body.append(pre);</script></body>"), encoding="utf-8")
    out, console = browse(copy, tmp_path, "--dump-dom", *options)
    assert not console
    return json.loads(html.unescape(re.search(r'<pre id="answer">(.*?)</pre>', out, re.DOTALL)[1]))


def lines_of(png):
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


def number(text):
    return float(text.replace("−", "-").lstrip("×+"))


@pytest.mark.parametrize("names", [("muq", "mert", "mfcc"), tuple(NASTY)])
def test_the_page_runs_under_its_own_policy_without_a_word_on_the_console(tmp_path, names):
    page = write_report(sample(encoders=names, name=names[0]), tmp_path / "report.html")
    dom, console = browse(page, tmp_path, "--dump-dom")
    assert not console
    assert dom.count('<button type="button">') == 3 * 11, "the page's script made every heading a button"
    assert dom.count("<script") == 2
    assert "<img" not in dom


def test_the_policy_lets_no_other_script_run(tmp_path):
    page = write_report(sample(encoders=("a",)), tmp_path / "report.html")
    foreign = "<script>document.title = 'taken over'</script></body>"
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", foreign), encoding="utf-8")
    dom, console = browse(page, tmp_path, "--dump-dom")
    assert "<title>taken over" not in dom
    assert len(console) == 1


def test_sorting_and_the_metric_selector(tmp_path):
    data = sample()
    page = write_report(data, tmp_path / "report.html")
    answer = probe(
        page,
        tmp_path,
        """
        const table = document.querySelector("table.standings[data-scenario=cold]");
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
        const select = document.querySelector("select");
        select.value = "recall@20";
        select.dispatchEvent(new Event("change"));
        step("recall", 2);
        steps.heading = heads[2].textContent.trim();
        steps.chance = column(7);
        steps.dot = table.querySelector(".dot").getAttribute("cx");
        select.value = "coverage@10";
        select.dispatchEvent(new Event("change"));
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

    asked = pl.col("scenario") == "cold", pl.col("metric") == "recall@20", pl.col("value").is_not_null()
    expected = data.summary.filter(*asked).sort("value", descending=True)["value"].to_list()
    shown = [number(text) for text in answer["recall"][0][:-1]]
    assert shown == pytest.approx(expected, rel=0.01)
    assert answer["heading"] == "recall@20"
    assert set(answer["chance"][:-1]) != {"–"}
    assert answer["titles"][4] == ["–", "no closed form for this metric"]
    assert answer["titles"][0][1] == ""
    assert answer["hidden"]
    longest = data.summary.filter(*asked)["high"].max()
    assert float(answer["dot"].rstrip("%")) == pytest.approx(2 + 96 * expected[0] / longest, abs=0.06)
    assert answer["focus"] == "BUTTON"


@pytest.mark.parametrize("width", [500, 1280])
def test_no_name_makes_the_page_wider_than_the_window(tmp_path, width):
    failed = [check(NASTY[5] * 2, "x" * 300, "y" * 300, "z" * 300, "1", passed=False)]
    data = sample(encoders=("w" * 300, *NASTY), name="n" * 300, synthetic="s" * 300, findings=failed)
    page = write_report(data, tmp_path / "report.html")
    sizes = "return [document.documentElement.scrollWidth, window.innerWidth];"
    scrolled, inner = probe(page, tmp_path, sizes, f"--window-size={width},900")
    assert scrolled <= inner == width


@pytest.mark.parametrize("width", [500, 1280])
def test_a_screenshot_shows_something(tmp_path, width):
    page = write_report(sample(), tmp_path / "report.html")
    picture = tmp_path / "shot.png"
    browse(page, tmp_path, f"--screenshot={picture}", f"--window-size={width},900")
    assert len(lines_of(picture)) > 300


def test_a_blank_picture_would_be_noticed(tmp_path):
    (tmp_path / "blank.html").write_text("<body></body>")
    picture = tmp_path / "shot.png"
    browse(tmp_path / "blank.html", tmp_path, f"--screenshot={picture}", "--window-size=500,400")
    assert len(lines_of(picture)) < 5
