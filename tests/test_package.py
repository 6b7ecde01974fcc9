"""The files of an index: metadata, a README without relative links, and archives that install and run elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from timbrec import __version__

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HOME = PROJECT["urls"]["Homepage"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def run(*command: object, cwd: Path = ROOT) -> str:
    unset = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    answer = subprocess.run([*map(str, command)], cwd=cwd, env=unset, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_the_readme_has_absolute_links_only_and_files_of_the_project_exist() -> None:
    links = re.findall(r"\]\(([^)\s]+)", README) + re.findall(r"(?:src|href)=\"([^\"]+)", README)
    links += re.findall(r"^\[[^\]]+\]: (\S+)$", README, re.MULTILINE)
    text = re.sub(r"```.*?```|`[^`]*`|^    .*$", "", README, flags=re.DOTALL | re.MULTILINE)
    defined = set(re.findall(r"^\[([^\]]+)\]: ", README, re.MULTILINE))
    assert set(re.findall(r"\[([^\]]+)\](?![:(])", text)) - defined == set()
    assert len(links) > 15
    assert [link for link in links if not link.startswith(("https://", "mailto:"))] == []
    for link in links:
        if link.startswith(HOME):
            path = re.sub(rf"^{HOME}/(?:blob|tree|raw)/main/", "", link.partition("#")[0])
            assert path == HOME or (ROOT / path).exists(), link


def test_the_first_lines_of_the_readme_say_how_to_install() -> None:
    first = README.splitlines()[:25]
    for command in ("    pip install timbrec", "    make demo", "    make test"):
        assert any(line.startswith(command) for line in first), command


def test_the_version_is_the_same_in_the_citation_and_the_changelog() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert citation["repository-code"] == HOME
    heading = re.search(r"^## (\S+)(?: \((.*)\))?$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heading
    assert heading.groups() == (__version__, str(citation["date-released"]))


def test_all_has_every_extra_that_a_user_switches_on() -> None:
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    named = set(re.findall(r"[\w-]+", everything.partition("[")[2]))
    assert named == extras.keys() - {"all", "dev", "docs", "measurements"}


def test_supported_versions_agree() -> None:
    classifiers = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    nox = re.search(r"VERSIONS = (\[.*\])", (ROOT / "noxfile.py").read_text(encoding="utf-8"))
    assert nox
    assert yaml.safe_load(nox[1]) == classifiers
    assert PROJECT["requires-python"] == f">={classifiers[0]}"


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist, built from this folder."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT)
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


@pytest.mark.slow
def test_the_archives_pass_the_checks_of_an_index(archives: tuple[Path, Path]) -> None:
    assert run(sys.executable, "-m", "twine", "check", "--strict", *archives).count("PASSED") == 2
    assert [path.name for path in archives] == [
        f"timbrec-{__version__}-py3-none-any.whl", f"timbrec-{__version__}.tar.gz"
    ]  # fmt: skip


@pytest.mark.slow
def test_the_archives_hold_what_they_should(archives: tuple[Path, Path]) -> None:
    wheel, sdist = archives
    files = run("git", "ls-files", "src/timbrec").split()
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == {str(Path(file).relative_to("src")) for file in files}
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "CITATION.cff", "Makefile", "tests/smoke.py", "docs/settings.md"} <= names
    assert set(files) <= names
    assert not [name for name in names if name.startswith((".ci", ".venv", "demo", "dist", "runs"))]
    assert sdist.stat().st_size < 8e6  # of which 6 MB are expected values of encoders, for the tests


@pytest.mark.slow
def test_a_clean_environment_runs_the_wheel(archives: tuple[Path, Path], tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = (python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check")
    run(*pip, "-c", ROOT / "constraints.txt", "torch")
    run(*pip, "-c", ROOT / "constraints.txt", archives[0])
    timbrec = python.with_name("timbrec")
    assert run(timbrec, "--version", cwd=tmp_path) == f"timbrec {__version__}\n"
    assert "musicnn-msd" in run(timbrec, "list", cwd=tmp_path)
    assert "a benchmark ran" in run(python, ROOT / "tests" / "smoke.py", cwd=tmp_path)
    assert "musicnn-msd, musicnn-mtt, vgg-msd, vgg-mtt are ready to use" in run(
        timbrec, "weights", "get", "musicnn", cwd=tmp_path
    )
    listed = run(timbrec, "weights", "list", cwd=tmp_path)
    assert re.search(r"musicnn-msd +yes", listed)
    assert re.search(r"muq +no +Run `pip install", listed), "the hub's client is an extra"
