"""Listing the tracks to encode: the audio files of a folder, or the rows of a manifest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from timbrec.audio import CONTAINERS
from timbrec.audio.tags import read_tag
from timbrec.data.compression import plain_name
from timbrec.data.settings import resolved
from timbrec.data.tables import KINDS, open_table
from timbrec.errors import ConfigError, DataError
from timbrec.places import is_remote, local, location
from timbrec.places.locations import Remote

STEM, PATH, TAG, MANIFEST = "stem", "path", "tag", "manifest"
DEFAULT_TAG = "musicbrainz_trackid"


class Track(NamedTuple):
    """Id and file of a track."""

    id: str
    path: Path


@dataclass(frozen=True)
class Listing:
    """Tracks of a folder or manifest, and the kind of their ids: `stem`, `path`, `tag:NAME` or `manifest`.

    `aside` counts the folder's other files by suffix: unsupported kinds, hidden files and linked folders.
    """

    tracks: list[Track]
    ids: str
    aside: dict[str, int] = field(default_factory=dict)


def find_tracks(source: Path | str, ids: str | None = None) -> list[Track]:
    """Return the tracks of a folder or manifest; see `list_tracks`."""
    return list_tracks(source, ids).tracks


def list_tracks(source: Path | str, ids: str | None = None, *, distinct: bool = True) -> Listing:
    """Return the tracks of a folder or bucket, in order of their ids, or of a manifest, in its own order.

    The tracks of a folder are all files below it with a suffix of CONTAINERS, except hidden files and linked folders.
    `ids` is the kind of their ids: `stem`, the file name without suffix; `path`, the path below the folder without
    suffix ("Album/01 Intro"); `tag`, the MusicBrainz id of the recording; `tag:NAME`, any other tag. None means `stem`,
    or `path` if two files have equal names. Bytes of names that are not UTF-8 become U+FFFD.

    A manifest is a table (see `data.tables`) with columns id and path. Ids are taken as text, paths as relative to the
    manifest's folder. Raises DataError if there are no tracks, a tag is missing, or (with `distinct`) two tracks have
    the same id; ConfigError for an unknown kind of ids.
    """
    source = location(source)
    if not source.exists():
        raise DataError(f"{source} does not exist", fix="Check the path.")
    if source.is_dir():
        listing = _in_folder(source, ids)
    elif ids in (None, MANIFEST):
        listing = Listing(_in_manifest(source), MANIFEST)
    else:
        raise ConfigError("`ids` is for folders only", example=ids, fix=f"{source} has ids of its own: leave it out.")
    if not listing.tracks:
        raise DataError(f"there is no audio in {source}", fix=f"Looked for {', '.join(CONTAINERS)}.")
    if distinct:
        _refuse_repeated(source, listing, chosen=ids is not None)
    return listing


def check_local(source: Path | str) -> Path:
    """The path of audio. Raises ConfigError for a bucket, where tags cannot be read without copying all files."""
    if is_remote(path := location(source)):
        raise ConfigError(f"{path}: this needs audio on this machine", fix="Copy it here, or embed it where it is.")
    return path


def text(name: str) -> str:
    """Return a file name as text: bytes that are not UTF-8 become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def printable(name: str) -> str:
    """Return a name for a terminal or a message: control characters become escapes such as `\\n`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text(name))


def check_ids(ids: str) -> str:
    """Return a kind of ids, a tag with its name. Raises ConfigError for an unknown kind."""
    if ids == TAG:
        return f"{TAG}:{DEFAULT_TAG}"
    if ids in (STEM, PATH) or (ids.startswith(f"{TAG}:") and len(ids) > len(TAG) + 1):
        return ids
    raise ConfigError(f"there are no ids of kind {ids!r}", fix="Known: stem, path, tag, tag:NAME.")


def _in_folder(folder: Path, ids: str | None) -> Listing:
    paths, aside = _files(folder)
    if ids is not None:
        ids = check_ids(ids)
    else:
        stems = {path.stem for path in paths}
        ids = STEM if len(stems) == len(paths) else PATH
    names = _tags(paths, ids.partition(":")[2]) if ids.startswith(TAG) else [_name(path, folder, ids) for path in paths]
    return Listing(sorted(map(Track, names, paths)), ids, dict(aside))


def _files(folder: Path) -> tuple[list[Path], Counter[str]]:
    """Return the audio files below a folder, and the number of other files by suffix."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be listed: {error.strerror}", fix="Check its permissions.")

    paths, aside = list[Path](), Counter[str]()
    if isinstance(folder, Remote):
        walked: Iterable[tuple[Any, list[str], list[str]]] = ((path.parent, [], [path.name]) for path in folder.files())
    else:
        walked = os.walk(folder, onerror=refuse)
    for where, folders, names in walked:
        parent = location(where)
        aside["linked folder"] += sum(os.path.islink(os.path.join(where, name)) for name in folders)  # noqa: PTH114, PTH118
        for name in names:
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - creating Paths would take most of the time
            if name.startswith("."):
                aside["hidden"] += 1
            elif suffix in CONTAINERS:
                paths.append(parent / name)
            else:
                aside[suffix or "no suffix"] += 1
    return paths, +aside


def _name(path: Path, folder: Path, ids: str) -> str:
    return text(path.stem if ids == STEM else path.relative_to(folder).with_suffix("").as_posix())


def _tags(paths: Sequence[Path], tag: str) -> Iterable[str]:
    with ThreadPoolExecutor() as threads:
        tags = list(threads.map(lambda path: read_tag(local(path), tag), paths))
    if missing := [path for path, value in zip(paths, tags, strict=True) if not value]:
        raise DataError(
            f"some files have no tag {tag!r}",
            count=len(missing),
            example=text(str(missing[0])),
            fix="Tag them, or use `--ids path`.",
        )
    return tags


def _in_manifest(path: Path) -> list[Track]:
    if Path(plain_name(path)).suffix.lower() not in KINDS:
        raise DataError(f"{path} is neither a folder nor a manifest", fix="Give a folder, or a table with id and path.")
    table = open_table(path).read(["id", "path"]).select(pl.col("id", "path").cast(pl.String))
    if empty := table.filter(pl.any_horizontal(pl.all().is_null() | (pl.all() == ""))).height:
        raise DataError(f"{path} has rows without id or path", count=empty, fix="Fill them in.")
    return [Track(track, resolved(path.parent, Path(file))) for track, file in table.iter_rows()]


def _refuse_repeated(source: Path, listing: Listing, chosen: bool) -> None:
    first: dict[str, Path] = {}
    twice = [track for track in listing.tracks if first.setdefault(track.id, track.path) is not track.path]
    if not twice:
        return
    fix = "Give a manifest with columns id and path: `timbrec manifest` writes one."
    if listing.ids == STEM and chosen:
        fix = f"Use `--ids path`, in a config `ids: path`, or a manifest. {fix.partition(': ')[2]}"
    elif listing.ids == MANIFEST:
        fix = "Give each file an id of its own."
    raise DataError(
        f"{source}: two files have the same id: {printable(str(first[twice[0].id]))} and "
        f"{printable(str(twice[0].path))}",
        count=len(twice),
        example=twice[0].id,
        fix=fix,
    )
