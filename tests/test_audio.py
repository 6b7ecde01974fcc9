from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_files import ENCODERS, loudest, sine, write, write_wav
from made import HARNESS
from timbrec.audio import CONTAINERS, SILENCE, AudioFile, Cutter, Windows, load_mono, read_windows
from timbrec.errors import AudioError, ConfigError

RATE = 22_050


def noise(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate)).clip(-1, 1)


@pytest.mark.parametrize("kind", ["u8", "s16", "s24", "s32", "f32", "f64"])
@pytest.mark.parametrize("channels", [(0.5,), (0.6, 0.2), (0.6, 0.5, 0.4, 0.3, 0.2, 0.1)])
def test_a_wav_of_any_kind_is_the_mean_of_its_channels(tmp_path: Path, kind: str, channels: tuple[float, ...]) -> None:
    samples = sine(440, RATE, 0.5, channels)
    read = load_mono(write_wav(tmp_path / "a.wav", samples, RATE, kind), RATE)
    step = {"u8": 2**-7, "s16": 2**-14, "s24": 2**-22}.get(kind, 1e-6)  # a step of the kind, twice its rounding
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, samples.mean(axis=0), atol=step)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000, 96_000, 192_000])
def test_resampling_keeps_frequency_and_amplitude(tmp_path: Path, rate: int) -> None:
    read = load_mono(write_wav(tmp_path / "a.wav", sine(1000, rate, 2, (0.5, 0.3)), rate, "f32"), RATE)
    frequency, amplitude = loudest(read, RATE)
    assert abs(len(read) - 2 * RATE) <= 1
    assert frequency == pytest.approx(1000, abs=0.3)
    assert amplitude == pytest.approx(0.4, rel=1e-3)


