"""An encoder and some music of which a reader can work out every vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audio_files import write_wav
from timbrec.errors import AudioError
from timbrec.protocols import EncoderCard
from timbrec.store import VectorStore

RATE = 1000
DIM = 3


class Moments:
    """An encoder with vectors that a reader can work out: mean, mean square and length of a window."""

    card = EncoderCard(
        name="moments", revision="1", rate=RATE, window=1.0, dim=DIM, frames_per_second=1000.0, layers=0, parameters=0,
        licence_code="–", licence_weights="–", commercial=True, trained_on="nothing", citation="–",
    )  # fmt: skip

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def encode(self, windows: np.ndarray) -> np.ndarray:
        self.batches.append(windows.shape)
        if windows.shape[1] < 10:
            raise AudioError("too short for moments")
        length = np.full(len(windows), windows.shape[1] / RATE)
        with np.errstate(over="ignore"):
            return np.stack([windows.mean(1), (windows**2).mean(1), length], axis=1).astype(np.float32)

    def frames(self, windows: np.ndarray, layer: int | None = None) -> np.ndarray:
        return np.stack([windows, windows**2, np.ones_like(windows)], axis=2)


def levels(*values: float) -> np.ndarray:
    """A second at each level. A single level gets a ripple, below 1e-6 in every vector: constants are refused."""
    ripple = 3e-4 * (-1.0) ** np.arange(RATE) if len(values) == 1 else 0.0
    return np.repeat(np.asarray(values), RATE) + ripple


def of(*values: float, seconds: float = 1.0) -> list[float]:
    """The vector of a track of such levels."""
    return [float(np.mean(values)), float(np.mean(np.square(values))), seconds]


def write_music(folder: Path) -> Path:
    """Five tracks of one, two or three seconds and one of a third of a second, in two folders."""
    (folder / "album").mkdir(parents=True)
    write_wav(folder / "a.wav", levels(0.1), RATE, "f32")
    write_wav(folder / "b.WAV", levels(0.2, 0.4), RATE, "f32")
    write_wav(folder / "album/c.wav", levels(0.1, 0.2, 0.3), RATE, "f32")
    write_wav(folder / "album/d d.wav", np.stack([levels(0.1, 0.3), levels(0.5, 0.7)]), RATE, "f32")
    write_wav(folder / "album/é.wav", levels(0.5)[:300], RATE, "f32")
    (folder / "album/cover.jpg").write_bytes(b"no audio")
    (folder / "._a.wav").write_bytes(b"what another system left")
    return folder


EXPECTED = {
    "a": of(0.1), "b": of(0.2, 0.4), "c": of(0.1, 0.2, 0.3), "d d": of(0.3, 0.5), "é": of(0.5, seconds=0.3),
}  # fmt: skip


def vectors(store: Path) -> dict[str, list[float]]:
    opened = VectorStore.open(store)
    ids = opened.ids.to_list()
    return dict(zip(ids, opened.aligned(ids).tolist(), strict=True))


def assert_expected(store: Path, ids: str = "a b c d·d é") -> None:
    names = [name.replace("·", " ") for name in ids.split()]
    stored = vectors(store)
    assert list(stored) == names
    np.testing.assert_allclose([stored[name] for name in names], [EXPECTED[name] for name in names], atol=1e-6)
