"""Manifests: numbered files that describe the content of a store. The highest number is the current state."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from timbrec.errors import PlaceError, StoreError, in_words
from timbrec.places import Added, place_of
from timbrec.places.numbered import newest_number, numbered

File = Added  # of a store: immutable, and described in its manifest
FORMATS = (1, 2, 3)  # 1: ids name rows; 2: tables of tracks name rows by audio; 3: these tables have a column path
DTYPES = ("float16", "float32")
_STEM = "manifest"


@dataclass(frozen=True)
class StoreInfo:
    """Description of the vectors of a store, sufficient to compute them again.

    `layer` None is the encoder's own output; `pool` and `over` are the reduction and its axis ("mean", "time");
    `windows` describes the encoded parts of a track. `created` (ISO 8601, UTC) is filled in by `create` and ignored in
    comparisons. Raises StoreError for an unknown dtype and for a dim below 1.
    """

    encoder: str
    revision: str
    layer: int | None
    pool: str
    over: str
    windows: str
    dim: int
    dtype: str = "float32"
    created: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise StoreError(f"a store cannot hold {self.dtype!r}", fix=f"Use {' or '.join(DTYPES)}.")
        if self.dim < 1:
            raise StoreError("a store's vectors need at least one dimension", example=self.dim)

    def differences(self, expected: StoreInfo) -> list[str]:
        """Return one phrase for each field that differs from the expected description."""
        facts = [
            (fact.name, getattr(self, fact.name), getattr(expected, fact.name)) for fact in fields(self) if fact.compare
        ]
        differing = [(name, in_words(mine), in_words(other)) for name, mine, other in facts if mine != other]
        return [f"its {name} is {mine}, expected {other}" for name, mine, other in differing]


@dataclass(frozen=True)
class Shard:
    """Vectors of one commit; `zeros` counts zero vectors."""

    rows: int
    zeros: int
    vectors: File
    ids: File


@dataclass(frozen=True)
class Manifest:
    """State of a store: its description, and the shards of all commits up to `version`, in order.

    `tracks` are tables that assign audio to tracks, later tables first in rank; a store with rows named by ids has
    none. `track_ids` is the kind of the ids of a folder's files, `stem`, `path` or `tag:NAME`; empty if unknown.
    """

    info: StoreInfo
    shards: tuple[Shard, ...] = ()
    version: int = 0
    tracks: tuple[File, ...] = ()
    track_ids: str = ""
    table_format: int = FORMATS[-1]  # of the newest table of tracks

    @property
    def files(self) -> list[File]:
        """All files of this state."""
        return [*(file for shard in self.shards for file in (shard.vectors, shard.ids)), *self.tracks]

    @property
    def format(self) -> int:
        """Number of the oldest format that can hold this state."""
        return self.table_format if self.tracks else FORMATS[0]

    @cached_property
    def digest(self) -> str:
        """sha256 of the description without `created` and of all checksums; the order of shards is ignored."""
        shards = sorted(json.dumps(asdict(shard)) for shard in self.shards)
        facts = [self.format, asdict(replace(self.info, created="")), shards]
        facts += [[file.sha256 for file in self.tracks]] if self.tracks else []
        facts += [self.track_ids] if self.track_ids else []
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def plus(self, *shards: Shard, tracks: tuple[File, ...] = (), ids: str = "") -> Manifest:
        """Return the state after one more commit, with a new kind of ids if given."""
        return replace(
            self,
            shards=(*self.shards, *shards),
            version=self.version + 1,
            tracks=(*self.tracks, *tracks),
            table_format=FORMATS[-1] if tracks else self.table_format,
            track_ids=ids or self.track_ids,
        )


def publish(folder: Path, manifest: Manifest) -> bool:
    """Commit a state as the next manifest; False if another writer took its version first."""
    shards = [asdict(shard) for shard in manifest.shards]
    facts = {"format": manifest.format, "digest": manifest.digest, "info": asdict(manifest.info), "shards": shards}
    facts |= {"tracks": [asdict(file) for file in manifest.tracks]} if manifest.tracks else {}
    facts |= {"track_ids": manifest.track_ids} if manifest.track_ids else {}
    place = place_of(folder)
    facts |= {"writer": place.token} if place.token else {}
    return place.create(numbered(_STEM, manifest.version), json.dumps(facts, indent=1).encode())


def holds_store(folder: Path) -> bool:
    """Whether there is a vector store at a path."""
    return newest_number(place_of(folder), _STEM) is not None


def newest(folder: Path) -> Manifest:
    """Return the current state of a store. Raises StoreError if there is none, or its manifest is damaged."""
    place = place_of(folder)
    version = newest_number(place, _STEM)
    if version is None:
        raise StoreError(f"there is no vector store at {folder}", fix="Check the path, or create the store first.")
    try:
        facts = json.loads(place.read(numbered(_STEM, version)))
        manifest = _manifest(facts, version) if facts["format"] in FORMATS else None
    except PlaceError:
        raise
    except (OSError, ValueError, KeyError, TypeError, StoreError) as error:
        raise StoreError(
            f"{folder / numbered(_STEM, version)} is damaged",
            fix="Copy it again, or delete it to return to the commit before it.",
        ) from error
    if manifest is None:
        raise StoreError(
            f"{folder} is of format {facts['format']!r}, not {FORMATS[-1]} or older", fix="Update timbrec."
        )
    return manifest


def _manifest(facts: dict[str, Any], version: int) -> Manifest:
    tracks = tuple(File(**file) for file in facts.get("tracks", ()))
    shards, ids = tuple(map(_shard, facts["shards"])), facts.get("track_ids", "")
    table_format = facts["format"] if tracks else FORMATS[-1]
    manifest = Manifest(StoreInfo(**facts["info"]), shards, version, tracks, ids, table_format)
    if manifest.digest != facts["digest"] or manifest.format != facts["format"]:
        raise ValueError("the digest is of another state")
    return manifest


def _shard(facts: dict[str, Any]) -> Shard:
    return Shard(**facts | {"vectors": File(**facts["vectors"]), "ids": File(**facts["ids"])})
