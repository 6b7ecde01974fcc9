"""Seconds of encoding per track: measured by `embed`, kept beside the vectors, shown by a run."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from audio_files import sine, write_wav
from timbrec.embed import embed
from timbrec.protocols import EncoderCard
from timbrec.store import Subset, VectorStore
from timbrec.store.speed import Speed, add_time, speed_of
from timbrec.types import Array, Float32


class Slow:
    """An encoder that takes 20 ms per window."""

    card = EncoderCard("slow", "1", 8_000, 1.0, 2)

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n dim"]:
        time.sleep(0.02 * len(windows))
        return np.ones((len(windows), 2), np.float32)


def test_times_add_up_by_device_and_the_device_with_most_tracks_counts(tmp_path: Path) -> None:
    assert speed_of(tmp_path) is None
    add_time(tmp_path, "cpu", 2, 3.0)
    add_time(tmp_path, "cpu", 4, 3.0)
    add_time(tmp_path, "cuda", 5, 0.5)
    assert speed_of(tmp_path) == Speed(1.0, "cpu", 6)
    assert json.loads((tmp_path / "speed.json").read_text())["cuda"] == {"tracks": 5, "seconds": 0.5}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"cpu": 3}', '{"cpu": {"tracks": "x", "seconds": 1}}'])
def test_a_damaged_record_is_no_speed(tmp_path: Path, content: str) -> None:
    (tmp_path / "speed.json").write_text(content)
    assert speed_of(tmp_path) is None


def test_embed_measures_the_time_in_the_encoder(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    for number in range(3):
        write_wav(tmp_path / "music" / f"{number}.wav", sine(200.0 + 50 * number, 8_000, 2.5), 8_000)
    embed(tmp_path / "music", Slow(), tmp_path / "store")
    store = VectorStore.open(tmp_path / "store")
    speed = Subset(store, store.ids).speed
    assert speed is not None
    assert speed.tracks == 3
    assert 0.02 <= speed.seconds < 5
    before = store.digest
    embed(tmp_path / "music", Slow(), tmp_path / "store")  # nothing is encoded again
    assert VectorStore.open(tmp_path / "store").speed == speed
    (tmp_path / "store" / "speed.json").unlink()
    assert VectorStore.open(tmp_path / "store").speed is None
    assert VectorStore.open(tmp_path / "store").digest == before
