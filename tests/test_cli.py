"""The commands as a user runs them: exit codes, messages, and going on after an interruption."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import resource
import signal
import struct
import subprocess
import sys
import termios
import time
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

import small_world
from commands import in_process
from timbrec import __version__, catalog
from timbrec.api import bench
from timbrec.audit import Finding
from timbrec.cli.show import add_names, narrow_table, show_findings

TIMBREC = Path(sys.executable).with_name("timbrec")


def timbrec(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TIMBREC, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", [["--help"], ["list"]])
def test_help_and_list_answer_at_once_and_without_torch(command: Any, tmp_path: Path) -> None:
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    compiled["PYTHONPYCACHEPREFIX"] = str(tmp_path)  # as after an installation, whatever this machine keeps

    def seconds(*arguments: str | Path) -> float:  # of the processor
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert subprocess.run(arguments, env=compiled, stdout=subprocess.DEVNULL, check=False).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    imports = (sys.executable, "-c", "import numpy, typer, rich.table")  # a ratio: busy machines take longer for both
    pairs = [(seconds(TIMBREC, *command), seconds(*imports)) for _ in range(4)]
    assert min(own for own, _ in pairs) < 2.2 * min(floor for _, floor in pairs)
    loaded = "import sys, timbrec.cli.listing as e; e.list_parts(); print(bool({'torch', 'polars'} & {*sys.modules}))"
    answer = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert answer.stdout.endswith("False\n")


def test_lists_fit_80_columns_and_cut_no_name(tmp_path: Path) -> None:
    answer = subprocess.run([TIMBREC, "list"], env=os.environ | {"COLUMNS": "80"}, capture_output=True, text=True)
    assert max(map(len, answer.stdout.splitlines())) <= 80
    words = answer.stdout.split()
    for kind in ("encoders", "recommenders", "metrics", "probes", "datasets", "importers"):
        assert set(catalog.names(kind)) - {"mfcc-onion"} <= set(words), "only vectors of this encoder exist"
    assert "mfcc-onion" not in words


@pytest.mark.parametrize(("length", "lines"), [(32, 1), (100, 2)])
def test_names_keep_their_line_and_long_ones_are_folded(length: int, lines: int) -> None:
    table, name = narrow_table("names", "measured"), "x" * length
    add_names(table, "name", [name])
    table.add_row("words beside it " * 9, name)
    console = Console(width=80)
    with console.capture() as screen:
        console.print(table)
    shown = screen.get()
    assert shown.count("x") == length
    assert sum("x" in line for line in shown.splitlines()) >= lines
    assert (lines == 1) == (name in shown)


def test_a_list_as_json_holds_the_cards(tmp_path: Path) -> None:
    parts = json.loads(timbrec("list", "--json", "--commercial-only", cwd=tmp_path).stdout)
    assert list(parts) == ["encoders", "recommenders", "metrics", "probes", "datasets", "importers"]
    assert all(row["licence"] and row["citation"] and row["url"] for row in parts["datasets"])
    assert [row["name"] for row in parts["recommenders"]] == catalog.names("recommenders")
    cards = {row["name"]: row for row in parts["encoders"]}
    assert (cards["mfcc"]["dim"], cards["mfcc"]["window"], cards["mfcc"]["rate"]) == (104, 30, 22_050)
    assert "mule" not in cards, "its weights forbid commercial use"
    assert all(row["commercial"] and row["summary"] for row in cards.values())


@pytest.mark.parametrize("command", [[TIMBREC], [sys.executable, "-m", "timbrec"]])
def test_the_version_and_help_of_both_ways_to_start(command: list[str | Path]) -> None:
    for arguments in (["--version"], ["--debug", "--version"]):
        answer = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
        assert answer.stdout == f"timbrec {__version__}\n"
    assert "bench" in subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout


def test_the_version_has_one_source() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/timbrec/__init__.py"


def test_a_shell_completes_commands(tmp_path: Path) -> None:
    typed = {"_TIMBREC_COMPLETE": "complete_bash", "COMP_WORDS": "timbrec va", "COMP_CWORD": "1"}
    answer = subprocess.run([TIMBREC], env=os.environ | typed, capture_output=True, text=True, check=False)
    assert answer.stdout.split() == ["validate"]


def test_bench_then_report_then_audit(tmp_path: Path) -> None:
    config = small_world.write(tmp_path)
    first = timbrec("bench", config, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "audit:" in first.stdout
    summary = pl.read_csv(tmp_path / "run" / "results.csv", infer_schema_length=None)
    cold = summary.filter(metric="ndcg@20", scenario="cold", recommender="knn centred", control="real", seed=0)
    value = dict(zip(cold["encoder"], cold["value"], strict=True))
    assert value["good"] > value["poor"]
    cells = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "cells").iterdir()}
    (tmp_path / "run" / "report.html").unlink()
    older = min(cells) / "cell.json"
    made_here = older.read_text()
    older.write_text(made_here.replace(f'"timbrec": "{__version__}"', '"timbrec": "0.1.9"'))
    again = in_process("report", tmp_path / "run", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "not audited: these changed since the audit" in again.stdout
    versions = f"{__version__} ({len(cells) - 1} of {len(cells)} cells), 0.1.9 (1 of {len(cells)} cells)"
    assert versions in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    older.write_text(made_here)
    assert in_process("bench", config, cwd=tmp_path).returncode == 0
    assert cells == {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "cells").iterdir()}


def test_findings_are_followed_by_what_was_odd_and_not_checked(capsys: pytest.CaptureFixture[str]) -> None:
    show_findings(
        [
            Finding(
                True, "off by 0", "0", "10 scores; scores not recomputed: elsa", "rows", note="not recomputed: elsa"
            ),
            Finding(False, "2 faults", "none", "user 'a' twice", "lists"),
            Finding(True, "1 near", "none", "good: 0.1", "artists", remark=True),
            Finding(True, "not checked", "–", "it is off", "code", checked=False),
            Finding(True, "nothing to check", "–", "it is off", "parts", checked=False),
        ]
    )
    assert capsys.readouterr().out.split("\n")[-5:] == [
        "rows: not recomputed: elsa", "lists: user 'a' twice", "artists: good: 0.1",
        "not checked: 2 checks: it is off", "",
    ]  # fmt: skip


def test_bench_reports_and_logs_each_training(tmp_path: Path) -> None:
    trained = {"use": "hybrid", "epochs": 4, "batch": 8, "width": 8}
    encoders = {"good": small_world.CONFIG["encoders"]["good"]}
    config = small_world.write(tmp_path, recommenders=[trained], seeds=[0], encoders=encoders)
    reports: list[tuple[str, int, int]] = []
    result = bench(config, lambda *step: reports.append(step))
    page = result.report.read_text(encoding="utf-8")
    assert page.count("scores not recomputed: hybrid, new-first, random") == 1, (
        "it is said, because a run keeps no models"
    )
    epochs = [step for step, _, total in reports if step.startswith("training: validation epoch") and total == 4 * 15]
    assert re.fullmatch(r"training: validation epoch 1: loss 0\.\d{4}", epochs[0])
    assert sum("ndcg@50 mixed 0." in step for step in epochs) == 3 * 3 * 15, "from the second epoch, of three trainings"
    assert any(step.startswith("training: refit epoch") for step, _, _ in reports)
    logs = list((tmp_path / "run" / "training").rglob("log.jsonl"))
    assert len(logs) == 3 * 2, "the encoder and its two controls, validated and fitted again"
    assert all(path.parent.name in ("validation", "refit") for path in logs)
    assert any(path.parent.parent.name.startswith("good-shuffled-hybrid-seed-0-") for path in logs)
    assert not list((tmp_path / "run" / "training").rglob("checkpoint*"))


def test_a_terminal_shows_the_step_its_progress_and_the_time_left() -> None:
    code = """import time
