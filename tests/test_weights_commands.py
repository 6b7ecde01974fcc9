"""`timbrec weights`: which weights are here, and fetching them, by pip and from the model hub."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from timbrec import catalog
from timbrec.cli.app import app
from timbrec.encoders.weights import packaged
from timbrec.encoders.weights.packaged import MUSICNN, install
from timbrec.errors import ConfigError


def timbrec(*arguments: str) -> str:
    answer = CliRunner().invoke(app, ["weights", *arguments], catch_exceptions=False)
    assert answer.exit_code == 0
    return answer.stdout


def wheel(folder: Path) -> Path:
    """A wheel with the name and version of the published one, and other content."""
    path = folder / MUSICNN.wheel
    info = f"{MUSICNN.name}-{MUSICNN.version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("musicnn/__init__.py", "raise SystemExit('code of another package')")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: musicnn\nVersion: {MUSICNN.version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_the_list_names_every_encoder_and_the_way_to_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = {line.split()[0]: line for line in timbrec("list").splitlines() if line.strip()}
    assert set(catalog.names("encoders")) <= set(lines)
    assert "needs no weights" in lines["mfcc"]
    assert "timbrec weights get muq (1,334 MB; licence CC BY-NC 4.0)" in lines["muq"]
    assert "git lfs pull" in lines["mule"]


def test_without_the_package_the_list_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from timbrec.encoders.bases import patches

    monkeypatch.setattr(patches, "find_spec", lambda name: None)
    monkeypatch.setenv("COLUMNS", "200")
    lines = [line for line in timbrec("list").splitlines() if line.split()[:1] == ["vgg-mtt"]]
    assert " no " in lines[0]
    assert "timbrec weights get musicnn" in lines[0]


@pytest.mark.parametrize(("name", "message"), [("mule", "git lfs pull"), ("mussicnn", "Did you mean 'musicnn")])
def test_weights_that_no_command_can_get_are_one_message(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        timbrec("get", name)


def test_an_encoder_without_weights_has_nothing_to_get() -> None:
    assert "nothing to get" in timbrec("get", "mfcc")


def test_the_name_of_an_encoder_stands_for_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[object] = []
    monkeypatch.setattr(packaged, "is_installed", lambda package: bool(installed))
    monkeypatch.setattr(packaged, "install", installed.append)
    assert timbrec("get", "vgg-msd").startswith("musicnn 0.1.0: 29 MB, licence ISC")
    assert installed == [MUSICNN]
    assert timbrec("get", "musicnn").startswith("musicnn is installed; musicnn-msd, musicnn-mtt, vgg-msd, vgg-mtt")


def test_a_machine_without_the_index_is_told_how_to_do_it_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(ConfigError, match=r"No matching distribution.*By hand: download musicnn-0\.1\.0-py3-none-any"):
        install(replace(MUSICNN, name="no-such-package"))


def test_a_file_with_another_digest_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_FORCE_REINSTALL", "1")
    with pytest.raises(ConfigError, match="not the published one"):
        install(MUSICNN)


def test_an_environment_without_pip_is_told_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"uv pip install --no-deps musicnn==0\.1\.0"):
        install(MUSICNN)
