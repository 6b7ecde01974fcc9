"""The contract catches every kind of bad encoder by name, and encoders in files of one's own are found or refused."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from timbrec import catalog
from timbrec.audit.contract import CHECKS, check_encoder
from timbrec.encoders import check_options, check_weights, find, load, located
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import EncoderCard, FrameEncoder

TIMBREC = Path(sys.executable).with_name("timbrec")
TEN_LINES = """
import numpy as np
from timbrec.protocols import EncoderCard

class Loudness:
    card = EncoderCard("loudness", "1", rate=8000, window=10.0, dim=2)

    def encode(self, windows):
        return np.stack([np.sqrt((windows**2).mean(1)), np.abs(windows).mean(1)], axis=1)
"""


class Good:
    """Band energies of tenths of a second: everything a contract asks for."""

    card = EncoderCard("good", "1", rate=8000, window=2.0, dim=8, frames_per_second=10.0, gflop=1e-4)

    def encode(self, windows: np.ndarray) -> Any:
        return self.frames(windows).mean(1)

    def frames(self, windows: np.ndarray, layer: int | None = None) -> Any:
        if windows.ndim != 2:
            raise AudioError("windows are not (n, samples)")
        if windows.shape[1] < 800:
            raise AudioError("a tenth of a second is needed")
        count = windows.shape[1] // 800
        tenths = windows[:, : count * 800].reshape(len(windows), count, 800)
        power = np.abs(np.fft.rfft(tenths)[..., 1:].astype(np.complex64)) ** 2
        return np.log1p(power.reshape(*power.shape[:2], 8, 50).mean(3)).astype(np.float32)


class Random(Good):
    def encode(self, windows: np.ndarray) -> Any:
        return super().encode(windows) + np.random.default_rng().normal(size=8).astype(np.float32)


class NormalisesTheBatch(Good):
    def encode(self, windows: np.ndarray) -> Any:
        vectors = super().encode(windows)
        return vectors - vectors.mean(0) / 2 if len(vectors) else vectors


class DependsOnPlace(Good):
    def encode(self, windows: np.ndarray) -> Any:
        return super().encode(windows) * (1 + np.arange(len(windows), dtype=np.float32))[:, None]


class WritesIntoItsInput(Good):
    def encode(self, windows: np.ndarray) -> Any:
        windows -= windows.mean(1, keepdims=True)
        return super().encode(windows)


class DividesByThePeak(Good):
    def encode(self, windows: np.ndarray) -> Any:
        with np.errstate(all="ignore"):
            return super().encode(windows / np.abs(windows).max(1, keepdims=True))


class Overflows(Good):
    def encode(self, windows: np.ndarray) -> Any:
        with np.errstate(all="ignore"):
            return super().encode(windows) + np.exp(np.abs(windows).max(1, keepdims=True))


class HidesNaN(Good):
    def encode(self, windows: np.ndarray) -> Any:
        return super().encode(np.nan_to_num(windows, posinf=0, neginf=0))


class SpreadsNaN(Good):
    def encode(self, windows: np.ndarray) -> Any:
        vectors = super().encode(windows)
        return vectors + 0 * vectors.sum()


class CrashesOnShort(Good):
    def frames(self, windows: np.ndarray, layer: int | None = None) -> Any:
        return super().frames(windows) if windows.shape[1] >= 800 else windows[:, [900]]


class TakesStereo(Good):
    def encode(self, windows: np.ndarray) -> Any:
        return super().encode(windows.reshape(len(windows), -1) if windows.ndim == 3 else windows)


class Sums(Good):
    def encode(self, windows: np.ndarray) -> Any:
        return self.frames(windows).sum(1)


class OverChannels(Good):
    card = replace(Good.card, dim=20)

    def encode(self, windows: np.ndarray) -> Any:
        return self.frames(windows).mean(2)


class Double(Good):
    def encode(self, windows: np.ndarray) -> Any:
        return super().encode(windows).astype(np.float64)


class OtherLength(Good):
    card = replace(Good.card, dim=9)


class Constant(Good):
    def encode(self, windows: np.ndarray) -> Any:
        return super().encode(windows) * 0 + 1


class Chaotic(Good):
    """A hash of the samples: another vector for the least difference."""

    def encode(self, windows: np.ndarray) -> Any:
        vectors = super().encode(windows)
        for window, vector in zip(windows, vectors, strict=True):
            vector[:] = np.random.default_rng(zlib.crc32(window.tobytes())).normal(size=8)
        return vectors


class CardFromAnotherModel(Good):
    card = replace(Good.card, frames_per_second=75.0)


class TooCheap(Good):
    card = replace(Good.card, gflop=1e9)


class Crashes(Good):
    def encode(self, windows: np.ndarray) -> Any:
        raise RuntimeError("CUDA out of memory")


BAD: list[tuple[type[Good], str]] = [
    (Random, "determinism"),
    (NormalisesTheBatch, "batch"),
    (DependsOnPlace, "order"),
    (WritesIntoItsInput, "input unchanged"),
    (DividesByThePeak, "silence"),
    (Overflows, "very loud"),
    (HidesNaN, "NaN"),
    (SpreadsNaN, "NaN"),
    (CrashesOnShort, "very short"),
    (TakesStereo, "mono"),
    (Sums, "length"),
    (Sums, "frames"),
    (OverChannels, "frames"),
    (Double, "shape"),
    (OtherLength, "shape"),
    (Constant, "finite"),
    (Chaotic, "rates"),
    (CardFromAnotherModel, "frames"),
    (TooCheap, "throughput"),
    (Crashes, "shape"),
]


def found(encoder: Any) -> dict[str, bool]:
    return {finding.name: finding.passed for finding in check_encoder(encoder, 2.0)}


def test_a_good_encoder_passes_every_check() -> None:
    assert found(Good()) == dict.fromkeys(CHECKS, True)


@pytest.mark.parametrize(("bad", "name"), BAD)
def test_each_kind_of_bad_encoder_is_caught_by_name(bad: type[Good], name: str) -> None:
    assert not found(bad())[name]


def test_each_check_can_fail() -> None:
    assert {name for _, name in BAD} == set(CHECKS)


def test_ten_lines_in_a_file_are_an_encoder(tmp_path: Path) -> None:
    assert len(TEN_LINES.strip().splitlines()) <= 10
    path = tmp_path / "mine.py"
    path.write_text(TEN_LINES)
    encoder = load(f"{path}:Loudness")
    assert encoder.encode(np.ones((2, 8000), np.float32)).tolist() == [[1, 1], [1, 1]]
    assert encoder.card.dim == find(f"{path}:Loudness").card.dim == 2
    assert not isinstance(encoder, FrameEncoder)
    wrong = {finding.name for finding in check_encoder(encoder) if not finding.passed}
    assert wrong == {"very short", "mono"}  # as a file of ten lines may be


def test_another_state_of_the_file_is_another_revision(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(TEN_LINES)
    first = load(f"{path}:Loudness").card.revision
    assert load(f"{path}:Loudness").card.revision == first
    path.write_text(TEN_LINES.replace("np.abs", "np.square"))
    assert load(f"{path}:Loudness").card.revision != first


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        (TEN_LINES + "def broken(:\n", "Loudness", r"cannot be run: SyntaxError: .*\(line 10\)"),
        ("import nothing_of_this_name\n" + TEN_LINES, "Loudness", r"ModuleNotFoundError: .*\(line 1\)"),
        (TEN_LINES + "1 / 0\n", "Loudness", r"ZeroDivisionError: division by zero \(line 10\)"),
        (TEN_LINES, "Loudnes", r"there is no class Loudnes in .*It has: Loudness"),
        (TEN_LINES, "np", "there is no class np in"),
        (TEN_LINES, None, r"names no class of .*It has: Loudness"),
        (TEN_LINES.replace("card =", "crad ="), "Loudness", "has no card"),
        (TEN_LINES.replace("def encode", "def encoed"), "Loudness", "has no method `encode`"),
        (TEN_LINES.replace("rate=8000", "rate=0"), "Loudness", r"takes no audio.*rate: 0, window: 10\.0, dim: 2\)"),
    ],
)
def test_a_broken_file_is_one_message(tmp_path: Path, source: str, name: str | None, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source)
    with pytest.raises(ConfigError, match=message) as error:
        load(f"{path}:{name}" if name else str(path))
    assert str(path) in str(error.value)


OPTIONS = (
    TEN_LINES
    + """
    def __init__(self, gain: float = 1.0, weights=None):
        self.gain = float(gain)
