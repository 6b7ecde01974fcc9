"""Decoding, resampling and windowing of audio files in bounded memory."""

from timbrec.audio.clip import Clip, Cut, read_clips, read_windows
from timbrec.audio.file import AudioFile, load_mono
from timbrec.audio.kinds import CONTAINERS
from timbrec.audio.resampling import check_resampler
from timbrec.audio.sound import SILENCE, Remark
from timbrec.audio.windows import Cutter, Windows

__all__ = [
    "CONTAINERS",
    "SILENCE",
    "AudioFile",
    "Clip",
    "Cut",
    "Cutter",
    "Remark",
    "Windows",
    "check_resampler",
    "load_mono",
    "read_clips",
    "read_windows",
]
