"""Audio is whole, or it says so: cuts, holes and odd signals in every container, made from files that are good."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audio_files import ENCODERS, write, write_wav
from timbrec.audio import Clip, Windows, read_windows
from timbrec.errors import AudioError

RATE = 48_000
SECONDS = 12
COUNTED = (".flac", ".wv", ".tta", ".aiff", ".aifc", ".au", ".caf", ".w64", ".wav")  # containers that count samples
PROMISED = (*COUNTED, ".mp3", ".opus", ".ogg", ".mka", ".webm", ".wma", ".m4a", ".m4b")


def noise(seconds: float = SECONDS, seed: int = 0, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (2, round(seconds * rate))).clip(-1, 1)


def read(path: Path) -> Clip:
    return read_windows(path, 8000, 3.0, Windows())


def reasons(path: Path) -> list[str]:
    return [remark.reason for remark in read(path).remarks]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Good files of every kind; MP4 with its index in front, as it is streamed."""
    folder, files = tmp_path_factory.mktemp("good"), {}
    for suffix in (".wav", *ENCODERS):
        options = {"movflags": "faststart"} if suffix in (".m4a", ".m4b") else {}
        files[suffix] = write(folder / f"a{suffix}", noise(), RATE, **options).read_bytes()
    return files


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", [".wav", *ENCODERS])
def test_a_whole_file_has_no_remark(good: dict[str, bytes], tmp_path: Path, suffix: str) -> None:
    clip = read(put(tmp_path / f"a{suffix}", good[suffix]))
    assert clip.remarks == ()
    assert clip.seconds == pytest.approx(SECONDS, abs=0.1)
    if suffix in COUNTED:
        assert clip.seconds == pytest.approx(SECONDS, abs=1e-9)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("suffix", PROMISED)
def test_a_cut_file_is_refused(good: dict[str, bytes], tmp_path: Path, suffix: str, share: float) -> None:
    path = put(tmp_path / f"a{suffix}", good[suffix][: int(len(good[suffix]) * share)])
    with pytest.raises(AudioError, match=r"is cut short: .* s|is damaged: .*|is no audio that can be decoded"):
        read(path)


