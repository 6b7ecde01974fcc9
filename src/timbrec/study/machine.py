"""The machine and the installation: resources for a benchmark, missing parts, and how to install them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from timbrec.errors import ConfigError
from timbrec.machine.devices import all_memory, cores, free_memory

_PACKAGE = "timbrec"
_DECODERS = ("mp3", "flac", "vorbis", "opus", "aac", "alac", "wmav2", "pcm_s16le")  # FFmpeg's names
_GIB = 2**30
_WAIT = 3.0  # seconds for an address to answer


@dataclass(frozen=True)
class Fact:
    """A fact for readers.

    `state` is "ok", "optional" (missing, and needed by itself only) or "missing"; `fix` says how to get a missing part.
    """

    name: str
    value: str
    state: str = "ok"
    fix: str = ""


def facts(ray: str | None = None, folder: Path = Path()) -> Iterator[Fact]:
    """All facts that need no config. `ray` is the address of a Ray cluster to try; `folder` is the folder of
    results."""
    yield from _hardware(folder)
    yield from _libraries()
    yield _decoders()
    yield from _weights()
    yield from _engine(ray)


def _hardware(folder: Path) -> Iterator[Fact]:
    yield Fact("cores", f"{cores()} ({platform.machine()}, {platform.system()})")
    yield Fact("memory", f"{all_memory() / _GIB:.1f} GiB, {free_memory() / _GIB:.1f} GiB available")
    yield Fact("disk", f"{shutil.disk_usage(folder).free / _GIB:.1f} GiB free at {folder.absolute()}")
    yield Fact("GPU", _gpus() or "none that PyTorch can use", "ok" if _gpus() else "optional",
               "" if _gpus() else "Everything runs without one; training and encoding are slower.")  # fmt: skip


def _gpus() -> str:
    import torch

    if torch.cuda.is_available():
        devices = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        return ", ".join(f"{device.name} ({device.total_memory / _GIB:.0f} GiB)" for device in devices)
    return "Metal" if torch.backends.mps.is_available() else ""


def _libraries() -> Iterator[Fact]:
    """The required libraries and the libraries of each extra, with versions."""
    yield Fact("Python", platform.python_version())
    for text in importlib.metadata.requires(_PACKAGE) or []:
        requirement, _, marker = text.partition(";")
        extra = re.search(r"extra\s*==\s*['\"](\w+)", marker)
        if not (name := re.match(r"[\w.-]+", requirement)) or name[0] == _PACKAGE:
            continue
        if extra and extra[1] in ("dev", "measurements", "all", "docs"):
            continue
        yield _library(name[0], extra[1] if extra else None)


def _library(name: str, extra: str | None) -> Fact:
    try:
        return Fact(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        fix = f"pip install '{_PACKAGE}[{extra}]'" if extra else f"pip install {name}"
        return Fact(name, "not installed", "optional" if extra else "missing", fix)


def _decoders() -> Fact:
    """Which audio codecs the decoding library reads."""
    import av

    missing = [name for name in _DECODERS if not _reads(name)]
    version = ".".join(map(str, av.library_versions["libavcodec"]))
    if missing:
        return Fact("decoders", f"FFmpeg {version} lacks {', '.join(missing)}", "missing", "pip install --upgrade av")
    return Fact("decoders", f"FFmpeg's libavcodec {version} reads {', '.join(_DECODERS)}")


def _reads(codec: str) -> bool:
    import av

    try:
        return av.codec.Codec(codec, "r").is_decoder
    except (ValueError, av.FFmpegError):
        return False


def _weights() -> Iterator[Fact]:
    """Whether the weights of each encoder are on this machine."""
    from timbrec import catalog, encoders
    from timbrec.protocols import WeightedEncoder

    for name in catalog.names("encoders"):
        encoder = encoders.find(name)
        if not isinstance(encoder, WeightedEncoder):
            continue
        try:
            missing = encoders.check_weights(name)
        except ConfigError as error:
            yield Fact(f"weights of {name}", "not here", "optional", error.fix)
            continue
        fix = f"timbrec weights get {name} ({sum(file.bytes for file in missing) / 1e6:,.0f} MB)"
        yield Fact(f"weights of {name}", *(("not here", "optional", fix) if missing else ("here",)))


def _engine(address: str | None) -> Iterator[Fact]:
    """Whether Ray is installed and, with an address, whether a cluster answers there."""
    if importlib.util.find_spec("ray") is None:
        state = "optional" if address is None else "missing"
        yield Fact(
            "engine ray", "not installed; the engine local needs nothing", state, f"pip install '{_PACKAGE}[ray]'"
        )
    else:
        yield Fact("engine ray", importlib.metadata.version("ray"))
    if address is None:
        return
    place = urlsplit(address if "//" in address else f"ray://{address}")
    try:
        with socket.create_connection((place.hostname or "", place.port or 10001), _WAIT):
            yield Fact("Ray cluster", f"{address} answers")
    except (OSError, ValueError) as error:
        fix = "Start the cluster, or correct the address: ray://HOST:10001."
        yield Fact("Ray cluster", f"nobody answers at {address} ({error})", "missing", fix)