from timbrec.cli.show import progress_bars
with progress_bars() as progress:
    for done in range(1, 21):
        progress(f"training: epoch {done}: loss 0.5", done, 40)
        time.sleep(0.1)
"""
    screen, process_side = pty.openpty()
    fcntl.ioctl(process_side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", code], stderr=process_side, env=os.environ | {"TERM": "xterm"}
    ) as process:
        os.close(process_side)
        shown = b""
        with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
            while block := os.read(screen, 4096):
                shown += block
    os.close(screen)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"training: epoch 20: loss 0\.5 .* 20/40 +\d:\d\d:\d\d +\d:\d\d:\d\d", text), text[-3000:]


def test_a_mistake_in_the_config_is_reported_before_torch_is_loaded(tmp_path: Path) -> None:
    config = small_world.write(tmp_path, seed=[0])
    code = "import sys; from timbrec.cli.main import main; sys.argv[1:] = ['bench', sys.argv[1]]\n"
    code += "try: main()\nfinally: print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code, config], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (2, "False\n")
    assert "there is no key 'seed'. Did you mean 'seeds'?" in answer.stderr


def test_validate_describes_the_data(tmp_path: Path) -> None:
    answer = in_process("validate", small_world.write(tmp_path), cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    for text in ("120", "200", "cold", "good", "poor", "usable, with 1 warning"):
        assert text in answer.stdout


def test_validate_reports_everything_that_is_wrong_in_one_go(tmp_path: Path) -> None:
    config = small_world.write(tmp_path)
    (tmp_path / "plays.csv").write_text("who,track,played_at\na,b,2019-01-01\n")
    (tmp_path / "ids.txt").write_text("only one\n")
    answer = in_process("validate", config, cwd=tmp_path)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    assert "3 things to put right" in answer.stderr
    assert "has no column 'user'" in answer.stderr
    assert "It has: who, track, played_at" in answer.stderr
    assert answer.stderr.count("ids.txt") == 2 or answer.stderr.count("good.npy") == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recomenders": ["knn"]}, "Did you mean 'recommenders'?"),
        ({"recommenders": ["kn"]}, "Did you mean 'knn'?"),
        ({"recommenders": [{"use": "knn", "similarty": "dot"}]}, "similarty"),
        ({"split": {}}, "test_at"),
        ({"primary": "ndcg@7"}, "primary"),
        ({"k": [0]}, "greater than or equal to 1"),
        ({"split": {"test_at": "2031-01-01"}}, "train"),
    ],
)
def test_a_wrong_config_is_one_message_and_exit_2(tmp_path: Path, changes: Any, message: str) -> None:
    answer = in_process("bench", small_world.write(tmp_path, **changes), cwd=tmp_path)
    assert answer.returncode == 2, answer.stderr
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "run").exists()


def test_debug_shows_the_traceback_wherever_it_stands(tmp_path: Path) -> None:
    answer = timbrec("bench", "missing.yaml", "--debug", cwd=tmp_path)
    assert answer.returncode == 1
    assert "Traceback" in answer.stderr


def test_an_unknown_command_and_a_missing_run_exit_2(tmp_path: Path) -> None:
    assert in_process("bensh", cwd=tmp_path).returncode == 2
    answer = in_process("similar", "model", "--a song", cwd=tmp_path)
    assert answer.returncode == 2
    assert "No such option: --a song. Write -- before names that start with a dash." in answer.stderr
    answer = in_process("report", "nowhere", cwd=tmp_path)
    assert answer.returncode == 2
    assert "nowhere" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], ""),
        (["weights"], ""),
        (["bensh"], "timbrec: No such command 'bensh'. Did you mean 'bench'? See `timbrec --help`.\n"),
        (["bench"], "timbrec: Missing argument 'CONFIG.yaml'. See `timbrec bench --help`.\n"),
        (["weights", "get"], "timbrec: Missing argument 'NAME'. See `timbrec weights get --help`.\n"),
        (["bench", "missing.yaml"],
         "timbrec: there is no config missing.yaml. `timbrec init` writes one from your files.\n"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_one_sentence_that_names_the_help(arguments: list[str], message: str, tmp_path: Path) -> None:
    """A call without arguments shows the help alone; its error line was empty: "timbrec: . See ..."."""
    answer = in_process(*arguments, cwd=tmp_path)
    assert (answer.returncode, answer.stderr) == (2, message)
    assert ("Usage: timbrec" in answer.stdout) == (not message)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_bench_resumes(tmp_path: Path, how: Any) -> None:
    config = small_world.write(tmp_path)
    cells = tmp_path / "run" / "cells"
    process = subprocess.Popen([TIMBREC, "bench", config], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (cells.is_dir() and any(cells.glob("[!.]*/cell.json"))):
        time.sleep(0.01)
    os.kill(process.pid, how)
    _, stderr = process.communicate()
    finished = {path: path.stat().st_mtime_ns for path in cells.glob("[!.]*/cell.json")}
    assert finished
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "the same command continues" in stderr
    assert in_process("bench", config, cwd=tmp_path).returncode == 0
    assert finished.items() <= {path: path.stat().st_mtime_ns for path in cells.glob("[!.]*/cell.json")}.items()
    whole = pl.read_csv(tmp_path / "run" / "results.csv", infer_schema_length=None)
    assert set(whole["scenario"]) == {"hot", "cold", "mixed"}
