"""`timbrec embed` as a user runs it: output, stores and exit codes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

import small_world
from audio_files import write_wav
from timbrec.embed import reading
from timbrec.encoders.mfcc import MFCC
from timbrec.errors import ConfigError
from timbrec.store import VectorStore
from timbrec.study.config import make_config, read_config
from timbrec.study.inputs import load_inputs

TIMBREC = Path(sys.executable).with_name("timbrec")


def timbrec(*arguments: object, cwd: Path) -> tuple[int, str]:
    """The exit code and the output, joined into one line."""
    command = [TIMBREC, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env={"COLUMNS": "200"})  # type: ignore[arg-type]
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def noise(seconds: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * 22_050))


@pytest.fixture
def music(tmp_path: Path) -> Path:
    (tmp_path / "music").mkdir()
    for number in range(3):
        write_wav(tmp_path / f"music/t{number}.wav", noise(1 + number, number), 22_050, "f32")
    return tmp_path / "music"


def test_a_second_run_encodes_nothing_and_lists_failures(music: Path, tmp_path: Path) -> None:
    code, output = timbrec("embed", "music", "-e", "mfcc", cwd=tmp_path)
    assert (code, "3 encoded, 0 recognised by their audio, 0 unchanged, 0 failed" in output) == (0, True), output
    store = VectorStore.open(tmp_path / "vectors/mfcc")
    samples = noise(2, 1).astype(np.float32)
    np.testing.assert_allclose(store.aligned(["t1"]), MFCC().encode(samples[None]), rtol=1e-5)
    (music / "t1.wav").rename(music / "[b]new.wav")
    (music / "bad.mp3").write_text("no music")
    code, output = timbrec("embed", "music", "-e", "mfcc", cwd=tmp_path)
    assert "0 encoded, 1 recognised by their audio, 2 unchanged, 1 failed; 1 not in AUDIO, kept" in output
    assert code == 1
    assert "music/bad.mp3 │ it is text, which is not read" in output
    failures = pl.read_csv(tmp_path / "vectors/failures.csv")
    assert failures.select("id", "path", "reason", "encoder").rows() == [
        ("bad", "music/bad.mp3", "it is text, which is not read", None)
    ]
    code, output = timbrec("embed", "music", "--encoder", "mfcc", "--prune", "--max-failures", 1, cwd=tmp_path)
    assert (code, "1 not in AUDIO, forgotten" in output, "mfcc: 3 x 104" in output) == (0, True, True)
    (music / "bad.mp3").unlink()
    assert timbrec("embed", "music", "-e", "mfcc", cwd=tmp_path)[0] == 0
    assert not (tmp_path / "vectors/failures.csv").exists()


def test_pools_and_windows_have_folders_of_their_own(music: Path, tmp_path: Path) -> None:
    arguments = ("-e", "mfcc", "--pool", "max,meanstd", "--windows", "first", "--store", "made", "--workers", 1)
    code, output = timbrec("embed", music, *arguments, cwd=tmp_path)
    assert code == 0, output
    frames = MFCC().frames(noise(1, 0).astype(np.float32)[None])[0]
    stores = {path.name: VectorStore.open(path) for path in (tmp_path / "made").iterdir()}
    assert sorted(stores) == ["mfcc-max-first", "mfcc-meanstd-first"]
    np.testing.assert_allclose(stores["mfcc-max-first"].aligned(["t0"])[0], frames.max(0), rtol=1e-4)
    expected = np.concatenate([frames.mean(0), frames.std(0)])
    np.testing.assert_allclose(stores["mfcc-meanstd-first"].aligned(["t0"])[0], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none", "-e", "mfcc"], "none does not exist"),
        (["music", "-e", "mfc"], "no encoder called 'mfc'. Did you mean 'mfcc'?"),
        (["music", "-e", "mfcc", "--layers", "2"], "mfcc has no layers to choose from"),
        (["music", "-e", "mfcc", "--pool", "sum"], "no pool 'sum'. Known: mean, max, meanstd"),
        (["music", "-e", "mfcc", "--weights", "mule=x"], "'mule' is not an encoder of this command. Known: mfcc"),
        (["music", "-e", "mfcc", "--set", "mfcc=3"], "'mfcc' names no option"),
        (["music", "-e", "mfcc", "--set", "mfcc.hop"], "'mfcc.hop' is not NAME.OPTION=VALUE"),
        (["music", "-e", "mfcc", "--set", "mule.pool=sum"], "'mule' is not an encoder of this command"),
        (["music", "-e", "mfcc", "--set", "mfcc.hop=["], "the value of 'mfcc.hop' is not valid YAML"),
        (["music", "-e", "mfcc", "--set", "mfcc.hop=3"], "encoder 'mfcc' takes no 'hop'"),
        (["music", "-e", "mfcc,mfcc"], "each with a store of its own"),
        (["music"], "Missing option '--encoder'"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_with_2(
    music: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    from timbrec.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["timbrec", "embed", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "vectors").exists()


def test_an_interrupted_run_says_how_to_continue(music: Path, tmp_path: Path) -> None:
    for number in range(3, 400):
        write_wav(music / f"t{number}.wav", noise(5, number), 22_050, "f32")
    command = [TIMBREC, "embed", "music", "-e", "mfcc"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)  # type: ignore[arg-type]
    journal, until = tmp_path / "vectors/mfcc/journal", time.monotonic() + 60
    while not (journal.exists() and journal.stat().st_size) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "timbrec: stopped. Finished work is kept" in errors
    assert 0 < len(VectorStore.open(tmp_path / "vectors/mfcc")) < 400


# Audio in a config


def with_audio(tmp_path: Path, **entries: object) -> Path:
    (tmp_path / "audio").mkdir()
    for number, track in enumerate(small_world.WORLD.events.items.ids[:60]):
        write_wav(tmp_path / f"audio/{track}.wav", noise(0.2, number), 22_050, "f32")
    return small_world.write(tmp_path, encoders=entries)


def test_a_config_decodes_once_for_all_encoders_of_the_same_audio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_audio(
        tmp_path,
        own={"audio": "audio", "encoder": "mfcc"},
        peaks={"audio": "audio", "encoder": "mfcc", "pool": "max", "windows": "first", "store": "elsewhere"},
        good=small_world.CONFIG["encoders"]["good"],
    )
    (tmp_path / "audio/bad.mp3").write_text("no music")
    read, real, steps = [], reading.read_clips, []  # type: ignore[attr-defined]
    monkeypatch.setattr(reading, "read_clips", lambda path, *args: read.append(path) or real(path, *args))  # type: ignore[func-returns-value]
    inputs = load_inputs(read_config(config), lambda *progress: steps.append(progress))
    assert len(read) == len(set(read)) == 61
    assert {what for what, *_ in steps} == {"encoding mfcc"}
    assert {name: source.dim for name, source in inputs.sources.items()} == {"own": 104, "peaks": 13, "good": 16}
    assert list(inputs.sources) == list(read_config(config).encoders)
    assert len(inputs.catalogue) == 60
    assert VectorStore.open(tmp_path / "elsewhere").info.windows == "first 30 s"
    assert VectorStore.open(tmp_path / "vectors/own").info.pool == "mean"
    assert inputs.files.select("encoder", "reason").rows() == [
        ("own", "it is text, which is not read"), ("peaks", "it is text, which is not read"),
    ]  # fmt: skip
    assert len(load_inputs(read_config(config), encode=False).catalogue) == 60


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"vectors": "good.npy", "pool": "max"}, "`pool` is for `audio`; vectors are taken as they are"),
        ({"audio": "music", "encoder": "mfcc", "pool": "sum"}, "pool must be 'mean', 'max' or 'meanstd'"),
        ({"audio": "music", "encoder": "mfcc", "window": "first"}, "Did you mean 'windows'?"),
        ({"audio": "music", "encoder": "mfcc", "layer": -1}, "greater than or equal to 0"),
    ],
)
def test_audio_entries_of_a_config_are_checked(tmp_path: Path, entry: dict[str, object], message: str) -> None:
    path = small_world.write(tmp_path, encoders={"own": entry})
    with pytest.raises(ConfigError, match=re.escape(message)):
        make_config(yaml.safe_load(path.read_text()) | {"base": tmp_path})