def test_resampling_does_not_alias(tmp_path: Path) -> None:
    read = load_mono(write_wav(tmp_path / "a.wav", sine(15_000, 48_000, 2, (1.0,)), 48_000, "f32"), RATE)
    assert np.abs(read[RATE // 2 : -RATE // 2]).max() < 1e-4


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("suffix", list(ENCODERS))
def test_every_format_returns_the_signal(tmp_path: Path, suffix: str, rate: int) -> None:
    if suffix in (".opus", ".webm"):
        rate = 48_000  # its only rate
    path = write(tmp_path / f"a{suffix}", sine(1000, rate, 2, (0.6, 0.2)), rate)
    with AudioFile(path) as file:
        assert (file.rate, file.remarks) == (rate, [])
    read = load_mono(path, RATE)
    frequency, amplitude = loudest(read, RATE)
    assert abs(len(read) / RATE - 2) < 0.1  # encoders round up to whole frames
    assert frequency == pytest.approx(1000, abs=0.3)
    assert amplitude == pytest.approx(0.4, rel=0.05)  # LAME turns down by 3 %


@pytest.mark.parametrize("channels", [6, 8])
@pytest.mark.parametrize("suffix", [".flac", ".m4a"])
def test_surround_is_the_mean_of_its_channels(tmp_path: Path, suffix: str, channels: int) -> None:
    """At 60 Hz, which the bass channel holds as well; FFmpeg gives AAC's channels in planes, FLAC's interleaved."""
    amplitudes = tuple(np.linspace(0.1, 0.8, channels))
    read = load_mono(write(tmp_path / f"a{suffix}", sine(60, 48_000, 2, amplitudes), 48_000), 48_000)
    frequency, amplitude = loudest(read, 48_000)
    assert frequency == pytest.approx(60, abs=0.3)
    assert amplitude == pytest.approx(0.45, rel=0.1 if suffix == ".m4a" else 1e-3)


def test_blocks_join_to_the_whole_file(tmp_path: Path) -> None:
    """Ten seconds are several blocks; soxr's one-shot call is the second implementation."""
    import soxr

    samples = noise(10, 44_100).astype(np.float32)
    read = load_mono(write_wav(tmp_path / "a.wav", samples, 44_100, "f32"), RATE)
    np.testing.assert_allclose(read, soxr.resample(samples, 44_100, RATE, "HQ"), atol=1e-5)


def test_a_wrong_suffix_is_a_remark(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(1, 44_100), 44_100).rename(tmp_path / "a.mp3")
    clip = read_windows(path, RATE, 30.0, Windows())
    assert [remark.reason for remark in clip.remarks] == ["it is named .mp3, but its content is flac"]
    assert clip.windows.shape == (1, RATE)


@pytest.mark.parametrize("name", ["ünï 文字 %41 #1.wav", f"{'x' * 251}.wav", "-i.wav", "a:b.wav"])
def test_names_like_addresses_are_read_as_files(tmp_path: Path, name: str) -> None:
    assert len(load_mono(write_wav(tmp_path / name, noise(0.1), RATE), RATE)) == RATE // 10


def truncated(path: Path, share: float = 0.4) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def damaged(path: Path, start: int, stop: int) -> Path:
    """A streamable m4a with noise in place of the packets in this stretch (percent of the file)."""
    content = bytearray(write(path, noise(20, 48_000), 48_000, movflags="faststart").read_bytes())
    stretch = slice(len(content) * start // 100, len(content) * stop // 100)
    content[stretch] = np.random.default_rng(0).bytes(stretch.stop - stretch.start)
    path.write_bytes(content)
    return path


def playlist(path: Path, target: Path) -> Path:
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{target}\n#EXT-X-ENDLIST\n")
    return path


def other_samples(path: Path, value: float) -> Path:
    samples = noise(1)
    samples[1000] = value
    return write_wav(path, samples, RATE, "f32")


def touched(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


BAD = {
    "missing": (lambda d: d / "none.mp3", "does not exist"),
    "below a file": (lambda d: touched(d / "a", b"x") / "a.mp3", "does not exist"),
    "no name": (lambda d: d / "a\0.wav", "cannot be read: .*embedded null (byte|character)"),
    "folder": (lambda d: d, "cannot be read|is no audio"),
    "empty": (lambda d: touched(d / "a.mp3", b""), "is empty"),
    "text": (lambda d: touched(d / "a.mp3", b"Lyrics: la la la\n" * 500), "is text, which is not read"),
    "random bytes": (lambda d: touched(d / "a.mp3", np.random.default_rng(1).bytes(50_000)), "audio|damaged"),
    "playlist": (
        lambda d: playlist(d / "a.mp3", write(d / "b.flac", noise(1), RATE)),
        "is a playlist, which is not read",
    ),
    "header alone": (lambda d: write_wav(d / "a.wav", noise(0), RATE), "no samples|no audio"),
    "truncated wav": (
        lambda d: truncated(write_wav(d / "a.wav", noise(3), RATE)),
        r"cut short: 1\.2 of 3\.0 s can be decoded",
    ),
    "truncated flac": (lambda d: truncated(write(d / "a.flac", noise(9), RATE)), "cut short"),
    "truncated mp3": (lambda d: truncated(write(d / "a.mp3", noise(3, 44_100), 44_100)), "cut short"),
    "truncated ogg": (lambda d: truncated(write(d / "a.ogg", np.stack([noise(9, 44_100)] * 2), 44_100)), "cut short"),
    "truncated opus": (lambda d: truncated(write(d / "a.opus", noise(3, 48_000), 48_000)), "cut short"),
    "truncated m4a": (lambda d: truncated(write(d / "a.m4a", noise(3, 44_100), 44_100)), "has no index"),
    "truncated streamable m4a": (
        lambda d: truncated(write(d / "a.m4a", noise(3, 44_100), 44_100, movflags="faststart")),
        "cut short",
    ),
    "damaged": (lambda d: damaged(d / "a.m4a", 25, 75), r"is damaged: \d+ of 940 packets cannot be decoded"),
    "NaN": (lambda d: other_samples(d / "a.wav", np.nan), "NaN or infinite"),
    "infinite": (lambda d: other_samples(d / "a.wav", np.inf), "NaN or infinite"),
    "silent": (lambda d: write_wav(d / "a.wav", np.zeros((2, RATE)), RATE), "is silent"),
    "silent mp3": (lambda d: write(d / "a.mp3", np.zeros(44_100), 44_100), "is silent"),
    "ten channels": (lambda d: write_wav(d / "a.wav", np.ones((10, RATE)), RATE), "has 10 channels"),
    "one sample a second": (lambda d: write_wav(d / "a.wav", noise(1), 1), "sample rate of 1 Hz"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_a_bad_file_is_an_error_with_its_reason(tmp_path: Path, name: str) -> None:
    make, reason = BAD[name]
    path = make(tmp_path)  # type: ignore[no-untyped-call]
    with pytest.raises(AudioError, match=reason) as caught:
        read_windows(path, RATE, 30.0, Windows())
    assert str(caught.value).startswith(f"{path}: it ")


def test_few_damaged_packets_are_left_out_and_remarked_on(tmp_path: Path) -> None:
    clip = read_windows(damaged(tmp_path / "a.m4a", 50, 51), RATE, 30.0, Windows())
    assert [remark.reason.split(" ", 1)[1] for remark in clip.remarks] == ["of 940 packets are damaged and left out"]
    assert 19.7 < clip.seconds < 20.1


def test_one_sample_is_a_window_of_one_sample(tmp_path: Path) -> None:
    clip = read_windows(write_wav(tmp_path / "a.wav", np.array([0.5]), RATE), RATE, 30.0, Windows())
    assert clip.windows.shape == (1, 1)


def cut(values: np.ndarray, size: int, windows: Windows, block: int = 100) -> np.ndarray:
    """The windows of a signal in which window i (of `size` samples) is all values[i]; (windows, size)."""
    cutter = Cutter(size, windows)
    signal = np.repeat(values, size).astype(np.float32)
    for start in range(0, len(signal), block):
        cutter.add(signal[start : start + block])
    return cutter.finish()


@pytest.mark.parametrize(
    ("windows", "taken"),
    [
        (Windows("spread", 1), [7]),
        (Windows("spread", 2), [4, 10]),
        (Windows("spread", 4), [2, 5, 8, 11]),
        (Windows("spread", 12), list(range(1, 13))),
        (Windows("spread", 50), list(range(1, 13))),
        (Windows("centre"), [7]),
        (Windows("first"), [1]),
        (Windows("all"), list(range(1, 13))),
    ],
)
def test_policies_choose_windows(windows: Windows, taken: list[int]) -> None:
    assert cut(np.arange(1, 13), 30, windows)[:, 0].tolist() == taken


@given(count=st.integers(1, 12), total=st.integers(1, 400), block=st.integers(1, 500))
def test_spread_windows_are_whole_distinct_and_even_whatever_the_length_and_the_blocks(
    count: int, total: int, block: int
) -> None:
    chosen = cut(np.arange(1, total + 1), 5, Windows("spread", count), block)
    assert (chosen == chosen[:, :1]).all(), "a window straddles two"
    assert len(chosen) == min(count, total)
    ideal = (np.arange(len(chosen)) + 0.5) * total / len(chosen)
    assert (np.abs(chosen[:, 0] - 0.5 - ideal) <= 0.5 + total / 8).all()
    assert (np.diff(chosen[:, 0]) > 0).all()


@given(total=st.integers(1, 60))
def test_centre_and_first_windows_of_any_length(total: int) -> None:
    values = np.arange(1, total + 1)
    assert cut(values, 5, Windows("first"))[:, 0].tolist() == [1]
    assert abs(cut(values, 5, Windows("centre"))[0, 0] - total / 2) <= 1 + total / 16
    assert cut(values, 5, Windows("all"))[:, 0].tolist() == values.tolist()


def test_silent_windows_do_not_count() -> None:
    values = np.array([0, SILENCE / 2, 1, 0, 2, 0])
    for windows in (Windows("spread", 8), Windows("all")):
        assert cut(values, 30, windows)[:, 0].tolist() == [1, 2]
    assert cut(values, 30, Windows("first"))[:, 0].tolist() == [1]
    assert len(cut(np.zeros(5), 30, Windows())) == 0


@pytest.mark.parametrize("policy", ["spread", "centre", "first", "all"])
def test_a_tail_is_left_out_and_a_short_track_is_one_short_window(tmp_path: Path, policy: str) -> None:
    long, short = noise(2.5), noise(0.7)
    windows = Windows(policy)
    cut_long = read_windows(write_wav(tmp_path / "long.wav", long, RATE, "f32"), RATE, 1.0, windows).windows
    cut_short = read_windows(write_wav(tmp_path / "short.wav", short, RATE, "f32"), RATE, 1.0, windows).windows
    first = 1 if policy == "centre" else 0
    whole = long.astype(np.float32)[: 2 * RATE].reshape(2, RATE)
    np.testing.assert_array_equal(cut_long, whole[first : first + (1 if policy in ("centre", "first") else 2)])
    np.testing.assert_array_equal(cut_short, short.astype(np.float32)[None])


def test_first_stops_reading_after_its_window(tmp_path: Path) -> None:
    path = truncated(write(tmp_path / "a.flac", noise(20), RATE))
    clip = read_windows(path, RATE, 1.0, Windows("first"))
    assert clip.windows.shape == (1, RATE)
    assert clip.seconds < 5


def test_windows_are_described_and_checked() -> None:
    assert Windows().described(30.0) == "spread 8 x 30 s"
    assert Windows("centre").described(2.5) == "centre 2.5 s"
    with pytest.raises(ConfigError, match="no window policy 'middle'"):
        Windows("middle")
    with pytest.raises(ConfigError, match="at least one window"):
        Windows("spread", 0)


_LONG = """
import sys, wave
import numpy as np
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from peak import peak
from timbrec.audio import Windows, read_windows
path, rate = Path(sys.argv[1]), 2000
with wave.open(str(path), "wb") as file:
    file.setnchannels(1), file.setsampwidth(1), file.setframerate(rate)
    for minute in range(120):
        file.writeframes(np.full(60 * rate, 129 + minute, np.uint8).tobytes())
clips = []
grown = peak(lambda: clips.append(read_windows(path, 8000, 30, Windows(sys.argv[2]))))
clip, = clips
print(len(clip.windows), round(grown / 2**20), *(remark.reason for remark in clip.remarks), sep="|")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process as Linux shows it")
def test_two_hours_take_the_memory_of_a_few_windows(tmp_path: Path) -> None:
    """Two hours at 8,000 Hz are 220 MiB as float32; at most 16 windows of 0.9 MiB are held."""
    command = [sys.executable, "-c", _LONG, str(tmp_path / "long.wav"), "spread", str(HARNESS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    windows, grown, remark = done.stdout.strip().split("|")
    assert (windows, remark) == ("8", "it is 2.0 hours long")
    assert 5 < int(grown) < 50, "eight windows are 7 MiB"


def test_every_suffix_is_tested() -> None:
    assert CONTAINERS.keys() - ENCODERS.keys() - {".wav"} == {
        ".oga", ".mp4", ".aif", ".wave", ".bwf", ".rf64", ".snd", ".spx",  # other names of the same
        ".ape", ".mpc", ".dsf",  # FFmpeg writes none
    }  # fmt: skip


def test_real_mp3_files_are_read_whole(test_data: Path) -> None:
    songs = sorted((test_data / "data/jamendo_lyrics_audio/mp3").glob("*.mp3"))
    assert len(songs) == 10
    for song in (songs[1], songs[5]):  # one with a name that is not ASCII
        clip = read_windows(song, RATE, 30.0, Windows())
        assert clip.remarks == ()
        assert len(clip.windows) == clip.seconds // 30