"""
)


def test_a_path_is_relative_to_a_base(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(TEN_LINES)
    assert find("mine.py:Loudness", tmp_path).card.dim == 2
    assert located("mine.py:Loudness", tmp_path) == f"{tmp_path / 'mine.py'}:Loudness"
    assert located("mfcc", tmp_path) == "mfcc"
    with pytest.raises(ConfigError, match=r"there is no file .*other\.py"):
        find("other.py:Loudness", tmp_path)


def test_options_of_an_own_encoder_are_checked_before_it_is_created(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OPTIONS)
    name = located("mine.py:Loudness", tmp_path)
    check_options("mine.py:Loudness", {"gain": 2}, tmp_path)
    with pytest.raises(ConfigError, match=r"takes no 'gian'.*Did you mean 'gain'"):
        check_options("mine.py:Loudness", {"gian": 2}, tmp_path)
    assert check_weights(name, "any.pt") == []
    assert load(name, gain=3).gain == 3.0  # type: ignore[attr-defined] # the user's own
    with pytest.raises(ConfigError, match=r"cannot be created: ValueError: could not convert .*\(line 12\)"):
        load(name, gain="loud")


def test_the_users_class_is_not_changed(tmp_path: Path) -> None:
    """Its card and attributes stay as the file says; a card replaced in the constructor gets the file's state too."""
    source = TEN_LINES + "\n    def __init__(self):\n        self.card = replace(Loudness.card, revision='2')\n"
    (tmp_path / "mine.py").write_text("from dataclasses import replace\n" + source)
    encoder = find("mine.py:Loudness", tmp_path)
    (own,) = encoder.__bases__
    assert own.card.revision == "1"
    assert "frames" not in dir(own)
    state = encoder.card.revision.removeprefix("1, ")
    assert load(located("mine.py:Loudness", tmp_path)).card.revision == f"2, {state}"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*mine\.py"):
        load(f"{tmp_path / 'mine.py'}:Loudness")


def test_an_entry_point_is_an_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "good"

        def load(self) -> type[Good]:
            return Good

    class Points(list[Point]):
        def select(self, name: str = "good") -> list[Point]:
            return list(self) if name == "good" else []

    monkeypatch.setattr(catalog, "_entry_points", lambda kind: Points([Point()] if kind == "encoders" else []))
    assert catalog.names("encoders")[-1] == "good"
    assert isinstance(load("good"), Good)
    with pytest.raises(ConfigError, match="Did you mean 'good'"):
        load("goood")


def test_the_command_exits_1_and_names_failures(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(TEN_LINES)
    answer = subprocess.run(
        [TIMBREC, "check-encoder", "mine.py:Loudness", "--seconds", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert answer.returncode == 1, answer.stderr
    assert "FAILED: very short, mono" in answer.stdout
    assert "raises IndexError" in answer.stdout or "not finite" in answer.stdout
    wrong = subprocess.run([TIMBREC, "check-encoder", "mine.py:Nothing"], cwd=tmp_path, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "there is no class Nothing in mine.py" in wrong.stderr
    assert "Traceback" not in wrong.stderr
