"""Which windows of a track are encoded, and how they are cut out of a stream of samples."""

from __future__ import annotations

from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import get_args

import numpy as np

from timbrec.errors import ConfigError
from timbrec.types import Array, Float32, WindowPolicy

SILENCE = 1e-4  # a peak below -80 dBFS, under the dither of 16 bits
POLICIES: tuple[WindowPolicy, ...] = get_args(WindowPolicy)
PADDED = 30.0  # seconds of the `padded` window, whatever the encoder's


@dataclass(frozen=True)
class Windows:
    """Which parts of a track are encoded.

    A track is cut into windows from its start; what is left at the end is not used, and silent windows (peak below
    -80 dBFS) do not count. `spread` takes `count` windows at even distances, `centre` the middle one, `first` the
    first, `all` every one. A track without a whole window of sound is one shorter window, never padded: an encoder's
    own docstring says what it makes of it, and one that cannot use it refuses. `padded` is the study's way, and not
    advised: the first 30 s, filled up with zeros, which an encoder hears as sound that ends in silence. Raises
    ConfigError for an unknown policy and for a count below 1.

    Eight windows of 30 s are all of a four-minute track. Fewer cost accuracy: on ten full songs the MFCC vector of one
    window is off by 0.78 of the variance between songs (mean square), that of N windows of a long track by about 1/N.
    """

    policy: WindowPolicy = "spread"
    count: int = 8

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ConfigError(f"there is no window policy {self.policy!r}", fix=f"Known: {', '.join(POLICIES)}.")
        if self.count < 1:
            raise ConfigError("at least one window of a track must be encoded", example=self.count)

    def seconds(self, window: float) -> float:
        """The length of what is cut, for an encoder with windows of so many seconds."""
        return PADDED if self.policy == "padded" else window

    def described(self, window: float) -> str:
        """The policy in words, for an encoder with windows of so many seconds, e.g. "spread 4 x 30 s"."""
        seconds = self.seconds(window)
        return f"{self.policy} {f'{self.count} x ' if self.policy == 'spread' else ''}{seconds:g} s"


class Cutter:
    """Cuts a stream of blocks into windows of `size` samples, and keeps those that the policy may take.

    Of a long stream every second, fourth, ... window is kept, so that memory is bounded and the places stay even.
    """

    def __init__(self, size: int, windows: Windows) -> None:
        self._windows = windows
        self._count = windows.count if windows.policy == "spread" else 1
        self._kept: list[Array] = []
        self._stride, self._seen, self._whole = 1, 0, False
        self._window, self._filled = np.empty(size, np.float32), 0
        self._file = TemporaryFile() if windows.policy == "all" else None  # noqa: SIM115 - lives as long as the map

    @property
    def full(self) -> bool:
        """Whether nothing that comes can change what is taken."""
        return (self._windows.policy == "first" and self._seen > 0) or (
            self._windows.policy == "padded" and self._whole
        )

    def add(self, block: Float32[Array, "n"]) -> None:
        """Take the next samples."""
        while len(block) and not self.full:
            part = block[: len(self._window) - self._filled]
            self._window[self._filled : self._filled + len(part)] = part
            self._filled, block = self._filled + len(part), block[len(part) :]
            if self._filled == len(self._window):
                self._whole = True
                self._keep(self._window)
                self._window, self._filled = np.empty_like(self._window), 0

    def finish(self) -> Float32[Array, "n samples"]:
        """The windows taken; none of a silent stream."""
        if self._windows.policy == "padded" and not self._whole and self._filled:
            self._window[self._filled :] = 0
            self._keep(self._window)
        elif not self._seen and not self.full:
            self._keep(self._window[: self._filled])
        if self._file is not None and self._seen:
            return np.memmap(self._file, np.float32, "r").reshape(self._seen, -1)
        kept, count = len(self._kept), min(self._count, len(self._kept))
        places = (
            range(count) if self._windows.policy in ("first", "padded") else (np.arange(count) + 0.5) * kept // count
        )
        return np.stack([self._kept[int(place)] for place in places]) if kept else np.empty((0, 0), np.float32)

    def _keep(self, window: Float32[Array, "n"]) -> None:
        if not len(window) or np.abs(window).max() < SILENCE:
            return
        if self._file is not None:
            self._file.write(window.data)
        elif self._seen % self._stride == 0:
            self._kept.append(window)
            if len(self._kept) > max(16, 2 * self._count):
                self._kept, self._stride = self._kept[::2], 2 * self._stride
        self._seen += 1