@pytest.mark.parametrize("suffix", PROMISED)
def test_a_hole_is_refused(good: dict[str, bytes], tmp_path: Path, suffix: str) -> None:
    content = good[suffix]
    path = put(tmp_path / f"a{suffix}", content[: len(content) // 3] + content[2 * len(content) // 3 :])
    with pytest.raises(AudioError, match=r"is cut short: .* s|is damaged: .*|is no audio that can be decoded"):
        read(path)


@pytest.mark.parametrize("suffix", [".aiff", ".aifc", ".au", ".caf", ".w64", ".wav"])
@pytest.mark.parametrize("samples", [2, 100, 4000])
def test_a_few_missing_samples_are_a_remark(good: dict[str, bytes], tmp_path: Path, suffix: str, samples: int) -> None:
    path = put(tmp_path / f"a{suffix}", good[suffix][: -4 * samples])
    (reason,) = reasons(path)
    assert reason == f"it lacks {samples / RATE:.2g} of the 12.0 s that its header declares"


def test_the_message_names_both_durations(good: dict[str, bytes], tmp_path: Path) -> None:
    path = put(tmp_path / "a.wav", good[".wav"][: 44 + 5 * RATE * 4])
    with pytest.raises(AudioError, match=r"it is cut short: 5\.0 of 12\.0 s can be decoded\. Get it again"):
        read(path)


# WAV and its kin, byte by byte


def samples(seconds: float) -> bytes:
    return np.rint(noise(seconds) * 32_767).astype("<i2").T.tobytes()


FORM = struct.pack("<HHIIHH", 1, 2, RATE, 4 * RATE, 4, 16)


def riff(data: bytes, riff_size: int | None = None, data_size: int | None = None, tail: bytes = b"") -> bytes:
    size = len(data) if data_size is None else data_size
    body = b"WAVEfmt " + struct.pack("<I", 16) + FORM + b"data" + struct.pack("<I", size) + data + tail
    return b"RIFF" + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def rf64(data: bytes, size: int, name: bytes = b"RF64") -> bytes:
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, size + 72, size, size // 4, 0)
    body = b"WAVE" + ds64 + b"fmt " + struct.pack("<I", 16) + FORM + b"data" + b"\xff" * 4 + data
    return name + b"\xff" * 4 + body


@pytest.mark.parametrize(
    "content",
    [
        riff(samples(2), riff_size=len(samples(2)) + 44),  # the file's size
        riff(samples(2), riff_size=0),
        riff(samples(2), riff_size=12),
        riff(samples(2), riff_size=len(samples(2)) + 1000, tail=b"LIST" + struct.pack("<I", 84) + bytes(84)),
        riff(samples(2), tail=b"LIST" + struct.pack("<I", 84) + bytes(20)),  # the list is cut, the sound is not
        riff(samples(2), riff_size=0xFFFFFFFF, data_size=0xFFFFFFFF),  # written to a pipe
        riff(samples(2), riff_size=0, data_size=0),
        riff(samples(2), riff_size=0x7FFFFFFF, data_size=0x7FFFFFFF - 36),
        rf64(samples(2), len(samples(2))),
        rf64(samples(2), len(samples(2)), b"BW64"),
    ],
)  # fmt: skip
def test_wrong_sizes_in_headers_of_whole_files_are_ignored(tmp_path: Path, content: bytes) -> None:
    clip = read(put(tmp_path / "a.wav", content))
    assert clip.remarks == ()
    assert clip.seconds == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize(
    "content",
    [
        riff(samples(1), data_size=len(samples(2))),
        riff(samples(1), riff_size=len(samples(1)) + 36, data_size=len(samples(2))),  # repaired by halves
        riff(b"", data_size=len(samples(2))),
        rf64(samples(1), len(samples(2))),
        rf64(samples(1), len(samples(2)), b"BW64"),
    ],
)
def test_incomplete_data_chunks_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(AudioError, match=r"is cut short: [01]\.0 of 2\.0 s can be decoded"):
        read(put(tmp_path / "a.wav", content))


def test_samples_behind_the_data_chunk_are_a_remark(tmp_path: Path) -> None:
    """As a recorder leaves it that did not update its header, or one that counts beyond 4 GiB."""
    (reason,) = reasons(put(tmp_path / "a.wav", riff(samples(5), data_size=len(samples(2)))))
    assert reason == f"{len(samples(3)):,} bytes behind the end that its header declares are not read"


# MP3 tags


def with_tag(content: bytes, change: Callable[[bytearray, int], None]) -> bytes:
    edited = bytearray(content)
    change(edited, max(edited.find(b"Xing"), edited.find(b"Info")))
    return bytes(edited)


def without_lame(content: bytearray, tag: int) -> None:
    content[tag + 120 : tag + 156] = bytes(36)


def as_vbri(content: bytearray, tag: int) -> None:
    """The same count of frames in the other kind of tag."""
    frames = bytes(content[tag + 8 : tag + 12])
    start = tag - 36
    content[start + 36 : start + 36 + 156] = b"VBRI" + bytes([0, 1, 0, 0, 0, 75]) + bytes(4) + frames + bytes(138)


def without_tag(content: bytearray, tag: int) -> None:
    content[tag : tag + 4] = bytes(4)


@pytest.mark.parametrize("change", [without_lame, as_vbri])
def test_mp3_tags_with_and_without_encoder_delay(
    good: dict[str, bytes], tmp_path: Path, change: Callable[[bytearray, int], None]
) -> None:
    content = with_tag(good[".mp3"], change)
    assert reasons(put(tmp_path / "whole.mp3", content)) == []
    with pytest.raises(AudioError, match=r"is cut short: 6\.\d of 12\.\d s can be decoded"):
        read(put(tmp_path / "cut.mp3", content[: len(content) // 2]))
    with pytest.raises(AudioError, match=r"is cut short: 8\.\d of 12\.\d s"):
        read(put(tmp_path / "hole.mp3", content[: len(content) // 3] + content[2 * len(content) // 3 :]))


def test_the_length_of_an_mp3_without_a_tag_is_unknown(good: dict[str, bytes], tmp_path: Path) -> None:
    content = with_tag(good[".mp3"], without_tag)
    assert reasons(put(tmp_path / "a.mp3", content)) == []
    assert reasons(put(tmp_path / "b.mp3", content[: len(content) // 2])) == []


def test_id3_tags_of_any_size_in_front_of_the_frames(good: dict[str, bytes], tmp_path: Path) -> None:
    for size in (1, 5000, 300_000):
        written = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
        content = b"ID3\x04\0\0" + written + bytes(size) + good[".mp3"]
        assert reasons(put(tmp_path / "a.mp3", content)) == []
        with pytest.raises(AudioError, match="is cut short"):
            read(put(tmp_path / "b.mp3", content[: size + len(good[".mp3"]) // 2]))


# Pages of Ogg


def pages(content: bytes) -> list[bytes]:
    return [b"OggS" + page for page in content.split(b"OggS")[1:]]


@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
def test_lost_and_damaged_pages_are_counted(good: dict[str, bytes], tmp_path: Path, suffix: str) -> None:
    whole = pages(good[suffix])
    assert len(whole) > 8
    lost = [page for number, page in enumerate(whole) if number not in (4, 5)]
    with pytest.raises(AudioError, match=rf"is damaged: 2 of {len(whole)} pages"):
        read(put(tmp_path / f"lost{suffix}", b"".join(lost)))
    flipped = [page[:-9] + bytes([page[-9] ^ 1]) + page[-8:] if number in (4, 6) else page
               for number, page in enumerate(whole)]  # fmt: skip
    with pytest.raises(AudioError, match=rf"is damaged: 2 of {len(whole)} pages"):
        read(put(tmp_path / f"flipped{suffix}", b"".join(flipped)))
    assert reasons(put(tmp_path / f"open{suffix}", b"".join(whole[:-1]))) == [
        "its last page is not marked as the last: it may be cut short"
    ]
    with pytest.raises(AudioError, match="is cut short: it ends inside a page"):
        read(put(tmp_path / f"inside{suffix}", good[suffix][:-10]))


def test_chained_streams_are_one_track(good: dict[str, bytes], tmp_path: Path) -> None:
    other = write(tmp_path / "other.opus", noise(3, 1), RATE).read_bytes()
    clip = read(put(tmp_path / "chain.opus", good[".opus"] + other))
    assert not [remark for remark in clip.remarks if "lacks" in remark.reason or "page" in remark.reason]
    assert clip.seconds == pytest.approx(SECONDS + 3, abs=0.1)


# Frames with checksums


@pytest.mark.parametrize("suffix", [".flac", ".wv"])
def test_flipped_bits_are_detected(good: dict[str, bytes], tmp_path: Path, suffix: str) -> None:
    content = bytearray(good[suffix])
    for place in np.linspace(len(content) // 4, 3 * len(content) // 4, 12).astype(int):
        content[place] ^= 0x10
    with pytest.raises(AudioError, match=r"is cut short|is damaged"):
        read(put(tmp_path / f"a{suffix}", bytes(content)))


@pytest.mark.parametrize("suffix", [".wv", ".flac"])
def test_a_cut_between_frames_names_the_seconds_before_it(good: dict[str, bytes], tmp_path: Path, suffix: str) -> None:
    """WavPack's demuxer fails at the cut; the message must not call the file no audio."""
    with pytest.raises(AudioError, match=r"it is (cut short|damaged): .*[56]\.\d .*s"):
        read(put(tmp_path / f"a{suffix}", good[suffix][: len(good[suffix]) // 2]))


def test_an_mp4_without_its_index_is_cut_short(tmp_path: Path) -> None:
    """An encoder writes the index last, so a partial download has none."""
    content = write(tmp_path / "whole.m4a", noise(), RATE).read_bytes()
    assert content.index(b"moov") > len(content) // 2
    with pytest.raises(AudioError, match=r"it is cut short: it has no index \(moov\)"):
        read(put(tmp_path / "a.m4a", content[: len(content) // 2]))


def without_total(flac: bytes) -> bytes:
    """A FLAC file whose header declares no number of samples, as encoders write into a pipe."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]


def test_time_stamps_tell_the_length_where_the_header_does_not(good: dict[str, bytes], tmp_path: Path) -> None:
    content = without_total(good[".flac"])
    assert reasons(put(tmp_path / "whole.flac", content)) == []
    with pytest.raises(AudioError, match=r"it is cut short: [78]\.\d of 12\.0 s can be decoded"):
        read(put(tmp_path / "hole.flac", content[: len(content) // 3] + content[2 * len(content) // 3 :]))


@pytest.mark.parametrize("suffix", [".flac", ".mp3"])
def test_two_files_in_one_are_a_remark(good: dict[str, bytes], tmp_path: Path, suffix: str) -> None:
    joined = put(tmp_path / f"a{suffix}", good[suffix] * 2)
    assert "it holds 24.0 s, but its header declares 12.0 s: it may be several files in one" in reasons(joined)


def test_a_second_chunk_of_samples_is_a_remark(tmp_path: Path) -> None:
    second = b"data" + struct.pack("<I", len(samples(1))) + samples(1)
    (reason,) = reasons(put(tmp_path / "a.wav", riff(samples(2), tail=second)))
    assert reason == f"{4 * RATE:,} bytes behind the end that its header declares are not read"


def test_a_cut_mp4_of_fragments_is_a_remark(tmp_path: Path) -> None:
    """Its header declares no duration; the last fragment is longer than the file."""
    fragments = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "1000000"}
    content = write(tmp_path / "whole.m4a", noise(), RATE, **fragments).read_bytes()
    assert reasons(tmp_path / "whole.m4a") == []
    cut = put(tmp_path / "cut.m4a", content[: len(content) // 2])
    assert "it ends inside a part of its container: it may be cut short" in reasons(cut)


# Signals


def stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right])


TONE = 0.3 * np.sin(2 * np.pi * 440 * np.arange(4 * 8000) / 8000) + noise(4, 5, 8000)[0] / 10
LONG = np.tile(TONE, 40)
SIGNALS: dict[str, tuple[np.ndarray, str]] = {
    "opposite": (stereo(TONE, -TONE), "error: it has channels in opposite phase"),
    "opposite, 1 % apart": (stereo(TONE, -0.99 * TONE), "error: it has channels in opposite phase"),
    "nearly opposite": (stereo(TONE, -0.85 * TONE), "its channels nearly cancel each other"),
    "half opposite": (stereo(TONE, -0.4 * TONE), ""),
    "one channel": (stereo(TONE, 0 * TONE), ""),
    "unrelated": (noise(4, 6, 8000), ""),
    "one of six": (np.stack([TONE, *[0 * TONE] * 5]), ""),
    "opposite in its second half": (
        stereo(LONG, np.where(np.arange(len(LONG)) < len(LONG) // 2, LONG, -LONG)),
        r"its channels cancel each other \(opposite phase\) in [45]\d% of its length$",
    ),
    "zeros in its second half": (
        np.tile(np.concatenate([LONG, 0 * LONG]), (2, 1)),
        r"[45]\d% of its length are zeros$",
    ),
    "zeros at its end": (np.tile(np.append(LONG, 0 * TONE), (2, 1)), ""),
    "zeros between sound": (
        np.tile(np.concatenate([LONG, np.zeros(24_000), LONG]), (2, 1)),
        r"it has 3\.0 s of zeros after 160\.0 s$",
    ),
    "a second of zeros between sound": (np.tile(np.concatenate([LONG, np.zeros(8000), LONG]), (2, 1)), ""),
    "opposite for a moment": (stereo(LONG, np.where(np.arange(len(LONG)) < 8000, -LONG, LONG)), ""),
    "six, opposite in pairs": (np.stack([TONE, -TONE] * 3), "error: it has channels in opposite phase"),
    "constant": (np.full(8000, 0.25), r"error: it is constant: all samples are 0\.25"),
    "constant below zero": (np.full((2, 8000), -0.5), r"error: it is constant: all samples are -0\.5"),
    "a little loud": (3 * TONE, ""),
    "loud": (10 * TONE, r"its peak is 3\.\d* times full scale"),
    "whole numbers": (32_768 * TONE, r"error: it holds samples of up to [\d.,e+]+ times full scale"),
    "silent": (np.zeros((2, 8000)), "error: it is silent"),
}


@pytest.mark.parametrize("name", list(SIGNALS))
def test_odd_signals_are_named(tmp_path: Path, name: str) -> None:
    signal, expected = SIGNALS[name]
    path = write_wav(tmp_path / "a.wav", signal, 8000, "f32")
    try:
        outcome = " ".join(reasons(path))
    except AudioError as error:
        outcome = f"error: {error.what.removeprefix(f'{path}: ')}"
    assert re.match(expected, outcome) if expected else outcome == ""


# Kinds that are not read


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<!DOCTYPE html><html><p>404</p>" * 50, "an HTML page"),
        (b"\xef\xbb\xbf\n <HTML><body>" + b"x" * 500, "an HTML page"),
        (b"%PDF-1.7\n" + bytes(900), "a PDF file"),
        (b"PK\x03\x04" + bytes(900), "a ZIP archive"),
        (b"MThd\0\0\0\6" + bytes(900), "MIDI"),
        (b".RMF\0\0\0\x12" + bytes(900), "RealMedia"),
        (b"\x0b\x77" + bytes(900), "AC-3"),
        (b"\xff\xd8\xff\xe0" + bytes(900), "a JPEG image"),
        (bytes(5000), "a file of zeros"),
        (b"la la la\n" * 400, "text"),
        ("élan vital\n".encode() * 400, "text"),
        (("<html>" * 50).encode("utf-16"), "text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n", "a Git LFS pointer"),
        (b"\x93NUMPY\x01\0v\0" + bytes(900), "a NumPy array"),
        (bytes(100_000), "a file of zeros"),
    ],
)
@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".flac"])
def test_unreadable_kinds_are_named(tmp_path: Path, content: bytes, kind: str, suffix: str) -> None:
    with pytest.raises(AudioError, match=rf"it is {kind}.*, which is not read\. .*Kinds that can be read: wav"):
        read(put(tmp_path / f"a{suffix}", content))
