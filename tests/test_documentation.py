"""The documentation: its code runs as it stands, its commands exist, and the site builds without a warning.

A block that cannot run in a test has `<!-- not run: REASON -->` in the line above it. These blocks are counted here.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
import typer.main
from mkdocs.config import load_config

from timbrec.cli.app import app

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_RUN = 9  # blocks with a reason; a new one belongs here and needs a good reason
PAGES = ["start/researcher.md", "start/engineer.md", "start/listener.md", "howto/install.md", "howto/config.md"]
ELSEWHERE = {  # pages with blocks that other tests run, and those tests
    "README.md": "tests/test_documents.py",
    "CONTRIBUTING.md": "tests/test_documents.py",
    "docs/encoders.md": "tests/test_documents.py",
    "docs/histories.md": "tests/test_importers.py",
}


class Block(NamedTuple):
    """A fenced block: its language, the file that it is saved as, its code, and why it is not run."""

    language: str
    title: str
    code: str
    reason: str


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    fence = r"(?:<!-- not run: ([^\n]+) -->\n)?^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$"
    return [
        Block(language, title, code, reason)
        for reason, language, title, code in re.findall(fence, text, re.DOTALL | re.MULTILINE)
    ]


def commands(text: str) -> list[str]:
    """Every `timbrec ...` line of the code on a page, without comments."""
    fenced = "\n".join(block.code for block in blocks(text) if block.language == "bash")
    lines = [*fenced.splitlines(), *re.findall(r"^    (timbrec .*)$", text, re.MULTILINE)]
    return [line.partition(" # ")[0].partition(" || ")[0].strip() for line in lines if line.startswith("timbrec ")]


LINES = [
    pytest.param(line, id=f"{page.stem}: {line}") for page in DOCUMENTS for line in commands(page.read_text("utf-8"))
]


@pytest.mark.parametrize("line", LINES)
def test_every_command_exists_and_takes_its_options(line: str) -> None:
    arguments = [re.sub(r"[\[\]]", "", argument) for argument in shlex.split(line)[1:]]
    if arguments == ["--version"]:
        return
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert arguments[0] in command.commands, line
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context("timbrec", arguments)


def test_blocks_that_are_not_run_are_few_and_say_why() -> None:
    reasons = [block.reason for page in DOCUMENTS for block in blocks(page.read_text("utf-8")) if block.reason]
    assert len(reasons) == NOT_RUN
    assert all(len(reason) > 10 for reason in reasons)


def test_every_block_of_python_and_shell_belongs_to_a_test() -> None:
    for page in DOCUMENTS:
        name = page.relative_to(ROOT).as_posix()
        codes = [block for block in blocks(page.read_text("utf-8")) if block.language in ("python", "bash", "sh")]
        if [block for block in codes if not block.reason] and name.removeprefix("docs/") not in PAGES:
            assert name in ELSEWHERE, name
            assert (ROOT / ELSEWHERE[name]).is_file()


def music(folder: Path) -> None:
    """A folder of music with the titles that the page for listeners names."""
    rng = np.random.default_rng(0)
    for number, title in enumerate(["Blue Morning", "Night Drive", *(f"Song {n}" for n in range(10))]):
        times = np.arange(6 * 16_000) / 16_000
        tone = np.sin(2 * np.pi * (110 + 40 * number) * times) + 0.1 * rng.normal(size=len(times))
        path = folder / "An Artist" / f"{title}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.4 * tone, 16_000)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_from_top_to_bottom(page: str, tmp_path: Path) -> None:
    music(tmp_path / "Music")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "HOME": str(tmp_path), "TIMBREC_CODE_CHECKS": "off"}
    ran = 0
    for block in blocks((ROOT / "docs" / page).read_text("utf-8")):
        if block.title:
            (tmp_path / block.title).write_text(block.code)
        if block.reason or block.title or block.language not in ("bash", "python"):
            continue
        command = ["bash", "-ec", block.code] if block.language == "bash" else [sys.executable, "-c", block.code]
        answer = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, f"{block.code}\n{answer.stdout}\n{answer.stderr}"
        ran += 1
    assert ran


def test_the_navigation_has_every_page_once() -> None:
    """A hook added pages that the navigation had under other names."""

    def pages(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [page for inner in (entry.values() if isinstance(entry, dict) else entry) for page in pages(inner)]

    config = load_config(str(ROOT / "mkdocs.yml"))
    config = config.plugins.on_config(config)
    named = pages(config.nav)
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert len(set(named)) == len(named), named
    assert set(named) == written | {"reference/commands.md"}


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    answer = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr  # with --quiet, warnings would not count
    page = (tmp_path / "site" / "reference" / "commands" / "index.html").read_text(encoding="utf-8")
    assert "timbrec weights get" in page
    assert "simultaneous intervals" in (tmp_path / "site" / "reference" / "python" / "index.html").read_text("utf-8")
