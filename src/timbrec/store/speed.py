"""Speed of an encoder: the seconds of encoding per track, measured while a store was filled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from timbrec.errors import PlaceError
from timbrec.places import place_of

_NAME = "speed.json"


class Speed(NamedTuple):
    """Mean seconds that one track took in the encoder, on a device, without decoding; measured over `tracks`."""

    seconds: float
    device: str
    tracks: int


class _Time(NamedTuple):
    tracks: int
    seconds: float


def add_time(folder: Path, device: str, tracks: int, seconds: float) -> None:
    """Add the time that tracks took to the record of a store. Other versions of the package ignore the file."""
    times = _read(folder)
    before = times.get(device, _Time(0, 0.0))
    times[device] = _Time(before.tracks + tracks, before.seconds + seconds)
    record = json.dumps({name: time._asdict() for name, time in times.items()}, indent=1)
    place_of(folder).put(_NAME, record.encode())


def speed_of(folder: Path) -> Speed | None:
    """The speed on the device that encoded most tracks of a store; None if it was never measured."""
    times = _read(folder).items()
    speeds = [Speed(time.seconds / time.tracks, device, time.tracks) for device, time in times if time.tracks > 0]
    return max(speeds, key=lambda speed: speed.tracks, default=None)


def _read(folder: Path) -> dict[str, _Time]:
    """Tracks and seconds by device; empty for a missing or damaged record."""
    try:
        record = json.loads(place_of(folder).read(_NAME))
        return {device: _Time(int(time["tracks"]), float(time["seconds"])) for device, time in record.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, PlaceError):
        return {}
