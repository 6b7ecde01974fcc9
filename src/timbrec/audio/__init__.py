"""Audio files, decoded, resampled and cut into windows; never more of a file in memory than needed."""

from timbrec.audio.clip import Clip, Cut, read_clips, read_windows
from timbrec.audio.file import CONTAINERS, AudioFile, load_mono
from timbrec.audio.windows import SILENCE, Cutter, Windows

__all__ = [
    "CONTAINERS",
    "SILENCE",
    "AudioFile",
    "Clip",
    "Cut",
    "Cutter",
    "Windows",
    "load_mono",
    "read_clips",
    "read_windows",
]
